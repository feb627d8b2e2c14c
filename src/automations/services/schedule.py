"""The verb schedule: fire what is due, once, however many daemons look and however often they are restarted.

The cursor and the runs of the slots that it passes are one commit. A schedule that is new, changed or was paused begins now and
never backfills; what passed while nothing ran is caught up as its spec says, and every slot that does not fire is in a ledger.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from automations.core.instant import SECOND, iso
from automations.core.run.materialize import Occasion, materialize
from automations.core.spec.model import AutomationStatus, Trigger, TriggerKind
from automations.core.trigger.schedule import Due, Schedule, Skip, due, local_time, next_due, schedule_of
from automations.errors import StoreError
from automations.store import actions, runs, schedules

if TYPE_CHECKING:
    from automations.core.trigger.bindings import Bound
    from automations.services.definitions import Bindings
    from automations.services.ports import Clock, Ids, Telemetry, Wake
    from automations.store.database import Database, Row, Transaction

LONGEST_SLEEP = 60 * SECOND
"""A clock that was set forward is noticed within this time (microseconds)."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What scheduling needs."""

    database: Database
    bindings: Bindings
    clock: Clock
    ids: Ids
    telemetry: Telemetry


@dataclass(slots=True)
class _Standing:
    """One schedule as this process knows it. `due_at` is when to look; the store's cursor decides."""

    bound: Bound
    trigger: Trigger
    schedule: Schedule
    due_at: int | None = field(default=None)

    @property
    def key(self) -> str:
        return f"{self.bound.uid}/{self.trigger.id}"


class Scheduler:
    """Fires schedules."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._serial = -1
        self._standing: dict[str, _Standing] = {}
        self.wake: Wake = lambda: None
        """Called after a commit that queued work."""

    def tick(self, now: int) -> int:
        """Fire what is due; when to look again (microseconds). Raises StoreUnavailable."""
        if self._parts.bindings.current().serial != self._serial:
            self._take_in(now=now)
        for standing in self._standing.values():
            if standing.due_at is not None and standing.due_at <= now:
                self._fire(standing, now=now)
        waiting = [standing.due_at for standing in self._standing.values() if standing.due_at is not None]
        return min([now + LONGEST_SLEEP, *waiting])

    def _take_in(self, *, now: int) -> None:
        """Begin what is new or changed, forget what is gone, leave the rest where it stands."""
        standing = {}
        with self._parts.database.write() as tx:
            table = self._parts.bindings.within(tx)
            cursors = {(row["automation_uid"], row["trigger_id"]): row for row in schedules.every(tx)}
            for bound in table.bound.values():
                for trigger in bound.automation.triggers:
                    if trigger.kind is TriggerKind.SCHEDULE:
                        each = _Standing(bound, trigger, schedule_of(trigger.raw))
                        _begin(tx, each, cursors.get((bound.uid, trigger.id)), now=now)
                        standing[each.key] = each
            # A schedule that comes back later begins then, as any new one does.
            gone = [row for (uid, trigger), row in cursors.items() if f"{uid}/{trigger}" not in standing]
            schedules.forget(tx, gone)
        self._standing, self._serial = standing, table.serial

    def _fire(self, standing: _Standing, *, now: int) -> None:
        with self._parts.database.write() as tx:
            row = schedules.hold(tx, standing.bound.uid, standing.trigger.id)
            if row is None or row["digest"] != standing.schedule.digest:
                self._serial = -1  # somebody else took in newer definitions; do so at the next tick
                return
            judged = due(standing.schedule, cursor=row["cursor_at"], now=now, key=standing.key)
            fired, skipped = self._persist(tx, standing, row, judged, now=now)
        standing.due_at = next_due(standing.schedule, cursor=judged.cursor, key=standing.key)
        automation = standing.bound.automation.id
        for run_id in fired:
            self._parts.telemetry.emit("schedule.fired", automation=automation, run=run_id)
        for skip in skipped:
            nominal = iso(skip.nominal)
            self._parts.telemetry.emit("schedule.skipped", automation=automation, nominal=nominal, reason=skip.reason)
        if fired:
            self.wake()

    def _persist(
        self, tx: Transaction, standing: _Standing, row: Row, judged: Due, *, now: int
    ) -> tuple[list[str], list[Skip]]:
        """Move the cursor and write the runs of the slots that it passes; what fired, and what did not."""
        if judged.cursor == row["cursor_at"]:
            return [], []
        uid, trigger_id = standing.bound.uid, standing.trigger.id
        names: dict[str, Any] = {"uid": uid, "trigger_id": trigger_id, "now": now}
        moved = {**names, "digest": row["digest"], "based_on": row["cursor_at"], "cursor_at": judged.cursor}
        if not schedules.advance(tx, moved):
            raise StoreError(f"the schedule of {standing.bound.automation.id} was judged by somebody else meanwhile")
        fired: list[str] = []
        skipped = list(judged.skip)
        for nominal in judged.fire:
            if standing.schedule.overlap != "parallel" and runs.live_of_trigger(tx, uid, trigger_id):
                skipped.append(Skip(nominal, "overlap"))
                continue
            made = materialize(standing.bound, _occasion(standing, nominal), now=now, new_id=self._parts.ids.new)
            runs.insert(tx, [made.run])
            actions.insert(tx, made.actions)
            fired.append(made.run["id"])
        schedules.keep_skips(tx, [{**names, "nominal_at": skip.nominal, "reason": skip.reason} for skip in skipped])
        return fired, skipped


def _begin(tx: Transaction, standing: _Standing, row: Row | None, *, now: int) -> None:
    active = standing.bound.automation.status is AutomationStatus.ACTIVE
    changed = row is None or row["digest"] != standing.schedule.digest
    if changed or not active:
        begun: dict[str, Any] = {
            "uid": standing.bound.uid,
            "trigger_id": standing.trigger.id,
            # A paused schedule's cursor is marked, so that un-pausing begins anew instead of catching up.
            "digest": standing.schedule.digest if active else f"paused:{standing.schedule.digest}",
            "cursor_at": now,
            "now": now,
        }
        schedules.begin(tx, begun)
    if active:
        cursor = now if changed or row is None else row["cursor_at"]
        standing.due_at = next_due(standing.schedule, cursor=cursor, key=standing.key)


def _occasion(standing: _Standing, nominal: int) -> Occasion:
    schedule = {
        "trigger": standing.trigger.id,
        "nominalTime": iso(nominal),
        "localTime": local_time(standing.schedule, nominal),
        "timezone": standing.schedule.timezone,
    }
    identity = f"schedule:{standing.trigger.id}:{iso(nominal)}"
    return Occasion(identity=identity, trigger=standing.trigger, schedule=schedule)
