"""What plan, apply and validate share: a path on the command line becomes a catalogue."""

from pathlib import Path
from typing import TYPE_CHECKING

from automations.adapters.files import DirectoryTree
from automations.core.plan.state import source_owner
from automations.core.spec.catalogue import Catalogue
from automations.core.spec.snapshot import Snapshot, Untrusted
from automations.errors import InvalidInput
from automations.services.catalogue import catalogue_of, known_stamps

if TYPE_CHECKING:
    from automations.cli.context import Context

SLOW = 500
"""Files from which on progress is shown on a terminal."""


def snapshot_of(path: str, *, known: dict[str, str] | None = None) -> Snapshot:
    """A trusted snapshot of a directory. Raises InvalidInput when there is none."""
    if not path:  # a script's variable that was never set; it must not mean the current directory
        raise InvalidInput("the path is empty", hint="give the directory that holds the specs")
    taken = DirectoryTree(Path(path), shown=path).take(known or {})
    if isinstance(taken, Untrusted):
        raise InvalidInput(taken.message, hint="give the directory that holds the specs", code="source_untrusted")
    return taken


def declared(context: "Context", path: str, *, source: str) -> tuple[Snapshot, Catalogue]:
    """The snapshot and catalogue of a directory, using what is remembered of it in the store."""
    database = context.runtime.database
    root = str(Path(path).absolute())
    snapshot = snapshot_of(path, known=known_stamps(database, root))

    def progress(done: int, total: int) -> None:
        if total >= SLOW and context.err.isatty() and (done % 100 == 0 or done == total):
            print(f"\rreading {done}/{total}", end="\n" if done == total else "", file=context.err, flush=True)

    return snapshot, catalogue_of(database, snapshot, owner=source_owner(source), progress=progress)
