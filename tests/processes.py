"""Daemons as processes of their own: waiting for what one announces, and ending those that a test started."""

import contextlib
import json
import os
import signal
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess

PATIENCE = 30.0
"""Seconds that an ending process gets before the test gives up."""


def announced(process: "subprocess.Popen[str]") -> dict[str, Any] | None:
    """The JSON document that a daemon prints when it is up; None when it ended without one."""
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if line == "}\n":
            document: dict[str, Any] = json.loads(text)
            return document
    return None


def end_all(processes: Iterable["subprocess.Popen[str]"]) -> None:
    """End whatever still runs, each by its own id."""
    for process in processes:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=PATIENCE)
        if process.stdout:
            process.stdout.close()
