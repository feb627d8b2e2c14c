"""Reads the original program's `automations.db`, and never writes to it.

Columns are found by name, so a file that lacks some, or has more, is read as far as it goes. A row that cannot be read is named
and does not stop the others. The file is opened immutable, which touches nothing beside it either; only where a journal lies
beside it does SQLite have to look at that too, and then it is opened read-only.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import apsw

from automations.adapters.absent import absence, unreadable
from automations.core.canonical import decode
from automations.core.original.definitions import ACTIONS, AUTOMATIONS, RUNS, TABLES, Found, Group, Item, Unreadable
from automations.errors import InvalidInput, StoreDamaged, StoreError, StoreIncompatible

USER_VERSION = 3
"""The schema version of the original's that is read."""

_MAGIC = b"SQLite format 3\0"
_JSON = "_json"
_WORD = re.compile(r"_([a-z0-9])")
_OTHER_NAMES = {"runId": "automationRunId"}


class OriginalStore:
    """An opened store of the original's; a context manager."""

    def __init__(self, connection: apsw.Connection, name: str) -> None:
        self._connection = connection
        self.name = name
        """The file's path as it was given."""

    @classmethod
    def open(cls, path: Path, *, ours: int) -> Self:
        """Open the file at `path`; `ours` is the application id of our own stores.

        Raises InvalidInput when there is no file that can be read, StoreIncompatible for one that the original did not
        write: not a database, one of our own or another program's, another schema version.
        """
        _require_database(path)
        name = str(path)
        with _told(name):
            connection = apsw.Connection(
                f"file:{quote(str(path.absolute()))}?{_mode(path)}",
                flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI,
            )
            store = cls(connection, name)
            try:
                connection.set_busy_timeout(5000)
                store._require_original(ours=ours)
            except BaseException:
                connection.close()
                raise
        return store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()

    def rows(self, table: str) -> Iterator[Item]:
        """The records of one of the original's tables, oldest first. Raises StoreError for a damaged file."""
        for _, item in self._read(table, "rowid"):
            yield item

    def groups(self) -> Iterator[Group]:
        """Every run with its actions, by run id; actions whose run is not there are groups too. Raises StoreError."""
        named = self._actions_by_run()
        pending = next(named, None)
        for run_id, run in self._read(RUNS, "CAST(id AS TEXT)"):
            while pending is not None and pending[0] < run_id:
                yield Group(pending[0], None, pending[1])
                pending = next(named, None)
            if pending is not None and pending[0] == run_id and isinstance(run, Found):
                yield Group(run_id, run, pending[1])
                pending = next(named, None)
            else:
                yield Group(run_id, run, ())
        while pending is not None:
            yield Group(pending[0], None, pending[1])
            pending = next(named, None)

    def _actions_by_run(self) -> Iterator[tuple[str, tuple[Item, ...]]]:
        column = "run_id" if "run_id" in self._columns(ACTIONS) else "automation_run_id"
        rows = self._read(ACTIONS, f"CAST({column} AS TEXT), rowid", key=column)
        for run_id, items in groupby(rows, key=lambda each: each[0]):
            yield run_id, tuple(item for _, item in items)

    def _columns(self, table: str) -> list[str]:
        return [row[0] for row in self._connection.execute("SELECT name FROM pragma_table_info(?)", (table,))]

    def _read(self, table: str, order: str, *, key: str = "id") -> Iterator[tuple[str, Item]]:
        """Rows with the text of their column `key`, in its order by bytes, which is also the order of Python's texts."""
        with _told(self.name):
            columns = self._columns(table)
            if not columns:
                return
            if key not in columns:
                raise StoreIncompatible(
                    f"the table {table} of {self.name} has no column {key}", hint="was this file altered by hand?"
                )
            # As bytes: apsw would refuse the whole row for a text that is not UTF-8.
            shown = ", ".join(
                f"CASE typeof({each}) WHEN 'text' THEN CAST({each} AS BLOB) ELSE {each} END"
                for each in map(_quoted, columns)
            )
            sql = f"SELECT rowid, {shown} FROM {table} ORDER BY {order}"  # noqa: S608  # its own names, quoted
            for rowid, *values in self._connection.execute(sql):
                row = dict(zip(columns, values, strict=True))
                yield _shown(row[key]), _item(table, rowid, row)

    def _require_original(self, *, ours: int) -> None:
        mark = self._connection.pragma("application_id")
        version = self._connection.pragma("user_version")
        there = {name for name in TABLES if self._columns(name)}
        if mark == ours:
            raise StoreIncompatible(
                f"{self.name} is a store of this program already", hint="give it as it is: --store sqlite:///PATH"
            )
        if mark or not {AUTOMATIONS, RUNS} & there:
            raise StoreIncompatible(
                f"{self.name} is the database of another program", hint="give the original's automations.db"
            )
        if version != USER_VERSION:
            raise StoreIncompatible(
                f"{self.name} has schema version {version}, and version {USER_VERSION} is what can be read",
                hint="open it once with the newest version of the original (automations status), then import again",
            )


def _require_database(path: Path) -> None:
    if not path.is_file():
        what = f"{path} is a directory" if path.is_dir() else f"{path} is no file" if path.exists() else absence(path)
        raise InvalidInput(what, hint="give the original's automations.db", code="file_unreadable")
    try:
        with path.open("rb") as file:
            head = file.read(len(_MAGIC))
    except OSError as problem:
        raise unreadable(path, problem) from problem
    if head != _MAGIC:
        raise StoreIncompatible(f"{path} is not a database", hint="give the original's automations.db")


def _mode(path: Path) -> str:
    beside = (path.with_name(path.name + suffix) for suffix in ("-wal", "-journal"))
    return "mode=ro" if any(each.is_file() and each.stat().st_size for each in beside) else "immutable=1"


@contextmanager
def _told(name: str) -> Iterator[None]:
    try:
        yield
    except apsw.Error as problem:
        raise StoreError(
            f"{name} cannot be read: {problem}",
            hint="stop the original, copy its automations.db with the files beside it, and import the copy",
        ) from problem


def _item(table: str, rowid: int, row: dict[str, Any]) -> Item:
    identity = _shown(row.get("id"))
    if not identity:
        return Unreadable(table, f"row {rowid}", "it has no id")
    fields = {}
    for column, value in row.items():
        try:
            name = _name(column)
            fields[name] = _value(column, value)
        except UnicodeDecodeError:
            return Unreadable(table, identity, f"its {column} is not UTF-8")
        except StoreDamaged:
            return Unreadable(table, identity, f"its {column} is not JSON")
    if "\0" in identity:
        return Unreadable(table, identity, "its id holds a NUL character")
    return Found(table, identity, fields)


def _value(column: str, value: Any) -> Any:
    text = value.decode() if isinstance(value, bytes) else value
    if column.endswith(_JSON) and text is not None:
        # Not the strict reader: a big integer in this file was a double when the original wrote it, and is read as one.
        return decode(text if isinstance(text, str) else str(text))
    return text


def _name(column: str) -> str:
    """The contract's name of a column: `dead_letter_json` is `deadLetter`."""
    name = _WORD.sub(lambda found: found[1].upper(), column.removesuffix(_JSON))
    return _OTHER_NAMES.get(name, name)


def _shown(value: Any) -> str:
    """A key as text, whatever was stored as one."""
    if value is None:
        return ""
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
