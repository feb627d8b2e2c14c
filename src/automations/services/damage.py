"""Stored JSON that cannot be read: which row it is in, for whoever ran into it, and all of it, for the doctor.

A row that somebody edited, or that a disk lost a part of, spoils what reads it. The cause is found by looking for the text,
so that reading what is sound costs nothing for it.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from automations.core.canonical import decode
from automations.errors import StoreDamaged, StoreError
from automations.store import documents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from automations.store.database import Database, Transaction

MOST_PLACES = 3
"""Rows that are named to whoever ran into one of them."""


def located(database: Database, damage: StoreDamaged) -> StoreDamaged:
    """The same error, that names the table and the row too where they are found; each of them, where several hold this text."""
    try:
        with database.read() as tx:
            places = [
                f"{where.table}, row {where.name(row)}, {column}"
                for where in documents.every(tx, database.dialect)
                for column in where.columns
                if (row := documents.holding(tx, where, column, text=damage.text)) is not None
            ]
    except StoreError:  # then it is told without its place
        return damage
    return StoreDamaged(damage.text, place=" or ".join(places[:MOST_PLACES]))


def unreadable(tx: Transaction, dialect: str, *, most: int) -> list[tuple[str, str]]:
    """`(place, column)` of stored JSON that cannot be read."""
    return list(islice(_unreadable(tx, dialect), most))


def _unreadable(tx: Transaction, dialect: str) -> Iterator[tuple[str, str]]:
    for where in documents.every(tx, dialect):
        for row in documents.rows(tx, where):
            for column in where.columns:
                if row[column] is not None and not _reads(row[column]):
                    yield f"{where.table}, row {where.name(row)}", column


def _reads(text: str) -> bool:
    try:
        decode(text)
    except StoreDamaged:
        return False
    return True
