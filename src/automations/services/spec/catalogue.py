"""From a snapshot to a catalogue, parsing only files that changed since they were last good.

A file's meaning is remembered by its stamp, and only when nothing at all was wrong with it, so a remembered reading needs no
second check; another version of this program, which may check more, does not believe it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from automations import __version__
from automations.core.canonical import as_written, decode, digest_bytes
from automations.core.diagnostic import Diagnostic, Path, has_errors, in_order
from automations.core.spec import build
from automations.core.spec.catalogue import (
    Catalogue,
    Interpreted,
    ManifestKey,
    accept,
    assemble,
    interpret,
    with_circles,
)
from automations.core.spec.document import Document, Marks
from automations.core.spec.manifests import Shelf, shelve
from automations.core.spec.model import Automation, Manifest
from automations.core.spec.reader import read
from automations.core.spec.remembered import Fact, RememberedDocument, fact_of, recalled, text_of, whole
from automations.core.spec.snapshot import Snapshot, SpecFile
from automations.core.spec.structure import perhaps_action
from automations.errors import Conflict
from automations.store import manifests, readings
from automations.store.database import Database, Row, Transaction

_CHECKS = 5
"""Counts up with every check that is added, so that what was read before it is read again."""
_VERSION = f"@{__version__}.{_CHECKS}"
"""Ends the stamps of readings that this version of the program took."""

MOST_SINGLY = 50
"""Remembered documents that are fetched one by one, before all are fetched at once."""

Progress = Callable[[int, int], None]
"""Told how many of how many files are done."""
Reading = Callable[[Sequence[tuple[str, bytes]], Shelf, Progress | None], list[Interpreted]]
"""Tells what files (shown name, bytes) mean, in their order, given the manifests that there probably are."""


def known_stamps(database: Database, root: str) -> dict[str, str]:
    """Names to stamps of the files whose meaning is remembered, for `take_snapshot`."""
    with database.read() as tx:
        found = _of_this_version(readings.marks(tx, root))
    return {file: stamp for file, (stamp, _) in found.items()}


def _of_this_version(marks: Mapping[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    return {
        file: (stamp.removesuffix(_VERSION), digest)
        for file, (stamp, digest) in marks.items()
        if stamp.endswith(_VERSION)
    }


def one_by_one(files: Sequence[tuple[str, bytes]], shelf: Shelf, progress: Progress | None = None) -> list[Interpreted]:
    """What every file means, read here, one after the other."""
    found = []
    for count, (name, raw) in enumerate(files, start=1):
        found.append(interpret(raw, name, shelf))
        if progress:
            progress(count, len(files))
    return found


def read_new(
    files: Sequence[tuple[str, bytes]], known: Shelf, *, reading: Reading, progress: Progress | None = None
) -> list[Interpreted]:
    """What new files mean, in their order. `known` has the manifests of others, and of this source in other files.

    What looks like a manifest is read first, so that everything else is held against it in one go. A guess that is wrong costs
    time and nothing else: whatever was not held against the manifests of the whole tree is held against them at its end.
    """
    first = {index: interpret(raw, name) for index, (name, raw) in enumerate(files) if perhaps_action(raw)}
    manifests = [
        each.manifest for each in first.values() if each.manifest is not None and not has_errors(each.diagnostics)
    ]
    rest = [file for index, file in enumerate(files) if index not in first]
    found = iter(reading(rest, shelve([*known.own, *manifests], known.foreign), progress))
    return [first[index] if index in first else next(found) for index in range(len(files))]


def catalogue_of(
    database: Database,
    snapshot: Snapshot,
    *,
    owner: str,
    reading: Reading = one_by_one,
    progress: Progress | None = None,
) -> Catalogue:
    """Everything that a snapshot declares. Manifests that others own are known to its steps as well.

    Raises Conflict when a file was left out of the snapshot as known, and another process has replaced what was known of it.
    """
    with database.read() as tx:
        memory = remembered_of(tx, database, snapshot)
        elsewhere = elsewhere_known(tx, owner)
    digests = {file.name: digest_bytes(file.raw) for file in snapshot.files if file.raw is not None}
    recalled = {
        file.name: memory.recall(file)
        for file in snapshot.files
        if file.raw is None or memory.knows(file, digests[file.name])
    }
    known = (each.manifest for each in recalled.values() if each.manifest is not None)
    new = [(file, file.raw) for file in snapshot.files if file.raw is not None and file.name not in recalled]
    read_now = read_new(
        [(snapshot.prefix + file.name, raw) for file, raw in new],
        shelve(known, elsewhere.values()),
        reading=reading,
        progress=progress,
    )
    fresh = [
        reading_of(file, digests[file.name], each.document)
        for (file, _), each in zip(new, read_now, strict=True)
        if each.document is not None and not each.diagnostics
    ]
    found = iter(read_now)
    interpreted = [recalled.get(file.name) or next(found) for file in snapshot.files]
    catalogue = assemble(interpreted, known=elsewhere)
    memory.keep(interpreted, catalogue, anew={file.name for file, _ in new}, fresh=fresh)
    return with_problems(catalogue, snapshot.problems)


def remembered_of(tx: Transaction, database: Database, snapshot: Snapshot) -> "Memory":
    """What the store remembers of a tree as of now."""
    index = readings.get(tx, snapshot.root, "")
    return Memory(database, snapshot, marks=readings.marks(tx, snapshot.root), index=index)


def elsewhere_known(tx: Transaction, owner: str) -> dict[ManifestKey, Manifest]:
    """Manifests that others own."""
    return {
        (row["action_id"], row["version"]): build.manifest(decode(row["manifest_json"]))
        for row in manifests.live(tx)
        if row["owner"] != owner
    }


class Memory:
    """What the store remembers of a tree: a row a file, and one row with what is needed of all files at once."""

    def __init__(
        self, database: Database, snapshot: Snapshot, *, marks: Mapping[str, tuple[str, str]], index: Row | None
    ) -> None:
        self._database = database
        self._snapshot = snapshot
        self._remembered = frozenset(marks)
        self._marks = _of_this_version(marks)
        valid = index is not None and index["stamp"] == _VERSION
        self._facts: dict[str, Fact] = decode(index["document_json"]) if index and valid else {}
        self._rows: dict[str, Row] | None = None
        self._asked = 0

    def knows(self, file: SpecFile, digest: str) -> bool:
        """Whether these bytes are remembered under this name, whatever has become of the file's times since."""
        mark = self._marks.get(file.name)
        return mark is not None and mark[1] == digest

    def recall(self, file: SpecFile) -> Interpreted:
        """A file that did not change. Raises Conflict when another process has replaced what was known of it."""
        mark = self._marks.get(file.name)
        if mark is None or (file.raw is None and mark[0] != file.stamp):
            raise _read_anew(self._snapshot.prefix + file.name)
        fact = self._facts.get(file.name)
        if fact is None or fact[0] != mark[0]:
            return _recall(file, self._row(file), prefix=self._snapshot.prefix)
        shown = self._snapshot.prefix + file.name
        document = RememberedDocument(
            shown,
            lambda: str(self._row(file)["document_json"]),
            locate=partial(_locate, file, shown),
            source=lambda: _as_read(file, self._row(file)["digest"]),
        )
        return recalled(fact, document)

    def digest(self, file: SpecFile) -> str:
        """Of the bytes that are remembered under this name."""
        return self._marks[file.name][1]

    def keep(
        self, interpreted: Iterable[Interpreted], catalogue: Catalogue, *, anew: Collection[str], fresh: list[Row]
    ) -> None:
        """Remember what is new, and forget what is gone. `anew` are the files that were read, `fresh` what of them is good."""
        facts = {}
        for file, each in zip(self._snapshot.files, interpreted, strict=True):
            advice = catalogue.advice.get(each.file)
            known = self._facts.get(file.name)
            # What is kept of all files at once may be older than what is kept of one: two processes read the same tree.
            stands = known is not None and file.name not in anew and known[0] == self._marks[file.name][0]
            if known is not None and stands and (advice is None or advice is each.advice):
                facts[file.name] = known if known[0] == file.stamp else [file.stamp, *known[1:]]
            elif each.document is not None and not each.diagnostics:
                fact = fact_of(file.stamp, each, advice)
                if fact is not None:
                    facts[file.name] = fact
        if facts != self._facts:
            index = {"file": "", "stamp": _VERSION, "digest": "", "document_json": as_written(facts)}
            fresh = [*fresh, index]
        moved = [
            {"file": file.name, "stamp": file.stamp + _VERSION, "digest": self.digest(file)}
            for file in self._snapshot.files
            if file.name not in anew and self._marks[file.name][0] != file.stamp
        ]
        remember(self._database, self._snapshot, remembered=self._remembered, fresh=fresh, moved=moved)

    def _row(self, file: SpecFile) -> Row:
        """What was read of a file; after some that were asked for one by one, all are fetched at once."""
        if self._rows is None:
            self._asked += 1
            with self._database.read() as tx:
                if self._asked > MOST_SINGLY:
                    self._rows = {row["file"]: row for row in readings.of_root(tx, self._snapshot.root)}
                else:
                    return self._checked(file, readings.get(tx, self._snapshot.root, file.name))
        return self._checked(file, self._rows.get(file.name))

    def _checked(self, file: SpecFile, row: Row | None) -> Row:
        if row is None or not row["stamp"].endswith(_VERSION) or row["digest"] != self._marks[file.name][1]:
            raise _read_anew(file.name)
        return row


