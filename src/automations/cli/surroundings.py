"""The actions that a single spec file has around it: those of the tree that it is part of, as a plan of that would see them."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from automations.adapters.files import DirectoryTree, named_like_a_spec, one_file
from automations.cli.desired import DEFAULT
from automations.core.diagnostic import has_errors
from automations.core.spec.catalogue import ManifestKey, interpret
from automations.core.spec.snapshot import Snapshot
from automations.core.spec.structure import perhaps_action
from automations.errors import InvalidInput
from automations.settings import SourceSettings

if TYPE_CHECKING:
    from automations.core.spec.model import Manifest


def actions_around(file: Path, sources: Iterable[SourceSettings]) -> "dict[ManifestKey, Manifest]":
    """The sound manifests beside a file. Never raises: what cannot be read has nothing to say here."""
    found = {}
    for name, raw in _files(file.absolute(), sources):
        read = interpret(raw, name) if perhaps_action(raw) else None
        if read is not None and read.manifest is not None and not has_errors(read.diagnostics):
            found[read.manifest.id, read.manifest.version] = read.manifest
    return found


def _files(file: Path, sources: Iterable[SourceSettings]) -> Iterator[tuple[str, bytes]]:
    tree = _tree(file, sources)
    if tree is None:  # nobody says how far the tree goes; looking below any folder could take for ever
        for each in sorted(file.parent.glob("*")):
            if named_like_a_spec(each.name) and each != file and each.is_file():
                try:
                    yield each.name, one_file(each).files[0].load()
                except InvalidInput:
                    continue
        return
    snapshot = DirectoryTree(tree).take({})
    for one in snapshot.files if isinstance(snapshot, Snapshot) else ():
        if tree / one.name != file:
            yield one.name, one.raw or b""


def _tree(file: Path, sources: Iterable[SourceSettings]) -> Path | None:
    """The directory of specs that a file lies in: a source of the settings, else the outermost folder of the usual name."""
    known = [Path(each.path).absolute() for each in sources]
    inside = [each for each in file.parents if each in known] or [each for each in file.parents if each.name == DEFAULT]
    return inside[-1] if inside else None
