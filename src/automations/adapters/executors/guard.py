"""The program beside a daemon or worker that ends what its actions started when it dies without a word, as by `kill -9`.

It hears on stdin what is started and what is over. The pipe's end says that the other side is no more, however it went: no
signal handler has to run for that. It leads a session of its own and heeds no signal that ends its neighbours, so that it goes
last. It needs the standard library alone, so that it is there at once and small.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

GRACE = 1.5
"""Seconds from TERM to KILL."""
STRAYS = 2.0
"""Seconds to look for processes that left their group."""
PAUSE = 0.02

Watched = dict[str, Any]
"""`{marks, pid?, started?}`: the variables of an attempt's processes, its leader, and when that began as the kernel counts."""


def heard(lines: Any) -> list[Watched]:
    """Listen until the other side is gone; what it left behind."""
    watched: dict[int, Watched] = {}
    for line in lines:
        told = json.loads(line)
        if told.get("over"):
            watched.pop(told["id"], None)
        else:
            watched.setdefault(told["id"], {}).update(told)
    return list(watched.values())


def end(left: list[Watched], strays: Any) -> None:
    """End all of these: their groups with TERM and, after the grace, KILL; then who left the group, by its variables."""
    groups = [each for each in left if "pid" in each and _ours(each)]
    for each in groups:
        _signal(each, signal.SIGTERM)
    until = time.monotonic() + GRACE
    while time.monotonic() < until and any(_alive(each["pid"]) for each in groups):
        time.sleep(PAUSE)
    for each in groups:
        _signal(each, signal.SIGKILL)
    for each in left:
        strays.end(each.get("marks", {}), seconds=STRAYS)


def began(pid: int) -> str | None:
    """When a process began, in the kernel's own count; None where nobody says, as on systems without `/proc`."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def _ours(each: Watched) -> bool:
    """Whether the leader's number is not another process's by now. While its group lives, none gets that number."""
    return began(each["pid"]) in (None, each.get("started"))


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _signal(each: Watched, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(each["pid"], number)


def main() -> None:
    """Run the program."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    left = heard(sys.stdin.buffer)
    if left:
        # Its neighbour by file: the package's folder must not be looked through for modules, where `http` is another one.
        spec = importlib.util.spec_from_file_location("strays", Path(__file__).with_name("strays.py"))
        assert spec is not None  # noqa: S101  # they are delivered together
        assert spec.loader is not None  # noqa: S101  # the same
        strays = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(strays)
        end(left, strays)


if __name__ == "__main__":
    main()
