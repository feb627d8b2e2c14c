"""The audit log's rows: append-only; `core.audit` makes and checks the chain."""

from automations.store.database import Row, Transaction


def last(tx: Transaction, /) -> Row | None:
    """The newest entry; the state row is held by every writer, so no two append at once."""
    return tx.one("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")


def append(tx: Transaction, row: Row, /) -> None:
    """Add the next entry."""
    tx.run(
        """INSERT INTO audit (seq, at, actor, action, subject, detail_json, previous, hash)
           VALUES (:seq, :at, :actor, :action, :subject, :detail_json, :previous, :hash)""",
        **row,
    )


def every(tx: Transaction, /) -> list[Row]:
    """All entries in order."""
    return tx.all("SELECT * FROM audit ORDER BY seq")


def page(tx: Transaction, /, *, before: int | None, limit: int) -> list[Row]:
    """Entries, newest first, below the sequence number `before`."""
    below = "" if before is None else "WHERE seq < :before"
    return tx.all(f"SELECT * FROM audit {below} ORDER BY seq DESC LIMIT :limit", before=before, limit=limit)
