"""Cursors of schedules, moved in the commit that changes what they rest on: an apply, a pause by hand, the end of one.

So it makes no difference whether a daemon runs just then. Whoever moves cursors holds them before work and before the serial,
so that nobody deadlocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from automations.core.trigger.bindings import Bound
from automations.core.trigger.schedule_cursor import Placed, ended, marked, placed
from automations.services.plan.definitions import sound_spec
from automations.services.trigger import schedule_pause
from automations.services.trigger.schedule_line import keep_skips, lines
from automations.store import automations, schedule_failures, schedules, suspensions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from automations.core.trigger.schedule import Schedule
    from automations.services.trigger.schedule_line import Line
    from automations.store.database import Row, Transaction

    Held = Mapping[str, Row]
    """The cursors of one automation, by trigger."""
    Before = Callable[[str], Schedule | None]
    """What the schedule of a trigger was, where that is known."""


class Moment(NamedTuple):
    """Now, and since when nothing pauses the automation: None while something does. Both microseconds."""

    now: int
    awake: int | None


def hold(tx: Transaction, uids: Iterable[str | None], /) -> dict[str, Held]:
    """The cursors of these automations, held until commit. Call it before work and the serial are held."""
    found = {uid: schedules.hold_of(tx, uid) for uid in sorted({uid for uid in uids if uid is not None})}
    return {uid: {row["trigger_id"]: row for row in rows} for uid, rows in found.items() if rows}


def take_in(tx: Transaction, bound: Bound, held: Held, /, *, moment: Moment, before: Before) -> None:
    """Begin what is new or changed, leave the rest where it stands, forget what is gone; all that passes by is in the ledger."""
    standing = set()
    for line in lines(bound):
        standing.add(line.trigger.id)
        place(tx, line, held.get(line.trigger.id), moment=moment, before=before)
    forget(tx, [row for trigger, row in held.items() if trigger not in standing], before=before, now=moment.now)


def place(tx: Transaction, line: Line, row: Row | None, /, *, moment: Moment, before: Before) -> int:
    """Where the cursor of one schedule stands now."""
    now = moment.now
    if schedule_pause.take_in(tx, line, now=now):
        row = schedules.get(tx, **line.names)
    held = None if row is None else marked(row["cursor_at"], row["digest"])
    known = None if held is None or held.digest == line.schedule.digest else before(line.trigger.id)
    found = placed(held, line.schedule, awake=moment.awake, now=now, before=known)
    if found.cursor != held:
        _keep(tx, line, found, now=now)
    return found.cursor.at


def forget(tx: Transaction, rows: Iterable[Row], /, *, before: Before, now: int) -> None:
    """Drop the cursors of schedules that are no more: one that comes back begins then, as any new one does."""
    gone = list(rows)
    for row in gone:
        names = {"uid": row["automation_uid"], "trigger_id": row["trigger_id"]}
        skips = ended(marked(row["cursor_at"], row["digest"]), before(row["trigger_id"]), now=now)
        keep_skips(tx, names, skips, now=now)
        schedule_failures.forget(tx, **names)
    schedules.forget(tx, gone)


def moment(tx: Transaction, bound: Bound, *, now: int) -> Moment:
    """Since when nothing pauses an automation, neither its spec nor a person."""
    if not bound.active:
        return Moment(now, None)
    return awake_since(suspensions.get(tx, bound.uid), now=now)


def awake_since(pause: Row | None, *, now: int) -> Moment:
    """The same of an active automation. A pause with an end was over then, also when nobody has taken it away yet."""
    if pause is None:
        return Moment(now, now)
    return Moment(now, pause["until_at"] if pause["until_at"] is not None and pause["until_at"] <= now else None)


def paused_or_resumed(tx: Transaction, row: Row, held: Held, /, *, moment: Moment) -> None:
    """A person paused this automation, or that came to its end. One whose spec cannot be read has no schedules."""
    bound = _bound(row)
    if bound is not None:
        take_in(tx, bound, held, moment=moment if bound.active else Moment(moment.now, None), before=lambda _: None)


def schedules_of(tx: Transaction, uid: str, generation: int, /) -> Before:
    """The schedules of an earlier generation, read when somebody asks."""
    known: dict[str, Schedule] = {}

    def before(trigger: str) -> Schedule | None:
        if not known:
            row = automations.generation(tx, uid, generation)
            bound = None if row is None else _bound(row)
            known.update({line.trigger.id: line.schedule for line in lines(bound)} if bound else {})
        return known.get(trigger)

    return before


def _bound(row: Row) -> Bound | None:
    automation = sound_spec(row["spec_json"])
    return None if automation is None else Bound(row["uid"], row["generation"], automation, {})


def _keep(tx: Transaction, line: Line, found: Placed, *, now: int) -> None:
    keep_skips(tx, line.names, found.skips, now=now)
    schedules.begin(tx, {**line.names, "digest": found.cursor.mark, "cursor_at": found.cursor.at, "now": now})
