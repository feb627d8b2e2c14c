"""The columns that hold JSON, of every table: for finding what cannot be read. They are those whose names end in `_json`."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from automations.store.database import Row, Transaction

AT_ONCE = 1_000
"""Rows that are read at once."""

_SQLITE = """SELECT m.name AS name, c.name AS col, c.pk AS place FROM sqlite_master m JOIN pragma_table_info(m.name) c
    WHERE m.type = 'table' AND (c.pk > 0 OR c.name LIKE '%\\_json' ESCAPE '\\') ORDER BY m.name, c.pk, c.cid"""
_POSTGRES = """SELECT c.table_name AS name, c.column_name AS col, coalesce(k.ordinal_position, 0) AS place
    FROM information_schema.columns c
    LEFT JOIN information_schema.table_constraints p ON p.table_schema = c.table_schema AND p.table_name = c.table_name
      AND p.constraint_type = 'PRIMARY KEY'
    LEFT JOIN information_schema.key_column_usage k ON k.constraint_schema = p.constraint_schema
      AND k.constraint_name = p.constraint_name AND k.table_name = c.table_name AND k.column_name = c.column_name
    WHERE c.table_schema = current_schema() AND (k.column_name IS NOT NULL OR right(c.column_name, 5) = '_json')
    ORDER BY c.table_name, k.ordinal_position, c.ordinal_position"""


class Documents(NamedTuple):
    """A table, the columns of its primary key, and those that hold JSON."""

    table: str
    key: tuple[str, ...]
    columns: tuple[str, ...]

    def name(self, row: Row) -> str:
        """What to call a row: its key."""
        return " ".join(str(row[each]) for each in self.key)


def every(tx: Transaction, dialect: str, /) -> list[Documents]:
    """Every table that holds JSON."""
    keys: dict[str, list[str]] = {}
    columns: dict[str, list[str]] = {}
    for row in tx.all(_SQLITE if dialect == "sqlite" else _POSTGRES):
        (keys if row["place"] else columns).setdefault(row["name"], []).append(row["col"])
    return [Documents(name, tuple(keys[name]), tuple(found)) for name, found in columns.items() if name in keys]


def rows(tx: Transaction, where: Documents, /) -> Iterator[Row]:
    """The key and the JSON of every row, some at a time."""
    key = ", ".join(where.key)
    marks = ", ".join(f":k{place}" for place, _ in enumerate(where.key))
    after: dict[str, Any] = {}
    while True:
        beyond = f"WHERE ({key}) > ({marks})" if after else ""
        found = tx.all(
            f"SELECT {key}, {', '.join(where.columns)} FROM {where.table} {beyond} ORDER BY {key} LIMIT {AT_ONCE}",
            **after,
        )
        yield from found
        if len(found) < AT_ONCE:
            return
        after = {f"k{place}": found[-1][each] for place, each in enumerate(where.key)}


def holding(tx: Transaction, where: Documents, column: str, /, *, text: str) -> Row | None:
    """The key of the first row of which a column holds just this text."""
    return tx.one(f"SELECT {', '.join(where.key)} FROM {where.table} WHERE {column} = :text LIMIT 1", text=text)
