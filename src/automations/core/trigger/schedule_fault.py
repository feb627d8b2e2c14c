"""What is wrong with a cron expression or a time zone, in words: which field, which part of it, what is allowed there.

The library only names the field; so each part of it is tried alone, in an expression whose other fields are `*`.
"""

import re
from datetime import datetime
from typing import NamedTuple
from zoneinfo import available_timezones

from cronsim import CronSim, CronSimError

from automations.core.nearest import nearest


class Fault(NamedTuple):
    """A sentence, and what to do about it."""

    message: str
    hint: str


class _Field(NamedTuple):
    name: str
    allowed: str
    words: tuple[str, ...] = ()


_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_FIELDS = (
    _Field("minute", "0 to 59"),
    _Field("hour", "0 to 23"),
    _Field("day of month", "1 to 31, or L for the last day"),
    _Field("month", "1 to 12, or JAN to DEC", _MONTHS),
    _Field("day of week", "0 to 7 (0 and 7 are Sunday), or SUN to SAT", _DAYS),
)
_ORDER = "minute hour day-of-month month day-of-week"
_SHAPES = "a number, a range such as 1-5, a list such as 1,3, a step such as */15, or *"
_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_OFFSET = re.compile(r"[+-]\d")
_START = datetime(2024, 1, 1)  # noqa: DTZ001  # wall-clock time on purpose


def cron_fault(text: str) -> Fault:
    """Why a text that the library refuses is no cron expression."""
    said = f"not a cron expression: {text!r}"
    fields = text.split()
    if text.strip().startswith("@"):
        meant = nearest(text.strip(), _NICKNAMES)
        return Fault(f"{said}: names such as @daily are not known", f"write {_NICKNAMES[meant or '@daily']!r}")
    if len(fields) not in (5, 6):
        return Fault(f"{said}: it has {len(fields)} fields, and five are needed", f"the fields are: {_ORDER}")
    for field, written in zip(_FIELDS, fields[-5:], strict=True):
        for part in written.split(","):
            if not _stands(field, part):
                return Fault(f"{said}: the {field.name} cannot be {part!r}", _allowed(field, part))
    if len(fields) == 6 and not _valid(f"{fields[0]} * * * * *"):
        return Fault(f"{said}: the second cannot be {fields[0]!r}", f"most schedules have five fields: {_ORDER}")
    return Fault(f"{said}: no month that it names has such a day", "take a day that the month has, or L for its last")


def zone_fault(name: str) -> Fault:
    """Why a name is no time zone that is known here, with the nearest one that is."""
    if _OFFSET.search(name):
        return Fault(f"unknown time zone: {name}", "zones go by place: name one such as Europe/Berlin, or UTC")
    known = {each.lower(): each for each in available_timezones() if "/" in each or each == "UTC"}
    cities = {each.rpartition("/")[2]: each for each in sorted(known, key=_usual)}
    word = re.sub(r"\s+", "_", name.strip()).lower()
    meant = known.get(word) or known.get(cities.get(word, "")) or nearest(word, known)
    meant = meant or cities.get(nearest(word.rpartition("/")[2], cities, cutoff=0.8), "")
    hint = f"did you mean {known.get(meant, meant)}?" if meant else "use an IANA name such as Europe/Berlin, or UTC"
    return Fault(f"unknown time zone: {name}", hint)


def _stands(field: _Field, part: str) -> bool:
    fields = ["*"] * len(_FIELDS)
    fields[_FIELDS.index(field)] = part
    return _valid(" ".join(fields))


def _valid(text: str) -> bool:
    try:
        CronSim(text, _START)
    except (CronSimError, AssertionError):  # the library asserts what it takes for granted
        return False
    return True


def _allowed(field: _Field, part: str) -> str:
    """What may stand in a field, after what was probably meant."""
    first, _, last = part.partition("-")
    if first.isdecimal() and last.isdecimal() and _stands(field, first) and _stands(field, last):
        return f"a range goes upwards: {last}-{first}"
    if part.endswith("/0"):
        return "a step is at least 1"
    words = [_word(field, each) or each for each in part.split("-")]
    meant = f"did you mean {'-'.join(words)}? " if _stands(field, "-".join(words)) else ""
    return f"{meant}allowed are {field.allowed}: {_SHAPES}"


def _word(field: _Field, written: str) -> str:
    """The name of a month or day that somebody wrote out or mistyped."""
    return next((each for each in field.words if written.upper().startswith(each)), nearest(written, field.words))


def _usual(zone: str) -> tuple[bool, str]:
    """Last those names that win where several end alike: of a region and a city, not of a country or an offset."""
    return zone.split("/", 1)[0] in ("africa", "america", "asia", "australia", "europe", "pacific"), zone
