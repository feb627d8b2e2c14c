"""Schedules: at which instants one fires, and what becomes of instants that passed while nobody looked.

A slot's identity is its nominal UTC instant. Cron is read in an IANA time zone. With a fixed hour, a local time that a clock
change skips fires once, at the first instant after the gap, and one that a clock change repeats fires once, the first time. With
`*` for the hour the pattern follows elapsed time: what is skipped does not happen, what is repeated happens twice. Instants are
integer microseconds UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from automations.core.canonical import digest
from automations.core.instant import SECOND, parse_duration
from automations.core.trigger.schedule_fault import cron_fault, zone_fault
from automations.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

UNKNOWN_ZONE = "unknown_time_zone"
CatchUp = Literal["none", "latest", "all"]
ON_TIME = 60 * SECOND
"""A slot that is looked at within this time is on time, not caught up."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR_FIELD = 1
_WIDEST_GAP = timedelta(hours=26)
"""Wall clocks were never moved further than a day and a bit (Samoa, 2011)."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a trigger fires. Durations in microseconds; exactly one of `cron` and `every` is set."""

    cron: str | None
    every: int | None
    timezone: str
    catch_up: CatchUp
    max_lateness: int | None
    max_catch_up: int | None
    jitter: int
    overlap: str
    pause_on_failure: int | None
    digest: str


@dataclass(frozen=True, slots=True)
class Skip:
    """A slot that does not fire, and why: `missed`, `too_late`, `superseded`, `over_max`, `beyond_horizon`.

    A slot beyond the horizon stands for itself and all later ones up to the horizon: they were too many to be counted.
    """

    nominal: int
    reason: str


@dataclass(frozen=True, slots=True)
class Due:
    """What a look at the clock leads to. `cursor` is the newest slot that was judged, or what it was before."""

    fire: tuple[int, ...]
    skip: tuple[Skip, ...]
    cursor: int


def schedule_of(raw: Mapping[str, Any]) -> Schedule:
    """The schedule of a checked trigger document; `schedule` is the original's word for `cron`."""
    return Schedule(
        cron=raw.get("cron", raw.get("schedule")),
        every=parse_duration(raw["every"]) if "every" in raw else None,
        timezone=raw.get("timezone", "UTC"),
        catch_up=raw.get("catchUp", "latest"),
        max_lateness=parse_duration(raw["maxLateness"]) if "maxLateness" in raw else None,
        max_catch_up=raw.get("maxCatchUp"),
        jitter=parse_duration(raw["jitter"]) if "jitter" in raw else 0,
        overlap=raw.get("overlap", "skip"),
        pause_on_failure=int(raw["pauseOnFailure"]) if "pauseOnFailure" in raw else None,
        digest=digest({key: raw[key] for key in ("cron", "schedule", "every", "timezone") if key in raw}),
    )


class Problem(NamedTuple):
    """What is wrong with a schedule, what to do about it, and under which key."""

    key: str
    message: str
    hint: str = ""


def check(raw: Mapping[str, Any]) -> Problem | None:
    """What is wrong with a schedule; None when it fires some day."""
    word = next((key for key in ("cron", "schedule", "every") if key in raw), None)
    if word is None:
        hint = "add cron, such as cron: '0 9 * * 1-5', or every, such as every: 15m"
        return Problem("kind", "a schedule trigger needs cron or every, and this one has neither", hint)
    try:
        schedule = schedule_of(raw)
        if schedule.every is not None and schedule.every < SECOND:
            return Problem(word, "a schedule cannot fire more often than once a second", "take 1s or longer")
        zone_of(schedule)
        if schedule.every is not None:
            return None
        next(_naive(schedule, datetime(2024, 1, 1)))  # noqa: DTZ001  # wall-clock time on purpose
    except InvalidInput as problem:
        about = "timezone" if problem.stable_code == UNKNOWN_ZONE else word
        return Problem(about, problem.message, problem.hint)
    except StopIteration:
        hint = "take a day that the month has, or L for its last"
        return Problem(word, f"the cron expression {raw.get('cron', raw.get('schedule'))!r} never fires", hint)
    return None


