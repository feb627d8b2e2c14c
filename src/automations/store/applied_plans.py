"""Plan files that were applied, so that each is good for one use."""

from automations.store.database import Row, Transaction


def get(tx: Transaction, digest: str, /) -> Row | None:
    """When and by whom a plan was applied, if it was."""
    return tx.one("SELECT * FROM applied_plans WHERE digest = :digest", digest=digest)


def insert(tx: Transaction, row: Row, /) -> bool:
    """Record a use; False when there was one before."""
    changed = tx.run(
        """INSERT INTO applied_plans (digest, applied_by, applied_at, serial) VALUES (:digest, :applied_by, :now, :serial)
           ON CONFLICT (digest) DO NOTHING""",
        **row,
    )
    return changed == 1
