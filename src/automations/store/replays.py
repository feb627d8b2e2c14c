"""Replay requests: who put what back, when and why."""

from automations.store.database import Row, Transaction


def insert(tx: Transaction, row: Row, /) -> None:
    """Record a request."""
    tx.run(
        """INSERT INTO replay_requests (id, run_id, action_row_id, mode, reason, requested_by, requested_at)
           VALUES (:id, :run_id, :action_row_id, :mode, :reason, :requested_by, :now)""",
        **row,
    )


def count(tx: Transaction, /) -> int:
    """How many requests there were."""
    row = tx.one("SELECT count(*) AS n FROM replay_requests")
    return int(row["n"]) if row else 0
