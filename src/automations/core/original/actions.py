"""One queued action of the original's as a row of ours.

What was claimed, failed or finished stays as it was, ids, keys, leases and results included. What was open becomes blocked, and
the run machine says what that means here: queued, waiting for an approval, or skipped for a step before it that died.
"""

from dataclasses import dataclass
from typing import Any

from automations.core.canonical import digest, encode
from automations.core.instant import iso
from automations.core.original.definitions import KEPT, Fields, Found, Row
from automations.core.run.program import EXTERNAL
from automations.core.run.retry import DEFAULT as DEFAULT_RETRY
from automations.core.run.states import ActionStatus, SkipReason
from automations.errors import InvalidInput

OPEN = str(ActionStatus.BLOCKED)
"""How an action stands that the run machine has yet to judge."""

_STATUSES = {
    "queued": ActionStatus.BLOCKED,
    "pending": ActionStatus.BLOCKED,
    "blocked": ActionStatus.BLOCKED,
    "waiting_approval": ActionStatus.BLOCKED,
    "retrying": ActionStatus.RETRYING,
    "claimed": ActionStatus.CLAIMED,
    "running": ActionStatus.CLAIMED,
    "succeeded": ActionStatus.SUCCEEDED,
    "failed": ActionStatus.FAILED,
    "cancelled": ActionStatus.FAILED,
    "skipped": ActionStatus.SKIPPED,
    "dead": ActionStatus.DEAD,
}
_OF_THE_RUN = ("actionId", "automationId", "runId", "idempotencyKey", "input", "manifestVersion", "metadata")
"""Keys of an invocation that stand in the row's own columns."""


@dataclass(slots=True)
class Brought:
    """An action on its way: `approval` is the spec's block for a gate that still has to open."""

    row: Row
    input: Any
    approval: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    attempt: Row | None = None

    def end(self, status: ActionStatus, *, reason: str | None = None, error: Any = None, at: int | None = None) -> None:
        """Let it be over, at `at` (microseconds) or when the original last touched it."""
        self.row["status"] = str(status)
        self.row["reason"] = reason
        self.row["lease_expires_at"] = None
        self.row["completed_at"] = self.row["updated_at"] if at is None else at
        if error is not None:
            self.error = dict(error)
            self.row["error_json"] = encode(self.error)


def action(found: Found, *, run: Row, position: int) -> Brought:
    """An action of a run. Raises InvalidInput for what the original never wrote."""
    fields = Fields(found)
    word = fields.need("status")
    if word not in _STATUSES:
        raise InvalidInput(f"the status of its action {found.id} is unknown: {word}")
    status = _STATUSES[word]
    invocation = fields.record("invocation")
    brought = Brought(_row(found.id, fields, run=run, position=position), invocation.get("input", {}))
    row = brought.row
    gate = _whole(fields.record("approvalGate"))
    if status is ActionStatus.DEAD and gate.get("decision", {}).get("status") == "rejected":
        status = ActionStatus.REJECTED
    row |= {
        "action_id": fields.text("actionId") or _text(invocation, "actionId", found.id),
        "manifest_version": _text(invocation, "manifestVersion", "1.0.0"),
        "status": str(status),
        "input_json": encode(brought.input),
        "input_digest": digest(brought.input),
        "fence": row["attempt"] + (status in (ActionStatus.CLAIMED, ActionStatus.SUCCEEDED)),
    }
    brought.error = _error(fields.data("error"), cancelled=word == "cancelled")
    _gate(brought, gate)
    _standing(brought, status, letter=fields.record("deadLetter"))
    row["error_json"] = None if brought.error is None else encode(brought.error)
    row["metadata_json"] = encode(_about(fields, invocation, word=word, shown=str(status)))
    return brought


def _row(identity: str, fields: Fields, *, run: Row, position: int) -> Row:
    created_at = fields.at("createdAt") or run["created_at"]
    step_id = fields.need("stepId")
    result = fields.data("result")
    fields.text("automationRunId")
    return {
        "id": identity,
        "run_id": run["id"],
        "automation_id": run["automation_id"],
        "step_id": step_id,
        "position": position,
        "manifest_digest": None,
        "executor": EXTERNAL,
        "idempotency_key": fields.text("idempotencyKey") or f"{run['idempotency_key']}:{step_id}",
        "priority": 0,
        "attempt": fields.number("attempt", 0),
        "max_attempts": fields.number("maxAttempts", DEFAULT_RETRY.max_attempts),
        "crashes": 0,
        "available_at": fields.at("availableAt") or created_at,
        "claimed_by": fields.text("claimedBy"),
        "claimed_at": fields.at("claimedAt"),
        "lease_expires_at": fields.at("leaseExpiresAt"),
        "result_json": None if result is None else encode(result),
        "dead_letter_json": None,
        "reason": None,
        "created_at": created_at,
        "updated_at": fields.at("updatedAt") or created_at,
        "completed_at": None,
    }


