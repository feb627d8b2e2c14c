"""A bug becomes a file that a person can send, and one line that names it. What is no bug of ours is told apart here."""

import errno
import os
import platform
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

from automations import __version__
from automations.errors import AutomationsError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


def outside(problem: BaseException) -> AutomationsError | None:
    """The error to tell when this machine is the cause: no room for the output, or a current directory that is gone."""
    if not isinstance(problem, OSError):
        return None
    if problem.errno in _NO_ROOM:
        place = problem.filename or "the output"
        return AutomationsError(f"cannot write {place}: {problem.strerror}", hint="make room", code="not_written")
    try:
        Path.cwd()
    except OSError:
        return AutomationsError(
            "the current directory is gone", hint="go to another one, or give absolute paths", code="no_directory"
        )
    return None


def report(bug: BaseException, *, program: str, argv: Sequence[str], data_dir: Path | None) -> AutomationsError:
    """Write a crash report (versions, the command's first words, the traceback; no values of options) and tell where.

    Without a data root, or where it cannot be written, it goes to the directory for temporary files.
    """
    words = [word for word in argv if not word.startswith("-") and len(word) <= 40][:2]
    text = "\n".join(
        (
            f"{program} {__version__}, Python {platform.python_version()}, {platform.platform()}",
            f"command: {' '.join(words)}",
            "".join(traceback.format_exception(bug)),
        )
    )
    name = (_write(text, data_dir) if data_dir else None) or _write(text, None)
    hint = f"a crash report is in {name}" if name else "there was no place to write a crash report"
    return AutomationsError(f"this is a bug: {type(bug).__name__}: {bug}", hint=hint, code="internal_error")


def _write(text: str, folder: Path | None) -> str | None:
    """The name of a new file with this text; None when there can be none."""
    try:
        if folder:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, name = tempfile.mkstemp(prefix="crash-", suffix=".txt", dir=folder)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:
        return None
    return name
