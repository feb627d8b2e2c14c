"""Parse events become plain data, in one pass and without recursion, and every rule about them is held on the way.

The good path pays for nothing else: no positions are kept, paths and lines are worked out only for a finding. A finding
does not end the pass unless reading on would be unsafe (a limit) or impossible (broken syntax).
"""

from dataclasses import dataclass
from typing import Any, Final

import yaml
from yaml import events

from automations.core.diagnostic import Diagnostic, Path, Severity, Span
from automations.core.spec import scalars
from automations.core.spec.events import Events
from automations.core.spec.positions import FirstLines, is_merge
from automations.core.spec.scalars import NUMERIC, WORDS, BadScalarError, shown
from automations.core.spec.syntax import UnreadableError, explain


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a file may be. Aliases count as often as they are used, with all that they bring in."""

    size: int = 1024 * 1024
    """Bytes of the file."""
    depth: int = 40
    """Mappings and sequences inside each other."""
    nodes: int = 50_000
    """Keys, values, mappings and sequences."""
    aliases: int = 50
    """Uses of anchors."""
    copied: int = 1024 * 1024
    """Characters of source text that aliases repeat."""
    scalar: int = 64 * 1024
    """Bytes of one key or value, in UTF-8."""
    findings: int = 100
    """Findings after which a file is given up."""


class _Marker:
    """A value that no file can hold."""


_AWAITED: Final[Any] = _Marker()
"""In a mapping's `key`: the next node is a key."""
_ITEM: Final[Any] = _Marker()
"""In a sequence's `key`, always."""
_MERGE: Final[Any] = _Marker()
"""The key under which a mapping keeps what is to be merged, until it ends."""
_UNKNOWN: Final[Any] = _Marker()
"""Stands for what a bad alias would bring; already reported."""
_SHORT: Final = "?"
"""Stands in for a key that is a mapping or sequence; already reported."""


_OUTLINED: Final = (1, 2)
"""How deep the mappings and sequences are whose beginnings the outline has."""


class _StopError(Exception):
    """Reading on would be unsafe; the finding that says so is already recorded."""


def _pass_over(_: Any) -> None:
    """Take no notice of an event."""


class _Open:
    """A mapping or sequence whose end was not read yet."""

    __slots__ = ("container", "copied", "event", "height", "key", "merge", "nodes")

    def __init__(self, container: Any, event: Any, *, nodes: int, copied: int) -> None:
        self.container = container
        self.event = event  # its start
        self.nodes = nodes  # how many were counted before it
        self.copied = copied
        self.key: Any = _AWAITED if type(container) is dict else _ITEM
        self.height = 1
        self.merge: Any = None  # the event of its `<<`


class _Anchored:
    """What an alias repeats, and what that costs."""

    __slots__ = ("copied", "height", "nodes", "value")

    def __init__(self, value: Any, *, nodes: int, height: int, copied: int) -> None:
        self.value = value
        self.nodes = nodes
        self.height = height
        self.copied = copied


