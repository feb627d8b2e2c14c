"""Cancelled actions: at once where nobody works on them, else their holder is asked to stop."""

from automations.store.database import Row, Transaction


def cancel(tx: Transaction, row: Row, /) -> bool:
    """End an action that nobody holds; False when somebody does, or it is over."""
    changed = tx.run(
        """UPDATE actions SET status = 'cancelled', turn = NULL, reason = :reason, cancel_by = :cancel_by,
             cancel_reason = :cancel_reason, updated_at = :now, completed_at = :now
           WHERE id = :id AND status IN ('blocked', 'waiting_approval', 'queued', 'retrying')""",
        **row,
    )
    return changed == 1


def ask(tx: Transaction, row: Row, /) -> bool:
    """Ask the holder of a claimed action to stop, by `until` at the latest; False when it was asked before, or is not held."""
    changed = tx.run(
        """UPDATE actions SET cancel_requested_at = :now, reason = :reason, cancel_by = :cancel_by,
             cancel_reason = :cancel_reason, updated_at = :now,
             lease_expires_at = CASE WHEN lease_expires_at < :until THEN lease_expires_at ELSE :until END
           WHERE id = :id AND status = 'claimed' AND cancel_requested_at IS NULL""",
        **row,
    )
    return changed == 1


def asked(tx: Transaction, runner: str, /) -> set[str]:
    """Ids of the actions that this runner holds and is asked to let go."""
    rows = tx.all(
        "SELECT id FROM actions WHERE claimed_by = :runner AND status = 'claimed' AND cancel_requested_at IS NOT NULL",
        runner=runner,
    )
    return {row["id"] for row in rows}
