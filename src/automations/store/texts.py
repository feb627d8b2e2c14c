"""The texts of files that generations came from: for lines of the old side, and for going back with every comment."""

from collections.abc import Iterable

from automations.store.database import Row, Transaction


def put(tx: Transaction, rows: Iterable[Row], /) -> None:
    """Keep texts: `{uid, generation, text}`."""
    tx.many(
        """INSERT INTO generation_texts (uid, generation, text) VALUES (:uid, :generation, :text)
           ON CONFLICT (uid, generation) DO UPDATE SET text = excluded.text""",
        rows,
    )


def get(tx: Transaction, uid: str, generation: int, /) -> str | None:
    """The text of one generation, if it was kept."""
    row = tx.one(
        "SELECT text FROM generation_texts WHERE uid = :uid AND generation = :generation",
        uid=uid,
        generation=generation,
    )
    return row["text"] if row else None
