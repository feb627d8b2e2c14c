"""Leases: who may do a thing that only one may do. The epoch rises with every new holder and fences its writes."""

from automations.store.database import Row, Transaction

SOURCE = "source/"
"""Before the name of a source, for the lease of who leads it."""
_OF_DAEMONS = "(name = 'daemon' OR name LIKE 'daemon/%')"


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


def daemons(tx: Transaction, /) -> list[Row]:
    """The leases of daemons, live or not, the latest heartbeat first."""
    return tx.all(f"SELECT * FROM leases WHERE {_OF_DAEMONS} ORDER BY heartbeat_at DESC, name")


def of_sources(tx: Transaction, /) -> list[Row]:
    """Who leads which source, or did last."""
    return tx.all("SELECT * FROM leases WHERE substr(name, 1, 7) = :prefix ORDER BY name", prefix=SOURCE)


def prolong(tx: Transaction, holder: str, /, *, now: int, until: int) -> None:
    """Keep what a holder leads and did not lose."""
    tx.run(
        """UPDATE leases SET heartbeat_at = :now, expires_at = :until
           WHERE holder = :holder AND expires_at > :now AND substr(name, 1, 7) = :prefix""",
        holder=holder,
        now=now,
        until=until,
        prefix=SOURCE,
    )


def release(tx: Transaction, holder: str, /, *, now: int) -> None:
    """Let go of all that a holder leads; the rows stay, for they say what was bound."""
    tx.run(
        """UPDATE leases SET expires_at = :now
           WHERE holder = :holder AND expires_at > :now AND substr(name, 1, 7) = :prefix""",
        holder=holder,
        now=now,
        prefix=SOURCE,
    )


def expire(tx: Transaction, name: str, /, *, holder: str, now: int) -> None:
    """Let go of one lease; its row stays."""
    tx.run(
        "UPDATE leases SET expires_at = :now WHERE name = :name AND holder = :holder AND expires_at > :now",
        name=name,
        holder=holder,
        now=now,
    )


def note(tx: Transaction, name: str, /, *, metadata_json: str) -> None:
    """Keep something with a lease."""
    tx.run(
        "UPDATE leases SET metadata_json = :metadata_json WHERE name = :name", name=name, metadata_json=metadata_json
    )
