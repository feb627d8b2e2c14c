"""What can go wrong around a store, and the wrapper that makes it go wrong: refused begins, failing statements, commits that
are rolled back, commits whose reply is lost, and processes that die at any of these places.

The wrapper fits `store.database.Database`. Between the transactions of one process others get their turn (`between`), which is
how services are interleaved; inside a transaction nobody does, as on the embedded store.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any, Protocol

from automations.errors import StoreUnavailable
from automations.store.database import Database, Row, Transaction


class Killed(BaseException):
    """The process whose code this unwinds is gone; nothing of it may run on (hence no `Exception`)."""


class Fault(StrEnum):
    """Where a transaction is struck."""

    REFUSED = "refused"
    STATEMENT = "statement_failed"
    ABORTED = "commit_aborted"
    UNKNOWN = "commit_unknown"
    KILLED_BEFORE = "killed_before_commit"
    KILLED_AFTER = "killed_after_commit"


READING = (Fault.REFUSED,)
WRITING = tuple(Fault)


@dataclass(frozen=True, slots=True)
class Weather:
    """How often what happens, as shares of transactions (`fault`, `between`) in [0, 1]; `depth` bounds the nesting.

    `churn` is how many times as often as usual somebody is at the definitions.
    """

    fault: float = 0.02
    between: float = 0.25
    depth: int = 2
    churn: float = 1.0


CALM = Weather(0.0, 0.0, 0)
STORM = Weather(fault=0.03, between=0.5)
CHURN = Weather(fault=0.03, between=0.5, churn=6)
WEATHERS = {"usual": Weather(), "storm": STORM, "churn": CHURN}


@dataclass(slots=True)
class Process:
    """One life of a program: its name is the runner's name, and is never used again after it died."""

    name: str
    alive: bool = True


class Surroundings(Protocol):
    """What the wrapper asks of the world."""

    def between(self, process: Process) -> None:
        """Give others a turn before this process begins a transaction."""

    def fault(self, among: tuple[Fault, ...]) -> Fault | None:
        """Which fault strikes the transaction that begins now."""

    def which(self, end: int) -> int:
        """A number in [0, end)."""

    def kill(self, process: Process) -> None:
        """The process is dead from now on."""

    def began(self) -> None:
        """A transaction for writing began."""

    def committed(self) -> None:
        """It was committed."""


class FaultyDatabase:
    """The store as one process sees it. See `database.Database`."""

    def __init__(self, inner: Database, process: Process, *, world: Surroundings) -> None:
        self._inner = inner
        self._process = process
        self._world = world
        self.dialect = inner.dialect

    def read(self) -> AbstractContextManager[Transaction]:
        """See `database.Database`."""
        return _Bracket(self._inner, self._process, world=self._world, writes=False)

    def write(self) -> AbstractContextManager[Transaction]:
        """See `database.Database`."""
        return _Bracket(self._inner, self._process, world=self._world, writes=True)

    def script(self, sql: str, /) -> None:
        """See `database.Database`."""
        with self.write() as transaction:
            transaction.script(sql)

    def close(self) -> None:
        """The store belongs to the world, not to one process."""


class _Bracket(AbstractContextManager[Transaction]):
    def __init__(self, inner: Database, process: Process, *, world: Surroundings, writes: bool) -> None:
        self._inner = inner
        self._process = process
        self._world = world
        self._writes = writes

    def __enter__(self) -> Transaction:
        self._still_alive()
        self._world.between(self._process)
        self._still_alive()
        self._fault = self._world.fault(WRITING if self._writes else READING)
        if self._fault is Fault.REFUSED:
            raise StoreUnavailable("the store could not be had")
        self._bracket = self._inner.write() if self._writes else self._inner.read()
        transaction = self._bracket.__enter__()
        if self._writes:
            self._world.began()
        if self._fault is Fault.STATEMENT:
            return _Failing(transaction, after=self._world.which(6))
        return transaction

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        if kind is not None:
            self._bracket.__exit__(kind, error, trace)
            return
        if self._fault in (Fault.ABORTED, Fault.STATEMENT):
            self._undo(StoreUnavailable("the disk is full"))
        if self._fault is Fault.KILLED_BEFORE:
            self._world.kill(self._process)
            self._undo(Killed(self._process.name))
        self._bracket.__exit__(None, None, None)
        if self._writes:
            self._world.committed()
        if self._fault is Fault.UNKNOWN:
            raise StoreUnavailable("the connection broke while it committed")
        if self._fault is Fault.KILLED_AFTER:
            self._world.kill(self._process)
            raise Killed(self._process.name)

    def _undo(self, error: BaseException) -> None:
        self._bracket.__exit__(type(error), error, None)
        raise error

    def _still_alive(self) -> None:
        if not self._process.alive:
            raise Killed(self._process.name)


class _Failing:
    """A transaction one of whose statements fails. See `database.Transaction`."""

    def __init__(self, inner: Transaction, *, after: int) -> None:
        self._inner = inner
        self._left = after
        self.for_update = inner.for_update
        self.skip_locked = inner.skip_locked

    def all(self, sql: str, /, **parameters: Any) -> list[Row]:
        """See `database.Transaction`."""
        self._count()
        return self._inner.all(sql, **parameters)

    def one(self, sql: str, /, **parameters: Any) -> Row | None:
        """See `database.Transaction`."""
        self._count()
        return self._inner.one(sql, **parameters)

    def run(self, sql: str, /, **parameters: Any) -> int:
        """See `database.Transaction`."""
        self._count()
        return self._inner.run(sql, **parameters)

    def many(self, sql: str, rows: Iterable[Mapping[str, Any]], /) -> int:
        """See `database.Transaction`."""
        self._count()
        return self._inner.many(sql, rows)

    def script(self, sql: str, /) -> None:
        """See `database.Transaction`."""
        self._count()
        self._inner.script(sql)

    def exclude(self, names: Iterable[str], /) -> None:
        """See `database.Transaction`."""
        self._inner.exclude(names)

    def _count(self) -> None:
        if self._left == 0:
            raise StoreUnavailable("the disk is full")
        self._left -= 1
