"""The verb schedule: fire what is due, once, however many daemons look and however often they are restarted.

The cursor and the runs of the slots that it passes are one commit. A schedule that is new, changed or was paused begins with the
commit that made it so and never backfills; what passed while nothing ran is caught up as its spec says, and every slot that does
not fire is in a ledger.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from automations.core.instant import SECOND, iso
from automations.core.run.materialize import Materialized
from automations.core.trigger.schedule import Skip, due, next_due
from automations.errors import StoreError
from automations.services.run.admit import admit_runs, tell
from automations.services.run.programs import Programs
from automations.services.trigger import schedule_cursor, schedule_pause
from automations.services.trigger.schedule_cursor import Moment
from automations.services.trigger.schedule_line import FIRED_BEFORE, Line, keep_skips, lines, start
from automations.store import schedules, state

if TYPE_CHECKING:
    from collections.abc import Callable

    from automations.core.trigger.schedule import Due, Schedule
    from automations.services.ports import Wake
    from automations.services.trigger.parts import Parts
    from automations.store.database import Row, Transaction

LONGEST_SLEEP = 60 * SECOND
"""A clock that was set forward is noticed within this time (microseconds)."""
AHEAD = 5 * 60 * SECOND
"""A cursor that is further ahead of the clock than this is the mark of a clock that went back, and is set back too."""
RESUMED = 5 * SECOND
"""How often to look whether a paused schedule was resumed."""
KEPT = 400 * 86_400 * SECOND
"""How long it is known which slots fired, and which were skipped."""


@dataclass(slots=True)
class _Standing:
    """One schedule as this process knows it. `due_at` is when to look; the store's cursor decides."""

    line: Line
    cursor: int = 0
    due_at: int | None = None
    paused: bool = False


