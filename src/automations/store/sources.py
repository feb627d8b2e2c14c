"""Sources: the directories that this store is reconciled with, and how the last reconciliation went."""

from automations.store.database import Row, Transaction


def every(tx: Transaction, /) -> list[Row]:
    """All sources by name."""
    return tx.all("SELECT * FROM sources ORDER BY name")


def roots(tx: Transaction, /) -> list[Row]:
    """`{name, root}` of all sources."""
    return tx.all("SELECT name, root FROM sources ORDER BY name")


def get(tx: Transaction, name: str, /) -> Row | None:
    """One source."""
    return tx.one("SELECT * FROM sources WHERE name = :name", name=name)


def put(tx: Transaction, row: Row, /) -> None:
    """Record how a source stands."""
    tx.run(
        """INSERT INTO sources (name, root, revision, last_applied_digest, last_applied_revision, last_attempted_digest,
             last_attempted_revision, conditions_json, policy_json, generation, observed_generation, synced_at, updated_at)
           VALUES (:name, :root, :revision, :last_applied_digest, :last_applied_revision, :last_attempted_digest,
             :last_attempted_revision, :conditions_json, :policy_json, :generation, :observed_generation, :synced_at, :now)
           ON CONFLICT (name) DO UPDATE SET root = excluded.root, revision = excluded.revision,
             last_applied_digest = excluded.last_applied_digest, last_applied_revision = excluded.last_applied_revision,
             last_attempted_digest = excluded.last_attempted_digest,
             last_attempted_revision = excluded.last_attempted_revision, conditions_json = excluded.conditions_json,
             policy_json = excluded.policy_json, generation = excluded.generation,
             observed_generation = excluded.observed_generation, synced_at = excluded.synced_at,
             updated_at = excluded.updated_at""",
        **row,
    )
