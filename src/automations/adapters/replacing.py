"""Replaces a file in one step: whoever reads it meanwhile has the old text or the new one, never a part.

The new text is written beside it under a hidden name, which watchers and snapshots pass over. A link stays, and what it leads to
is replaced. Only a regular file ever is: a pipe or a terminal is written to, and everything else is left alone.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from automations.errors import Conflict, InvalidInput, UsageError


def replace(path: Path, before: bytes, after: bytes) -> None:
    """Put `after` where `before` was read from, with the mode and, where that is allowed, the owner that it had.

    Raises Conflict when the file says something else by now, InvalidInput when it cannot be written.
    """
    with _told(path):
        target = path.resolve(strict=True)
        status = target.stat()
        with _beside(target, after) as (beside, descriptor):
            with suppress(PermissionError):  # only root may give files away
                os.fchown(descriptor, status.st_uid, status.st_gid)
            os.fchmod(descriptor, status.st_mode & 0o7777)
            _still(target, before)
            beside.replace(target)


def check_name(path: str, *, option: str) -> None:
    """Raises UsageError for what names no file that could be written: nothing at all, or a directory."""
    if not path:  # a script's variable that was never set
        raise UsageError(f"{option} is empty", hint=f"such as {option} FILE")
    if path.endswith(os.sep) or not Path(path).name or Path(path).is_dir():
        raise UsageError(
            f"{option} {path} names a directory", hint=f"give a file, such as {option} {Path(path) / 'FILE'}"
        )


def put(path: Path, raw: bytes) -> None:
    """Write a file that only its owner may read, new or over the one that stands there.

    Pipes and character devices (`/dev/null`, the `>(…)` of a shell) are written to as they are. Raises InvalidInput when it
    cannot be written, or when anything else stands there.
    """
    with _told(path):
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            mode = stat.S_IFREG
        if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
            with path.open("wb") as stream:
                stream.write(raw)
        elif not stat.S_ISREG(mode):
            raise InvalidInput(f"{path} is there and is no regular file", hint="give another name", code="not_written")
        else:
            target = path.resolve()
            with _beside(target, raw) as (beside, _):
                beside.replace(target)


@contextmanager
def _beside(target: Path, raw: bytes) -> Iterator[tuple[Path, int]]:
    """The bytes in a new file beside the target, with its descriptor; gone afterwards unless it was renamed."""
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123  # a descriptor
            file.write(raw)
            file.flush()
            os.fsync(descriptor)
            yield beside, descriptor
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turns what the system says into an error of ours."""
    try:
        yield
    except OSError as problem:
        hint = "check who may write the file and its folder"
        raise InvalidInput(f"cannot write {path}: {problem.strerror}", hint=hint, code="not_written") from problem


def _still(target: Path, before: bytes) -> None:
    if target.read_bytes() != before:
        raise Conflict(f"{target} was changed meanwhile", hint="run it again", code="file_changed")
