"""API tokens: a hash each, never the token itself."""

from automations.store.database import Row, Transaction


def insert(tx: Transaction, row: Row, /) -> bool:
    """A new token; False when a live one has its name."""
    changed = tx.run(
        """INSERT INTO tokens (id, name, role, actions_json, hash, created_by, created_at, expires_at)
           SELECT :id, :name, :role, :actions_json, :hash, :created_by, :now, :expires_at
           WHERE NOT EXISTS (SELECT 1 FROM tokens WHERE name = :name AND revoked_at IS NULL)""",
        **row,
    )
    return changed == 1


def get(tx: Transaction, token_id: str, /) -> Row | None:
    """One token by its id."""
    return tx.one("SELECT * FROM tokens WHERE id = :id", id=token_id)


def every(tx: Transaction, /) -> list[Row]:
    """All tokens, revoked ones too, oldest first."""
    return tx.all("SELECT * FROM tokens ORDER BY created_at, id")


def revoke(tx: Transaction, token_id: str, /, *, now: int) -> bool:
    """End a live token; False when it is not live."""
    return (
        tx.run(
            "UPDATE tokens SET revoked_at = :now WHERE id = :id AND revoked_at IS NULL",
            id=token_id,
            now=now,
        )
        == 1
    )


def live(tx: Transaction, /, *, now: int) -> int:
    """How many tokens open a door now."""
    row = tx.one(
        """SELECT count(*) AS n FROM tokens WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > :now)""",
        now=now,
    )
    return int(row["n"]) if row else 0
