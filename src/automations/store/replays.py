"""Replay requests: who tried what again, when, why and how."""

from automations.store.database import Row, Transaction


def insert(tx: Transaction, row: Row, /) -> None:
    """Record a request."""
    blank = {"action_row_id": None, "made_run_id": None, "from_step": None, "generation": None, "batch_id": None}
    tx.run(
        """INSERT INTO replay_requests (id, run_id, action_row_id, mode, reason, requested_by, requested_at, made_run_id,
             from_step, generation, batch_id)
           VALUES (:id, :run_id, :action_row_id, :mode, :reason, :requested_by, :now, :made_run_id, :from_step, :generation,
             :batch_id)""",
        **{**blank, **row},
    )


def of_run(tx: Transaction, run_id: str, /) -> list[Row]:
    """The requests about a run or its actions, oldest first."""
    return tx.all(
        "SELECT * FROM replay_requests WHERE run_id = :run_id ORDER BY requested_at, id",
        run_id=run_id,
    )


def count(tx: Transaction, /) -> int:
    """How many requests there were."""
    row = tx.one("SELECT count(*) AS n FROM replay_requests")
    return int(row["n"]) if row else 0
