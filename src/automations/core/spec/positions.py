"""Where things stand in a file: a second pass over its events, made only when somebody asks."""

from collections.abc import Iterator
from typing import Any, Final

import yaml
from yaml import events

from automations.core.diagnostic import Path
from automations.core.spec.document import Marks
from automations.core.spec.events import open_events
from automations.core.spec.syntax import UnreadableError

_MERGED: Final = -1
"""Stands in a path for a merge key until all is read: no list has this index."""

_Mark4 = tuple[int, int, int, int]


class _Frame:
    """An open mapping or sequence: its path, and the index or key (with its place) that the next value gets."""

    __slots__ = ("anchor", "first", "index", "is_list", "key", "key_place", "path")

    def __init__(self, path: Path, event: Any, *, first: int) -> None:
        self.path = path
        self.is_list = type(event) is events.SequenceStartEvent
        self.anchor: str | None = event.anchor
        self.first = first
        self.index = 0
        self.key: str | int | None = None
        self.key_place: tuple[int, int] | None = None


class _Walk:
    """The places of a document that `read` accepted: nothing is checked twice here."""

    def __init__(self) -> None:
        self.entries: list[tuple[Path, _Mark4]] = []
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[int, int, int, str]] = {}

    def take(self, event: Any) -> None:
        kind = type(event)
        if kind in (events.MappingStartEvent, events.SequenceStartEvent):
            first = len(self.entries)
            self._stack.append(_Frame(self._place(event), event, first=first))
        elif kind in (events.MappingEndEvent, events.SequenceEndEvent):
            frame = self._stack.pop()
            if frame.anchor is not None:
                self._anchors[frame.anchor] = (frame.first, len(self.entries), len(frame.path), "")
        elif kind is events.ScalarEvent:
            self._scalar(event)
        elif kind is events.AliasEvent:
            self._alias(event)

    def _awaits_key(self) -> bool:
        return bool(self._stack) and not self._stack[-1].is_list and self._stack[-1].key is None

    def _set_key(self, key: str | int, event: Any) -> None:
        frame = self._stack[-1]
        frame.key = key
        frame.key_place = (event.start_mark.line + 1, event.start_mark.column + 1)

    def _scalar(self, event: Any) -> None:
        first = len(self.entries)
        if self._awaits_key():
            self._set_key(_MERGED if is_merge(event) else event.value, event)
            depth = len(self._stack[-1].path)
        else:
            depth = len(self._place(event))
        if event.anchor is not None:
            self._anchors[event.anchor] = (first, len(self.entries), depth, event.value)

    def _alias(self, event: Any) -> None:
        first, end, depth, text = self._anchors[event.anchor]
        if self._awaits_key():
            self._set_key(text, event)
            return
        path = self._place(event)
        for below, mark in self.entries[first + 1 : end]:
            self.entries.append((path + below[depth:], mark))

    def _place(self, event: Any) -> Path:
        """Record where a value starts and step its parent on; give the value's path."""
        own = (event.start_mark.line + 1, event.start_mark.column + 1)
        path: Path = ()
        key_place = own
        if self._stack:
            frame = self._stack[-1]
            if frame.is_list:
                path = (*frame.path, frame.index)
                frame.index += 1
            elif frame.key is not None and frame.key_place is not None:
                path = (*frame.path, frame.key)
                key_place, frame.key = frame.key_place, None
        self.entries.append((path, (*key_place, *own)))
        return path


def is_merge(event: Any) -> bool:
    """Tell whether a scalar in a key's place is the merge key: `<<`, plain and without a tag."""
    return event.value == "<<" and not event.style and event.tag is None


def marks(raw: bytes, file: str, until: Path | None = None) -> Marks:
    """Place every path of a document that was read without errors. `raw` is UTF-8 without a byte order mark.

    With `until`, what stands behind that path may be missing. What an alias or a merge brings in stands where it was
    written.
    """
    walk = _Walk()
    source = open_events(raw, file)
    while (event := source.get_event()) is not None:
        walk.take(event)
        if until is not None and walk.entries and walk.entries[-1][0] == until:
            break
    return {path: mark for raw_path, mark in walk.entries if (path := _unmerged(raw_path)) is not None}


def _unmerged(path: Path) -> Path | None:
    """Give the path that a value has after merging, None for the merge key's own value and the items of its list."""
    if _MERGED not in path:
        return path
    kept: list[str | int] = []
    after_merge = False
    for part in path:
        if part == _MERGED:
            after_merge = True
        elif not (after_merge and isinstance(part, int)):
            after_merge = False
            kept.append(part)
    return None if after_merge else tuple(kept)


class FirstLines:
    """Where keys stand first, also in a file with errors: the walk goes no further than it is asked about."""

    def __init__(self, raw: bytes, file: str) -> None:
        self._events = _until_broken(raw, file)
        self._lines: dict[tuple[int, str], int] = {}
        self._open: list[list[int] | None] = []  # start and count of a mapping's keys and values; None for a sequence

    def find(self, mapping: int, key: str, *, before: int) -> int | None:
        """Give the line (from 1) of `key` in the mapping that starts at an index, reading up to another; None if absent.

        Indexes count characters from 0.
        """
        while (mapping, key) not in self._lines:
            event = next(self._events, None)
            if event is None:
                return None
            self._take(event)
            if event.start_mark.index >= before:
                return None
        return self._lines[mapping, key]

    def _take(self, event: Any) -> None:
        kind = type(event)
        if kind in (events.MappingEndEvent, events.SequenceEndEvent):
            self._open.pop()
            return
        if kind not in (events.MappingStartEvent, events.SequenceStartEvent, events.ScalarEvent, events.AliasEvent):
            return
        parent = self._open[-1] if self._open else None
        if parent is not None:
            if kind is events.ScalarEvent and parent[1] % 2 == 0:
                self._lines.setdefault((parent[0], event.value), event.start_mark.line + 1)
            parent[1] += 1
        if kind is events.MappingStartEvent:
            self._open.append([event.start_mark.index, 0])
        elif kind is events.SequenceStartEvent:
            self._open.append(None)


def _until_broken(raw: bytes, file: str) -> Iterator[Any]:
    source = open_events(raw, file)
    try:
        while (event := source.get_event()) is not None:
            yield event
    except (yaml.YAMLError, UnreadableError):
        return
