"""A YAML file as a tree that still knows its author's hand: comments, blank lines, quotes, anchors, flow and block.

Built from libyaml's events; what lies between two of them is indicators, white space and comments. A comment belongs to the key
or item below it, to the line that it ends, or to the end of the collection that it is indented with.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Final

from yaml import events

from automations.core.spec.events import Events

_CORE_TAG: Final = "tag:yaml.org,2002:"
_PROPERTY: Final = re.compile(r"!<[^>]*>|[&!][^\s,\[\]{}]*")
_BETWEEN: Final = re.compile(r"\s*(?:#[^\n]*\n\s*)*")
_AFTER_INDICATOR: Final = 1 << 20
"""The column of a comment that follows a `{`, `[`, `-` or `---`: it belongs to what comes next, however that is indented."""


class UnformattableError(Exception):
    """The file uses something that has no canonical form here; the message says what."""


@dataclass(slots=True)
class Note:
    """A comment with its `#`, or a blank line (no text)."""

    column: int
    text: str


@dataclass(slots=True)
class Node:
    """A scalar, an alias, a mapping or a sequence. `properties` is its anchor and tag as written before it."""

    kind: str
    text: str = ""
    """A scalar's or alias's source, without properties; of a block scalar only what its header and lines were."""
    value: str = ""
    style: str | None = None
    properties: str = ""
    entries: list["Entry"] = field(default_factory=list)
    flow: bool = False
    """Written in brackets, on one line, without comments inside."""
    column: int = 0
    trailing: list[str] = field(default_factory=list)
    tail: list[Note] = field(default_factory=list)

    @property
    def collection(self) -> bool:
        """Whether it is a mapping or a sequence."""
        return self.kind in ("mapping", "sequence")


@dataclass(slots=True)
class Entry:
    """One key and its value, or one item (without key). `head` is the comment behind the key's colon."""

    key: Node | None
    value: Node | None = None
    leading: list[Note] = field(default_factory=list)
    head: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Tree:
    """A whole file: its root, and every comment in the order of the file."""

    root: Node
    comments: list[str]
    anchored: bool


def commented(source: Events, text: str) -> Tree:
    """Build the tree of `text`, which a reader accepted and whose line ends are line feeds.

    Raises UnformattableError for directives and for a root that is no collection.
    """
    builder = _Builder(text)
    while (event := source.get_event()) is not None:
        builder.take(event)
    return builder.tree()


