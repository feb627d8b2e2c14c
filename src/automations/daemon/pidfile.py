"""The pid file: who the daemon of this data root is, held with an operating-system lock that dies with its process.

A lock, not the number in the file, decides whether a daemon lives: numbers are reused and files are left behind.
"""

import fcntl
import os
from pathlib import Path
from typing import IO

from automations.errors import LockNotHeld


class PidFile:
    """Held from `take` to `drop`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Write our pid. Raises LockNotHeld naming the process that holds the file."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = self._locked()
        while not self._leads_to(
            file
        ):  # its holder removed it between our opening and locking it: others see a new one
            file.close()
            file = self._locked()
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._file = file

    def _locked(self) -> IO[str]:
        file = self._path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read(32).strip() or "unknown"
            file.close()
            raise LockNotHeld(
                f"another daemon runs on {self._path.parent}: process {holder}",
                hint=f"stop it first (kill {holder}), or give this one another data root with --dir",
            ) from None
        return file

    def _leads_to(self, file: IO[str]) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False

    def drop(self) -> None:
        """Remove the file and the lock."""
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            self._file.close()
            self._file = None
