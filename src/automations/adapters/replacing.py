"""Replaces a file in one step: whoever reads it meanwhile has the old text or the new one, never a part.

The new text is written beside it under a hidden name, which watchers and snapshots pass over, and takes its mode and, where
that is allowed, its owner.
"""

import os
from contextlib import suppress
from pathlib import Path

from automations.errors import Conflict, InvalidInput


def replace(path: Path, before: bytes, after: bytes) -> None:
    """Put `after` where `before` was read from; a link stays and what it leads to is replaced.

    Raises Conflict when the file says something else by now, InvalidInput when it cannot be written.
    """
    try:
        target = path.resolve(strict=True)
        status = target.stat()
        beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123  # a descriptor
                file.write(after)
                file.flush()
                with suppress(PermissionError):  # only root may give files away
                    os.fchown(descriptor, status.st_uid, status.st_gid)
                os.fchmod(descriptor, status.st_mode & 0o7777)
                os.fsync(descriptor)
            _still(target, before)
            beside.replace(target)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except OSError as problem:
        hint = "check who may write the file and its folder"
        raise InvalidInput(f"cannot write {path}: {problem.strerror}", hint=hint, code="not_written") from problem


def _still(target: Path, before: bytes) -> None:
    if target.read_bytes() != before:
        raise Conflict(f"{target} was changed meanwhile", hint="run it again", code="file_changed")
