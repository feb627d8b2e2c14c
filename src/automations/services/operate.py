"""The verbs of an operator: approve, reject, replay. Each is one transaction, guarded, and audited.

One code path for the command line, the API and the page.
"""

from dataclasses import dataclass

from automations.core.audit import Entry, seal
from automations.core.canonical import decode, encode
from automations.core.run.approval import Decided, Waiting, approve, reject
from automations.core.run.queue import Refusal
from automations.core.run.replay import Ended, may_replay, revived
from automations.core.run.states import ActionStatus
from automations.errors import Conflict
from automations.services.advance import advance_run
from automations.services.ports import Clock, Ids, Telemetry, Wake
from automations.services.programs import Programs
from automations.services.queue import hold
from automations.store import actions, audit, replays, runs, state
from automations.store.database import Database, Row, Transaction


@dataclass(frozen=True, slots=True)
class Parts:
    """What operating needs."""

    database: Database
    programs: Programs
    clock: Clock
    ids: Ids
    telemetry: Telemetry


class Operate:
    """Decisions that people take about work in flight."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.wake: Wake = lambda: None
        """Called after a commit that queued work."""

    def approve(self, action_id: str, *, actor: str) -> Row:
        """Give one approval. Raises NotFound, Conflict in the original's words, StoreUnavailable."""
        return self._decide(action_id, actor=actor, verb="approve")

    def reject(self, action_id: str, *, actor: str, reason: str | None = None) -> Row:
        """End a waiting action for good. Raises NotFound, Conflict in the original's words, StoreUnavailable."""
        return self._decide(action_id, actor=actor, verb="reject", reason=reason)

    def replay(self, action_id: str, *, actor: str, reason: str | None = None) -> Row:
        """Put a dead action back into the queue; its run goes on. Raises NotFound, Conflict, StoreUnavailable."""
        now = self._parts.clock.now()
        with self._parts.database.write() as tx:
            run, row = hold(tx, action_id)
            letter = decode(row["dead_letter_json"]) if row["dead_letter_json"] else None
            refusal = may_replay(action_id, ActionStatus(row["status"]), letter)
            if refusal:
                raise Conflict(refusal.message, hint="see: automations dlq list")
            self._put_back(tx, run, row, now=now)
            replays.insert(
                tx,
                {
                    "id": self._parts.ids.new(),
                    "run_id": run["id"],
                    "action_row_id": action_id,
                    "mode": "dead-actions",
                    "reason": reason or f"requeue dead action {action_id}",
                    "requested_by": actor,
                    "now": now,
                },
            )
            _audit(tx, Entry(now, actor, "dlq.replay", action_id, {"run": run["id"], "reason": reason or ""}))
            replayed = actions.get(tx, action_id)
        self._parts.telemetry.emit("action.replayed", action=action_id, run=row["run_id"], actor=actor)
        self.wake()
        assert replayed is not None  # noqa: S101  # it was just updated
        return replayed

    def _put_back(self, tx: Transaction, run: Row, row: Row, *, now: int) -> None:
        if not actions.requeue(tx, row["id"], now=now):
            raise Conflict(f"queued action is not dead: {row['id']}")
        steps = self._parts.programs.of_run(tx, run).automation.steps
        ended = [
            Ended(each["step_id"], ActionStatus(each["status"]), each["reason"])
            for each in actions.of_run(tx, run["id"])
        ]
        for step_id in revived(row["step_id"], steps, ended):
            actions.block_again(tx, run["id"], step_id, now=now)
        runs.reopen(tx, run["id"], based_on=run["status"], now=now)

    def _decide(self, action_id: str, *, actor: str, verb: str, reason: str | None = None) -> Row:
        now = self._parts.clock.now()
        with self._parts.database.write() as tx:
            run, row = hold(tx, action_id)
            gate = decode(row["approval_json"]) if row["approval_json"] else None
            started_by = decode(run["metadata_json"]).get("startedBy") if run["metadata_json"] else None
            waiting = Waiting(action_id, ActionStatus(row["status"]), gate, started_by)
            if verb == "approve":
                decided = approve(waiting, actor=actor, now=now)
            else:
                decided = reject(waiting, actor=actor, reason=reason, now=now)
            if isinstance(decided, Refusal):
                raise Conflict(decided.message, hint="see: automations approvals list")
            if not actions.decide(tx, _decision_row(row, decided, now=now)):
                raise Conflict(f"queued action approval decision is not pending: {action_id}")
            advance_run(tx, run, programs=self._parts.programs, now=now)
            entry = Entry(
                now, actor, f"approval.{verb}", action_id, {"run": run["id"], "input": row["input_digest"] or ""}
            )
            _audit(tx, entry)
            settled = actions.get(tx, action_id)
        self._parts.telemetry.emit(f"approval.{verb}", action=action_id, run=row["run_id"], actor=actor)
        self.wake()
        assert settled is not None  # noqa: S101  # it was just updated
        return settled


def _decision_row(row: Row, decided: Decided, *, now: int) -> Row:
    return {
        "id": row["id"],
        "status": str(decided.status),
        "approval_json": encode(dict(decided.gate)),
        "dead_letter_json": encode(dict(decided.dead_letter)) if decided.dead_letter else None,
        "completed_at": now if decided.status.final else None,
        "judged": row["approval_json"],
        "now": now,
    }


def _audit(tx: Transaction, entry: Entry) -> None:
    """Append to the chain; the state's row is held first, so that entries queue up."""
    state.hold(tx)
    audit.append(tx, seal(entry, last=audit.last(tx)))
