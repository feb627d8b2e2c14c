"""The last look before an approved action is handed out: what people agreed to must still be what would run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automations.core.audit import Entry
from automations.core.canonical import decode, encode
from automations.core.run.approval import asked_again, stands
from automations.services import audit
from automations.services.run.approval import content
from automations.store import actions, runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from automations.store.database import Row, Transaction


def still_approved(tx: Transaction, rows: Sequence[Row], *, now: int) -> list[Row]:
    """Those of these claimed actions that may be handed out; for the others people are asked once more."""
    return [row for row in rows if row["approval_json"] is None or _stands(tx, row, now=now)]


def _stands(tx: Transaction, row: Row, *, now: int) -> bool:
    run = runs.get(tx, row["run_id"])
    assert run is not None  # noqa: S101  # rows are not deleted while their run lives
    gate, asked = decode(row["approval_json"]), content(run, row)
    if stands(gate, asked):
        return True
    again = encode(asked_again(gate, content=asked, now=now))
    actions.ask_again(tx, {"id": row["id"], "fence": row["fence"], "approval_json": again, "now": now})
    audit.append(tx, Entry(now, row["claimed_by"], "approval.void", row["id"], {"run": run["id"]}))
    return False
