"""What is deleted while runs of it go on: shown until the last of them is over, with what they wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from automations.core.canonical import decode_words
from automations.core.instant import iso
from automations.core.record import automation_record
from automations.core.run.states import ActionStatus
from automations.store import actions, automations, runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from automations.store.database import Row, Transaction

MOST_RUNS = 20
"""How many runs are shown one by one; all are counted."""


def terminating(tx: Transaction) -> list[Row]:
    """Deleted automations that have runs under way, each with `runs`, their number; oldest first."""
    if not automations.any_deleted(tx):
        return []
    counts = runs.under_way_of_deleted(tx)
    return [row | {"runs": counts[row["uid"]]} for row in automations.deleted(tx) if row["uid"] in counts]


def conditions(row: Row) -> dict[str, Any]:
    """`Terminating`, and `Stalled` where the runs take longer than the spec's `drainTimeout`."""
    words = f"deleted; {row['runs']} of its runs go on" if row["runs"] > 1 else "deleted; 1 of its runs goes on"
    said = {"status": "True", "reason": "Draining", "message": words, "since": iso(row["deleted_at"])}
    stalled = decode_words(row["conditions_json"]).get("Stalled", {})
    late = {"Stalled": stalled} if stalled.get("reason") == "DrainTimeout" else {}
    return {"Terminating": said, **late}


def record(row: Row) -> dict[str, Any]:
    """An automation's record with `deletedAt, runs, health`, and conditions that say that it is going."""
    found = conditions(row)
    said = {"deletedAt": iso(row["deleted_at"]), "runs": row["runs"], "conditions": found}
    return {**automation_record(row), **said, "health": "Degraded" if "Stalled" in found else "Progressing"}


def waits_for(tx: Transaction, row: Row) -> list[dict[str, Any]]:
    """`{runId, status, since, steps: [{stepId, status, claimedBy?}]}` of its runs, the oldest first: what is not over."""
    return list(_runs(tx, row["uid"]))


def _runs(tx: Transaction, uid: str) -> Iterator[dict[str, Any]]:
    for each in sorted(row["id"] for row in runs.under_way(tx, uid))[:MOST_RUNS]:
        run = runs.get(tx, each)
        if run is None:
            continue
        steps = [_step(row) for row in actions.of_run(tx, each) if not ActionStatus(row["status"]).final]
        yield {"runId": each, "status": run["status"], "since": iso(run["created_at"]), "steps": steps}


def _step(row: Row) -> dict[str, Any]:
    shown = {"stepId": row["step_id"], "status": row["status"]}
    return {**shown, "claimedBy": row["claimed_by"]} if row["status"] == "claimed" else shown
