"""The lock on definitions for the length of a command: waited for as long as the person said, given up at the end."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from automations.errors import AutomationsError, LockNotHeld

if TYPE_CHECKING:
    from automations.cli.context import Context
    from automations.services.plan.lock import Lock

_PAUSE = 0.2
"""Seconds between two attempts."""


class Keeper:
    """Holds the lock; `kept` makes sure of it again, after a person took their time."""

    def __init__(self, context: "Context", *, purpose: str) -> None:
        from automations.services.plan.lock import DefinitionsLock

        runtime = context.runtime
        self._locking = DefinitionsLock(runtime.database, clock=runtime.clock)
        self._holder = f"{context.settings.actor}@{socket.gethostname()}:{os.getpid()}/{runtime.ids.new()[-8:]}"
        self._purpose = purpose

    def kept(self) -> "Lock":
        """Take or keep it. Raises LockNotHeld."""
        return self._locking.take(self._holder, purpose=self._purpose)

    def awaited(self, seconds: int) -> "Lock":
        """Take it, trying for so many seconds. Raises LockNotHeld naming who has it."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.kept()
            except LockNotHeld:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_PAUSE)

    def drop(self, lock: "Lock") -> None:
        """Give it up; a store that is gone by now gives it up by itself, when the lease ends."""
        with suppress(AutomationsError):
            self._locking.drop(lock)


@contextmanager
def locked(context: "Context", *, purpose: str, seconds: int) -> Iterator[Keeper]:
    """Hold the lock for the length of a block. Raises LockNotHeld (exit 6)."""
    keeper = Keeper(context, purpose=purpose)
    lock = keeper.awaited(seconds)
    try:
        yield keeper
    finally:
        keeper.drop(lock)