def _read_anew(shown: str) -> Conflict:
    """Reading it now would mix two moments of the tree."""
    return Conflict(f"{shown}: another process read this directory anew in the meantime", hint="try again")


def catalogue_of_files(
    files: Iterable[tuple[str, bytes]],
    *,
    problems: Iterable[Diagnostic] = (),
    known: Mapping[ManifestKey, Manifest] | None = None,
) -> Catalogue:
    """The same without a store, from (shown name, bytes), what was wrong with files that could not be read, manifests beside."""
    beside = () if known is None else known.values()
    catalogue = assemble(read_new(list(files), shelve(beside), reading=one_by_one), beside=known)
    return with_problems(with_circles(catalogue), problems)


def with_problems(catalogue: Catalogue, problems: Iterable[Diagnostic]) -> Catalogue:
    """A catalogue that also knows of unusable files: they count as present and bad."""
    found = tuple(problems)
    if not found:
        return catalogue
    bad = frozenset(each.span.file for each in found)
    return replace(
        catalogue,
        diagnostics=in_order((*found, *catalogue.diagnostics)),
        bad_files=catalogue.bad_files | bad,
        unidentified=catalogue.unidentified | bad,
    )


def _recall(file: SpecFile, row: Row, *, prefix: str) -> Interpreted:
    shown = prefix + file.name
    locate = partial(_locate, file, shown)
    source = partial(_as_read, file, row["digest"])
    return accept(Document(shown, decode(row["document_json"]), locate, near=locate, source=source))


