"""What people hand in: files and standard input, read whole and bounded, and times."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from automations.adapters.absent import unreadable
from automations.errors import InvalidInput

if TYPE_CHECKING:
    from automations.cli.context import Context

LARGEST = 1 << 20
"""Bytes of a spec or an event."""


def given_bytes(name: str) -> bytes:
    """The bytes of a file, or of standard input for `-`. Raises InvalidInput when it cannot be read or is too large."""
    if name == "-":
        raw = sys.stdin.buffer.read(LARGEST + 1)
    else:
        try:
            path = Path(name)
            if path.exists() and not (path.is_file() or path.is_fifo()):
                what = "is a directory" if path.is_dir() else "is no file"
                raise InvalidInput(f"{name} {what}", hint="check the path", code="file_unreadable")
            with Path(name).open("rb") as file:
                raw = file.read(LARGEST + 1)
        except OSError as problem:
            raise unreadable(name, problem) from problem
    if len(raw) > LARGEST:
        raise InvalidInput(f"{name} is larger than {LARGEST} bytes", hint="split it", code="file_too_large")
    return raw


def given_time(context: "Context", text: str | None, option: str) -> int | None:
    """A time (ISO 8601 with its offset) or how long ago (`90m`, `7d`), in microseconds. Raises InvalidInput."""
    if text is None:
        return None
    from automations.core.instant import parse_duration, parse_iso

    try:
        return (
            context.clock.now() - parse_duration(text)
            if text[-1:].isalpha() and text[-1] not in "Zz"
            else parse_iso(text)
        )
    except (ValueError, OverflowError) as problem:
        raise InvalidInput(f"{option}: {problem}", hint=f"such as: {option} 2026-03-28T00:00:00Z, or 7d") from None
