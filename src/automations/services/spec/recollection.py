"""What the files of one tree mean, kept in memory from look to look: only what changed is read and parsed again.

The loop looks at its tree every minute and after every save; among thousands of specs an edit of one costs that one. A file whose
stamp moved though its bytes are the same (a checkout, a `touch`) keeps its meaning.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from automations.core.canonical import digest_bytes
from automations.core.spec.catalogue import Catalogue, Interpreted, assemble
from automations.core.spec.manifests import Shelf, shelve
from automations.core.spec.snapshot import Snapshot, SpecFile
from automations.services.spec.catalogue import (
    Memory,
    Reading,
    elsewhere_known,
    known_stamps,
    one_by_one,
    read_new,
    reading_of,
    remember,
    remembered_of,
    with_problems,
    without_bytes,
)
from automations.store.database import Database, Row


@dataclass(frozen=True, slots=True)
class _Kept:
    stamp: str
    digest: str
    """Of the bytes."""
    interpreted: Interpreted


class Recollection:
    """The memory of one loop."""

    def __init__(self, database: Database, root: str, *, reading: Reading = one_by_one) -> None:
        self._database = database
        self._root = root
        self._reading = reading
        self._kept: dict[str, _Kept] = {}
        self._anew: dict[str, SpecFile] = {}
        """What was read for the last catalogue, whose bytes are still held."""
        self.parsed = 0
        """How many files were parsed, ever."""

    def stamps(self) -> dict[str, str]:
        """Names to stamps of all that is known, for `Tree.take`; at first what the store remembers."""
        if not self._kept:
            return known_stamps(self._database, self._root)
        return {name: kept.stamp for name, kept in self._kept.items()}

    def catalogue(self, snapshot: Snapshot, *, owner: str) -> Catalogue:
        """Everything that a snapshot declares, as `services.spec.catalogue.catalogue_of` would tell it; raises as that does."""
        with self._database.read() as tx:
            elsewhere = elsewhere_known(tx, owner)
            memory = None if self._kept else remembered_of(tx, self._database, snapshot)
        changed = self._changed(snapshot, memory)
        same = {file.name: self._known(file, memory) for file in snapshot.files if file.name not in changed}
        standing = [each.interpreted.manifest for each in same.values() if each.interpreted.manifest is not None]
        anew = self._read(snapshot, changed, shelve(standing, elsewhere.values()))
        found = {file.name: anew.get(file.name) or same[file.name] for file in snapshot.files}
        interpreted = [each.interpreted for each in found.values()]
        catalogue = assemble(interpreted, known=elsewhere)
        moved = [file for file in snapshot.files if found[file.name] is not self._kept.get(file.name)]
        rows = (self._fresh(file, found[file.name]) for file in moved if memory is None or file.name in anew)
        fresh = [row for row in rows if row is not None]
        if memory is not None:
            memory.keep(interpreted, catalogue, anew=anew, fresh=fresh)
        else:
            remember(self._database, snapshot, remembered=self._kept, fresh=fresh)
        self._kept = {name: _advised(kept, catalogue) for name, kept in found.items()}
        self._anew = {file.name: file._replace(raw=None) for file in snapshot.files if file.name in anew}
        return with_problems(catalogue, snapshot.problems)

    def let_go(self) -> None:
        """The round is over that the last catalogue was for: nothing needs the bytes of its files any more."""
        for name, file in self._anew.items():
            kept = self._kept[name]
            self._kept[name] = replace(kept, interpreted=without_bytes(file, kept.interpreted, kept.digest))
        self._anew = {}

    def forget(self) -> None:
        """Know nothing: the next look reads what the store remembers."""
        self._kept, self._anew = {}, {}

    def _changed(self, snapshot: Snapshot, memory: Memory | None) -> dict[str, str]:
        """Names of files whose bytes are others than before, with the digests of what they are now."""
        found = {}
        for file in snapshot.files:
            if file.raw is not None:
                kept, digest = self._kept.get(file.name), digest_bytes(file.raw)
                if memory is not None and memory.knows(file, digest):
                    continue
                if kept is None or kept.digest != digest:
                    found[file.name] = digest
        return found

    def _read(self, snapshot: Snapshot, changed: Mapping[str, str], known: Shelf) -> dict[str, _Kept]:
        """What files mean whose bytes are others than before."""
        new = [(file, file.raw) for file in snapshot.files if file.name in changed and file.raw is not None]
        self.parsed += len(new)
        named = [(snapshot.prefix + file.name, raw) for file, raw in new]
        found = read_new(named, known, reading=self._reading)
        return {
            file.name: _Kept(file.stamp, changed[file.name], interpreted)
            for (file, _), interpreted in zip(new, found, strict=True)
        }

    def _known(self, file: SpecFile, memory: Memory | None) -> _Kept:
        """What a file means whose bytes are the same."""
        kept = self._kept.get(file.name)
        if kept is None:
            memory = memory or self._memory_of(file)
            interpreted = memory.recall(file)
            return _Kept(file.stamp, memory.digest(file), interpreted)
        return kept if kept.stamp == file.stamp else replace(kept, stamp=file.stamp)

    def _memory_of(self, file: SpecFile) -> Memory:
        """What the store knows of a file that this loop does not: another process read it."""
        with self._database.read() as tx:
            return remembered_of(tx, self._database, Snapshot(self._root, "", None, (file,)))

    def _fresh(self, file: SpecFile, now: _Kept) -> Row | None:
        """The row to remember of a good file whose stamp is new."""
        before = self._kept.get(file.name)
        document = now.interpreted.document
        if document is None or now.interpreted.diagnostics:
            return None
        return None if before is not None and before.stamp == now.stamp else reading_of(file, now.digest, document)


def _advised(kept: _Kept, catalogue: Catalogue) -> _Kept:
    """With what its steps and the manifests were found to say of each other, so that it need not be found again."""
    advice = catalogue.advice.get(kept.interpreted.file)
    return (
        kept
        if advice is kept.interpreted.advice
        else replace(kept, interpreted=replace(kept.interpreted, advice=advice))
    )
