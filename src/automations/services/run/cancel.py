"""The verb cancel: an operator ends a run or one action early. One transaction, guarded, audited; said twice it is done once.

What waits ends at once. What somebody works on is asked to stop: its holder hears of it at its next heartbeat, and has the
grace of `core.run.stop` to let it go. The `finally` steps of a run that had begun run before it is over.
"""

from dataclasses import dataclass

from automations.core.audit import Entry
from automations.core.run.states import ActionStatus, RunStatus
from automations.core.run.stop import BY_ITSELF, GRACE, Stop
from automations.errors import Conflict, NotFound
from automations.services import audit
from automations.services.ports import Clock, Telemetry, Wake
from automations.services.run.advance import Ending, advance_run, stop_run
from automations.services.run.programs import Programs
from automations.services.run.queue import hold
from automations.store import actions, cancels, runs, slots
from automations.store.database import Database, Row, Transaction


@dataclass(frozen=True, slots=True)
class Parts:
    """What cancelling needs."""

    database: Database
    programs: Programs
    clock: Clock
    telemetry: Telemetry


class Cancel:
    """Ends work early."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.wake: Wake = lambda: None
        """Called after a commit that may have handed a slot on, or queued `finally` steps."""

    def run(self, run_id: str, *, actor: str, reason: str | None = None) -> Row:
        """Cancel a run; the run as it then stands. Raises NotFound, Conflict (it is over, or finishing), StoreUnavailable."""
        now = self._parts.clock.now()
        with self._parts.database.write() as tx:
            run = hold_run(tx, run_id)
            told = run["stop"] == RunStatus.CANCELLED
            if not told:
                _may_cancel(run)
                ending = Ending(stop_of(run), actor, reason)
                stop_run(tx, run, ending, programs=self._parts.programs, now=now)
                audit.append(tx, Entry(now, actor, "run.cancel", run_id, {"reason": reason or ""}))
            ended = runs.get(tx, run_id)
        if not told:
            self._parts.telemetry.emit("run.cancel_requested", run=run_id, actor=actor)
            self.wake()
        assert ended is not None  # noqa: S101  # it was just held
        return ended

    def action(self, action_id: str, *, actor: str, reason: str | None = None) -> Row:
        """Cancel one action; as it then stands. Its run goes on as after a failure of that step.

        Raises NotFound, Conflict (it is over), StoreUnavailable.
        """
        now = self._parts.clock.now()
        with self._parts.database.write() as tx:
            run, row = hold(tx, action_id)
            told = row["status"] == ActionStatus.CANCELLED or row["cancel_requested_at"] is not None
            if not told:
                if ActionStatus(row["status"]).final:
                    raise Conflict(
                        f"cannot cancel terminal queued action: {action_id}", hint=f"it has {row['status']} already"
                    )
                self._end(tx, run, row, Ending(Stop(RunStatus.CANCELLED), actor, reason), now=now)
                audit.append(
                    tx, Entry(now, actor, "action.cancel", action_id, {"run": run["id"], "reason": reason or ""})
                )
            ended = actions.get(tx, action_id)
        if not told:
            self._parts.telemetry.emit("action.cancel_requested", action=action_id, run=row["run_id"], actor=actor)
            self.wake()
        assert ended is not None  # noqa: S101  # it was just held
        return ended

    def _end(self, tx: Transaction, run: Row, row: Row, ending: Ending, *, now: int) -> None:
        told = {
            "id": row["id"],
            "reason": BY_ITSELF,
            "cancel_by": ending.by,
            "cancel_reason": ending.reason,
            "now": now,
        }
        if row["status"] == ActionStatus.CLAIMED:
            cancels.ask(tx, told | {"until": now + GRACE})
        elif cancels.cancel(tx, told):
            advance_run(tx, run, programs=self._parts.programs, now=now)


def hold_run(tx: Transaction, run_id: str) -> Row:
    """A run with its slot's key, both held until commit. Raises NotFound."""
    slots.hold_of(tx, runs=[run_id])
    return _found(runs.hold_one(tx, run_id), run_id)


def look_at_run(tx: Transaction, run_id: str) -> Row:
    """A run as it stands, not held. Raises NotFound."""
    return _found(runs.get(tx, run_id), run_id)


def _found(run: Row | None, run_id: str) -> Row:
    if run is None:
        raise NotFound(f"run not found: {run_id}", hint="see: automations runs list")
    return run


def stop_of(run: Row) -> Stop:
    """How cancelling ends a run: with its `finally` steps, unless it never began."""
    return Stop(RunStatus.CANCELLED, "all" if run["slot"] == "waiting" else "main")


def _may_cancel(run: Row) -> None:
    if RunStatus(run["status"]).final:
        raise Conflict(f"run {run['id']} is over: {run['status']}", hint=f"see: automations runs show {run['id']}")
    if run["finally_at"] is not None or run["stop"] is not None:
        raise Conflict(
            f"run {run['id']} is about to end: only its finally steps, or what was asked to stop, go on",
            hint="to end one of them: automations queue cancel ACTION",
        )
