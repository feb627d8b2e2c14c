"""Finding the triggers that an event could fire among thousands, by its source and type.

A trigger is filed under what its patterns say for certain: a text without wildcards is looked up as it is, a pattern by what
stands before its first `*`. An event asks for its own texts and for those of their beginnings that some pattern has, so what it
costs depends on the triggers that are meant for events like it, not on how many there are.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from automations.core.trigger.patterns import compile_pattern

if TYPE_CHECKING:
    from automations.core.spec.model import Trigger
    from automations.core.trigger.bindings import BoundTrigger

Key = tuple[bool, str]
"""Whether the whole text is meant, and the text, or its beginning."""

_ANYTHING: Key = (False, "")


def keys_of(trigger: "Trigger") -> frozenset[tuple[Key, Key]]:
    """What a trigger is filed under: every pair of one of its sources and one of its types."""
    return frozenset((source, kind) for source in _filed(trigger.sources) for kind in _filed(trigger.types))


def _filed(patterns: tuple[str, ...]) -> set[Key]:
    """No pattern means anything; so does one that begins with a wildcard, and then the others add nothing."""
    found = {_key(text) for text in patterns}
    return {_ANYTHING} if not found or _ANYTHING in found else found


def _key(text: str) -> Key:
    exact = compile_pattern(text).exact
    return (False, text.partition("*")[0]) if exact is None else (True, exact)


@dataclass(slots=True)
class _Heads:
    """The keys of one side, sources or types: which there are, and how long the beginnings among them are."""

    keys: set[Key] = field(default_factory=set)
    lengths: set[int] = field(default_factory=set)

    def add(self, key: Key) -> None:
        self.keys.add(key)
        if not key[0]:
            self.lengths.add(len(key[1]))

    def copy(self) -> "_Heads":
        """Another one with the same keys."""
        return _Heads(self.keys.copy(), self.lengths.copy())

    def of(self, text: str) -> list[Key]:
        """Those of the keys that a text answers to."""
        asked = [(True, text), *((False, text[:length]) for length in self.lengths if length <= len(text))]
        return [key for key in asked if key in self.keys]


@dataclass(frozen=True, slots=True)
class Index:
    """Triggers by source and type; made by `build_index`."""

    groups: Mapping[tuple[Key, Key], tuple["BoundTrigger", ...]]
    sources: _Heads
    types: _Heads
    stale: int = 0
    """How many keys may still be asked for though nothing is filed under them."""

    def find(self, source: str, kind: str) -> list[tuple["BoundTrigger", ...]]:
        """The groups of triggers that an event of this source and type could fire; one with several patterns may be in two."""
        groups = self.groups
        types = self.types.of(kind)
        return [
            groups[pair] for each in self.sources.of(source) for other in types if (pair := (each, other)) in groups
        ]

    def changed(
        self, gone: Iterable["BoundTrigger"], fresh: Iterable["BoundTrigger"], *, order: Callable[["BoundTrigger"], Any]
    ) -> "Index":
        """The index with some triggers for others; `order` sorts those that are filed together."""
        groups = dict(self.groups)
        stale = self.stale
        for each in gone:
            for pair in each.filed:
                left = tuple(other for other in groups[pair] if other is not each)
                if left:
                    groups[pair] = left
                else:
                    del groups[pair]
                    stale += 1
        sources, types = self.sources.copy(), self.types.copy()
        for each in fresh:
            for source, kind in each.filed:
                groups[source, kind] = tuple(sorted((*groups.get((source, kind), ()), each), key=order))
                sources.add(source)
                types.add(kind)
        return Index(groups, sources, types, stale)


def build_index(candidates: Iterable["BoundTrigger"]) -> Index:
    """File triggers."""
    groups: dict[tuple[Key, Key], list[BoundTrigger]] = {}
    for candidate in candidates:
        for pair in candidate.filed:
            groups.setdefault(pair, []).append(candidate)
    sources, types = _Heads(), _Heads()
    for source, kind in groups:
        sources.add(source)
        types.add(kind)
    return Index({pair: tuple(found) for pair, found in groups.items()}, sources, types)
