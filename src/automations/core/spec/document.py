"""A document: plain data read from one file, and where in the file each part stands.

Positions are the cost of a parse, and most files are good: all but an outline are found lazily, by a second pass over the
same bytes, the first time somebody asks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from automations.core.diagnostic import Path, Span

Marks = Mapping[Path, tuple[int, int, int, int]]
"""For every path in the document: line and column of its key (its own, for list items and the root), then of its value."""


@dataclass(slots=True)
class Document:
    """Plain data (dict, list, str, int, float, bool, None) from `file`, with positions on demand."""

    file: str
    value: Any
    locate: Callable[[], Marks]
    near: Callable[[Path], Marks] | None = None
    """Finds at least the positions up to that of a path, which is most often near the top."""
    source: Callable[[], bytes | None] | None = field(default=None, repr=False)
    """Gives the bytes that it was read from, None when they are not what they were."""
    outline: Mapping[Path, tuple[int, int]] = field(default_factory=dict, repr=False)
    """Where some values near the top begin: line and column."""
    _marks: Marks | None = field(default=None, repr=False)
    _begun: Marks = field(default_factory=dict, repr=False)

    def marks(self) -> Marks:
        """Every path's positions; computed once."""
        if self._marks is None:
            self._marks = self.locate()
        return self._marks

    def _around(self, path: Path) -> Marks:
        """Positions with that of `path` among them if it has one: a plan asks for little more than where ids stand."""
        if self.near is not None and self._marks is None and not self._begun:
            self._begun = self.near(path)
        return self._begun if path in self._begun else self.marks()

    def key(self, path: Path) -> Span:
        """Where the key of `path` stands; a path that is missing points at its nearest existing parent."""
        mark = self._around(path).get(path)
        if mark is None:
            return self.at(path[:-1]) if path else Span(self.file)
        return Span(self.file, mark[0], mark[1])

    def at(self, path: Path) -> Span:
        """Where the value of `path` stands; a path that is missing points at its nearest existing parent."""
        if path in self.outline:
            return Span(self.file, *self.outline[path])
        marks = self._around(path)
        while path and path not in marks:
            path = path[:-1]
        mark = marks.get(path)
        return Span(self.file, mark[2], mark[3]) if mark else Span(self.file)