def without_bytes(file: SpecFile, each: Interpreted, digest: str) -> Interpreted:
    """What a file means without its bytes, which are read again when somebody asks where something stands.

    `digest` is of the bytes. The document is the model's own, so that there is one of it.
    """
    model = each.automation or each.manifest
    if each.document is None or model is None:
        return each
    model = whole(model)
    value = model.spec if isinstance(model, Automation) else model.document
    locate, source = partial(_locate, file, each.file), partial(_as_read, file, digest)
    document = Document(each.file, value, locate, near=locate, source=source, outline=each.document.outline)
    if isinstance(model, Automation):
        return replace(each, document=document, automation=model)
    return replace(each, document=document, manifest=model)


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


def reading_of(file: SpecFile, digest: str, document: Document) -> Row:
    """The row to remember of a good file; `digest` is of its bytes."""
    return {
        "file": file.name,
        "stamp": file.stamp + _VERSION,
        "digest": digest,
        "document_json": text_of(document),
    }


def remember(
    database: Database, snapshot: Snapshot, *, remembered: Iterable[str], fresh: list[Row], moved: Sequence[Row] = ()
) -> None:
    """Write what is new, note what only has another stamp, and forget what is gone."""
    names = {file.name for file in snapshot.files}
    gone = [name for name in remembered if name not in names]
    if not fresh and not gone and not moved:
        return
    with database.write() as tx:
        readings.put(tx, snapshot.root, fresh)
        readings.restamp(tx, snapshot.root, moved)
        readings.forget(tx, snapshot.root, gone)
