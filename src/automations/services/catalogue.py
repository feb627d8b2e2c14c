"""From a snapshot to a catalogue, parsing only files that changed since they were last good.

A file's meaning is remembered by its stamp, and only when nothing at all was wrong with it, so a remembered reading needs no
second check; another version of this program, which may check more, does not believe it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial

from automations import __version__
from automations.core.canonical import as_written, decode, digest_bytes
from automations.core.diagnostic import Diagnostic, Path, in_order
from automations.core.spec import build
from automations.core.spec.catalogue import Catalogue, Interpreted, accept, assemble, interpret
from automations.core.spec.document import Document, Marks
from automations.core.spec.reader import read
from automations.core.spec.snapshot import Snapshot, SpecFile
from automations.core.spec.structure import kind_of
from automations.errors import Conflict
from automations.store import manifests, readings
from automations.store.database import Database, Row

_VERSION = f"@{__version__}"
"""Ends the stamps of readings that this version of the program took."""

Progress = Callable[[int, int], None]
"""Told how many of how many files are done."""


def known_stamps(database: Database, root: str) -> dict[str, str]:
    """Names to stamps of the files whose meaning is remembered, for `take_snapshot`."""
    with database.read() as tx:
        rows = readings.of_root(tx, root)
    return {row["file"]: row["stamp"].removesuffix(_VERSION) for row in rows if row["stamp"].endswith(_VERSION)}


def catalogue_of(database: Database, snapshot: Snapshot, *, owner: str, progress: Progress | None = None) -> Catalogue:
    """Everything that a snapshot declares. Manifests that others own are known to its steps as well.

    Raises Conflict when a file was left out of the snapshot as known, and another process has replaced what was known of it.
    """
    with database.read() as tx:
        remembered = {row["file"]: row for row in readings.of_root(tx, snapshot.root)}
        elsewhere = {
            (row["action_id"], row["version"]): build.manifest(decode(row["manifest_json"]))
            for row in manifests.live(tx)
            if row["owner"] != owner
        }
    interpreted: list[Interpreted] = []
    fresh: list[Row] = []
    for count, file in enumerate(snapshot.files, start=1):
        if file.raw is None:
            interpreted.append(_recall(file, remembered.get(file.name), prefix=snapshot.prefix))
        else:
            found = interpret(file.raw, snapshot.prefix + file.name)
            interpreted.append(found)
            if found.document is not None and not found.diagnostics:
                fresh.append(_reading(file, file.raw, found.document))
        if progress:
            progress(count, len(snapshot.files))
    _remember(database, snapshot, remembered=remembered, fresh=fresh)
    catalogue = assemble(interpreted, known=elsewhere)
    return with_problems(catalogue, snapshot.problems)


def catalogue_of_files(files: Iterable[tuple[str, bytes]], *, problems: Iterable[Diagnostic] = ()) -> Catalogue:
    """The same without a store, from (shown name, bytes) and what was wrong with files that could not be read."""
    catalogue = assemble(interpret(raw, name) for name, raw in files)
    return with_problems(catalogue, problems)


def with_problems(catalogue: Catalogue, problems: Iterable[Diagnostic]) -> Catalogue:
    """A catalogue that also knows of unusable files: they count as present and bad."""
    found = tuple(problems)
    bad = frozenset(each.span.file for each in found)
    return replace(
        catalogue,
        diagnostics=in_order((*found, *catalogue.diagnostics)),
        bad_files=catalogue.bad_files | bad,
        unidentified=catalogue.unidentified | bad,
    )


def _recall(file: SpecFile, row: Row | None, *, prefix: str) -> Interpreted:
    shown = prefix + file.name
    if row is None or row["stamp"] != file.stamp + _VERSION:
        # Reading it now would mix two moments of the tree.
        raise Conflict(f"{shown}: another process read this directory anew in the meantime", hint="try again")
    locate = partial(_locate, file, shown)
    source = partial(_as_read, file, row["digest"])
    document = Document(shown, decode(row["document_json"]), locate, near=locate, source=source)
    return accept(document, kind_of(document) or "automation", checked=True)


def _as_read(file: SpecFile, digest: str) -> bytes | None:
    """The bytes of a remembered file, if they still are those that were read."""
    try:
        raw = file.load()
    except OSError:
        return None
    return raw if digest_bytes(raw) == digest else None


def _locate(file: SpecFile, shown: str, path: Path | None = None) -> Marks:
    """Positions of a remembered file: its bytes are read again, only when somebody asks."""
    try:
        reading = read(file.load(), shown)
    except OSError:
        return {}
    if reading.document is None:
        return {}
    return reading.document.near(path) if path and reading.document.near else reading.document.marks()


def _reading(file: SpecFile, raw: bytes, document: Document) -> Row:
    return {
        "file": file.name,
        "stamp": file.stamp + _VERSION,
        "digest": digest_bytes(raw),
        # In the author's order of keys, so that a plan from memory lists fields as one from the file does.
        "document_json": as_written(document.value),
    }


def _remember(database: Database, snapshot: Snapshot, *, remembered: Mapping[str, Row], fresh: list[Row]) -> None:
    names = {file.name for file in snapshot.files}
    gone = [name for name in remembered if name not in names]
    if not fresh and not gone:
        return
    with database.write() as tx:
        readings.put(tx, snapshot.root, fresh)
        readings.forget(tx, snapshot.root, gone)