class Composer:
    """One file on its way from events to data."""

    def __init__(self, source: Events, file: str, *, text: str, limits: Limits, first_lines: FirstLines) -> None:
        self.findings: list[Diagnostic] = []
        self.roots: list[Any] = []
        self.outline: list[tuple[Path, Any]] = []
        """Where a document's fields and their items begin (the events that do), as far as aliases and merges leave that plain."""
        self.blank = False
        self._source = source
        self._file = file
        self._text = text
        self._limits = limits
        self._first_lines = first_lines
        self._short = limits.scalar // 4  # characters that cannot exceed the limit whatever they are
        self._max_nodes = limits.nodes
        self._nodes = self._aliases = self._copied = self._documents = 0
        self._top = _Open(self.roots, None, nodes=0, copied=0)
        self._stack: list[_Open] = []
        self._anchors: dict[str, _Anchored | None] = {}

    def run(self) -> None:
        """Read to the end, or to what ends the pass; `roots`, `blank` and `findings` then tell the outcome."""
        handlers: dict[type, Any] = {
            events.ScalarEvent: self._scalar,
            events.MappingStartEvent: self._begin,
            events.SequenceStartEvent: self._begin,
            events.MappingEndEvent: self._end,
            events.SequenceEndEvent: self._end,
            events.AliasEvent: self._alias,
            events.DocumentStartEvent: self._document,
            events.DocumentEndEvent: _pass_over,
            events.StreamStartEvent: _pass_over,
            events.StreamEndEvent: _pass_over,
        }
        get_event = self._source.get_event
        try:
            while (event := get_event()) is not None:
                handlers[type(event)](event)
        except yaml.YAMLError as error:
            self.fault(explain(error, self._text))
        except UnreadableError as error:
            self.fault(error)
        except _StopError:
            return

    def fault(self, fault: UnreadableError) -> None:
        """Record why the rest cannot be read."""
        before = self._text[: min(fault.index, len(self._text))].replace("\r\n", "\n").replace("\r", "\n")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        self._record(fault.code, fault.message, span=Span(self._file, line, column), hint=fault.hint)

    def _document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            message = "the file holds more than one document"
            raise self._stop("yaml/documents", message, event=event, hint="Move each document to a file of its own.")

    def _scalar(self, event: Any) -> None:
        # Two of three events come here, so the usual case does everything in place.
        self._nodes = nodes = self._nodes + 1
        text = event.value
        if event.anchor or event.tag or nodes > self._max_nodes or len(text) > self._short:
            self._unusual_scalar(event)
            return
        if event.style:
            if "\0" in text:
                self._find_nul(event)
        elif text in WORDS or text[0] in NUMERIC:
            self._put(self._resolved(event), event)
            return
        top = self._top
        key = top.key
        if key is _AWAITED:
            top.key = text if text not in top.container and text != "<<" else self._odd_key(text, event)
        elif key is _ITEM:
            top.container.append(text)
        else:
            top.container[key] = text
            top.key = _AWAITED
            if len(self._stack) == 1:
                self.outline.append(((key,), event))

    def _unusual_scalar(self, event: Any) -> None:
        text, tag = event.value, event.tag
        if self._nodes > self._max_nodes:
            raise self._too_many_nodes(event)
        if len(text.encode()) > self._limits.scalar:
            message = f"a single value is longer than {self._limits.scalar} bytes"
            self._find(
                "yaml/scalar-size",
                message,
                event=event,
                hint="Keep large content in a file of its own and refer to it.",
            )
        if "\0" in text:
            self._find_nul(event)
        value = text if event.style and tag is None else self._resolved(event)
        if event.anchor is not None:
            span = event.end_mark.index - event.start_mark.index
            self._anchors[event.anchor] = _Anchored(value, nodes=1, height=0, copied=span)
        self._put(value, event)

    def _resolved(self, event: Any) -> Any:
        text, tag = event.value, event.tag
        self.blank = self.blank or (not text and not self._stack and tag is None)
        try:
            return scalars.plain(text) if tag is None else scalars.tagged(tag, text)
        except BadScalarError as bad:
            self._find(bad.code, bad.message, event=event, hint=bad.hint)
            return text

    def _put(self, value: Any, event: Any) -> None:
        """Hand a finished value to the open mapping or sequence; `event` is where it began."""
        top = self._top
        if top.key is _ITEM:
            top.container.append(value)
        elif top.key is _AWAITED:
            top.key = self._odd_key(value, event)
        else:
            top.container[top.key] = value
            top.key = _AWAITED

    def _odd_key(self, value: Any, event: Any) -> Any:
        top = self._top
        if value is _UNKNOWN:
            return _SHORT
        if type(value) is not str:
            return self._key_of_other_kind(value, event)
        if value == "<<" and type(event) is events.ScalarEvent and is_merge(event):
            if top.merge is None:
                top.merge = event
                return _MERGE
            self._find(
                "yaml/duplicate-key",
                "two merge keys '<<' in one mapping",
                event=event,
                hint="Merge a list: <<: [*a, *b].",
            )
        elif value in top.container:
            top.key = value  # so that the finding's path names it
            line = self._first_lines.find(top.event.start_mark.index, value, before=event.start_mark.index)
            first = f"; it stands first on line {line}" if line else ""
            message = f"the key {shown(value)} appears twice in one mapping{first}"
            self._find("yaml/duplicate-key", message, event=event, hint="Remove one of the two, or rename it.")
        return value

    def _key_of_other_kind(self, value: Any, event: Any) -> str:
        if type(value) in (dict, list):
            what = "a mapping" if type(value) is dict else "a list"
            self._find(
                "yaml/key",
                f"{what} cannot be a key",
                event=event,
                hint="Use text as the key; quote it if it has braces.",
            )
            return _SHORT
        text = str(event.value) if type(event) is events.ScalarEvent else str(value)
        kind = {bool: "a boolean", type(None): "null"}.get(type(value), "a number")
        hint = f'Write it in quotes: "{text}":' if len(text) <= 60 else "Write it in quotes."
        self._find("yaml/key", f"keys are text, but {shown(text)} is {kind} unless quoted", event=event, hint=hint)
        return text

    def _begin(self, event: Any) -> None:
        container: Any = {} if type(event) is events.MappingStartEvent else []
        if len(self._stack) >= self._limits.depth:
            raise self._too_deep(event)
        self._nodes += 1
        if self._nodes > self._max_nodes:
            raise self._too_many_nodes(event)
        if event.tag is not None:
            kind, what = ("map", "a mapping") if type(container) is dict else ("seq", "a list")
            if not scalars.is_core(event.tag, kind):
                bad = scalars.foreign_tag(event.tag, what)
                self._find(bad.code, bad.message, event=event, hint=bad.hint)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._stack.append(self._top)
        self._top = _Open(container, event, nodes=self._nodes - 1, copied=self._copied)

    def _end(self, event: Any) -> None:
        done = self._top
        self._top = parent = self._stack.pop()
        if done.merge is not None:
            self._merge(done)
        if parent.height <= done.height:
            parent.height = done.height + 1
        start = done.event
        if start.anchor is not None:
            copied = event.end_mark.index - start.start_mark.index + self._copied - done.copied
            self._anchors[start.anchor] = _Anchored(
                done.container, nodes=self._nodes - done.nodes, height=done.height, copied=copied
            )
        if len(self._stack) in _OUTLINED:
            self.outline.append((self._path(), start))
        self._put(done.container, start)

    def _merge(self, done: _Open) -> None:
        into = done.container
        brought = into.pop(_MERGE, _UNKNOWN)
        for source in brought if type(brought) is list else [brought]:
            if source is _UNKNOWN:
                continue
            if type(source) is not dict:
                hint = "Merge an alias of a mapping (<<: *name) or a list of such aliases."
                self._find(
                    "yaml/merge", "a merge key '<<' needs a mapping or a list of mappings", event=done.merge, hint=hint
                )
                continue
            clash = [shown(key) for key in source if key in into]
            if clash:
                names = ", ".join(clash[:3]) + (", …" if len(clash) > 3 else "")
                message = f"merging here brings keys that the mapping already has: {names}"
                hint = "Remove them from one of the two; nothing is overridden silently."
                self._find("yaml/merge", message, event=done.merge, hint=hint)
            into.update(source)

    def _alias(self, event: Any) -> None:
        self._aliases += 1
        if self._aliases > self._limits.aliases:
            message = f"more than {self._limits.aliases} aliases in one file"
            raise self._stop("yaml/aliases", message, event=event, hint="Write the values out, or use vars.")
        anchored = self._anchors.get(event.anchor, _UNKNOWN)
        if isinstance(anchored, _Anchored):
            self._put(self._repeat(anchored, event), event)
            return
        if anchored is None:
            message, hint = f"the alias {shown('*' + event.anchor)} stands inside what it repeats", "Remove the alias."
            self._find("yaml/recursive-alias", message, event=event, hint=hint)
        else:
            message = f"the alias {shown('*' + event.anchor)} has no anchor before it"
            hint = f"Set the anchor (&{event.anchor}) earlier in this file, or quote the text."
            self._find("yaml/undefined-alias", message, event=event, hint=hint)
        self._put(_UNKNOWN, event)

    def _repeat(self, anchored: _Anchored, event: Any) -> Any:
        """Give an anchored value once more: shared, not copied, but counted as if it were copied."""
        self._nodes += anchored.nodes
        self._copied += anchored.copied
        if self._nodes > self._max_nodes or self._copied > self._limits.copied:
            message = "aliases make this file too large when expanded"
            raise self._stop("yaml/aliases", message, event=event, hint="Repeat less; aliases of aliases multiply.")
        if len(self._stack) + anchored.height > self._limits.depth:
            raise self._too_deep(event)
        self._top.height = max(self._top.height, anchored.height + 1)
        return anchored.value

    def _too_deep(self, event: Any) -> _StopError:
        message = f"mappings and lists are nested more than {self._limits.depth} deep"
        return self._stop("yaml/depth", message, event=event, hint="Flatten the structure.")

    def _too_many_nodes(self, event: Any) -> _StopError:
        message = f"the file holds more than {self._limits.nodes} keys and values"
        return self._stop("yaml/nodes", message, event=event, hint="Split it into several files.")

    def _find_nul(self, event: Any) -> None:
        self._find("yaml/character", "the character U+0000 is not allowed", event=event, hint="Remove the escape.")

    def _stop(self, code: str, message: str, *, event: Any, hint: str) -> _StopError:
        self._find(code, message, event=event, hint=hint)
        return _StopError()

    def _find(self, code: str, message: str, *, event: Any, hint: str) -> None:
        span = Span(self._file, event.start_mark.line + 1, event.start_mark.column + 1)
        self._record(code, message, span=span, hint=hint)
        if len(self.findings) >= self._limits.findings:
            raise _StopError

    def _record(self, code: str, message: str, *, span: Span, hint: str) -> None:
        self.findings.append(Diagnostic(code, Severity.ERROR, message, span, self._path(), hint))

    def _path(self) -> Path:
        """Tell where in the document the pass stands."""
        path: list[str | int] = []
        for frame in (*self._stack, self._top)[1:]:
            if frame.key is _ITEM:
                path.append(len(frame.container))
            elif frame.key is not _AWAITED:
                path.append("<<" if frame.key is _MERGE else frame.key)
        return tuple(path)
