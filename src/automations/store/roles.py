"""Roles: who may decide as what."""

from automations.store.database import Row, Transaction


def of_actor(tx: Transaction, actor: str, /) -> frozenset[str]:
    """The roles of one actor."""
    return frozenset(row["role"] for row in tx.all("SELECT role FROM roles WHERE actor = :actor", actor=actor))


def every(tx: Transaction, /) -> list[Row]:
    """All grants, by actor and role."""
    return tx.all("SELECT * FROM roles ORDER BY actor, role")


def grant(tx: Transaction, row: Row, /) -> bool:
    """Give an actor a role; False when it had that already."""
    changed = tx.run(
        """INSERT INTO roles (actor, role, granted_by, granted_at) VALUES (:actor, :role, :granted_by, :now)
           ON CONFLICT (actor, role) DO NOTHING""",
        **row,
    )
    return changed == 1


def revoke(tx: Transaction, actor: str, role: str, /) -> bool:
    """Take a role away; False when the actor did not have it."""
    return tx.run("DELETE FROM roles WHERE actor = :actor AND role = :role", actor=actor, role=role) == 1
