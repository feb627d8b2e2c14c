"""The data that expressions read: checked once, converted once, however many expressions look at one event.

The library takes what it is given on trust: 20,000 nested objects overflow its stack, text is cut at its first NUL
without a word, a lone surrogate makes it throw a bare C++ error, a NaN compares false to everything. So every root is
walked here before the first expression that reads it, and the same walk measures what a loop over it could cost.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from automations.core.expression.failure import EvaluationFailed

MAX_DEPTH = 100
"""Nesting of the data behind one root."""
MAX_NODES = 500_000
"""Values behind one root, counting every scalar, object and list."""
_INT_LOW, _INT_HIGH = -(2**63), 2**63 - 1
_INFINITE = (float("inf"), float("-inf"))


@dataclass(frozen=True, slots=True)
class Measure:
    """How much data there is: `nodes` values, the `widest` list or object, the `longest` text in characters."""

    nodes: int = 0
    widest: int = 0
    longest: int = 0

    def __or__(self, other: "Measure") -> "Measure":
        return Measure(self.nodes + other.nodes, max(self.widest, other.widest), max(self.longest, other.longest))


class Activation:
    """One event's data by root. Make one and evaluate every expression of the event against it; never change the data.

    With `base`, the data adds roots to those of another activation, whose checks and conversions are used on: one event
    and, for each automation, its vars. `plain` holds the roots that were found fit to evaluate so far.
    """

    __slots__ = ("_base", "_measures", "_native", "data", "plain")

    def __init__(self, data: Mapping[str, Any], *, base: "Activation | None" = None) -> None:
        self.data: dict[str, Any] = {**data} if base is None else {**data, **base.data}
        self._base = base
        self.plain: set[str] = set()
        self._measures: dict[str, Measure | str] = {}
        self._native: dict[object, Any] = {}

    def narrowed(self, roots: frozenset[str]) -> "Activation":
        """Return the base when it has all of `roots`, so that what it converted already is enough; else this."""
        base = self._base
        return self if base is None or not roots <= base.data.keys() else base.narrowed(roots)

    def measure(self, roots: Iterable[str]) -> Measure:
        """How much data stands behind these roots; a root without data counts nothing.

        Raises EvaluationFailed when it is not plain data: text, 64-bit integers, finite floats, booleans, null, lists,
        and objects with text keys, within the bounds of this module.
        """
        total = _NOTHING
        for root in roots:
            known = self._measures.get(root)
            if known is None:
                known = self._measures[root] = self._measured(root)
            if isinstance(known, str):
                raise EvaluationFailed(known)
            self.plain.add(root)
            total = total | known
        return total

    def _measured(self, root: str) -> Measure | str:
        if self._base is not None and root in self._base.data:
            return self._base.measure((root,))
        return _walked(root, self.data[root]) if root in self.data else _NOTHING

    def native(self, key: object, convert: Callable[[dict[str, Any]], Any]) -> Any:
        """Return the library's form of this data, made by `convert` at the first use of `key`."""
        made = self._native.get(key)
        if made is None:
            made = self._native[key] = convert(self.data)
        return made


_NOTHING = Measure()
_TEXT_ONLY = {str}


def _walked(root: str, value: Any) -> Measure | str:
    """Measure, or say why the library must not see this. Level by level: deep data must not recurse here either."""
    nodes = widest = longest = depth = 0
    level = [value]
    while level:
        depth += 1
        nodes += len(level)
        if depth > MAX_DEPTH:
            return f"`{root}` is nested more than {MAX_DEPTH} levels deep"
        if nodes > MAX_NODES:
            return f"`{root}` holds more than {MAX_NODES} values"
        below: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is str and item.isascii() and "\0" not in item:
                longest = max(longest, len(item))
            elif kind is dict or kind is list:
                widest = max(widest, len(item))
                below += item
                if kind is dict:
                    below += item.values()
                    if item and set(map(type, item)) != _TEXT_ONLY:
                        return f"`{root}` holds an object whose keys are not all text"
            else:
                problem = _problem(item)
                if problem:
                    return f"`{root}` holds {problem}"
                longest = max(longest, len(item)) if kind is str else longest
        level = below
    return Measure(nodes, widest, longest)


def _problem(item: Any) -> str | None:
    """Why a scalar cannot be read by an expression; None when it can."""
    kind = type(item)
    if kind is int:
        return None if _INT_LOW <= item <= _INT_HIGH else "an integer beyond 64 bits"
    if kind is float:
        return None if item == item and item not in _INFINITE else "a number that is not finite"  # noqa: PLR0124 NaN
    if kind is str:
        try:
            item.encode()
        except UnicodeEncodeError:
            return "text with a lone surrogate, which is no character"
        return "text with a NUL character" if "\0" in item else None
    return None if item is None or kind is bool else f"a {kind.__name__}, which is not plain data"
