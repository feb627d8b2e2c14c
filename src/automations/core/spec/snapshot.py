"""A snapshot: what a tree of files held at one moment, or the reason why that cannot be trusted.

Absence is never inferred from an error: an untrusted snapshot leads to no write at all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from automations.core.diagnostic import Diagnostic


class SpecFile(NamedTuple):
    """One file. `name` is relative to the root with `/`; equal `stamp`s promise equal bytes (size, times, inode).

    `raw` is None where the caller already knew that stamp; `load` reads the bytes then, and raises OSError. Until `settles_at`
    (microseconds; 0 for at once) somebody may still be in the middle of writing it: a torn save is often valid YAML.
    """

    name: str
    stamp: str
    raw: bytes | None
    load: Callable[[], bytes]
    settles_at: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A tree that held still while it was read. `prefix` goes before names that people see, such as `automations.d/`.

    `moving` says that a version control system was just at work on the checkout: more files may be about to change.
    """

    root: str
    prefix: str
    revision: str | None
    files: tuple[SpecFile, ...]
    problems: tuple[Diagnostic, ...] = ()
    moving: bool = False


@dataclass(frozen=True, slots=True)
class Untrusted:
    """The tree could not be read whole. `reason` is a word for conditions: `Missing`, `Unreadable`, `Unstable`."""

    root: str
    reason: str
    message: str