def slots(schedule: Schedule, after: int) -> Iterator[int]:
    """Nominal instants later than `after`, in order, without end (a cron that never fires gives none)."""
    if schedule.every is not None:
        instant = (after // schedule.every + 1) * schedule.every
        while True:
            yield instant
            instant += schedule.every
    last = after
    for instant in _cron_slots(schedule, after):
        if instant > last:
            last = instant
            yield instant


def due(schedule: Schedule, *, cursor: int, now: int, key: str) -> Due:
    """Judge every slot after `cursor` that is due by `now`. `key` names the automation and trigger, for the jitter."""
    horizon = _horizon(schedule, now)
    lost = _lost(schedule, cursor, horizon)
    found: list[int] = []
    for nominal in slots(schedule, max(cursor, horizon)):
        if nominal + jitter_of(schedule, nominal, key=key) > now:
            break
        found.append(nominal)
    if not found:
        return Due((), lost, horizon if lost else cursor)
    fire, skip = _judge(schedule, found, now=now)
    return Due(tuple(fire), (*lost, *skip), found[-1])


def passed(schedule: Schedule, *, after: int, until: int, reason: str) -> tuple[Skip, ...]:
    """The slots after `after` and up to `until`, none of which fires, for one reason; as far back as the horizon."""
    horizon = _horizon(schedule, until)
    found = takewhile(lambda nominal: nominal <= until, slots(schedule, max(after, horizon)))
    return (*_lost(schedule, after, horizon), *(Skip(nominal, reason) for nominal in found))


def between(schedule: Schedule, *, since: int, until: int, most: int) -> list[int]:
    """The slots from `since` up to `until`, both included, in order; one more than `most` when there are more."""
    found = takewhile(lambda nominal: nominal <= until, slots(schedule, since - 1))
    return list(islice(found, most + 1))


def _lost(schedule: Schedule, cursor: int, horizon: int) -> tuple[Skip, ...]:
    """What says that slots lie between the cursor and the horizon."""
    first = next(slots(schedule, cursor), None) if cursor < horizon else None
    return () if first is None or first > horizon else (Skip(first, "beyond_horizon"),)


_MOST_JUDGED = 10_000
_FREQUENT, _RARE = 14 * 86_400 * SECOND, 400 * 86_400 * SECOND


def _horizon(schedule: Schedule, now: int) -> int:
    """Before this nobody looks: after a long outage the past must not cost minutes of counting slots."""
    if schedule.every is not None:
        return now - _MOST_JUDGED * schedule.every
    return now - (_FREQUENT if _follows_elapsed_time(schedule) else _RARE)


def _follows_elapsed_time(schedule: Schedule) -> bool:
    return (schedule.cron or "").split()[_HOUR_FIELD] == "*"


def _judge(schedule: Schedule, found: list[int], *, now: int) -> tuple[list[int], list[Skip]]:
    fire: list[int] = []
    skip: list[Skip] = []
    for nominal in found:
        late = now - nominal - schedule.jitter
        if late <= ON_TIME:
            fire.append(nominal)
        elif schedule.catch_up == "none":
            skip.append(Skip(nominal, "missed"))
        elif schedule.max_lateness is not None and late > schedule.max_lateness:
            skip.append(Skip(nominal, "too_late"))
        else:
            fire.append(nominal)
    most = 1 if schedule.catch_up == "latest" else schedule.max_catch_up
    if most is not None and len(fire) > most:
        reason = "superseded" if schedule.catch_up == "latest" else "over_max"
        skip += [Skip(nominal, reason) for nominal in fire[:-most]]
        fire = fire[-most:]
    return fire, sorted(skip, key=lambda each: each.nominal)


def jitter_of(schedule: Schedule, nominal: int, *, key: str) -> int:
    """How much later than nominal a slot fires (microseconds): the same on every machine, different for every slot."""
    if not schedule.jitter:
        return 0
    drawn = int.from_bytes(sha256(f"{key}:{nominal}".encode()).digest()[:8], "big")
    return drawn % schedule.jitter


def next_due(schedule: Schedule, *, cursor: int, key: str) -> int | None:
    """When the next slot fires, jitter included; None when there is none."""
    nominal = next(slots(schedule, cursor), None)
    return None if nominal is None else nominal + jitter_of(schedule, nominal, key=key)


def local_time(schedule: Schedule, instant: int) -> str:
    """An instant on the wall clock of the schedule's zone, such as `2026-03-29T03:00:00+02:00`."""
    return _moment(instant).astimezone(zone_of(schedule)).isoformat(timespec="seconds")


def clock_change(schedule: Schedule, instant: int) -> str | None:
    """What a clock change has to do with a slot: `after_gap` or `first_of_two`; None on most days.

    After a gap the slot stands for every local time that the gap swallowed; of two equal local times it is the first.
    """
    if schedule.cron is None:
        return None
    zone = zone_of(schedule)
    local = _moment(instant).astimezone(zone)
    if local.replace(fold=1).utcoffset() != local.replace(fold=0).utcoffset() and not local.fold:
        return "first_of_two"
    before, after = _offset(instant - 1, zone), _offset(instant, zone)
    forward = before is not None and after is not None and after > before
    return "after_gap" if forward else None


def zone_of(schedule: Schedule) -> ZoneInfo:
    """The schedule's time zone. Raises InvalidInput for a name that is not known."""
    try:
        return ZoneInfo(schedule.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        fault = zone_fault(schedule.timezone)
        raise InvalidInput(fault.message, hint=fault.hint, code=UNKNOWN_ZONE) from None


def _cron_slots(schedule: Schedule, after: int) -> Iterator[int]:
    zone = zone_of(schedule)
    start = _moment(after).astimezone(zone).replace(tzinfo=None) - _WIDEST_GAP
    if _follows_elapsed_time(schedule):
        yield from _in_elapsed_time(schedule, zone, start=start, after=after)
        return
    for naive in _naive(schedule, start):
        yield _instant(naive, zone)


def _in_elapsed_time(schedule: Schedule, zone: ZoneInfo, *, start: datetime, after: int) -> Iterator[int]:
    """Every wall-clock match that exists, the repeated hour twice. A fold's second pass comes after all of its first."""
    held: list[int] = []
    for naive in _naive(schedule, start):
        first, second = _instant(naive, zone), _instant(naive.replace(fold=1), zone)
        while held and held[0] < first:
            yield held.pop(0)
        if not _exists(naive, zone) or max(first, second) <= after:
            continue
        yield first
        if second > first:
            held.append(second)


def _naive(schedule: Schedule, start: datetime) -> Iterator[datetime]:
    try:
        simulated: Iterator[datetime] = CronSim(schedule.cron or "", start)
    except (CronSimError, AssertionError):  # the library asserts what it takes for granted
        fault = cron_fault(schedule.cron or "")
        raise InvalidInput(fault.message, hint=fault.hint) from None
    return simulated


def _instant(naive: datetime, zone: ZoneInfo) -> int:
    """Microseconds for a wall-clock time; one inside a gap is the first instant after it."""
    aware = naive.replace(tzinfo=zone)
    if not _exists(naive, zone):
        before, after = aware.replace(fold=0).utcoffset(), aware.replace(fold=1).utcoffset()
        if before is not None and after is not None:
            return _end_of_gap(naive, zone, width=abs(after - before))
    return (aware.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)


def _end_of_gap(naive: datetime, zone: ZoneInfo, *, width: timedelta) -> int:
    """The transition itself: found by halving between an instant before and one after it."""
    middle = (naive.replace(tzinfo=zone).astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)
    span = width // timedelta(microseconds=1)
    low, high = middle - span, middle + span
    offset = _offset(low, zone)
    while high - low > 1:
        probe = (low + high) // 2
        if _offset(probe, zone) == offset:
            low = probe
        else:
            high = probe
    return high


def _offset(instant: int, zone: ZoneInfo) -> timedelta | None:
    return _moment(instant).astimezone(zone).utcoffset()


def _exists(naive: datetime, zone: ZoneInfo) -> bool:
    """Whether a wall clock in the zone ever showed this time: it survives the way to UTC and back."""
    aware = naive.replace(tzinfo=zone)
    return aware.astimezone(UTC).astimezone(zone).replace(tzinfo=None, fold=0) == naive.replace(fold=0)


def _moment(instant: int) -> datetime:
    return _EPOCH + timedelta(microseconds=instant)
