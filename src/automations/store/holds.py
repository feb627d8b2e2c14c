"""Holds: what a rollback rejected, so that the loop does not bring it back until the source declares something else."""

from collections.abc import Iterable

from automations.store.database import Row, Transaction


def every(tx: Transaction, /) -> list[Row]:
    """All holds with the ids of their automations."""
    return tx.all("SELECT h.*, a.id FROM holds h JOIN automations a ON a.uid = h.automation_uid ORDER BY a.id")


def put(tx: Transaction, row: Row, /) -> None:
    """Reject a digest of an automation."""
    tx.run(
        """INSERT INTO holds (automation_uid, digest, actor, reason, created_at)
           VALUES (:automation_uid, :digest, :actor, :reason, :now)
           ON CONFLICT (automation_uid) DO UPDATE SET digest = excluded.digest, actor = excluded.actor,
             reason = excluded.reason, created_at = excluded.created_at""",
        **row,
    )


def drop(tx: Transaction, uids: Iterable[str], /) -> None:
    """Let go of holds."""
    tx.many("DELETE FROM holds WHERE automation_uid = :uid", [{"uid": uid} for uid in uids])