class _Builder:
    def __init__(self, text: str) -> None:
        self._text = text
        self._cursor = 0
        self._pending: list[Note] = []
        self._after: list[str] | None = None  # where a comment on the line that was just read goes
        self._stack: list[Node] = []
        self._root: Node | None = None
        self._anchored = False
        self._comments: list[str] = []

    def take(self, event: Any) -> None:
        """Go on by one event."""
        start, end = event.start_mark.index, event.end_mark.index
        if isinstance(event, events.ScalarEvent):
            self._scalar(event, max(start, self._cursor), max(end, self._cursor))
        elif isinstance(event, events.AliasEvent):
            self._gap(start)
            self._anchored = True
            self._leaf(Node("alias", f"*{event.anchor}"), end=end)
        elif isinstance(event, events.CollectionStartEvent):
            self._begin(event, max(start, self._cursor))
        elif isinstance(event, events.CollectionEndEvent):
            self._end(start, end)
        elif isinstance(event, events.DocumentStartEvent):
            if event.version or event.tags:
                raise UnformattableError("it has a %YAML or %TAG directive")
            self._gap(start)
            self._cursor = end
        elif isinstance(event, events.DocumentEndEvent):
            self._gap(start)
            self._cursor = max(self._cursor, end)
        elif isinstance(event, events.StreamEndEvent):
            self._gap(len(self._text))

    def tree(self) -> Tree:
        """What came of it."""
        if self._root is None or not self._root.collection or self._root.properties:
            raise UnformattableError("it is no mapping")
        self._root.tail += [Note(0, each) for each in self._root.trailing] + self._pending
        self._root.trailing = []
        return Tree(self._root, self._comments, self._anchored)

    def _gap(self, end: int) -> None:
        """Take the comments and blank lines before the character at `end`."""
        start, self._cursor = self._cursor, max(self._cursor, end)
        lines = self._text[start:end].split("\n")
        begun = start > 0 and self._text[start - 1] != "\n"
        for number, line in enumerate(lines):
            before, found, comment = line.partition("#")
            if found:
                self._comment("#" + comment.rstrip(), before, same_line=begun and number == 0)
            elif not line.strip() and number < len(lines) - 1 and not (begun and number == 0):
                self._pending.append(Note(0, ""))

    def _comment(self, text: str, before: str, *, same_line: bool) -> None:
        self._comments.append(text)
        if same_line and self._after is not None and not {"-", "?"} & set(before):
            self._after.append(text)
        else:
            column = _AFTER_INDICATOR if same_line or before.strip() else len(before)
            self._pending.append(Note(column, text))

    def _scalar(self, event: Any, start: int, end: int) -> None:
        self._gap(start)
        properties, start = self._properties(event, start)
        node = Node("scalar", self._text[start:end], event.value, event.style, properties)
        if event.style in ("|", ">"):
            header, _, lines = node.text.partition("\n")
            node.text = lines
            node.style, comment = header.split("#", 1)[0].strip(), header.partition("#")[2]
            node.column = self._stack[-1].column if self._stack else 0
            self._leaf(node, end=end)
            if comment or "#" in header:
                self._comments.append("#" + comment.rstrip())
                node.trailing.append("#" + comment.rstrip())
            if lines.rstrip(" ").endswith("\n\n"):
                self._pending.append(Note(0, ""))
            return
        self._leaf(node, end=end)

    def _properties(self, event: Any, start: int) -> tuple[str, int]:
        """The anchor and the tag before a node, in that order, and where the node itself begins."""
        count = (event.anchor is not None) + (event.tag is not None)
        self._anchored = self._anchored or event.anchor is not None
        for _ in range(count):
            found = _PROPERTY.match(self._text, start)
            gap = _BETWEEN.match(self._text, found.end() if found else start)
            if not found or not gap:
                raise UnformattableError("it has a tag that is not understood")
            if "#" in gap.group():
                raise UnformattableError("it has a comment between an anchor and its value")
            start = gap.end()
        anchor = [f"&{event.anchor}"] if event.anchor is not None else []
        tag = [] if event.tag is None else [event.tag.replace(_CORE_TAG, "!!")]
        return " ".join((*anchor, *tag)), start

    def _leaf(self, node: Node, *, end: int) -> None:
        self._add(node)
        self._cursor = max(self._cursor, end)
        top = self._stack[-1] if self._stack else None
        waiting = top is not None and top.kind == "mapping" and top.entries[-1].value is None
        self._after = top.entries[-1].head if top is not None and waiting else node.trailing

    def _add(self, node: Node) -> None:
        """Put a node where it belongs: a key, a value, an item, or the root."""
        if not self._stack:
            self._root = node
            return
        top = self._stack[-1]
        if top.kind == "mapping" and top.entries and top.entries[-1].value is None:
            entry = top.entries[-1]
            entry.value = node
            if not node.collection or node.flow:
                entry.leading += [*(Note(0, each) for each in entry.head), *self._taken()]
                entry.head.clear()
        elif top.kind == "mapping":
            if node.collection:
                raise UnformattableError("it has a key that is no text")
            top.entries.append(Entry(node, leading=self._taken()))
        else:
            top.entries.append(Entry(None, node, leading=self._taken()))

    def _taken(self) -> list[Note]:
        taken, self._pending = self._pending, []
        return taken

    def _begin(self, event: Any, start: int) -> None:
        self._gap(start)
        properties, inner = self._properties(event, start)
        kind = "mapping" if isinstance(event, events.MappingStartEvent) else "sequence"
        node = Node(kind, properties=properties, flow=bool(event.flow_style))
        node.column = inner - (self._text.rfind("\n", 0, inner) + 1)
        self._add(node)
        within = self._stack[-1] if self._stack else None
        self._cursor = inner if properties else self._cursor
        if node.flow and self._text[inner : inner + 1] in ("{", "["):
            self._cursor = inner + 1
            self._after = None
        elif within is None or within.kind == "sequence":
            self._after = None
        node.text = str(inner)  # where it begins, until it ends
        self._stack.append(node)

    def _end(self, start: int, end: int) -> None:
        node = self._stack.pop()
        begun = int(node.text)
        node.text = ""
        if node.flow:
            self._gap(end - 1 if end > start else self._cursor)
            self._cursor = max(self._cursor, end)
            node.tail = [note for note in self._taken() if note.text]
            node.flow = "\n" not in self._text[begun : self._cursor]
            self._after = node.trailing
        else:
            self._gap(start)
            self._finish(node)

    def _finish(self, node: Node) -> None:
        """The comments that end a block collection are those that are indented as it is."""
        above = self._stack[-1] if self._stack else None
        same = above is not None and node.kind == "sequence" and above.kind == "mapping" and above.column == node.column
        least = 0 if above is None else node.column + same
        count = 0
        for number, note in enumerate(self._pending, 1):
            if note.text and note.column < least:
                break
            count = number if note.text else count
        node.tail, self._pending = self._pending[:count], self._pending[count:]
