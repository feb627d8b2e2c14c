"""Leases: who may do a thing that only one may do. The epoch rises with every new holder and fences its writes."""

from automations.store.database import Row, Transaction


def get(tx: Transaction, name: str, /) -> Row | None:
    """A lease as it stands, live or not."""
    return tx.one("SELECT * FROM leases WHERE name = :name", name=name)


def take(tx: Transaction, name: str, /, *, holder: str, now: int, until: int, metadata_json: str) -> Row | None:
    """Take a lease that is free, expired or already ours; the row as it now stands, or None when another holds it."""
    return tx.one(
        """INSERT INTO leases (name, holder, epoch, acquired_at, heartbeat_at, expires_at, metadata_json)
           VALUES (:name, :holder, 1, :now, :now, :until, :metadata_json)
           ON CONFLICT (name) DO UPDATE SET
             epoch = CASE WHEN leases.holder = excluded.holder THEN leases.epoch ELSE leases.epoch + 1 END,
             acquired_at = CASE WHEN leases.holder = excluded.holder THEN leases.acquired_at ELSE excluded.acquired_at END,
             holder = excluded.holder, heartbeat_at = excluded.heartbeat_at, expires_at = excluded.expires_at,
             metadata_json = excluded.metadata_json
           WHERE leases.holder = excluded.holder OR leases.expires_at <= :now
           RETURNING *""",
        name=name,
        holder=holder,
        now=now,
        until=until,
        metadata_json=metadata_json,
    )


def drop(tx: Transaction, name: str, /, *, holder: str) -> bool:
    """Give a lease up; False when it was not ours."""
    return tx.run("DELETE FROM leases WHERE name = :name AND holder = :holder", name=name, holder=holder) == 1