def _text(invocation: dict[str, Any], key: str, default: str) -> str:
    value = invocation.get(key, default)
    return value if isinstance(value, str) and value else default


def _error(value: Any, *, cancelled: bool) -> dict[str, Any] | None:
    """The error with the two keys that ours always have."""
    if value is None:
        return {"code": "CANCELLED", "message": "cancelled by the original", "retryable": False} if cancelled else None
    given = value if isinstance(value, dict) else {"message": str(value)}
    return {"code": "ACTION_FAILED", "message": "Action failed", **given}


def _whole(gate: dict[str, Any]) -> dict[str, Any]:
    """The gate, if it is one that can be decided about. Raises InvalidInput."""
    for key in ("requirement", "decision"):
        if not isinstance(gate.get(key, {}), dict):
            raise InvalidInput(f"the {key} of its approvalGate is not a JSON object")
    if not isinstance(gate.get("requirement", {}).get("count", 1), int):
        raise InvalidInput("the count of its approvalGate is not a whole number")
    return gate


def _gate(brought: Brought, gate: dict[str, Any]) -> None:
    """Keep the gate; one that is still shut is asked about here, by the id under which the original asked."""
    row = brought.row
    decision, requirement = gate.get("decision", {}), gate.get("requirement", {})
    shut = bool(gate) and gate.get("blockedUntilApproved", True) and decision.get("status") != "approved"
    if shut and row["status"] == OPEN:
        asked = {"id": row["id"], "status": "pending", "requestedAt": iso(row["created_at"])}
        gate = {**gate, "requirement": requirement, "blockedUntilApproved": True, "decision": {**asked, **decision}}
        brought.approval = {"requiresApproval": True, "count": requirement.get("count", 1)}
        if isinstance(requirement.get("reason"), str):
            brought.approval["reason"] = requirement["reason"]
    row["approval_json"] = encode(gate) if gate else None


def _standing(brought: Brought, status: ActionStatus, *, letter: dict[str, Any]) -> None:
    """What goes with a status here: a claim has a lease, a dead action a letter, an attempt that failed its history."""
    row = brought.row
    if status is ActionStatus.CLAIMED:
        row["claimed_by"] = row["claimed_by"] or KEPT
        row["claimed_at"] = row["updated_at"] if row["claimed_at"] is None else row["claimed_at"]
        row["lease_expires_at"] = row["claimed_at"] if row["lease_expires_at"] is None else row["lease_expires_at"]
    else:
        row["lease_expires_at"] = None
    if status in (ActionStatus.DEAD, ActionStatus.REJECTED):
        reason = (brought.error or {}).get("message", "the original says no reason")
        default = {"reason": reason, "failedAt": iso(row["updated_at"]), "attempts": row["attempt"]}
        row["dead_letter_json"] = encode({**default, "replayable": status is ActionStatus.DEAD, **letter})
    if status is ActionStatus.SKIPPED:
        row["reason"] = str(SkipReason.UPSTREAM_SKIPPED)
    if status.final:
        row["completed_at"] = row["updated_at"]
    if status in (ActionStatus.RETRYING, ActionStatus.DEAD) and row["attempt"] and row["claimed_by"]:
        brought.attempt = {
            "action_row_id": row["id"],
            "fence": row["attempt"],
            "attempt": row["attempt"],
            "runner": row["claimed_by"],
            "started_at": row["updated_at"] if row["claimed_at"] is None else row["claimed_at"],
            "ended_at": row["updated_at"],
            "outcome": "failed",
            "error_json": None if brought.error is None else encode(brought.error),
        }


def _about(fields: Fields, invocation: dict[str, Any], *, word: str, shown: str) -> dict[str, Any]:
    """What an invocation says about its cause, and under `original` all that has no column here."""
    metadata = invocation.get("metadata")
    about = dict(metadata) if isinstance(metadata, dict) else {}
    kept = fields.rest()
    rest = {key: value for key, value in invocation.items() if key not in _OF_THE_RUN}
    if rest:
        kept["invocation"] = rest
    if word not in ("queued", shown) and not (word == "dead" and shown == "rejected"):
        kept["status"] = word
    return {**about, KEPT: kept} if kept else about