class Scheduler:
    """Fires schedules."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._programs = Programs()
        """Of runs that new ones replace."""
        self._serial = -1
        self._standing: dict[str, _Standing] = {}
        self.wake: Wake = lambda: None
        """Called after a commit that queued work."""

    def tick(self, now: int) -> int:
        """Fire what is due; when to look again (microseconds). Raises StoreUnavailable."""
        if self._parts.bindings.current().serial != self._serial:
            self._take_in(now=now)
        pausing = [each for each in self._standing.values() if each.line.schedule.pause_on_failure is not None]
        self._look_at_failures(pausing, now=now)
        for standing in self._standing.values():
            if standing.due_at is not None and standing.cursor > now + AHEAD:
                self._set_back(standing, now=now)
            if standing.due_at is not None and not standing.paused and standing.due_at <= now:
                self._fire(standing, now=now)
        slot = self.next_slot()
        resumed = [now + RESUMED for each in pausing if each.paused]
        return min([now + LONGEST_SLEEP, *resumed] if slot is None else [now + LONGEST_SLEEP, slot, *resumed])

    def next_slot(self) -> int | None:
        """When the next slot is due as of the last tick (microseconds); None when none is."""
        waiting = (each.due_at for each in self._standing.values() if each.due_at is not None and not each.paused)
        return min(waiting, default=None)

    def _take_in(self, *, now: int) -> None:
        """Begin what is new or changed, forget what is gone, leave the rest where it stands."""
        standing = {}
        with self._parts.database.write() as tx:
            cursors = {f"{row['automation_uid']}/{row['trigger_id']}": row for row in schedules.hold_every(tx)}
            state.hold(tx)  # nobody changes definitions meanwhile
            table = self._parts.bindings.within(tx)
            for bound in table.bound.values():
                moment = Moment(now, table.awake_since(bound, now=now))
                for line in lines(bound):
                    row = cursors.pop(line.key, None) or schedules.get(tx, **line.names)
                    cursor = schedule_cursor.place(tx, line, row, moment=moment, before=self._before(bound.uid))
                    standing[line.key] = _stands(line, cursor, awake=moment.awake is not None)
            for row in cursors.values():
                schedule_cursor.forget(tx, [row], before=self._before(row["automation_uid"]), now=now)
        self._standing, self._serial = standing, table.serial

    def _before(self, uid: str) -> Callable[[str], Schedule | None]:
        """What the schedules of an automation were when they were taken in last."""
        known = self._standing
        return lambda trigger: known[f"{uid}/{trigger}"].line.schedule if f"{uid}/{trigger}" in known else None

    def _look_at_failures(self, pausing: list[_Standing], *, now: int) -> None:
        """Count what ended, pause, and notice a pause that somebody else made or lifted; writes only where there is news."""
        if not pausing:
            return
        with self._parts.database.read() as tx:
            seen = [(each, schedule_pause.glance(tx, each.line)) for each in pausing]
            resumed = [each for each, glance in seen if each.paused and not glance.paused]
            cursors = {each.line.key: schedules.get(tx, **each.line.names) for each in resumed}
        for standing, glance in seen:
            row = cursors.get(standing.line.key)
            if row is not None:
                _place(standing, row["cursor_at"])
            standing.paused = glance.paused or (glance.news and self._count(standing.line, now=now))

    def _count(self, line: Line, *, now: int) -> bool:
        """Count what ended; whether the schedule is paused now."""
        with self._parts.database.write() as tx:
            pauses = schedule_pause.count_ended(tx, line, now=now)
        if pauses:
            most = line.schedule.pause_on_failure
            automation = line.bound.automation.id
            self._parts.telemetry.emit("schedule.paused", automation=automation, trigger=line.trigger.id, failures=most)
        return pauses

    def _set_back(self, standing: _Standing, *, now: int) -> None:
        """The clock went back: go on from now. What fired ahead of its time is on record, and does not fire again."""
        line = standing.line
        moved = {
            **line.names,
            "digest": line.schedule.digest,
            "based_on": standing.cursor,
            "cursor_at": now,
            "now": now,
        }
        with self._parts.database.write() as tx:
            changed = schedules.advance(tx, moved)
        if not changed:
            self._serial = -1  # another daemon was faster; take in where it stands now
            return
        self._parts.telemetry.emit(
            "schedule.clock_went_back",
            automation=line.bound.automation.id,
            trigger=line.trigger.id,
            cursor=iso(standing.cursor),
        )
        _place(standing, now)

    def _fire(self, standing: _Standing, *, now: int) -> None:
        line = standing.line
        with self._parts.database.write() as tx:
            row = schedules.hold(tx, **line.names)
            if self._parts.bindings.within(tx).suspended(line.bound.uid, now=now):
                row = None
            if row is None or row["digest"] != line.schedule.digest:
                self._serial = -1  # somebody else took in newer definitions; do so at the next tick
                return
            judged = due(line.schedule, cursor=row["cursor_at"], now=now, key=line.key)
            fired, skipped = self._persist(tx, line, row, judged, now=now)
        _place(standing, judged.cursor)
        automation = line.bound.automation.id
        for made in fired:
            self._parts.telemetry.emit("schedule.fired", automation=automation, run=made.run["id"])
        tell(self._parts.telemetry, fired)
        for skip in skipped:
            nominal = iso(skip.nominal)
            self._parts.telemetry.emit("schedule.skipped", automation=automation, nominal=nominal, reason=skip.reason)
        if fired:
            self.wake()

    def _persist(
        self, tx: Transaction, line: Line, row: Row, judged: Due, *, now: int
    ) -> tuple[list[Materialized], list[Skip]]:
        """Move the cursor and write the runs of the slots that it passes; what fired, and what did not."""
        if judged.cursor == row["cursor_at"]:
            return [], []
        moved = {**line.names, "digest": row["digest"], "based_on": row["cursor_at"], "cursor_at": judged.cursor}
        if not schedules.advance(tx, {**moved, "now": now}):
            raise StoreError(f"the schedule of {line.bound.automation.id} was judged by somebody else meanwhile")
        fired: list[Materialized] = []
        skipped = list(judged.skip)
        for nominal in judged.fire:
            started = start(tx, line, nominal, now=now, ids=self._parts.ids)
            if isinstance(started, Materialized):
                fired.append(started)
                if line.schedule.overlap == "skip":  # the next slot looks whether this run is over
                    admit_runs(tx, [started], programs=self._programs, now=now)
            elif started != FIRED_BEFORE:
                skipped.append(Skip(nominal, started))
        if line.schedule.overlap != "skip":
            admit_runs(tx, fired, programs=self._programs, now=now)
        keep_skips(tx, line.names, skipped, now=now)
        schedules.forget_before(tx, **line.names, nominal_at=now - KEPT)
        return fired, skipped


def _stands(line: Line, cursor: int, *, awake: bool) -> _Standing:
    standing = _Standing(line)
    if awake:
        _place(standing, cursor)
    return standing


def _place(standing: _Standing, cursor: int) -> None:
    standing.cursor = cursor
    standing.due_at = next_due(standing.line.schedule, cursor=cursor, key=standing.line.key)
