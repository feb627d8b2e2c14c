"""Time as values: instants are integer microseconds since the Unix epoch in UTC, durations integer microseconds.

They are shown as ISO-8601 with milliseconds and `Z`, and read from RFC 3339 text. Reading the clock is an adapter's work.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

SECOND = 1_000_000
"""Microseconds in a second."""
MILLISECOND = 1_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"ms": MILLISECOND, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "d": 86_400 * SECOND}
_DURATION = re.compile(r"(?:[0-9]{1,6}(?:ms|s|m|h|d))+\Z")
_PART = re.compile(r"([0-9]{1,6})(ms|s|m|h|d)")
_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(?:([Zz])|([+-])([0-9]{2}):([0-9]{2}))\Z"
)


def iso(at: int) -> str:
    """`2026-11-23T00:29:32.543Z` for an instant in microseconds; finer digits are cut, not rounded.

    Raises OverflowError outside the years 1 to 9999.
    """
    second, rest = divmod(at, SECOND)
    return f"{_second(second)}.{rest // MILLISECOND:03d}Z"


@lru_cache(maxsize=64)
def _second(second: int) -> str:
    """The text of a whole second: thousands of instants a second are shown, nearly all of them of this one."""
    return (_EPOCH + timedelta(seconds=second)).isoformat()[:19]


def parse_iso(text: str) -> int:
    """Microseconds for RFC 3339 text with an offset (`Z` or `+hh:mm`).

    Raises ValueError for anything else: no local times, no ISO week dates, no non-ASCII digits. Source: RFC 3339 §5.6;
    second 60 is refused, since a leap second has no microsecond of its own here.
    """
    found = _RFC3339.match(text)
    if found is None:
        raise ValueError(f"not an RFC 3339 time with an offset: {text[:64]!r}")
    year, month, day, hour, minute, second = (int(found[i]) for i in range(1, 7))
    fraction = int((found[7] or "0").ljust(6, "0")[:6])
    moment = datetime(year, month, day, hour, minute, second, fraction, tzinfo=UTC)
    at = (moment - _EPOCH) // timedelta(microseconds=1)
    if found[9]:
        hours, minutes = int(found[10]), int(found[11])
        if hours > 23 or minutes > 59:
            raise ValueError(f"not an RFC 3339 offset: {text[:64]!r}")
        shift = (hours * 60 + minutes) * 60 * SECOND
        at += -shift if found[9] == "+" else shift
    return at


def parse_duration(text: str) -> int:
    """Microseconds for `250ms`, `30s`, `10m`, `1h30m`, `7d`. Raises ValueError for anything else."""
    if not _DURATION.match(text):
        raise ValueError(f"not a duration such as 30s, 10m or 1h30m: {text[:64]!r}")
    return sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(text))
