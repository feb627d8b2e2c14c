"""Absences: what a source no longer declares, since when, and in how many trusted snapshots in a row."""

from collections.abc import Iterable

from automations.store.database import Row, Transaction


def of_source(tx: Transaction, source: str, /) -> list[Row]:
    """`{id, first_at, snapshots}` of everything that is missing from a source's files."""
    return tx.all("SELECT id, first_at, snapshots FROM absences WHERE source = :source ORDER BY id", source=source)


def put(tx: Transaction, source: str, rows: Iterable[Row], /) -> None:
    """Remember how often these were missing."""
    tx.many(
        """INSERT INTO absences (source, id, first_at, snapshots) VALUES (:source, :id, :first_at, :snapshots)
           ON CONFLICT (source, id) DO UPDATE SET first_at = excluded.first_at, snapshots = excluded.snapshots""",
        [{**row, "source": source} for row in rows],
    )


def forget(tx: Transaction, source: str, ids: Iterable[str], /) -> None:
    """These are there again, or gone for good."""
    tx.many(
        "DELETE FROM absences WHERE source = :source AND id = :id", [{"source": source, "id": each} for each in ids]
    )
