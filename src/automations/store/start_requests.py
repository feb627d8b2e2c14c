"""Starts that named an idempotency key, and what each was answered."""

from automations.store.database import Row, Transaction


def get(tx: Transaction, uid: str, key: str, /) -> Row | None:
    """The start of this key, if there was one."""
    return tx.one("SELECT * FROM start_requests WHERE automation_uid = :uid AND key = :key", uid=uid, key=key)


def keep(tx: Transaction, row: Row, /) -> bool:
    """Record a start; False when its key was used meanwhile."""
    changed = tx.run(
        """INSERT INTO start_requests (automation_uid, key, body_digest, answer_json, requested_at)
           VALUES (:uid, :key, :body_digest, :answer_json, :now)
           ON CONFLICT (automation_uid, key) DO NOTHING""",
        **row,
    )
    return changed == 1
