"""The binding table that requests are judged by, and how fresh it is.

Definitions change under a running server, also from other processes. A request is judged by a table that the store has
confirmed within the last hundredth of a second: under load every commit does so in passing, otherwise one read serves
all requests that wait for it. While the store does not answer, the last table stands; nothing is accepted by it,
because accepting takes a commit.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

from automations.core.trigger.bindings import Table
from automations.errors import AutomationsError, StoreError
from automations.services.plan.definitions import Bindings

MAX_AGE = 0.01
"""Seconds for which a confirmed table is taken as the current one."""


class Tables:
    """Hands out the current table on the event loop's thread."""

    def __init__(self, bindings: Bindings) -> None:
        self._bindings = bindings
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="web-tables")
        self._confirmed = float("-inf")
        self._refreshing: asyncio.Task[AutomationsError | None] | None = None

    def current(self) -> Table | None:
        """Return the table if it was confirmed lately."""
        return self._bindings.last() if monotonic() - self._confirmed <= MAX_AGE else None

    def confirm(self, since: float) -> None:
        """Note that the table was the store's at `since` (monotonic seconds) or later. Called from any thread."""
        self._confirmed = max(self._confirmed, since)

    async def refreshed(self) -> Table:
        """Return the store's table, or the last one known. Raises StoreError when none was ever read."""
        problem = await self.trouble()
        table = self._bindings.last()
        if problem is not None and table.serial < 0:
            raise problem
        return table

    async def trouble(self) -> AutomationsError | None:
        """Read the table if it is not current; why that failed, or None."""
        if self.current() is not None:
            return None
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._refresh())
        return await asyncio.shield(self._refreshing)

    def close(self) -> None:
        """End the reading thread."""
        self._reader.shutdown(wait=False, cancel_futures=True)

    async def _refresh(self) -> AutomationsError | None:
        since = monotonic()
        try:
            await asyncio.get_running_loop().run_in_executor(self._reader, self._bindings.current)
        except AutomationsError as problem:
            return problem
        except Exception as bug:  # noqa: BLE001  # a definition that cannot be bound must not stop what is bound already
            return StoreError(f"the definitions could not be read: {type(bug).__name__}")
        self.confirm(since)
        return None
