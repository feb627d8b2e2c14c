"""The verbs approve and reject, and what becomes of a question that nobody answers. Each is one transaction, guarded, audited.

One code path for the command line, the library and the server. A question that ran out of time lapses at the daemon's tick, or
when somebody answers it too late, whichever comes first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from automations.core.actor import BY_EXPIRY
from automations.core.audit import Entry
from automations.core.canonical import decode, digest, encode
from automations.core.run.approval import (
    Approver,
    Decided,
    Waiting,
    approve,
    content_of,
    expire,
    missing,
    reject,
)
from automations.core.run.queue import Refusal
from automations.core.run.states import ActionStatus
from automations.errors import Conflict, NotFound
from automations.services import audit
from automations.services.ports import Clock, Ids, Telemetry, Wake
from automations.services.run.advance import advance_run
from automations.services.run.programs import Programs
from automations.services.run.queue import hold
from automations.store import actions, events, roles, runs
from automations.store.database import Database, Row, Transaction

TICK = 5_000_000
"""How long the daemon sleeps at most before it looks for new questions with a deadline (microseconds)."""
AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Parts:
    """What deciding needs."""

    database: Database
    programs: Programs
    clock: Clock
    ids: Ids
    telemetry: Telemetry


class Approvals:
    """Decisions that people take about actions that wait for them."""

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

    def waiting(self) -> list[Row]:
        """Actions that wait for an approval, oldest first, each with its `run` and the `event` that began it, or None."""
        with self._parts.database.read() as tx:
            return [self._told(tx, row) for row in actions.waiting(tx)]

    def tick(self, now: int) -> int:
        """Let lapse what ran out of time; when to come again (microseconds). Raises StoreUnavailable."""
        with self._parts.database.read() as tx:
            lapsed = actions.unanswered(tx, now=now, limit=AT_ONCE)
        for action_id in lapsed:
            self._lapse(action_id)
        with self._parts.database.read() as tx:
            due = actions.next_expiry(tx)
        return now + TICK if due is None else min(due, now + TICK)

    def _told(self, tx: Transaction, row: Row) -> Row:
        run = runs.get(tx, row["run_id"])
        event = events.get(tx, run["event_row_id"]) if run and run["event_row_id"] else None
        gate = decode(row["approval_json"]) if row["approval_json"] else {"requirement": {}}
        return {**row, "run": run, "event": event, "missing": missing(gate)}

    def _decide(self, action_id: str, *, actor: str, verb: str, reason: str | None = None) -> Row:
        now = self._parts.clock.now()
        with self._parts.database.write() as tx:
            run, row = hold(tx, action_id)
            waiting = _waiting(run, row)
            approver = Approver(actor, roles.of_actor(tx, actor))
            if verb == "approve":
                decided = approve(waiting, approver, now=now)
            else:
                decided = reject(waiting, approver, reason=reason, now=now)
            if isinstance(decided, Decided):
                what = verb if decided.refusal is None else _lapsed(decided)
                by = BY_EXPIRY if what == "expire" else actor  # what is void was found so by who wanted to decide
                audit.append(tx, Entry(now, by, f"approval.{what}", action_id, _about(run, row, decided=decided)))
                self._persist(tx, run, row=row, decided=decided, now=now)
        refusal = decided if isinstance(decided, Refusal) else decided.refusal
        if isinstance(decided, Decided):
            self._parts.telemetry.emit(f"approval.{what}", action=action_id, run=row["run_id"], actor=by)
            self.wake()
        if refusal is not None:
            raise Conflict(refusal.message, hint="see: automations approvals list")
        return self._standing(action_id)

    def _lapse(self, action_id: str) -> None:
        now = self._parts.clock.now()
        with self._parts.database.write() as tx:
            run, row = hold(tx, action_id)
            decided = expire(_waiting(run, row), now=now)
            if decided is None:
                return
            what = _lapsed(decided)
            audit.append(tx, Entry(now, BY_EXPIRY, f"approval.{what}", action_id, _about(run, row, decided=decided)))
            self._persist(tx, run, row=row, decided=decided, now=now)
        self._parts.telemetry.emit(f"approval.{what}", action=action_id, run=row["run_id"], actor=BY_EXPIRY)
        self.wake()

    def _persist(self, tx: Transaction, run: Row, *, row: Row, decided: Decided, now: int) -> None:
        if not actions.decide(tx, _columns(row, decided, now=now)):
            raise Conflict(f"queued action approval decision is not pending: {row['id']}")
        if decided.status is not ActionStatus.WAITING_APPROVAL:
            advance_run(tx, run, programs=self._parts.programs, now=now)

    def _standing(self, action_id: str) -> Row:
        with self._parts.database.read() as tx:
            row = actions.get(tx, action_id)
        if row is None:
            raise NotFound(f"queued action not found: {action_id}", hint="see: automations approvals list")
        return row


def _waiting(run: Row, row: Row) -> Waiting:
    gate = decode(row["approval_json"]) if row["approval_json"] else None
    metadata = decode(run["metadata_json"]) if run["metadata_json"] else {}
    return Waiting(
        row["id"],
        ActionStatus(row["status"]),
        gate,
        started_by=metadata.get("startedBy"),
        content=content(run, row),
        expires_at=row["approval_expires_at"],
    )


def content(run: Row, row: Row) -> str:
    """What a decision about this action is bound to: its input as it lies there now, and the spec of its run."""
    given = None if row["input_json"] is None else digest(decode(row["input_json"]))
    return content_of(given, run["digest"])


def _lapsed(decided: Decided) -> str:
    """What is told of a question that was not decided by whoever answered it."""
    return "void" if decided.status is ActionStatus.WAITING_APPROVAL else "expire"


def _about(run: Row, row: Row, *, decided: Decided) -> Mapping[str, Any]:
    why = {"reason": str(decided.dead_letter["reason"])} if decided.dead_letter else {}
    return {"run": run["id"], "input": row["input_digest"] or "", "status": str(decided.status), **why}


def _columns(row: Row, decided: Decided, *, now: int) -> Row:
    return {
        "id": row["id"],
        "status": str(decided.status),
        "approval_json": encode(dict(decided.gate)),
        "dead_letter_json": encode(dict(decided.dead_letter)) if decided.dead_letter else None,
        "completed_at": now if decided.status.final else None,
        "judged": row["approval_json"],
        "now": now,
    }
