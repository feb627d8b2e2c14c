"""Ends processes that left their group on purpose, as `setsid` and daemons do: found by the variables they were started with.

A process keeps the environment of its start in `/proc`, and hands it to what it starts. So the marks of an attempt, which no
other attempt has, lead to all its offspring, whatever group or session they are in and whoever adopted them. Out of reach are
processes that were started with an emptied environment, those of other users, and systems without `/proc`.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

_PAUSE = 0.002
"""Seconds between two looks: a killed process is gone a moment later, and one that was just forked shows itself."""


def end(marks: Mapping[str, str], *, seconds: float) -> None:
    """Kill every process whose variables hold all the marks, again and again until none is left or the time is up."""
    if sys.platform != "linux" or not marks:
        return
    wanted = {f"{name}={value}".encode() for name, value in marks.items()}
    until = time.monotonic() + seconds
    while found := [pid for pid in _processes() if _carries(pid, wanted)]:
        for pid in found:
            _kill(pid, wanted)
        if time.monotonic() > until:
            return
        time.sleep(_PAUSE)


def _processes() -> Iterator[int]:
    own = os.getpid()
    with suppress(OSError):  # no /proc
        yield from (int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit() and int(each.name) != own)


def _carries(pid: int, wanted: set[bytes]) -> bool:
    try:
        held = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # gone, or another user's
        return False
    return wanted <= set(held.split(b"\0"))


def _kill(pid: int, wanted: set[bytes]) -> None:
    """Kill this very process: its number may have become another's since it was found."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:  # gone, or a system without such handles
        return
    try:
        if _carries(pid, wanted):
            with suppress(OSError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
    finally:
        os.close(handle)
