"""The verbs of a schedule that pauses itself: count failed runs in a row, pause at the spec's number, resume.

The count is a row of its own and not read from the runs that are kept, because those that succeeded are kept shorter. A new
generation of the automation begins anew, as does `schedules resume`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from automations.core.audit import Entry, seal
from automations.core.trigger.failures import Count, Ended, count
from automations.core.trigger.schedule import passed
from automations.errors import Conflict
from automations.services.identity import not_there
from automations.services.trigger.schedule_line import Line, keep_skips, lines
from automations.store import audit, automations, runs, schedule_failures, schedules, state

if TYPE_CHECKING:
    from automations.services.plan.definitions import Bindings
    from automations.services.ports import Clock, Telemetry
    from automations.store.database import Database, Row, Transaction

PAUSED = "paused"
_COUNTED = 100
"""Runs in one count."""


def take_in(tx: Transaction, line: Line, *, now: int) -> bool:
    """Begin to count for a schedule that is new, or whose automation was changed; forget one that pauses no longer.

    Whether its cursor may have moved by that.
    """
    row = schedule_failures.get(tx, **line.names)
    counts = line.schedule.pause_on_failure is not None
    if counts and row is not None and row["generation"] == line.bound.generation:
        return False
    if row is not None:
        _skip_to_now(tx, line, row, now=now)
    if counts:
        schedule_failures.begin(tx, {**line.names, "generation": line.bound.generation, "now": now})
    elif row is not None:
        schedule_failures.forget(tx, **line.names)
    return row is not None


class Glance(NamedTuple):
    """Whether a schedule is paused, and whether a run of it has ended that is not counted yet."""

    paused: bool
    news: bool


def glance(tx: Transaction, line: Line) -> Glance:
    """How a schedule stands; reads only."""
    row = schedule_failures.get(tx, **line.names)
    if row is None or row["paused_at"] is not None:
        return Glance(row is not None, news=False)
    return Glance(paused=False, news=any(each.over for each in _following(tx, line, row, most=1)))


def count_ended(tx: Transaction, line: Line, *, now: int) -> bool:
    """Count the runs that ended; whether the schedule is paused thereby, or is already."""
    most = line.schedule.pause_on_failure
    row = schedule_failures.get(tx, **line.names)
    if most is None or row is None or row["paused_at"] is not None:
        return row is not None and row["paused_at"] is not None
    standing = Count(row["failures"], row["counted_run_id"])
    counted = _until(standing, _following(tx, line, row, most=_COUNTED), most=most)
    pauses = counted.failures >= most
    about = {"failures": counted.failures, "counted_run_id": counted.counted, "paused_at": now if pauses else None}
    written = schedule_failures.count(tx, {**line.names, **about, "based_on": row["counted_run_id"], "now": now})
    return pauses and written


def _following(tx: Transaction, line: Line, row: Row, *, most: int) -> list[Ended]:
    """The runs that were started after the one that was counted last."""
    found = runs.of_schedule_after(tx, **line.names, after=row["counted_run_id"], limit=most)
    return [Ended(each["id"], each["status"], each["completed_at"] is not None) for each in found]


def _until(standing: Count, ended: list[Ended], *, most: int) -> Count:
    """Count run by run and stop at the number: a success that came after it does not undo the pause."""
    for each in ended:
        following = count(standing, (each,))
        if following.counted == standing.counted:
            break
        standing = following
        if standing.failures >= most:
            break
    return standing


def _skip_to_now(tx: Transaction, line: Line, row: Row, *, now: int) -> None:
    """What a pause let pass goes into the ledger, and the schedule goes on from now."""
    cursor = schedules.hold(tx, **line.names) if row["paused_at"] is not None else None
    if cursor is None or cursor["digest"] != line.schedule.digest:
        return
    keep_skips(tx, line.names, passed(line.schedule, after=cursor["cursor_at"], until=now, reason=PAUSED), now=now)
    schedules.begin(
        tx, {**line.names, "digest": cursor["digest"], "cursor_at": max(now, cursor["cursor_at"]), "now": now}
    )


@dataclass(frozen=True, slots=True)
class Parts:
    """What resuming needs."""

    database: Database
    bindings: Bindings
    clock: Clock
    telemetry: Telemetry


class SchedulePause:
    """Resumes schedules."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def resume(self, automation_id: str, *, trigger: str | None, catch_up: bool, actor: str) -> list[dict[str, Any]]:
        """Let the paused schedules of an automation (or one of them) go on: `[{automationId, trigger, skipped}]`.

        With `catch_up` what passed meanwhile is judged by the spec's `catchUp` at the next look; without, it is skipped.
        Raises NotFound, Conflict when none of them is paused.
        """
        now = self._parts.clock.now()
        with self._parts.database.write() as tx:
            named = automations.get(tx, automation_id)
            if named is not None:
                schedules.hold_of(tx, named["uid"])  # before the serial, as everybody does
            state.hold(tx)
            table = self._parts.bindings.within(tx)
            bound = table.bound.get(automation_id)
            if bound is None:
                raise not_there(tx, automation_id)
            paused = [
                (line, row)
                for line in lines(bound)
                if trigger in (None, line.trigger.id)
                and (row := schedule_failures.get(tx, **line.names))
                and row["paused_at"] is not None
            ]
            if not paused:
                raise Conflict(f"no schedule of {automation_id} is paused", hint="see: automations schedules list")
            for line, row in paused:
                if not catch_up:
                    _skip_to_now(tx, line, row, now=now)
                schedule_failures.begin(tx, {**line.names, "generation": bound.generation, "now": now})
                subject = f"{automation_id}/{line.trigger.id}"
                entry = Entry(
                    now, actor, "schedule.resume", subject, {"catchUp": catch_up, "failures": row["failures"]}
                )
                audit.append(tx, seal(entry, last=audit.last(tx)))
        for line, _ in paused:
            self._parts.telemetry.emit(
                "schedule.resumed", automation=automation_id, trigger=line.trigger.id, actor=actor
            )
        return [{"automationId": automation_id, "trigger": line.trigger.id, "catchUp": catch_up} for line, _ in paused]
