"""What plan, apply and validate share: a path on the command line becomes a catalogue."""

from pathlib import Path
from typing import TYPE_CHECKING

from automations.adapters.absent import absence
from automations.adapters.files import DirectoryTree, named_like_a_spec, rooted
from automations.cli.progress import shown_progress
from automations.core.plan.state import source_owner
from automations.core.source_name import unfit
from automations.core.spec.catalogue import Catalogue
from automations.core.spec.snapshot import Snapshot, Untrusted
from automations.errors import InvalidInput, UsageError
from automations.runtime import with_help
from automations.services.spec.catalogue import catalogue_of, known_stamps

if TYPE_CHECKING:
    from automations.cli.context import Context


DEFAULT = "automations.d"
SOURCE = "default"
"""The source that is meant when none is named."""


def snapshot_of(
    path: str, *, known: dict[str, str] | None = None, absent: str = "source_untrusted", lenient: bool = False
) -> Snapshot:
    """A trusted snapshot of a directory. Raises InvalidInput when there is none, with the code `absent` where nothing is.

    A `lenient` one, which nobody may act on, tells single files that cannot be read among its problems.
    """
    if not path:  # a script's variable that was never set; it must not mean the current directory
        raise InvalidInput("the path is empty", hint="give the directory that holds the specs")
    if not Path(path).exists():
        raise InvalidInput(absence(path), hint=_hint(path), code=absent)
    taken = DirectoryTree(Path(path), shown=path, lenient=lenient).take(known or {})
    if isinstance(taken, Untrusted):
        raise InvalidInput(taken.message, hint=_what_to_do(path, taken), code="source_untrusted")
    return taken


def directory(context: "Context", path: str | None, *, source: str | None) -> str:
    """The directory that is meant: what was given, else where settings say that this source's specs are, else `automations.d`.

    One that lies below the working directory is named from there, so that files are called what others call them.
    """
    if path is None:
        known = {each.name: each.path for each in context.settings.sources}
        path = known.get(source or SOURCE, DEFAULT)
    return from_here(path)


def from_here(path: str) -> str:
    """The same path, named from the working directory where it lies below it."""
    given = Path(path)
    here = Path.cwd() if given.is_absolute() else None
    return str(given.relative_to(here)) if here is not None and given.is_relative_to(here) else path


def is_folder(path: str) -> bool:
    """Whether a path is a folder, or was meant to be one: it is not there, and no file of specs is called so."""
    return Path(path).is_dir() or not (Path(path).exists() or named_like_a_spec(path))


def _what_to_do(path: str, untrusted: Untrusted) -> str:
    """What to do about a directory that is there and cannot be used as it is."""
    if untrusted.reason == "Unstable":
        return "say it again when nobody writes there"
    if untrusted.reason != "Unreadable":
        return _hint(path)
    if "more than" in untrusted.message:
        return "name a directory that holds specs only, or make several sources of it"
    return (
        "let the user read it that this runs as, or mend the link; automations validate tells all that is wrong there"
    )


def _hint(path: str) -> str:
    """What to do about a directory that is not there."""
    if path == DEFAULT and not Path(path).exists():
        begin = f"mkdir {path} && automations spec example > {path}/example.json"
        return f"name the directory that holds the specs, or begin one: {begin}"
    return "name the directory that holds the specs"


def check_source_name(name: str) -> None:
    """Raises UsageError for what no source may be called."""
    if problem := unfit(name):
        raise UsageError(f"the name of a source {problem}", hint="such as --source platform")


def declared(context: "Context", path: str, *, source: str) -> tuple[Snapshot, Catalogue]:
    """The snapshot and catalogue of a directory, using what is remembered of it in the store.

    Raises UsageError for a source that cannot be called so, InvalidInput for an untrusted tree.
    """
    check_source_name(source)
    database = context.runtime.database
    root = str(rooted(Path(path)))
    snapshot = snapshot_of(path, known=known_stamps(database, root))

    with shown_progress(context, "reading") as progress:
        catalogue = catalogue_of(database, snapshot, owner=source_owner(source), reading=with_help, progress=progress)
    return snapshot, catalogue
