"""The guardian of this process: what its actions start does not outlive it, whatever ends it, see `guard`.

One for the whole process, because that is whose life it watches. It is started with the first action, and again should it die.
A parent-death signal (`PR_SET_PDEATHSIG`) would not do: it is bound to the thread that forked, reaches the leader alone, and
would have to be set between fork and exec of a program with threads.
"""

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any

from automations.adapters.executors.guard import began

_PROGRAM = Path(__file__).with_name("guard.py")
_PATIENCE = 1.0
"""Seconds for the guard to end when there is nothing left to guard."""


class Guardian:
    """Tells the guard what is started and what is over. Thread-safe. Where no guard can be had, nothing is guarded."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._numbers = count(1)
        self._watched: dict[int, dict[str, Any]] = {}
        self._guard: subprocess.Popen[bytes] | None = None

    @contextmanager
    def watch(self, marks: Mapping[str, str]) -> Iterator[Callable[[int], None]]:
        """Guard what is started within, known by its variables at once and by its leader's number when that is told."""
        number = next(self._numbers)
        self._tell({"id": number, "marks": dict(marks)})
        try:
            yield lambda pid: self._tell({"id": number, "pid": pid, "started": began(pid)})
        finally:
            self._tell({"id": number, "over": True})

    def close(self) -> None:
        """Let the guard go."""
        with self._lock:
            guard, self._guard = self._guard, None
            if guard is not None and guard.stdin is not None:
                guard.stdin.close()
                with suppress(subprocess.TimeoutExpired):
                    guard.wait(_PATIENCE)

    def _tell(self, told: dict[str, Any]) -> None:
        with self._lock:
            if told.get("over"):
                self._watched.pop(told["id"], None)
            else:
                self._watched.setdefault(told["id"], {}).update(told)
            if self._guard is None or not self._write(told):
                self._begin()
                for each in self._watched.values():
                    self._write(each)

    def _write(self, told: dict[str, Any]) -> bool:
        """Write a line; False when nobody reads. Lines are short enough to be written whole or not at all."""
        if self._guard is None or self._guard.stdin is None:
            return False
        try:
            os.write(self._guard.stdin.fileno(), json.dumps(told).encode() + b"\n")
        except OSError:  # it is gone, or does not keep up
            return False
        return True

    def _begin(self) -> None:
        former, self._guard = self._guard, None
        if former is not None:
            former.kill()
            former.wait()
        with suppress(OSError):
            # S603: our own interpreter and our own file; it inherits no variables and no descriptors but its pipe.
            self._guard = subprocess.Popen(  # noqa: S603  # explained above
                (sys.executable, "-I", "-S", "-B", str(_PROGRAM)),
                cwd="/",
                env={},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                start_new_session=True,
            )
            if self._guard.stdin is not None:
                os.set_blocking(self._guard.stdin.fileno(), False)


GUARDIAN = Guardian()
atexit.register(GUARDIAN.close)
