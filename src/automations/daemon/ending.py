"""Waiting for the end of a process: told by a signal's handler or by any thread.

A handler runs between two steps of the main thread, wherever that is. So what it calls must take no lock that the main thread may
hold just then, as an `Event` does. And the system may give a signal to another thread, or just before the main one begins to
wait: then nothing interrupts the waiting, and the handler's turn comes when it is over. So no single wait is long.
"""

from queue import Empty, SimpleQueue

_LONGEST = 0.2
"""Seconds of one wait: as late as a signal may be heard."""


class Ending:
    """Whether it is time to end."""

    def __init__(self) -> None:
        self._words: SimpleQueue[None] = SimpleQueue()
        self.told = False

    def tell(self) -> None:
        """It is time. Safe in a handler."""
        self.told = True
        self._words.put(None)

    def wait(self) -> None:
        """Wait until it is time."""
        while not self.told:
            try:
                self._words.get(timeout=_LONGEST)
            except Empty:
                continue
