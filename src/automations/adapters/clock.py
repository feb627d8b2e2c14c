"""The machine's clock behind the Clock port: the one place that reads wall time for records."""

import time


class SystemClock:
    """Wall-clock time. It may step back when the machine's time is corrected; nothing that measures waits uses it."""

    __slots__ = ()

    def now(self) -> int:
        """Microseconds since the Unix epoch, UTC."""
        return time.time_ns() // 1000
