"""Who gets which SQLite connection when: one writer after the other in order of arrival, readers beside them.

SQLite has one writer at a time and wakes waiting ones unfairly, so the threads of a process queue here instead.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

import apsw

from automations.errors import StoreError, StoreUnavailable

_IDLE_READERS = 8


class Lane(Protocol):
    """Hands out connections."""

    def take(self) -> apsw.Connection:
        """Get a connection for this thread alone. Raises StoreUnavailable, and StoreError once closed."""
        ...

    def give(self, connection: apsw.Connection, *, sound: bool) -> None:
        """Hand it back; an unsound one is closed and replaced."""
        ...

    def close(self) -> None:
        """Close what is idle now, and the rest as it comes back. Never waits."""
        ...


class Turns:
    """A lock that is handed over in order of arrival; `threading.Lock` lets a busy thread take it again and again."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._taken = False

    def acquire(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds; whether the turn is ours."""
        with self._guard:
            if not self._taken:
                self._taken = True
                return True
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        if mine.acquire(timeout=timeout):
            return True
        with self._guard:
            if mine in self._waiting:
                self._waiting.remove(mine)
                return False
        return True  # handed over at the very moment that we gave up

    def release(self) -> None:
        """Hand the turn to the one who waited longest."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False


class SingleLane:
    """One connection for all, in turns of at most `patience` seconds of waiting."""

    def __init__(self, connect: Callable[[], apsw.Connection], *, patience: float) -> None:
        self._connect = connect
        self._patience = patience
        self._turns = Turns()
        self._connection: apsw.Connection | None = None
        self._closed = False

    def take(self) -> apsw.Connection:
        """See `Lane`."""
        if not self._turns.acquire(self._patience):
            raise StoreUnavailable(
                f"the store was busy with other writers for {self._patience:g} seconds", hint="try again"
            )
        try:
            return self._open()
        except BaseException:
            self._turns.release()
            raise

    def _open(self) -> apsw.Connection:
        if self._closed:
            raise closed()
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def give(self, connection: apsw.Connection, *, sound: bool) -> None:
        """See `Lane`."""
        if self._closed or not sound:
            self._connection = None
            connection.close(force=True)
        self._turns.release()

    def close(self) -> None:
        """See `Lane`."""
        self._closed = True
        if self._turns.acquire(0):
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            self._turns.release()


class PooledLane:
    """As many connections as there are takers at once; the last few are kept for the next."""

    def __init__(self, connect: Callable[[], apsw.Connection]) -> None:
        self._connect = connect
        self._guard = threading.Lock()
        self._idle: list[apsw.Connection] = []
        self._closed = False

    def take(self) -> apsw.Connection:
        """See `Lane`."""
        with self._guard:
            if self._closed:
                raise closed()
            if self._idle:
                return self._idle.pop()
        return self._connect()

    def give(self, connection: apsw.Connection, *, sound: bool) -> None:
        """See `Lane`."""
        with self._guard:
            if sound and not self._closed and len(self._idle) < _IDLE_READERS:
                self._idle.append(connection)
                return
        connection.close(force=True)

    def close(self) -> None:
        """See `Lane`."""
        with self._guard:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


def closed() -> StoreError:
    """Say what a closed store answers."""
    return StoreError("the store is closed")
