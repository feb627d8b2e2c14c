"""Letting a worker's actions finish before its process ends: for a grace, and then by stopping them."""

from collections.abc import Callable
from threading import Event

from automations.core.instant import SECOND
from automations.services.ports import Clock
from automations.services.run.worker import Worker

GRACE = 20.0
"""Seconds that running actions get to finish after SIGTERM; then they are stopped and go back to the queue."""
STOPPING = 8.0
"""Seconds that stopping them may take: longer than an executor gives a process that ignores TERM, or it would outlive us.

With what else a daemon does at its end this stays below the half minute that container platforms commonly wait before they
kill.
"""
_LOOK = 0.02


def drain(worker: Worker, clock: Clock, *, deadline: int, hopeless: Callable[[], bool]) -> None:
    """Wait until the worker, which somebody else ticks, has nothing in hand; after `deadline` (microseconds) stop the rest.

    It goes on at once when it is `hopeless` to wait.
    """
    worker.drain()
    waiting = Event()
    while worker.busy and clock.now() < deadline and not hopeless():
        waiting.wait(_LOOK)
    if worker.busy:
        worker.abandon()
        while worker.busy and clock.now() < deadline + int(STOPPING * SECOND):
            waiting.wait(_LOOK)
