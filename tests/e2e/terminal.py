"""A program on a pseudo-terminal of its own, as a person has it: what it shows, and keys for it."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from e2e.conftest import BIN, PATIENCE, Site

END_OF_INPUT, INTERRUPT = "\x04", "\x03"
"""What the keys Ctrl-D and Ctrl-C send."""
# Makes the terminal the controlling one, so that Ctrl-C becomes a signal, and becomes the program.
_BECOME = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"


class Terminal:
    """One program and the other end of its terminal. `shown` is everything that it showed so far."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self._process = process
        self._descriptor = descriptor
        self.shown = ""

    def expect(self, text: str) -> None:
        """Wait until the program shows this, after what was typed last."""
        until = time.monotonic() + PATIENCE
        seen = ""
        while text not in seen:
            left = until - time.monotonic()
            assert left > 0, f"waited in vain for {text!r}: {self.shown!r}"
            piece = self._read(left)
            assert piece, f"it ended without {text!r}: {self.shown!r}"
            seen += piece

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._descriptor, keys.encode())

    def ended(self) -> int:
        """Read to the program's end; its status."""
        until = time.monotonic() + PATIENCE
        while self._read(until - time.monotonic()):
            assert time.monotonic() < until, f"it does not end: {self.shown!r}"
        return self._process.wait(PATIENCE)

    def _read(self, seconds: float) -> str:
        """What is shown next; nothing at the end."""
        ready, _, _ = select.select([self._descriptor], [], [], max(0.0, seconds))
        piece = b""
        if ready:
            with suppress(OSError):  # how Linux says that nobody has the other end any more
                piece = os.read(self._descriptor, 4096)
        self.shown += piece.decode()
        return piece.decode()


@contextmanager
def terminal(site: Site, *words: str) -> Iterator[Terminal]:
    """`automations …` on a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _BECOME, str(BIN / "automations"), *words],
        cwd=site.folder, env={**site.environment, "TERM": "xterm"}, stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE)
        os.close(ours)
