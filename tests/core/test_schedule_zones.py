"""Clock changes in twenty zones, held against an oracle that only knows how to read a wall clock minute by minute."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest

from automations.core.instant import iso, parse_iso
from automations.core.trigger.schedule import clock_change, schedule_of, slots

MINUTE = timedelta(minutes=1)
ZONES = [
    ("Europe/Berlin", 2026),
    ("Europe/London", 2026),
    ("Europe/Dublin", 2026),
    ("Europe/Lisbon", 2026),
    ("Europe/Chisinau", 2026),
    ("Africa/Casablanca", 2026),
    ("Africa/Cairo", 2026),
    ("Asia/Jerusalem", 2026),
    ("Asia/Beirut", 2026),
    ("Asia/Tehran", 2021),
    ("America/New_York", 2026),
    ("America/St_Johns", 2010),
    ("America/Havana", 2026),
    ("America/Santiago", 2026),
    ("America/Asuncion", 2023),
    ("Atlantic/Azores", 2026),
    ("Antarctica/Troll", 2026),
    ("Australia/Lord_Howe", 2026),
    ("Australia/Sydney", 2026),
    ("Pacific/Auckland", 2026),
    ("Pacific/Chatham", 2026),
    ("Pacific/Apia", 2020),
]
PATTERNS = ["0 0 * * *", "30 0 * * *", "15 1 * * *", "45 1 * * *", "0 2 * * *", "30 2 * * *", "59 2 * * *", "0 3 * * *"]
OPEN = ["*/15 * * * *", "20 * * * *", "* * * * *"]


def changes(zone: ZoneInfo, year: int) -> list[datetime]:
    """The instants of a year after which the offset is another, to the minute."""
    found = []
    day = datetime(year, 1, 1, tzinfo=UTC)
    while day.year == year:
        following = day + timedelta(days=1)
        if day.astimezone(zone).utcoffset() != following.astimezone(zone).utcoffset():
            found += [
                later
                for earlier, later in pairwise(minutes(day, following))
                if earlier.astimezone(zone).utcoffset() != later.astimezone(zone).utcoffset()
            ]
        day = following
    return found


def minutes(since: datetime, until: datetime) -> Iterator[datetime]:
    """Every minute, both ends included."""
    while since <= until:
        yield since
        since += MINUTE


def daily(cron: str, zone: ZoneInfo, *, since: datetime, until: datetime) -> list[datetime]:
    """When a daily time fires: the first minute that shows it, or where none does, the first that shows a later one."""
    minute, hour = (int(each) for each in cron.split()[:2])
    shown = [(instant, instant.astimezone(zone).replace(tzinfo=None)) for instant in minutes(since, until)]
    found = set()
    for day in sorted({local.date() for _, local in shown}):
        wanted = datetime(day.year, day.month, day.day, hour, minute)  # noqa: DTZ001  # a wall clock's time
        if wanted < shown[0][1] or wanted > shown[-1][1]:
            continue
        exact = [instant for instant, local in shown if local == wanted]
        found.add(exact[0] if exact else next(instant for instant, local in shown if local > wanted))
    return sorted(found)


def fired(cron: str, zone: str, *, since: datetime, until: datetime) -> list[str]:
    last = parse_iso(until.isoformat())
    found = slots(schedule_of({"cron": cron, "timezone": zone}), parse_iso(since.isoformat()) - 1)
    return [iso(each) for each in takewhile(lambda slot: slot <= last, found)]


def shown(instants: list[datetime]) -> list[str]:
    return [iso(parse_iso(each.isoformat())) for each in instants]


@pytest.mark.parametrize(("name", "year"), ZONES)
def test_a_fixed_time_of_day_fires_once_a_day_over_both_changes(name: str, year: int) -> None:
    zone = ZoneInfo(name)
    moments = changes(zone, year)
    assert len(moments) >= 2
    for moment in moments:
        around = {"since": moment - timedelta(hours=30), "until": moment + timedelta(hours=30)}
        for cron in PATTERNS:
            assert fired(cron, name, **around) == shown(daily(cron, zone, **around)), (cron, moment)


@pytest.mark.parametrize(("name", "year"), ZONES)
def test_an_open_hour_follows_elapsed_time_over_both_changes(name: str, year: int) -> None:
    zone = ZoneInfo(name)
    for moment in changes(zone, year):
        around = {"since": moment - timedelta(hours=4), "until": moment + timedelta(hours=4)}
        for cron in OPEN:
            field = cron.split()[0]
            step, at = (int(field[2:]), 0) if "/" in field else (1, 0) if field == "*" else (60, int(field))
            expected = [each for each in minutes(**around) if (each.astimezone(zone).minute - at) % step == 0]
            assert fired(cron, name, **around) == shown(expected), (cron, moment)


def test_a_slot_says_what_a_clock_change_has_to_do_with_it() -> None:
    berlin = schedule_of({"cron": "30 2 * * *", "timezone": "Europe/Berlin"})
    assert clock_change(berlin, parse_iso("2026-03-29T01:00:00Z")) == "after_gap"
    assert clock_change(berlin, parse_iso("2026-10-25T00:30:00Z")) == "first_of_two"
    assert clock_change(berlin, parse_iso("2026-10-26T01:30:00Z")) is None
