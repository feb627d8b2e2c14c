"""Watches a directory and says "look again"; it never says what changed.

Two watches: the folders of the tree behind the root as it resolves now, each by itself, so that no link is ever followed; and
the root's parent, because a symlink swap or a root that is made anew is only seen from there. Either may die or miss something,
so nobody may rely on it: the resync finds everything. It is healthy while both stand.
"""

import os
import stat
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from automations.adapters.files import folders, named_like_a_spec

if TYPE_CHECKING:
    from watchfiles import Change

STEP_MS = 40
"""Milliseconds without a change after which a burst is over."""
BURST_MS = 2_000
"""Milliseconds after which a burst is told of even if it goes on."""
TREE, PARENT = "watch-tree", "watch-parent"
LOOK_MS = 1_000
"""Milliseconds between looks at whether to stop, or at whether the root leads elsewhere now."""
FIRST_BACKOFF, LONGEST_BACKOFF = 1.0, 60.0
LOOKED_AT = 500
"""Folders whose identity is compared at a look; of more, some at each."""
MOST_FOLDERS = 20_000
"""A tree with more folders is not watched but looked at every few seconds."""


class Watcher:
    """Threads that call `changed` after a burst of changes, `healthy` when both watches stand, `broken` when one does not."""

    def __init__(
        self, root: Path, *, changed: Callable[[], None], healthy: Callable[[], None], broken: Callable[[], None]
    ) -> None:
        self._root = root
        self._changed = changed
        self._healthy = healthy
        self._broken = broken
        self._stop = Event()
        self._moved = Event()
        self._standing: set[str] = set()
        self._lock = Lock()
        self._threads = tuple(
            Thread(target=self._keep, args=(name, watch, again), name=name, daemon=True)
            for name, watch, again in (
                (TREE, self._watch_tree, self._moved),  # the parent's watch sees a root that comes back
                (PARENT, self._watch_parent, self._stop),
            )
        )

    def start(self) -> None:
        """Begin watching."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the threads; they stop within a second or so."""
        self._stop.set()
        self._moved.set()

    def _keep(self, name: str, watch: Callable[[], None], again: Event) -> None:
        """Begin a watch again and again, later and later while it fails; `again` ends a wait."""
        backoff = FIRST_BACKOFF
        while not self._stop.is_set():
            try:
                watch()
                backoff = FIRST_BACKOFF
            except Exception:  # noqa: BLE001  # a watcher may break in many ways; the resync goes on without it
                if self._stands(name, stands=False):
                    backoff = FIRST_BACKOFF  # it stood until now
                if name == TREE:
                    self._moved.clear()
                again.wait(backoff)
                backoff = min(backoff * 2, LONGEST_BACKOFF)
                self._changed()

    def _stands(self, name: str, *, stands: bool) -> bool:
        """A watch stands, or ended; whether it stood before. Both are told in the order in which they happened."""
        with self._lock:
            stood = name in self._standing
            if not stands:
                self._standing.discard(name)
                self._broken()
            elif not stood:
                self._standing.add(name)
                if self._standing == {TREE, PARENT}:
                    self._healthy()
            return stood

    def _watch_tree(self) -> None:
        """Until the root leads elsewhere or its folders are others, be it that something was mounted over one of them.

        What happened until a watch stands, which its first round shows, is looked for then.
        """
        from watchfiles import watch  # noqa: PLC0415  # only a daemon watches

        target = self._root.resolve(strict=True)
        named = folders(target, most=MOST_FOLDERS)
        watched, standing = frozenset(named), _Standing(named)
        self._moved.clear()
        if self._stop.is_set():
            return
        begun = False
        for changes in watch(
            *watched,
            watch_filter=None,
            debounce=BURST_MS,
            step=STEP_MS,
            rust_timeout=LOOK_MS,
            yield_on_timeout=True,
            stop_event=self._moved,
            recursive=False,
            raise_interrupt=False,
        ):
            if not begun:
                begun = True
                self._stands(TREE, stands=True)
                self._changed()
            if self._root.resolve(strict=True) != target or standing.replaced():
                break
            telling = [path for _, path in changes if path in watched or _matters(path, target)]
            if telling:
                self._changed()
                if _made_anew(changes, watched) or (
                    not all(map(_mere_file, telling))
                    and watched.symmetric_difference(folders(target, most=MOST_FOLDERS))
                ):
                    break
        self._changed()

    def _watch_parent(self) -> None:
        from watchfiles import watch  # noqa: PLC0415  # only a daemon watches

        name, begun = self._root.name, False
        standing = _Standing((str(self._root.parent),))
        for changes in watch(
            self._root.parent,
            watch_filter=None,
            debounce=BURST_MS,
            step=STEP_MS,
            rust_timeout=LOOK_MS,
            yield_on_timeout=True,
            stop_event=self._stop,
            recursive=False,
            raise_interrupt=False,
        ):
            if not begun:
                begun = True
                self._stands(PARENT, stands=True)
            if standing.replaced():
                break
            if any(Path(path).name == name for _, path in changes):
                self._moved.set()
                self._changed()


class _Standing:
    """Which folders stood under these names when a watch began: inotify watches a folder, not a name.

    What is mounted over a name, or unmounted from it, tells neither the folder below nor its parent anything.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._known = [_identity(name) for name in names]
        self._next = 0

    def replaced(self) -> bool:
        """Whether another folder stands under one of the names: of the first always, of the others each in its turn."""
        begin, self._next = self._next, self._next + LOOKED_AT
        if self._next >= len(self._names):
            self._next = 0
        looked_at = (0, *range(begin, min(begin + LOOKED_AT, len(self._names))))
        return any(_identity(self._names[each]) != self._known[each] for each in looked_at)


def _identity(name: str) -> tuple[int, int] | None:
    """The device and inode that stand under a name; None when nothing does."""
    try:
        status = os.stat(name)  # noqa: PTH116  # by name
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _made_anew(changes: "Collection[tuple[Change, str]]", watched: Collection[str]) -> bool:
    """Whether a watched folder went or came: one that is made anew under its name is no longer the one that is watched."""
    return any(path in watched for change, path in changes if change.name != "modified")


def _mere_file(path: str) -> bool:
    """Whether a changed path says nothing about folders: looking for all of them takes long among thousands of files."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)  # by name
    except OSError:
        return False


def _matters(path: str, root: Path) -> bool:
    """Whether a changed path may mean another tree of specs: a spec, a folder, a link, or something unknown that is gone.

    A log or a database that lies in the tree changes all the time and means nothing.
    """
    changed = Path(path)
    below = changed.relative_to(root).parts if changed.is_relative_to(root) else changed.parts[-1:]
    if any(part.startswith(".") and not part.startswith("..") for part in below):
        return False
    if named_like_a_spec(path) or changed.is_symlink() or changed.is_dir():
        return True
    return not changed.exists() and not changed.suffix
