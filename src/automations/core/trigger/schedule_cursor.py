"""Where the cursor of a schedule stands once its automation is bound, paused or goes on, and which slots that leaves behind.

A cursor begins in the commit that binds its schedule: what passes before anybody looks is judged by `catchUp`, as in any outage.
What lies before a cursor that begins anew fires no more, and is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from automations.core.trigger.schedule import passed

if TYPE_CHECKING:
    from automations.core.trigger.schedule import Schedule, Skip

PAUSED = "paused"
CHANGED = "changed"
_ASLEEP = "paused:"


class Cursor(NamedTuple):
    """How far a schedule was judged (microseconds), which schedule that is, and whether it is paused by its spec or by hand."""

    at: int
    digest: str
    asleep: bool = False

    @property
    def mark(self) -> str:
        """What is written down of it beside the instant."""
        return f"{_ASLEEP}{self.digest}" if self.asleep else self.digest


class Placed(NamedTuple):
    """A cursor, and the slots that do not fire because of it."""

    cursor: Cursor
    skips: tuple[Skip, ...] = ()


def marked(at: int, mark: str) -> Cursor:
    """The cursor that was written down like this."""
    return Cursor(at, mark.removeprefix(_ASLEEP), mark.startswith(_ASLEEP))


def placed(held: Cursor | None, schedule: Schedule, *, awake: int | None, now: int, before: Schedule | None) -> Placed:
    """Where the cursor of a schedule stands now.

    `awake` is since when nothing pauses it, None while something does; `before` is what the cursor was of, where that is known.
    """
    asleep = awake is None
    if held is None:
        return Placed(Cursor(now, schedule.digest, asleep))
    same = held.digest == schedule.digest
    if same and held.asleep == asleep:
        return Placed(held)
    since = min(max(held.at, awake), now) if same and awake is not None else now
    reason = PAUSED if held.asleep else CHANGED
    return Placed(
        Cursor(since, schedule.digest, asleep), _left(held, schedule if same else before, until=since, reason=reason)
    )


def ended(held: Cursor, schedule: Schedule | None, *, now: int) -> tuple[Skip, ...]:
    """The slots that a schedule leaves behind when it is removed."""
    return _left(held, schedule, until=now, reason=PAUSED if held.asleep else CHANGED)


def _left(held: Cursor, schedule: Schedule | None, *, until: int, reason: str) -> tuple[Skip, ...]:
    if schedule is None or schedule.digest != held.digest:
        return ()
    return passed(schedule, after=held.at, until=until, reason=reason)
