"""Instants and durations: what is shown reads back, and nothing else is read."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automations.core.instant import MILLISECOND, SECOND, iso, parse_duration, parse_iso

FIRST = int((datetime(1, 1, 1, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))
LAST = 253_402_300_799_999_999
HOUR = 3600 * SECOND
instants = st.integers(FIRST, LAST)


@given(instants)
def test_what_is_shown_reads_back_to_the_millisecond_below(at: int) -> None:
    assert parse_iso(iso(at)) == at - at % MILLISECOND


@given(instants, instants)
def test_shown_instants_sort_as_the_instants_do(one: int, other: int) -> None:
    assert (one // MILLISECOND < other // MILLISECOND) == (iso(one) < iso(other))


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (1_999, "1970-01-01T00:00:00.001Z"),
        (LAST, "9999-12-31T23:59:59.999Z"),
        (FIRST, "0001-01-01T00:00:00.000Z"),
    ],
)
def test_an_instant_is_shown_with_milliseconds_cut_not_rounded(at: int, shown: str) -> None:
    assert iso(at) == shown


@pytest.mark.parametrize("at", [LAST + 1, FIRST - 1, 2**63])
def test_an_instant_beyond_the_calendar_is_an_overflow(at: int) -> None:
    with pytest.raises(OverflowError):
        iso(at)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-11-23T00:29:32Z", "2026-11-23T00:29:32.000Z"),
        ("2026-11-23t00:29:32z", "2026-11-23T00:29:32.000Z"),
        ("2026-11-23 00:29:32.5Z", "2026-11-23T00:29:32.500Z"),
        ("2026-11-23T00:29:32.123456789Z", "2026-11-23T00:29:32.123Z"),
        ("2026-11-23T00:29:32+02:00", "2026-11-22T22:29:32.000Z"),
        ("2026-11-23T00:29:32-23:59", "2026-11-24T00:28:32.000Z"),
        ("2024-02-29T00:00:00-00:00", "2024-02-29T00:00:00.000Z"),
    ],
)
def test_every_form_of_rfc_3339_is_read(text: str, shown: str) -> None:
    assert iso(parse_iso(text)) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-23",
        "2026-11-23T00:29:32",
        "2026-11-23T00:29Z",
        "2026-11-23T00:29:60Z",
        "2026-11-23T24:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-11-23T00:29:32+24:00",
        "2026-11-23T00:29:32+02",
        "2026-11-23T00:29:32.Z",
        "2026-11-23T00:29:32.1234567890Z",
        "2026-W47-1T00:00:00Z",
        "2026-11-23T00:29:32Z\n",
        " 2026-11-23T00:29:32Z",
        "\uff12026-11-23T00:29:32Z",
        "1700000000",
    ],
)
def test_anything_else_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_iso(text)


@pytest.mark.parametrize(
    ("text", "span"),
    [("250ms", 250 * MILLISECOND), ("0s", 0), ("1h30m", 90 * 60 * SECOND), ("7d", 7 * 24 * HOUR), ("1s1s", 2 * SECOND)],
)
def test_a_duration_is_the_sum_of_its_parts(text: str, span: int) -> None:
    assert parse_duration(text) == span


@pytest.mark.parametrize(
    "text", ["", "5", "s", "1.5s", "-1s", "1 s", "1S", "1w", "1h 30m", "1h\n", "٣s", "1234567890s"]
)
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)
