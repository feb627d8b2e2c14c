"""Identifiers behind the Ids port: UUID version 7, so that rows written together lie together in an index.

The layout is RFC 9562 §5.7: 48 bits of Unix milliseconds, then random bits. Within one process ids only rise, also for
many in one millisecond and when the clock steps back (RFC 9562 §6.2, method 2: the random part is a counter that grows
by a random step). An id is not a secret: knowing one gives no rights anywhere.
"""

import os
import time
from collections.abc import Callable
from threading import Lock

_RANDOM_END = 1 << 74
_LOW_BITS = 62
_LOW_MASK = (1 << _LOW_BITS) - 1
_VARIANT = 0b10 << 62
_STEP_BYTES = 4
_FRACTION_END = 1 << 53  # a float holds 53 bits exactly
_START_BYTES = 9


def _wall_milliseconds() -> int:
    return time.time_ns() // 1_000_000


class UuidIds:
    """Time-ordered ids for one process; safe to share between threads.

    `milliseconds` says the Unix time in milliseconds; the machine's clock unless handed in.
    """

    __slots__ = ("_counter", "_last", "_lock", "_milliseconds", "_stamp")

    def __init__(self, milliseconds: Callable[[], int] = _wall_milliseconds) -> None:
        self._milliseconds = milliseconds
        self._lock = Lock()
        self._last = -1
        self._counter = 0
        self._stamp = ""

    def new(self) -> str:
        """Make a UUID version 7 (RFC 9562 §5.7) as lower-case text, greater than every one made here before."""
        with self._lock:
            now = self._milliseconds()
            if now > self._last:
                self._begin(now)
            else:
                # The step is random, so that a copy of this process made by fork goes its own way.
                self._counter += 1 + int.from_bytes(os.urandom(_STEP_BYTES))
                if self._counter >= _RANDOM_END:
                    self._begin(self._last + 1)
            stamp, counter = self._stamp, self._counter
        tail = f"{_VARIANT | counter & _LOW_MASK:016x}"
        return f"{stamp}{counter >> _LOW_BITS:03x}-{tail[:4]}-{tail[4:]}"

    def _begin(self, millisecond: int) -> None:
        self._last = millisecond
        digits = f"{millisecond:012x}"
        self._stamp = f"{digits[:8]}-{digits[8:]}-7"
        # 72 of the 74 bits, so that no millisecond starts near the end of its steps.
        self._counter = int.from_bytes(os.urandom(_START_BYTES))

    def fraction(self) -> float:
        """Draw a number in [0, 1), for jitter."""
        return (int.from_bytes(os.urandom(7)) >> 3) / _FRACTION_END
