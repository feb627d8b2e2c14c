"""The store on a PostgreSQL server: psycopg with a pool, READ COMMITTED for writing, one snapshot for reading.

Parameters are bound on the client (psycopg's ClientCursor), so that a statement may use them where the server could not
tell their type, as SQLite allows. Server messages reach people without their DETAIL lines, which quote rows.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import errors
from psycopg.adapt import Buffer, Loader
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool, PoolClosed

from automations.errors import AutomationsError, InvalidInput, StoreError, StoreIncompatible, StoreUnavailable
from automations.store.database import ConstraintViolated, Row, Transaction
from automations.store.placeholders import to_pyformat
from automations.store.transaction import FAILED, OVER, OnePerThread, Statements, unstorable

Connection = psycopg.Connection[DictRow]

STATEMENT_TIMEOUT_MS = 30_000
LOCK_TIMEOUT_MS = 10_000
IDLE_TIMEOUT_MS = 60_000
CONNECTIONS = 16
_BATCH_CHARACTERS = 256 * 1024
_TROUBLE = (psycopg.Error, UnicodeEncodeError)

# The pool logs every failed attempt; without this, a program that configured no logging prints them on its stderr.
logging.getLogger("psycopg").addHandler(logging.NullHandler())


class PostgresTransaction(Statements):
    """See `database.Transaction`."""

    __slots__ = ("_cursor", "_where")

    for_update: str = " FOR UPDATE"
    skip_locked: str = " FOR UPDATE SKIP LOCKED"

    def __init__(self, cursor: psycopg.Cursor[DictRow], where: str) -> None:
        super().__init__()
        self._cursor = cursor
        self._where = where

    def all(self, sql: str, /, **parameters: Any) -> list[Row]:
        """See `database.Transaction`."""
        self._execute(sql, parameters)
        return self._cursor.fetchall() if self._cursor.description else []

    def one(self, sql: str, /, **parameters: Any) -> Row | None:
        """See `database.Transaction`."""
        self._execute(sql, parameters)
        return self._cursor.fetchone() if self._cursor.description else None

    def run(self, sql: str, /, **parameters: Any) -> int:
        """See `database.Transaction`."""
        self._execute(sql, parameters)
        return self._cursor.rowcount

    def many(self, sql: str, rows: Iterable[Mapping[str, Any]], /) -> int:
        """See `database.Transaction`. Statements travel together: a round trip each would cost more than the work."""
        query = to_pyformat(sql)
        composer = psycopg.ClientCursor(self._cursor.connection)
        batch: list[str] = []
        size = changed = 0
        try:
            for row in self.check_each(rows):
                batch.append(composer.mogrify(query.encode(), row))
                size += len(batch[-1])
                if size > _BATCH_CHARACTERS:
                    changed += self._together(batch)
                    batch, size = [], 0
            return changed + self._together(batch)
        except AutomationsError:
            self.refusal = self.refusal or FAILED
            raise
        except _TROUBLE as error:
            raise self._failed(error) from error

    def _together(self, statements: list[str]) -> int:
        """Send statements at once; the number of rows that all of them changed."""
        if not statements:
            return 0
        self._cursor.execute("\n;\n".join(statements).encode())
        changed = max(0, self._cursor.rowcount)
        while self._cursor.nextset():
            changed += max(0, self._cursor.rowcount)
        return changed

    def script(self, sql: str, /) -> None:
        """See `database.Transaction`."""
        self.check({})
        try:
            self._cursor.execute(sql.encode())
        except _TROUBLE as error:
            raise self._failed(error) from error

    def exclude(self, names: Iterable[str], /) -> None:
        """See `database.Transaction`. Advisory locks, taken in the order of their numbers."""
        wanted = sorted(set(names))
        if wanted:
            self.all(
                """SELECT pg_advisory_xact_lock(number) FROM (
                     SELECT DISTINCT hashtextextended(name, 0) AS number
                     FROM unnest(CAST(:names AS TEXT[])) AS name ORDER BY 1) AS ordered""",
                names=wanted,
            )

    def _execute(self, sql: str, parameters: dict[str, Any]) -> None:
        self.check(parameters)
        try:
            self._cursor.execute(to_pyformat(sql).encode(), parameters)
        except _TROUBLE as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> AutomationsError:
        self.refusal = FAILED
        return _classified(error, self._where)


class PostgresDatabase:
    """See `database.Database`."""

    dialect: str = "postgresql"

    def __init__(self, pool: ConnectionPool[Connection], where: str) -> None:
        self._pool = pool
        self._where = where
        self._threads = OnePerThread()

    @classmethod
    def open(cls, url: str, *, patience_ms: int = 10_000) -> "PostgresDatabase":
        """Connect to the server that `url` names (`postgresql://user@host/name`, libpq's parameters in the query).

        `options=-csearch_path%3Dname` chooses a schema. `patience_ms` is how long, in milliseconds, to wait for the
        server and for a free connection. Raises InvalidInput for a URL that libpq does not take, StoreUnavailable when
        the server cannot be reached or refuses, StoreIncompatible when its database is not in UTF-8.
        """
        parameters = _parameters(url, patience_ms)
        where = f"{parameters.get('dbname', '')} on {parameters.get('host', 'the local server')}"
        try:
            # Tried once by hand: the pool would only say, after all its patience, that it has no connection.
            with psycopg.connect(**parameters) as connection:
                encoding = connection.info.parameter_status("server_encoding")
        except psycopg.Error as error:
            raise _classified(error, where) from error
        if encoding != "UTF8":
            raise StoreIncompatible(
                f"the database {where} is in {encoding}, which cannot keep every text",
                hint="create it with ENCODING 'UTF8'",
            )
        pool = ConnectionPool(
            kwargs={**parameters, "cursor_factory": psycopg.ClientCursor, "row_factory": dict_row},
            connection_class=psycopg.Connection[DictRow],
            configure=_configure,
            min_size=1,
            max_size=CONNECTIONS,
            timeout=patience_ms / 1000,
            # The pool tries again after ever longer pauses; once it gave up, the next transaction makes it begin anew. So
            # it gives up with the transaction that waits, or the store would stay away as long again as the server did.
            reconnect_timeout=patience_ms / 1000,
            open=True,
        )
        return cls(pool, where)

    def read(self) -> AbstractContextManager[Transaction]:
        """See `database.Database`."""
        return self._transaction(writes=False)

    def write(self) -> AbstractContextManager[Transaction]:
        """See `database.Database`. A connection lost during the commit leaves it unknown whether it was kept."""
        return self._transaction(writes=True)

    def script(self, sql: str, /) -> None:
        """See `database.Database`."""
        with self.write() as transaction:
            transaction.script(sql)

    def close(self) -> None:
        """See `database.Database`. Connections in use are closed when their transactions end."""
        self._pool.close()

    @contextmanager
    def _transaction(self, *, writes: bool) -> Iterator[Transaction]:
        self._threads.enter()
        try:
            connection = self._borrow()
            try:
                yield from self._bracket(connection, writes=writes)
            finally:
                lost = connection.closed
                self._pool.putconn(connection)
                if lost:  # the others idle in the pool are likely to be as dead: find out before somebody gets one
                    self._pool.check()
        finally:
            self._threads.leave()

    def _bracket(self, connection: Connection, *, writes: bool) -> Iterator[Transaction]:
        transaction = None
        try:
            level = psycopg.IsolationLevel.READ_COMMITTED if writes else psycopg.IsolationLevel.REPEATABLE_READ
            connection.isolation_level = level
            connection.read_only = not writes
            transaction = PostgresTransaction(connection.cursor(), self._where)
            yield transaction
            if transaction.refusal:
                raise StoreError(transaction.refusal)
            connection.commit()
        except psycopg.Error as error:
            raise _classified(error, self._where) from error
        finally:
            if transaction is not None:
                transaction.refusal = OVER
            _undo(connection)

    def _borrow(self) -> Connection:
        try:
            return self._pool.getconn()
        except PoolClosed as error:
            raise StoreError("the store is closed") from error
        except psycopg.Error as error:
            raise _classified(error, self._where) from error


def _undo(connection: Connection) -> None:
    """Roll back what was not committed; a connection that cannot is closed, and the server does it."""
    try:
        connection.rollback()
    except psycopg.Error:
        connection.close()


class _Number(Loader):
    """Reads NUMERIC, which sums of BIGINT are, as SQLite gives it: an int, or a float where there is a fraction."""

    def load(self, data: Buffer) -> int | float:
        text = bytes(data).decode()
        return int(text) if text.lstrip("-").isdigit() else float(text)


def _configure(connection: Connection) -> None:
    connection.adapters.register_loader("numeric", _Number)


def _parameters(url: str, patience_ms: int) -> dict[str, Any]:
    """Read the URL as libpq does. Its messages about a bad one quote pieces, the password among them: not repeated."""
    refused = InvalidInput(
        "the store URL is not one that PostgreSQL's clients take",
        hint="write postgresql://USER@HOST:PORT/DATABASE, with %40 for @ and %2F for / in names and the password",
    )
    try:
        network = urlsplit(url).netloc
        if url.count("@") != network.count("@") or network.count("@") > 1:
            raise refused
        given = conninfo_to_dict(url)
    except (ValueError, psycopg.Error):
        raise refused from None
    timeouts = (
        f"-cstatement_timeout={STATEMENT_TIMEOUT_MS} -clock_timeout={LOCK_TIMEOUT_MS}"
        f" -cidle_in_transaction_session_timeout={IDLE_TIMEOUT_MS}"
    )
    return {
        "application_name": "automations",
        "connect_timeout": max(2, patience_ms // 1000),
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        **given,
        # Last wins: the URL may change the timeouts, but a commit that is acknowledged was synced.
        "options": f"{timeouts} {given.get('options', '')} -csynchronous_commit=on",
        "client_encoding": "utf8",
    }


def _classified(error: Exception, where: str) -> AutomationsError:
    """Tell what an exception of psycopg means in our terms; `where` names the database and its host."""
    if isinstance(error, errors.NumericValueOutOfRange | UnicodeEncodeError):
        return unstorable(error)
    message = _message(error)
    if isinstance(error, psycopg.IntegrityError):
        return ConstraintViolated(f"the store {where} refused a row: {message}")
    # Class 54 is "program limit exceeded": an index row too long stays too long.
    passing = isinstance(
        error, psycopg.OperationalError | psycopg.InterfaceError | errors.IdleInTransactionSessionTimeout
    ) and not str(getattr(error, "sqlstate", None) or "").startswith("54")
    if passing:
        return StoreUnavailable(
            f"the store {where} is not available: {message}", hint="check that the server is up, and try again"
        )
    return StoreError(f"the store {where} could not run a statement: {message}")


def _message(error: Exception) -> str:
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return primary or " ".join(str(error).split())
