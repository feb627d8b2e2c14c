"""A bug becomes a file that a person can send, and one line that names it."""

import os
import platform
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

from automations import __version__
from automations.errors import AutomationsError


def report(bug: BaseException, *, program: str, argv: Sequence[str], data_dir: Path) -> AutomationsError:
    """Write a crash report (versions, the command's first words, the traceback; no values of options) and tell where."""
    words = [word for word in argv if not word.startswith("-") and len(word) <= 40][:2]
    text = "\n".join(
        (
            f"{program} {__version__}, Python {platform.python_version()}, {platform.platform()}",
            f"command: {' '.join(words)}",
            "".join(traceback.format_exception(bug)),
        )
    )
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        place = str(data_dir)
    except OSError:
        place = tempfile.gettempdir()
    try:
        descriptor, name = tempfile.mkstemp(prefix="crash-", suffix=".txt", dir=place)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
    except OSError:
        name = "(no place to write a crash report)"
    return AutomationsError(
        f"this is a bug: {type(bug).__name__}: {bug}", hint=f"a crash report is in {name}", code="internal_error"
    )
