"""A schedule that is none: which field of it, which part, what is allowed there; which time zone was meant."""

from typing import Any

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import given
from hypothesis import strategies as st

from automations.core.trigger.schedule import check


def problem(**keys: Any) -> tuple[str, str, str]:
    found = check({"kind": "schedule", **keys})
    assert found is not None
    return found.key, found.message, found.hint


@pytest.mark.parametrize(
    ("cron", "said", "hint"),
    [
        ("61 9 * * *", "the minute cannot be '61'", "allowed are 0 to 59: a number"),
        ("* 25 * * *", "the hour cannot be '25'", "allowed are 0 to 23"),
        ("0 9 0 * *", "the day of month cannot be '0'", "allowed are 1 to 31, or L"),
        ("0 9 1,40 * *", "the day of month cannot be '40'", "1 to 31"),
        ("0 9 * 13 *", "the month cannot be '13'", "1 to 12, or JAN to DEC"),
        ("0 9 * sept *", "the month cannot be 'sept'", "did you mean SEP?"),
        ("0 9 * * 1-5,8", "the day of week cannot be '8'", "0 and 7 are Sunday"),
        ("0 9 * * monday-friday", "the day of week cannot be 'monday-friday'", "did you mean MON-FRI?"),
        ("45-15 * * * *", "the minute cannot be '45-15'", "a range goes upwards: 15-45"),
        ("*/0 * * * *", "the minute cannot be '*/0'", "a step is at least 1"),
        ("1,,2 * * * *", "the minute cannot be ''", "0 to 59"),
        ("99 * * * * *", "the second cannot be '99'", "five fields: minute hour"),
        ("* * * *", "it has 4 fields, and five are needed", "minute hour day-of-month month day-of-week"),
        ("@dayly", "@daily are not known", "write '0 0 * * *'"),
        ("@weekly", "@daily are not known", "write '0 0 * * 0'"),
        ("0 0 30 2 *", "no month that it names has such a day", "L for its last"),
    ],
)
def test_a_bad_cron_expression_is_told_by_field_and_part_with_what_is_allowed(cron: str, said: str, hint: str) -> None:
    for key in ("cron", "schedule"):
        where, message, advice = problem(**{key: cron})
        assert where == key
        assert said in message
        assert hint in advice


def test_a_schedule_without_cron_and_every_is_told_that_it_needs_one() -> None:
    where, message, advice = problem(timezone="Europe/Berlin")
    assert where == "kind"
    assert message == "a schedule trigger needs cron or every, and this one has neither"
    assert "cron: '0 9 * * 1-5'" in advice
    assert "every: 15m" in advice


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Europe/Berln", "Europe/Berlin"),
        ("europe/berlin", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("new york", "America/New_York"),
        ("Newyork", "America/New_York"),
        ("Amerca/Los_Angeles", "America/Los_Angeles"),
        ("utc", "UTC"),
    ],
)
def test_an_unknown_time_zone_brings_the_one_that_was_meant(written: str, meant: str) -> None:
    assert problem(every="1h", timezone=written) == (
        "timezone",
        f"unknown time zone: {written}",
        f"did you mean {meant}?",
    )


@pytest.mark.parametrize("written", ["UTC+2", "GMT-5", "nowhere/xyz", "Z", "../etc/passwd"])
def test_what_is_near_no_zone_is_told_what_a_zone_is(written: str) -> None:
    _, _, hint = problem(every="1h", timezone=written)
    assert "Europe/Berlin" in hint
    assert "did you mean" not in hint


@given(st.lists(st.text("0123456789*/-,LW#MONJAN @", max_size=6), max_size=7).map(" ".join))
def test_whatever_the_library_refuses_has_a_reason_in_words_and_what_it_takes_has_none(cron: str) -> None:
    from datetime import datetime  # noqa: PLC0415  # one law needs it

    try:
        next(CronSim(cron, datetime(2024, 1, 1)))  # noqa: DTZ001  # wall-clock time on purpose
    except (CronSimError, AssertionError, StopIteration):
        _, message, hint = problem(cron=cron)
        assert message.startswith(("not a cron expression", "the cron expression"))
        assert hint
    else:
        assert check({"kind": "schedule", "cron": cron}) is None
