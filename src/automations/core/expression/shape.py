"""Shapes: what is known of a value before there is one, from a JSON Schema or from the value itself.

A shape says which kinds a value may be of, how its fields read and what its items are. Whatever a schema leaves open is open
here too; a shape may know less than the schema, never more. Fields are looked into only when asked for, so that schemas may be
large and may refer to themselves. Source: JSON Schema 2020-12, Core §10 and Validation §6; older drafts where they differ.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any, Literal, NamedTuple, get_args

KINDS = frozenset(
    {"null", "bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration", "list", "map", "type"}
)
"""CEL's kinds of values."""
NUMBERS = frozenset({"int", "double"})
"""What a number in JSON may be: 2 and 2.0 are the same to JSON Schema, and not to CEL."""

Presence = Literal["always", "unsure", "maybe", "open"]
"""Whether a field is there: always; it hangs on something else; not always; or nothing is said about it.

Of several words about one field the first in this order counts; only `maybe` is held against reading it. A field that is
`maybe` there and not declared is most likely a slip.
"""
Known = Literal["yes", "no", "silent"]
"""Whether a field is declared; `silent` where nothing lists what there is."""


class Reading(NamedTuple):
    """What reading a field gives. `shape` is None when the field can never be there."""

    shape: "Shape | None"
    presence: Presence = "open"
    known: Known = "silent"


@dataclass(frozen=True, slots=True)
class Shape:
    """What is known of a value. `names` lists the declared fields of an object, for hints; `values` all that it can be.

    `by` is who says which fields there are.
    """

    kinds: frozenset[str] = KINDS
    read: Callable[[str], Reading] = lambda _: Reading(ANY)
    item: Callable[[], "Shape"] = lambda: ANY
    names: tuple[str, ...] = ()
    values: frozenset[str] | None = field(default=None)
    """The texts of an enumeration of texts; None when there is none."""
    by: str = "the schema"


_ORDER: tuple[Presence, ...] = get_args(Presence)

ANY: Shape = Shape()
BOOL, TEXT = Shape(frozenset({"bool"})), Shape(frozenset({"string"}))


def of_kind(*kinds: str) -> Shape:
    """A value of these kinds of which nothing else is known."""
    return Shape(frozenset(kinds))


def fields(known: Mapping[str, Reading], *, closed: bool = False) -> Shape:
    """An object with these fields; others are open unless it is closed."""
    other = Reading(None, known="no") if closed else Reading(ANY)
    return Shape(frozenset({"map"}), lambda name: known.get(name, other), names=tuple(known))


def of_value(value: Any) -> Shape:
    """The shape of a value that is known already."""
    if isinstance(value, Mapping):
        return fields({name: Reading(of_value(each), "always", "yes") for name, each in value.items()}, closed=True)
    if isinstance(value, list):
        return Shape(frozenset({"list"}), item=lambda: reduce(either, map(of_value, value)) if value else ANY)
    return of_kind(_kind(value))  # which text it is may change with the next edit, and is what expressions ask about


def both(one: Shape, other: Shape) -> Shape:
    """A value that is of both shapes."""
    if one is ANY or other is ANY:
        return other if one is ANY else one

    def read(name: str) -> Reading:
        left, right = one.read(name), other.read(name)
        known: Known = (
            "yes" if "yes" in (left.known, right.known) else "no" if "no" in (left.known, right.known) else "silent"
        )
        if left.shape is None or right.shape is None:
            return Reading(None, known="no")
        presence = min(left.presence, right.presence, key=_ORDER.index)
        return Reading(both(left.shape, right.shape), presence, known)

    values = one.values if other.values is None else other.values if one.values is None else one.values & other.values
    names = tuple(dict.fromkeys((*one.names, *other.names)))
    return Shape(one.kinds & other.kinds, read, lambda: both(one.item(), other.item()), names, values)


def either(one: Shape, other: Shape) -> Shape:
    """A value that is of one of two shapes."""
    if one is ANY or other is ANY:
        return ANY

    def read(name: str) -> Reading:
        mapped = [each for each in (one, other) if "map" in each.kinds]
        if len(mapped) == 1:
            return mapped[0].read(name)
        return _one_of(one.read(name), other.read(name))

    values = None if one.values is None or other.values is None else one.values | other.values
    names = tuple(dict.fromkeys((*one.names, *other.names)))
    return Shape(one.kinds | other.kinds, read, lambda: _items(one, other), names, values)


def _items(one: Shape, other: Shape) -> Shape:
    listed = [each.item() for each in (one, other) if "list" in each.kinds]
    return reduce(either, listed) if listed else ANY


def _one_of(left: Reading, right: Reading) -> Reading:
    """A field of one of two objects. Which of them it is may hang on another field, so only agreement says anything."""
    known: Known = (
        "yes" if "yes" in (left.known, right.known) else "no" if left.known == right.known == "no" else "silent"
    )
    if left.shape is None or right.shape is None:
        there = left if right.shape is None else right
        return there if there.shape is None else Reading(there.shape, "unsure", known)
    presence: Presence = left.presence if left.presence == right.presence else "unsure"
    return Reading(either(left.shape, right.shape), presence, known)


def softened(shape: Shape) -> Shape:
    """The same object, which may also be empty: nothing is held against reading its fields."""

    def read(name: str) -> Reading:
        found = shape.read(name)
        return found if found.known == "no" else found._replace(presence="unsure")

    return replace(shape, read=read, values=None)


def overlap(kinds: Iterable[str], wanted: Iterable[str]) -> bool:
    """Whether a value of some kinds may be of one that is wanted."""
    return not frozenset(kinds).isdisjoint(wanted)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    names = {bool: "bool", int: "int", float: "double", str: "string", dict: "map", list: "list"}
    return names.get(type(value), "type")
