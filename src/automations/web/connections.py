"""What all connections of a server share: who answers, the limits, who is open, who waits, what is buffered.

One sweep looks after every deadline, so that a request pays nothing for timers, and it only runs while somebody is
connected. All of it lives on the event loop's thread.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from automations.web.limits import Limits
from automations.web.message import Encoder, Site


class Open(Protocol):
    """An open connection, as its registry sees it. `deadline` is in the loop's seconds."""

    deadline: float

    def expire(self) -> None:
        """The deadline has passed."""
        ...

    def evict(self) -> None:
        """Make room for another connection."""
        ...

    def wind_down(self) -> None:
        """Close now if nothing is under way, else after the last answer."""
        ...

    def abort(self) -> None:
        """Close at once."""
        ...


class Connections:
    """The registry. `told` hears of every refusal by the protocol itself: its error code and, for a bug, its kind."""

    def __init__(
        self, site: Site, limits: Limits, *, encoder: Encoder, told: Callable[[str, str | None], None]
    ) -> None:
        self.site = site
        self.limits = limits
        self.encoder = encoder
        self.told = told
        self.loop = asyncio.get_running_loop()
        self.draining = False
        self._open: set[Open] = set()
        self._waiting: dict[Open, None] = {}
        self._buffered = 0
        self._sweep: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self._empty.set()

    def add(self, connection: Open) -> bool:
        """Let a connection in, in place of the one that has waited longest if need be; False when all are at work."""
        if len(self._open) >= self.limits.connections:
            if not self._waiting:
                return False
            oldest = next(iter(self._waiting))
            self.remove(oldest)
            oldest.evict()
        self._open.add(connection)
        self._waiting[connection] = None
        self._empty.clear()
        if self._sweep is None:
            self._sweep = self.loop.call_later(self.limits.sweep_seconds, self._look)
        return True

    def remove(self, connection: Open) -> None:
        """Forget a connection; any number of times."""
        self._open.discard(connection)
        self._waiting.pop(connection, None)
        if not self._open:
            self._empty.set()

    def busy(self, connection: Open) -> None:
        """Note that a request of this connection is being answered: it cannot be asked to make room."""
        self._waiting.pop(connection, None)

    def waits(self, connection: Open) -> None:
        """Note that the server waits for this connection's client, from now on."""
        if connection in self._open:
            self._waiting[connection] = None

    def reserve(self, size: int) -> bool:
        """Take `size` bytes of what may be buffered; False when they are not to be had."""
        if self._buffered + size > self.limits.buffered_bytes:
            return False
        self._buffered += size
        return True

    def release(self, size: int) -> None:
        """Give back what was reserved."""
        self._buffered -= size

    async def drain(self, grace: float) -> bool:
        """Let what is under way end within `grace` seconds, then close the rest; whether nothing was cut off."""
        self.draining = True
        for connection in tuple(self._open):
            connection.wind_down()
        try:
            await asyncio.wait_for(self._empty.wait(), grace)
        except TimeoutError:
            for connection in tuple(self._open):
                connection.abort()
            return False
        return True

    def _look(self) -> None:
        now = self.loop.time()
        for connection in [each for each in self._open if each.deadline <= now]:
            connection.expire()
        self._sweep = self.loop.call_later(self.limits.sweep_seconds, self._look) if self._open else None
