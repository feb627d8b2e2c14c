"""Where the data root lies: free space, and which of its files others than their owner may read."""

import os
import stat
from pathlib import Path

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def free_bytes(directory: Path) -> int | None:
    """Bytes that this user may still write to the disk of a directory; None when nobody can say."""
    try:
        found = os.statvfs(directory)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def exposed(directory: Path, names: tuple[str, ...]) -> tuple[str, ...]:
    """The directory and those of its files that others may read or write. A closed directory hides its files."""
    if not _open(directory):
        return ()
    return (str(directory), *(str(directory / name) for name in names if _open(directory / name)))


def size(file: Path) -> int | None:
    """Bytes of a file, None where there is none."""
    try:
        return file.stat().st_size
    except OSError:
        return None


def _open(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & _OTHERS)
    except OSError:
        return False
