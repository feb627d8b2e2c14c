"""Rate-limit buckets: one instant for each rendered key, until which it is spent."""

from automations.store.database import Row, Transaction


def hold(tx: Transaction, /, *, uid: str, trigger_id: str, key: str) -> int:
    """Until when a bucket is spent (microseconds), held until commit; 0 when it is full.

    It is made where it is not, because only a row can be held.
    """
    names = {"uid": uid, "trigger_id": trigger_id, "key": key}
    tx.run(
        """INSERT INTO rate_buckets (automation_uid, trigger_id, key, spent_until) VALUES (:uid, :trigger_id, :key, 0)
           ON CONFLICT (automation_uid, trigger_id, key) DO NOTHING""",
        **names,
    )
    row = tx.one(
        f"""SELECT spent_until FROM rate_buckets
            WHERE automation_uid = :uid AND trigger_id = :trigger_id AND key = :key{tx.for_update}""",
        **names,
    )
    return int(row["spent_until"]) if row else 0


def keep(tx: Transaction, row: Row, /) -> None:
    """Write how far a bucket is spent."""
    tx.run(
        """INSERT INTO rate_buckets (automation_uid, trigger_id, key, spent_until)
           VALUES (:uid, :trigger_id, :key, :spent_until)
           ON CONFLICT (automation_uid, trigger_id, key) DO UPDATE SET spent_until = excluded.spent_until""",
        **row,
    )


def drop_full(tx: Transaction, /, *, now: int, most: int) -> int:
    """Forget buckets that are full again and in nobody's hands, this many at most: keys come from events, and would pile up."""
    return tx.run(
        f"""DELETE FROM rate_buckets WHERE (automation_uid, trigger_id, key) IN
              (SELECT automation_uid, trigger_id, key FROM rate_buckets WHERE spent_until <= :now
               ORDER BY spent_until LIMIT :most{tx.skip_locked})""",
        now=now,
        most=most,
    )


def any_full(tx: Transaction, /, *, now: int) -> bool:
    """Whether there is a bucket that needs no row any more."""
    return tx.one("SELECT key FROM rate_buckets WHERE spent_until <= :now LIMIT 1", now=now) is not None
