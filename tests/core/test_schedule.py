"""When schedules fire: cron and every, clock changes in many zones, catching up, jitter."""

from itertools import islice, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automations.core.instant import SECOND, iso, parse_iso
from automations.core.trigger.schedule import Due, check, due, jitter_of, local_time, next_due, schedule_of, slots

MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND


def fires(after: str, count: int, **raw: Any) -> list[str]:
    """The next slots, as UTC to the minute."""
    return [iso(slot)[:16] for slot in islice(slots(schedule_of(raw), parse_iso(after)), count)]


@pytest.mark.parametrize(
    ("zone", "cron", "after", "expected"),
    [
        ("Europe/Berlin", "30 2 * * *", "2026-03-28T12:00:00Z", ["2026-03-29T01:00", "2026-03-30T00:30"]),
        ("Europe/Berlin", "0,30 2 * * *", "2026-03-28T12:00:00Z", ["2026-03-29T01:00", "2026-03-30T00:00"]),
        ("Europe/Berlin", "30 2 * * *", "2026-10-24T12:00:00Z", ["2026-10-25T00:30", "2026-10-26T01:30"]),
        ("America/New_York", "15 2 * * *", "2026-03-07T12:00:00Z", ["2026-03-08T07:00", "2026-03-09T06:15"]),
        ("America/New_York", "30 1 * * *", "2026-10-31T12:00:00Z", ["2026-11-01T05:30", "2026-11-02T06:30"]),
        ("Australia/Lord_Howe", "15 2 * * *", "2026-10-03T00:00:00Z", ["2026-10-03T15:30", "2026-10-04T15:15"]),
        ("Australia/Lord_Howe", "45 1 * * *", "2026-04-04T00:00:00Z", ["2026-04-04T14:45", "2026-04-05T15:15"]),
        ("Pacific/Apia", "0 9 * * *", "2011-12-29T00:00:00Z", ["2011-12-29T19:00", "2011-12-30T10:00"]),
        ("Asia/Kathmandu", "0 0 * * *", "2026-06-01T00:00:00Z", ["2026-06-01T18:15", "2026-06-02T18:15"]),
        ("Africa/Casablanca", "30 2 * * *", "2026-03-21T12:00:00Z", ["2026-03-22T02:00", "2026-03-23T01:30"]),
        ("UTC", "0 0 29 2 *", "2025-01-01T00:00:00Z", ["2028-02-29T00:00", "2032-02-29T00:00"]),
    ],
)
def test_a_fixed_hour_fires_once_a_day_whatever_the_clock_does(
    zone: str, cron: str, after: str, expected: list[str]
) -> None:
    assert fires(after, len(expected), cron=cron, timezone=zone) == expected


def test_what_a_clock_change_skips_does_not_happen_when_the_hour_is_open() -> None:
    found = fires("2026-03-29T00:00:00Z", 4, cron="*/30 * * * *", timezone="Europe/Berlin")
    assert found == ["2026-03-29T00:30", "2026-03-29T01:00", "2026-03-29T01:30", "2026-03-29T02:00"]


def test_what_a_clock_change_repeats_happens_twice_when_the_hour_is_open() -> None:
    found = fires("2026-10-24T23:40:00Z", 5, cron="*/30 * * * *", timezone="Europe/Berlin")
    assert found == ["2026-10-25T00:00", "2026-10-25T00:30", "2026-10-25T01:00", "2026-10-25T01:30", "2026-10-25T02:00"]


def test_every_is_aligned_to_the_clock_not_to_the_start() -> None:
    assert fires("2026-01-01T00:07:00Z", 2, every="15m") == ["2026-01-01T00:15", "2026-01-01T00:30"]


def test_the_originals_word_for_cron_is_understood() -> None:
    assert fires("2026-01-01T00:07:00Z", 1, schedule="0 5 * * *") == ["2026-01-01T05:00"]


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ({"cron": "61 * * * *"}, "not a cron expression"),
        ({"cron": "0 0 30 2 *"}, "cron"),
        ({"cron": "0 0 * * *", "timezone": "Mars/Olympus"}, "unknown time zone"),
        ({"cron": "0 0 * * *", "timezone": "../etc/passwd"}, "unknown time zone"),
        ({"every": "10ms"}, "more often than once a second"),
    ],
)
def test_a_schedule_that_cannot_be_is_told(raw: dict[str, Any], says: str) -> None:
    found = check(raw)
    assert found is not None
    assert says in found.message


