"""Rows as the contract shows them: camelCase keys, ISO times, absent rather than null.

The standard library's JSON parser reads their JSON: a short command shows a row or two and prints with the same library,
while orjson costs as much to import as the interpreter to start.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from automations.core.canonical import decode_words
from automations.core.instant import iso

Row = Mapping[str, Any]


def automation_record(row: Row) -> dict[str, Any]:
    """`{id, spec, status, createdAt, updatedAt}` and ours: `generation, digest, owner, file?, conditions, …`."""
    return _present(
        {
            "id": row["id"],
            "spec": decode_words(row["spec_json"]),
            "status": row["status"],
            "createdAt": iso(row["created_at"]),
            "updatedAt": iso(row["updated_at"]),
            "generation": row["generation"],
            "observedGeneration": row.get("observed_generation") or None,
            "digest": row["digest"],
            "owner": row["owner"],
            "file": row["file"],
            "conditions": decode_words(row["conditions_json"]),
        }
    )


def run_record(row: Row) -> dict[str, Any]:
    """A run: `{id, automationId, status, trigger, triggerEventId?, idempotencyKey, createdAt, updatedAt, …}`."""
    return _present(
        {
            "id": row["id"],
            "automationId": row["automation_id"],
            "generation": row["generation"],
            "status": row["status"],
            "trigger": decode_words(row["trigger_json"]),
            "triggerEventId": row["trigger_event_id"],
            "idempotencyKey": row["idempotency_key"],
            "createdAt": iso(row["created_at"]),
            "updatedAt": iso(row["updated_at"]),
            "startedAt": _iso(row["started_at"]),
            "completedAt": _iso(row["completed_at"]),
            "error": _json(row["error_json"]),
            "metadata": _json(row["metadata_json"]) or None,
            "replayOf": row["replay_of"],
            "slot": _slot(row),
            "stop": _stop(row),
            "deadlineAt": _iso(row["deadline_at"]),
        }
    )


def action_record(row: Row, *, attempts: Iterable[Row] | None = None) -> dict[str, Any]:
    """A queued action of the contract. To clients of the original a blocked action reads as `queued`."""
    status = row["status"]
    shown = {"blocked": "queued", "waiting_approval": "queued", "rejected": "dead"}.get(status, status)
    record = {
        "id": row["id"],
        "automationRunId": row["run_id"],
        "stepId": row["step_id"],
        "actionId": row["action_id"],
        "idempotencyKey": row["idempotency_key"],
        "status": shown,
        "state": status if shown != status else None,
        "invocation": _invocation(row),
        "attempt": row["attempt"],
        "maxAttempts": row["max_attempts"],
        "availableAt": iso(row["available_at"]),
        "createdAt": iso(row["created_at"]),
        "updatedAt": iso(row["updated_at"]),
        "completedAt": _iso(row["completed_at"]),
        "claimedBy": row["claimed_by"],
        "claimedAt": _iso(row["claimed_at"]),
        "leaseExpiresAt": _iso(row["lease_expires_at"]),
        "attemptDeadlineAt": _iso(row["attempt_deadline_at"]),
        "deadlineAt": _iso(row["step_deadline_at"]),
        "cancelRequested": True if status == "claimed" and row["cancel_requested_at"] is not None else None,
        "cancel": _cancel(row),
        "fence": row["fence"] or None,
        "approvalGate": _json(row["approval_json"]),
        "result": _json(row["result_json"]),
        "error": _json(row["error_json"]),
        "deadLetter": _json(row["dead_letter_json"]),
        "reason": row["reason"],
        "attempts": None if attempts is None else [attempt_record(each) for each in attempts],
    }
    return _present(record)


def attempt_record(row: Row) -> dict[str, Any]:
    """One ended attempt: `{attempt, runner, fence, startedAt, endedAt, outcome, error?}`."""
    return _present(
        {
            "attempt": row["attempt"],
            "runner": row["runner"],
            "fence": row["fence"],
            "startedAt": iso(row["started_at"]),
            "endedAt": iso(row["ended_at"]),
            "outcome": row["outcome"],
            "error": _json(row["error_json"]),
        }
    )


def replay_record(row: Row) -> dict[str, Any]:
    """A replay request: `{id, mode, actionId?, reason?, requestedBy, requestedAt, madeRunId?, fromStep?, generation?}`."""
    return _present(
        {
            "id": row["id"],
            "mode": row["mode"],
            "actionId": row["action_row_id"],
            "reason": row["reason"],
            "requestedBy": row["requested_by"],
            "requestedAt": iso(row["requested_at"]),
            "madeRunId": row["made_run_id"],
            "fromStep": row["from_step"],
            "generation": row["generation"],
            "batchId": row["batch_id"],
        }
    )


def route_record(row: Row) -> dict[str, Any]:
    """A webhook route: `{id, automationId, path, status, signature?, mapping, createdAt, updatedAt}`."""
    return _present(
        {
            "id": row["id"],
            "automationId": row["automation_id"],
            "path": row["path"],
            "status": row["status"],
            "signature": _json(row["signature_json"]),
            "mapping": decode_words(row["mapping_json"]),
            "createdAt": iso(row["created_at"]),
            "updatedAt": iso(row["updated_at"]),
            "owner": row["owner"],
        }
    )


def _invocation(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "actionId": row["action_id"],
        "manifestVersion": row["manifest_version"],
        "input": {} if row["input_json"] is None else decode_words(row["input_json"]),
        "automationId": row["automation_id"],
        "runId": row["run_id"],
        "requestedAt": iso(row["created_at"]),
        "idempotencyKey": row["idempotency_key"],
        "metadata": decode_words(row["metadata_json"]),
    }


def _slot(row: Row) -> dict[str, Any] | None:
    """What a run shares with others of its key, and how it stands for its slot: waiting, returning, held or released."""
    if row["slot_key"] is None:
        return None
    return _present({"key": row["slot_key"], "limit": row["slot_limit"], "state": row["slot"]})


def _stop(row: Row) -> dict[str, Any] | None:
    """How a run was told to end early: `{status, at, by?, reason?}`."""
    if row["stop"] is None:
        return None
    told = {"status": row["stop"], "at": _iso(row["stop_at"]), "by": row["stop_by"], "reason": row["stop_reason"]}
    return _present(told)


def _cancel(row: Row) -> dict[str, Any] | None:
    """Who asked to stop an action: `{by?, reason?, requestedAt?}`."""
    told = {"by": row["cancel_by"], "reason": row["cancel_reason"], "requestedAt": _iso(row["cancel_requested_at"])}
    return _present(told) or None


def _present(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if value is not None}


def _iso(at: int | None) -> str | None:
    return None if at is None else iso(at)


def _json(text: str | None) -> Any:
    return None if text is None else decode_words(text)
