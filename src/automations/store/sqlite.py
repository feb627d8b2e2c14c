"""The embedded store: SQLite through apsw, one writer at a time, readers on snapshots of their own.

A commit returns after the WAL is synced (synchronous=FULL). The writer checkpoints the WAL every 1000 pages without
waiting for readers, and the last connection to close does so whole; a reader that stays open keeps it from being reset.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

import apsw

from automations.errors import AutomationsError, StoreError, StoreIncompatible, StoreUnavailable
from automations.store import sqlite_file
from automations.store.database import Row, Transaction
from automations.store.sqlite_file import classified
from automations.store.sqlite_lanes import Lane, PooledLane, SingleLane
from automations.store.transaction import FAILED, OVER, OnePerThread, Statements

_TROUBLE = (apsw.Error, OverflowError, UnicodeEncodeError, KeyError, TypeError)


class _Store:
    """What all transactions of one store share. `names` remembers the columns of a statement by its text."""

    __slots__ = ("file", "names", "threads", "where")

    def __init__(self, where: str, file: sqlite_file.Standing | None) -> None:
        self.where = where
        self.file = file
        self.threads = OnePerThread()
        self.names: dict[str, tuple[str, ...]] = {}

    def check_file(self) -> None:
        """Raises StoreUnavailable when the file no longer lies where it was opened: what it takes in would be lost."""
        if self.file is not None and not self.file.stands():
            raise StoreUnavailable(
                f"the store {self.where} was removed or replaced while this program had it open",
                hint="put the file back, or stop this program and start it again",
            )


class SqliteTransaction(Statements):
    """See `database.Transaction`."""

    __slots__ = ("_connection", "_store")

    for_update: str = ""
    skip_locked: str = ""

    def __init__(self, connection: apsw.Connection, store: _Store) -> None:
        super().__init__()
        self._connection = connection
        self._store = store

    def all(self, sql: str, /, **parameters: Any) -> list[Row]:
        """See `database.Transaction`."""
        self.check(parameters)
        try:
            cursor = self._connection.execute(sql, parameters)
            names = self._store.names.get(sql)
            if names is None:
                names = self._learn(sql, cursor)
            rows = cursor.fetchall()
        except _TROUBLE as error:
            raise self._failed(error) from error
        if rows and len(rows[0]) != len(names):
            raise self._outdated()
        return [dict(zip(names, row)) for row in rows]  # noqa: B905 -- all as long as the first; asking costs a third more

    def one(self, sql: str, /, **parameters: Any) -> Row | None:
        """See `database.Transaction`."""
        rows = self.all(sql, **parameters)
        return rows[0] if rows else None

    def run(self, sql: str, /, **parameters: Any) -> int:
        """See `database.Transaction`."""
        self.check(parameters)
        try:
            self._connection.execute(sql, parameters).fetchall()
            return self._connection.changes()
        except _TROUBLE as error:
            raise self._failed(error) from error

    def many(self, sql: str, rows: Iterable[Mapping[str, Any]], /) -> int:
        """See `database.Transaction`."""
        before = self._connection.total_changes()
        try:
            self._connection.executemany(sql, self.check_each(rows)).fetchall()
            return self._connection.total_changes() - before
        except AutomationsError:
            self.refusal = self.refusal or FAILED
            raise
        except _TROUBLE as error:
            raise self._failed(error) from error

    def script(self, sql: str, /) -> None:
        """See `database.Transaction`."""
        self.check({})
        self._store.names.clear()
        try:
            self._connection.execute(sql).fetchall()
        except _TROUBLE as error:
            raise self._failed(error) from error

    def exclude(self, names: Iterable[str], /) -> None:
        """See `database.Transaction`. The writer is alone."""

    def _learn(self, sql: str, cursor: apsw.Cursor) -> tuple[str, ...]:
        try:
            names = tuple(column[0] for column in cursor.get_description())
        except apsw.ExecutionCompleteError:  # no row came, so there is nothing to name
            return ()
        self._store.names[sql] = names
        return names

    def _outdated(self) -> StoreIncompatible:
        """Make the error for a `*` that no longer stands for the columns whose names were learnt."""
        self.refusal = FAILED
        self._store.names.clear()
        return StoreIncompatible(
            f"the tables of the store {self._store.where} changed while this program had it open",
            hint="start the program again, upgraded if another one migrated the store",
        )

    def _failed(self, error: Exception) -> AutomationsError:
        self.refusal = FAILED
        return classified(error, self._store.where)


class SqliteDatabase:
    """See `database.Database`."""

    dialect: str = "sqlite"

    def __init__(self, reading: Lane, writing: Lane, *, where: str, file: sqlite_file.Standing | None = None) -> None:
        self._reading = reading
        self._writing = writing
        self._store = _Store(where, file)

    @classmethod
    def open(cls, path: str, *, busy_timeout_ms: int = 10_000) -> "SqliteDatabase":
        """Open the store at `path`, creating it (file 0600, missing directories 0700) where nothing lies.

        `busy_timeout_ms` is how long, in milliseconds, a transaction waits for other writers, first of this process and
        then of others. Raises StoreIncompatible for a foreign file (left untouched) or an SQLite older than 3.51.3,
        StoreUnavailable when the file cannot be had.
        """
        file = Path(path).absolute()
        patience = busy_timeout_ms / 1000
        # What is wrong with the file shows now, not at the first transaction.
        blank = sqlite_file.claim(file)
        standing = sqlite_file.Standing(file)
        first = sqlite_file.connect(file, blank=blank, patience=patience)
        readers = PooledLane(lambda: _for_reading(sqlite_file.connect(file, patience=patience)))
        readers.give(_for_reading(first), sound=True)
        writer = SingleLane(lambda: sqlite_file.connect(file, patience=patience), patience=patience)
        return cls(readers, writer, where=str(file), file=standing)

    @classmethod
    def memory(cls) -> "SqliteDatabase":
        """Open a fresh store in memory on one shared connection: transactions of any kind take turns."""
        lane = SingleLane(sqlite_file.connect_memory, patience=10)
        return cls(lane, lane, where="in memory")

    def read(self) -> AbstractContextManager[Transaction]:
        """See `database.Database`."""
        return _Bracket(self._store, self._reading, writes=False)

    def write(self) -> AbstractContextManager[Transaction]:
        """See `database.Database`."""
        return _Bracket(self._store, self._writing, writes=True)

    def script(self, sql: str, /) -> None:
        """See `database.Database`."""
        with self.write() as transaction:
            transaction.script(sql)

    def close(self) -> None:
        """Close every connection, those in use when their transactions end. The last one checkpoints the WAL."""
        self._reading.close()
        self._writing.close()


class _Bracket(AbstractContextManager[Transaction]):
    """BEGIN at the block's start; COMMIT or ROLLBACK at its end. A class, because a generator costs twice the time."""

    __slots__ = ("_changes", "_connection", "_lane", "_store", "_transaction", "_writes")

    def __init__(self, store: _Store, lane: Lane, *, writes: bool) -> None:
        self._store = store
        self._lane = lane
        self._writes = writes

    def __enter__(self) -> Transaction:
        self._store.threads.enter()
        try:
            self._store.check_file()
            self._connection = self._lane.take()
            try:
                self._connection.execute("BEGIN IMMEDIATE" if self._writes else "BEGIN")
            except apsw.Error as error:
                self._lane.give(self._connection, sound=not self._connection.in_transaction)
                raise classified(error, self._store.where) from error
        except BaseException:
            self._store.threads.leave()
            raise
        self._changes = self._connection.total_changes()
        self._transaction = SqliteTransaction(self._connection, self._store)
        return self._transaction

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        try:
            if kind is None:
                self._commit()
        finally:
            self._transaction.refusal = OVER
            self._lane.give(self._connection, sound=self._rolled_back())
            self._store.threads.leave()

    def _commit(self) -> None:
        if self._transaction.refusal:
            raise StoreError(self._transaction.refusal)
        if not self._writes and self._connection.total_changes() != self._changes:
            raise StoreError("a transaction for reading changed rows, so it was rolled back")
        if self._writes:
            self._store.check_file()
        try:
            self._connection.execute("COMMIT")
        except apsw.Error as error:
            raise classified(error, self._store.where) from error

    def _rolled_back(self) -> bool:
        """Undo what was not committed; whether the connection is fit for another transaction."""
        if not self._connection.in_transaction:
            return True
        try:
            self._connection.execute("ROLLBACK")
        except apsw.Error:
            return False
        return True


def _for_reading(connection: apsw.Connection) -> apsw.Connection:
    connection.pragma("query_only", "ON")
    return connection