def test_a_good_schedule_has_nothing_to_tell() -> None:
    assert check({"cron": "*/5 9-17 * * MON-FRI", "timezone": "Asia/Tokyo"}) is None


def judged(late: int, **raw: Any) -> Due:
    """A look at an hourly schedule, `late` microseconds after midnight, last judged five hours before midnight."""
    midnight = parse_iso("2026-06-01T00:00:00Z")
    schedule = schedule_of({"cron": "0 * * * *", **raw})
    return due(schedule, cursor=midnight - 5 * HOUR, now=midnight + late, key="k")


@pytest.mark.parametrize(
    ("raw", "late", "fired", "skipped"),
    [
        ({"catchUp": "none"}, 0, 1, ["missed"] * 4),
        ({"catchUp": "none"}, 5 * MINUTE, 0, ["missed"] * 5),
        ({"catchUp": "latest"}, 5 * MINUTE, 1, ["superseded"] * 4),
        ({"catchUp": "all"}, 5 * MINUTE, 5, []),
        ({"catchUp": "all", "maxCatchUp": 2}, 5 * MINUTE, 2, ["over_max"] * 3),
        ({"catchUp": "all", "maxLateness": "2h"}, 5 * MINUTE, 2, ["too_late"] * 3),
        ({"catchUp": "latest", "maxLateness": "1m"}, 5 * MINUTE, 0, ["too_late"] * 5),
    ],
)
def test_missed_slots_are_caught_up_as_the_policy_says(
    raw: dict[str, Any], late: int, fired: int, skipped: list[str]
) -> None:
    found = judged(late, **raw)
    assert (len(found.fire), [skip.reason for skip in found.skip]) == (fired, skipped)


def test_a_slot_is_judged_once_because_the_cursor_moves_past_it() -> None:
    found = judged(5 * MINUTE, catchUp="all")
    again = due(
        schedule_of({"cron": "0 * * * *", "catchUp": "all"}), cursor=found.cursor, now=found.cursor + MINUTE, key="k"
    )
    assert again == Due((), (), found.cursor)


def test_a_year_of_outage_costs_no_year_of_counting() -> None:
    now = parse_iso("2027-01-01T00:00:00Z")
    found = due(schedule_of({"every": "1s"}), cursor=now - 365 * DAY, now=now, key="k")
    assert len(found.fire) == 1
    assert found.cursor == now


def test_jitter_is_the_same_on_every_machine_and_stays_within_its_bound() -> None:
    schedule = schedule_of({"cron": "0 * * * *", "jitter": "5m"})
    drawn = [jitter_of(schedule, number * HOUR, key="uid/0") for number in range(200)]
    assert drawn == [jitter_of(schedule, number * HOUR, key="uid/0") for number in range(200)]
    assert all(0 <= each < 5 * MINUTE for each in drawn)
    assert len(set(drawn)) > 150


def test_a_slot_with_jitter_is_due_no_sooner_than_its_jitter_says() -> None:
    schedule = schedule_of({"cron": "0 * * * *", "jitter": "5m"})
    start = parse_iso("2026-06-01T00:30:00Z")
    at = next_due(schedule, cursor=start, key="k")
    assert at is not None
    assert due(schedule, cursor=start, now=at - 1, key="k").fire == ()
    assert due(schedule, cursor=start, now=at, key="k").fire == (parse_iso("2026-06-01T01:00:00Z"),)


ZONES = ("UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Tehran", "Pacific/Chatham",
         "Africa/Cairo", "America/St_Johns", "Europe/Dublin")  # fmt: skip
CRONS = st.builds(
    lambda minute, hour, day: f"{minute} {hour} {day} * *",
    st.sampled_from(["0", "30", "*/20", "5,35"]),
    st.sampled_from(["*", "2", "1-3", "*/6"]),
    st.sampled_from(["*", "25-31", "1"]),
)


@given(CRONS, st.sampled_from(ZONES), st.integers(0, 366 * 24))
def test_slots_rise_and_every_start_sees_the_same_ones(cron: str, zone: str, hour: int) -> None:
    schedule = schedule_of({"cron": cron, "timezone": zone})
    start = parse_iso("2026-01-01T00:00:00Z") + hour * HOUR
    found = list(islice(slots(schedule, start), 12))
    assert all(early < late for early, late in pairwise(found))
    assert found[0] > start
    assert list(islice(slots(schedule, found[4]), 7)) == found[5:]
    assert all(local_time(schedule, each) for each in found)
