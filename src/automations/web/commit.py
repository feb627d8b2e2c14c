"""Group commit: deliveries that arrive together share one commit, made on one writer thread.

A lone delivery is committed at once, and whatever arrives while that runs goes next, together. Where there was company,
the next group waits a moment to be as large: senders that were answered together come back together. What has waited
too long is given up unread, since its sender has gone by then; it was never begun, so nothing of it is remembered.
"""

import asyncio
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import NamedTuple

from automations.errors import AutomationsError, StoreUnavailable
from automations.services.trigger.ingest import Delivery, Ingested

Result = Ingested | AutomationsError
Commit = Callable[[Sequence[Delivery]], Sequence[Result]]

MOST = 128
"""Deliveries in one commit."""
ROOM = 2048
"""Deliveries that may be under way; the next one is turned away."""
COMPANY = 0.001
"""Seconds that a group waits at most until it is as large as the company that there was before."""
PATIENCE = 10.0
"""Seconds that a delivery may wait for the commits before its own."""


class _Waiting(NamedTuple):
    delivery: Delivery
    done: Callable[[Result], None]
    since: float


class GroupCommit:
    """The writer thread and its queue. Everything but that thread's own work happens on the event loop's thread."""

    def __init__(self, commit: Commit, loop: asyncio.AbstractEventLoop, *, room: int = ROOM) -> None:
        self._commit = commit
        self._loop = loop
        self._room = room
        self._under_way = 0
        self._gathered: list[_Waiting] = []
        self._queue: SimpleQueue[list[_Waiting] | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name="web-commit", daemon=True)
        self._stopped = False

    def start(self) -> None:
        """Start the writer thread."""
        self._thread.start()

    def submit(self, delivery: Delivery, done: Callable[[Result], None]) -> bool:
        """Have a delivery committed; `done` hears the result on the loop's thread. False when there is no room."""
        if self._under_way >= self._room or self._stopped:
            return False
        self._under_way += 1
        if not self._gathered:
            self._loop.call_soon(self._hand_over)
        self._gathered.append(_Waiting(delivery, done, monotonic()))
        return True

    def finish(self) -> None:
        """Take no more, and have the thread end once all that was submitted is committed; `join` waits for that."""
        self._stopped = True
        self._hand_over()
        self._queue.put(None)

    def join(self) -> None:
        """Wait for the thread's end. Blocks; `done` is still to be called, by the loop, for the last of it."""
        self._thread.join()

    def _hand_over(self) -> None:
        """Pass on all that one turn of the loop has brought, so that it wakes the writer once."""
        if self._gathered:
            self._queue.put(self._gathered)
            self._gathered = []

    def _work(self) -> None:
        waiting: list[_Waiting] = []
        company = 1
        ending = False
        while waiting or not ending:
            ending = ending or self._gather(waiting, company)
            group, waiting = waiting[:MOST], waiting[MOST:]
            if group:
                results = self._results(group)
                company = self._under_way
                self._loop.call_soon_threadsafe(self._finish, group, results)

    def _gather(self, waiting: list[_Waiting], company: int) -> bool:
        """Take from the queue what is there, and what comes in a moment if there was company; whether it was the end."""
        until = monotonic() + COMPANY
        enough = min(company, MOST)
        while True:
            try:
                if not waiting:
                    taken = self._queue.get()
                    until = monotonic() + COMPANY
                elif len(waiting) < enough:
                    taken = self._queue.get(timeout=max(0.0, until - monotonic()))
                elif len(waiting) < MOST:
                    taken = self._queue.get_nowait()
                else:
                    return False
            except Empty:
                return False
            if taken is None:
                return True
            waiting.extend(taken)

    def _results(self, group: list[_Waiting]) -> Sequence[Result]:
        oldest = monotonic() - PATIENCE
        current = [each.delivery for each in group if each.since >= oldest]
        results = iter(self._committed(current) if current else ())
        return [next(results) if each.since >= oldest else _given_up() for each in group]

    def _committed(self, deliveries: Sequence[Delivery]) -> Sequence[Result]:
        try:
            return self._commit(deliveries)
        except AutomationsError as problem:
            return [problem] * len(deliveries)
        except Exception as bug:  # noqa: BLE001  # without this thread nobody would ever be answered again
            return [AutomationsError(f"a commit failed: {type(bug).__name__}", code="internal_error")] * len(deliveries)

    def _finish(self, group: list[_Waiting], results: Sequence[Result]) -> None:
        self._under_way -= len(group)
        for each, result in zip(group, results, strict=True):
            each.done(result)


def _given_up() -> StoreUnavailable:
    return StoreUnavailable(f"the commit did not come within {PATIENCE:g} seconds", hint="send it again")
