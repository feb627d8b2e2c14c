"""The seam between our SQL and the two databases: connect, begin, run, commit, classify errors.

One SQL text serves both: TEXT, BIGINT microseconds, JSON as TEXT, RETURNING, ON CONFLICT, CTEs, partial indexes and
`:name` parameters. What differs lives behind this seam: placeholder style, the lock clause (`FOR UPDATE SKIP LOCKED`
against `BEGIN IMMEDIATE`), waiting, error classes.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from automations.errors import StoreError

Row = dict[str, Any]


class ConstraintViolated(StoreError):
    """A row breaks a UNIQUE, NOT NULL, CHECK or foreign key constraint; the transaction can only be rolled back."""

    code = "constraint_violated"


class Transaction(Protocol):
    """One open transaction. Every statement's parameters are named; `now` is always one of them, never SQL's own."""

    for_update: str
    """Append to a SELECT to hold the rows until commit: empty on SQLite (the writer already holds everything)."""
    skip_locked: str
    """The same, passing over rows somebody else holds."""

    def all(self, sql: str, /, **parameters: Any) -> list[Row]:
        """Every row, as dicts by column name."""
        ...

    def one(self, sql: str, /, **parameters: Any) -> Row | None:
        """The first row, or None."""
        ...

    def run(self, sql: str, /, **parameters: Any) -> int:
        """Run a statement; the number of rows it changed."""
        ...

    def many(self, sql: str, rows: Iterable[Mapping[str, Any]], /) -> int:
        """Run one statement for each mapping of parameters; the number of rows that all together changed."""
        ...

    def script(self, sql: str, /) -> None:
        """Run several statements that take no parameters, inside this transaction."""
        ...

    def exclude(self, names: Iterable[str], /) -> None:
        """Hold these names until commit, in one order for everybody: who else wants one of them waits.

        A second call may only name what is held already, or another kind of thing that everybody holds after the first kind:
        two calls are two orders, and then two can wait for each other.
        """
        ...


class Database(Protocol):
    """Opens transactions. Thread-safe: any thread may begin one; each thread has at most one open."""

    dialect: str
    """`sqlite` or `postgresql`."""

    def read(self) -> AbstractContextManager[Transaction]:
        """A snapshot for reading. Raises StoreUnavailable."""
        ...

    def write(self) -> AbstractContextManager[Transaction]:
        """One transaction: committed durably when the block ends, rolled back if it raises.

        Raises StoreUnavailable when the lock, the disk or the server cannot be had; then nothing was written.
        """
        ...

    def script(self, sql: str, /) -> None:
        """Run a migration's statements in one transaction of its own."""
        ...

    def close(self) -> None:
        """Close every connection; the database may be left in any state that a reopen recovers."""
        ...
