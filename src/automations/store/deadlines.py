"""Deadlines of leases, attempts, steps and runs: what is out of time, and when the next thing will be."""

from automations.store.database import Row, Transaction


def late_actions(tx: Transaction, /, *, now: int, limit: int) -> list[Row]:
    """`{id, fence}` of claimed actions whose lease or attempt ran out of time, and of any whose step did."""
    return tx.all(
        """SELECT id, fence FROM actions WHERE status = 'claimed' AND lease_expires_at <= :now
           UNION SELECT id, fence FROM actions WHERE attempt_deadline_at <= :now
           UNION SELECT id, fence FROM actions WHERE step_deadline_at <= :now AND completed_at IS NULL
           ORDER BY id LIMIT :limit""",
        now=now,
        limit=limit,
    )


def late_runs(tx: Transaction, /, *, now: int, limit: int) -> list[Row]:
    """`{action_id}`, one action of each run whose deadline passed."""
    return tx.all(
        """SELECT (SELECT min(id) FROM actions WHERE run_id = runs.id) AS action_id FROM runs
           WHERE deadline_at <= :now ORDER BY deadline_at LIMIT :limit""",
        now=now,
        limit=limit,
    )


def next_deadline(tx: Transaction, /) -> int | None:
    """When the next lease, attempt, step or run is out of time (microseconds), or None."""
    row = tx.one(
        """SELECT min(at) AS at FROM (
             SELECT min(lease_expires_at) AS at FROM actions WHERE status = 'claimed'
             UNION ALL SELECT min(attempt_deadline_at) FROM actions WHERE attempt_deadline_at IS NOT NULL
             UNION ALL SELECT min(step_deadline_at) FROM actions WHERE step_deadline_at IS NOT NULL AND completed_at IS NULL
             UNION ALL SELECT min(deadline_at) FROM runs WHERE deadline_at IS NOT NULL) AS deadlines"""
    )
    return None if row is None else row["at"]
