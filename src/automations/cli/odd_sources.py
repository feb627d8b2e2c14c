"""What is worth saying about a daemon's directories before it starts: none is named, one is not there, or holds no specs.

A daemon goes on all the same: a directory may be mounted later, and one without directories still takes webhooks and executes.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from automations.adapters.absent import absence
from automations.adapters.files import holds_specs
from automations.cli.desired import DEFAULT
from automations.settings import SourceSettings


class Remark(NamedTuple):
    """What is odd, and what to do about it."""

    message: str
    hint: str


def remarks(sources: Sequence[SourceSettings], *, mode: str) -> Iterator[Remark]:
    """Remarks about the directories that a daemon is about to reconcile, started as `automations-daemon MODE`."""
    if not sources:
        here = Path(DEFAULT)
        what, named = ("the one here", DEFAULT) if here.is_dir() else ("one", "DIRECTORY")
        beside = "" if here.is_dir() else f" (and there is no {here.absolute()})"
        hint = f"to reconcile {what}: automations-daemon {mode} {named}"
        yield Remark(f"no directory of specs was named, so none is reconciled{beside}", hint)
    for each in sources:
        path = Path(each.path)
        if not path.exists():
            yield Remark(absence(path), "make it, or name another directory; it is looked for all the time")
        elif not path.is_dir():
            yield Remark(f"{path.absolute()} is not a directory", "name the directory that holds the specs")
        elif not holds_specs(path):
            hint = f"put one there, such as: automations spec example > {path / 'example.json'}"
            yield Remark(f"{path.absolute()} holds no specs yet (files that end in .yaml, .yml or .json)", hint)
