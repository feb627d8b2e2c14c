"""Files in which somebody is writing: for a while they mean what they meant before, and nobody else has to wait for them.

A torn save is often a valid spec. A file that was being written when it was looked at keeps its last known meaning until it has
settled; one that nobody knew is left out, and nothing counts as missing meanwhile. Where several files change, as in a
checkout, none is taken in before all of them have settled. Nobody is waited for without end.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from automations.core.instant import MILLISECOND, SECOND
from automations.core.spec.snapshot import Snapshot, SpecFile

AGAIN = 100 * MILLISECOND
"""How soon a tree in which somebody is writing is looked at again, for a file may be closed any time."""
LONGEST = 12 * SECOND
"""A file that settles later than this has a time from the future; it is not waited for."""
PATIENCE = 10 * SECOND
"""A file that is written without end is taken in as it is after this long."""


BURST = 2 * SECOND
"""For how long a tree in which several files change is left alone as a whole."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A snapshot without what is half-written, and when to look again because of that (microseconds), or None.

    `torn` says that files which change together are not all there: to take some of them in would bind what nobody committed.
    """

    snapshot: Snapshot
    again_at: int | None = None
    torn: bool = False


class Settling:
    """Remembers since when each file of one tree is being written, and since when any is."""

    def __init__(self) -> None:
        self._since: dict[str, int] = {}
        self._began: int | None = None

    def sort_out(self, snapshot: Snapshot, known: Mapping[str, str], *, now: int) -> Settled:
        """`known` are the stamps of files whose meaning is remembered."""
        writing = {file.name: file for file in snapshot.files if self._waits(file, now=now)}
        self._since = {name: self._since.get(name, now) for name in writing}
        if not writing and not snapshot.moving:
            self._began = None
            return Settled(snapshot)
        self._began = now if self._began is None else min(self._began, now)
        files = tuple(
            file._replace(stamp=known[file.name], raw=None) if file.name in writing else file
            for file in snapshot.files
            if file.name not in writing or file.name in known
        )
        again_at = max(min((now + AGAIN, *(file.settles_at for file in writing.values()))), now + MILLISECOND)
        torn = now < self._began + BURST and (snapshot.moving or _more_change(snapshot, known))
        if not writing and not torn:
            return Settled(snapshot)
        return Settled(replace(snapshot, files=files), again_at, torn)

    def _waits(self, file: SpecFile, *, now: int) -> bool:
        since = self._since.get(file.name, now)
        return now < file.settles_at <= now + LONGEST and since <= now < since + PATIENCE


def _more_change(snapshot: Snapshot, known: Mapping[str, str]) -> bool:
    """Whether more than one file changed, came or went."""
    changed = sum(known.get(file.name) != file.stamp for file in snapshot.files)
    return changed + len(known.keys() - {file.name for file in snapshot.files}) > 1
