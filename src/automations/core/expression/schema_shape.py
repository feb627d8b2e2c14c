"""From an author's JSON Schema to a shape: which kinds a value may be of, and how its fields read.

Keywords that only narrow further and say nothing about kinds or fields are passed over. Where they may say something about
whether a field is there (`if`, `dependentRequired`, `not`, …) its presence is unsure, and nothing is held against reading it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from automations.core.expression.shape import (
    ANY,
    KINDS,
    NUMBERS,
    Known,
    Presence,
    Reading,
    Shape,
    both,
    either,
    of_value,
)

_TYPES: Mapping[str, frozenset[str]] = {
    "null": frozenset({"null"}),
    "boolean": frozenset({"bool"}),
    "integer": NUMBERS,
    "number": NUMBERS,
    "string": frozenset({"string"}),
    "array": frozenset({"list"}),
    "object": frozenset({"map"}),
}
_CONDITIONAL = frozenset(
    {
        "if", "not", "dependentRequired", "dependentSchemas", "dependencies", "minProperties", "$dynamicRef",
        "$recursiveRef", "unevaluatedProperties", "propertyNames", "maxProperties",
    }
)  # fmt: skip
_OLD_DRAFTS = ("draft-03", "draft-04", "draft-06", "draft-07")
_MOST_DIGITS = 10
"""Of an index into a list; Python reads no number of many thousand digits."""
_MOST_STEPS = 400
"""Subschemas about one value; schemas that grow beyond it by referring to themselves say nothing more."""


@dataclass(slots=True)
class _Reader:
    """Reads the parts of one schema document. `steps` are left for the value at hand."""

    root: Any
    steps: int = _MOST_STEPS

    def shape(self, schema: Any, seen: tuple[int, ...] = ()) -> Shape:
        """The shape of values that a subschema allows."""
        self.steps -= 1
        if not isinstance(schema, Mapping) or self.steps < 0 or id(schema) in seen:
            return ANY
        if "$id" in schema and schema is not self.root:
            return _Reader(schema, self.steps).shape(schema, seen)
        seen = (*seen, id(schema))
        parts = [self._target(schema["$ref"], seen)] if "$ref" in schema else []
        if "$ref" in schema and _old(self.root):
            return parts[0]  # before 2019-09 whatever stands beside a reference means nothing
        parts.append(self._own(schema))
        parts += [self.shape(each, seen) for each in _listed(schema, "allOf")]
        for word in ("anyOf", "oneOf"):
            branches = _listed(schema, word)
            if branches:
                parts.append(reduce(either, [self.shape(each, seen) for each in branches]))
        return reduce(both, parts)

    def _target(self, reference: Any, seen: tuple[int, ...]) -> Shape:
        """What a reference to a part of the same document leads to."""
        if not isinstance(reference, str) or not reference.startswith("#"):
            return ANY
        node = self.root
        for part in reference[1:].lstrip("/").split("/") if len(reference) > 1 else ():
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(node, list) and name.isdecimal() and len(name) < _MOST_DIGITS and int(name) < len(node):
                node = node[int(name)]
            elif isinstance(node, Mapping) and name in node:
                node = node[name]
            else:
                return ANY  # an anchor, or percent-encoded; it says nothing here
        return self.shape(node, seen)

    def _own(self, schema: Mapping[str, Any]) -> Shape:
        kinds, values = _kinds(schema)
        properties = schema.get("properties")
        names = tuple(properties) if isinstance(properties, Mapping) else ()
        if kinds == KINDS and values is None and not names and not schema.keys() & (_ABOUT_PARTS | _CONDITIONAL):
            return ANY
        return Shape(kinds, lambda name: self._read(schema, name), lambda: self._item(schema), names, values)

    def _read(self, schema: Mapping[str, Any], name: str) -> Reading:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        required = schema.get("required")
        always = isinstance(required, list) and name in required
        if name in properties:
            if properties[name] is False:
                return Reading(ANY, "unsure", "yes")
            missing: Presence = "unsure" if schema.keys() & _CONDITIONAL else "maybe"
            return Reading(_Reader(self.root).shape(properties[name]), "always" if always else missing, "yes")
        extra = schema.get("additionalProperties")
        open_on_purpose = extra is not None or schema.keys() & {
            "patternProperties",
            "unevaluatedProperties",
            "propertyNames",
        }
        if extra is False and "patternProperties" not in schema:
            return Reading(None, known="no")
        known: Known = "yes" if always else "no" if properties and not open_on_purpose else "silent"
        shape = _Reader(self.root).shape(extra) if "patternProperties" not in schema else ANY
        return Reading(shape, "always" if always else "unsure" if schema.keys() & _CONDITIONAL else "open", known)

    def _item(self, schema: Mapping[str, Any]) -> Shape:
        items = schema.get("items")
        return _Reader(self.root).shape(items) if isinstance(items, Mapping) and "prefixItems" not in schema else ANY


_ABOUT_PARTS = frozenset({"required", "additionalProperties", "patternProperties", "items", "prefixItems"})


def shape_of(schema: Any) -> Shape:
    """The shape of values that conform to a JSON Schema. Never raises: what it cannot read says nothing."""
    return _Reader(schema).shape(schema)


def _kinds(schema: Mapping[str, Any]) -> tuple[frozenset[str], frozenset[str] | None]:
    """The kinds that `type`, `enum` and `const` allow, and the texts where only some texts are."""
    named = schema.get("type")
    types = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    known = (_TYPES.get(each, KINDS) if isinstance(each, str) else KINDS for each in types)
    kinds = frozenset[str]().union(*known) if types else KINDS
    given = [schema["const"]] if "const" in schema else schema.get("enum")
    if not isinstance(given, list) or not given:
        return kinds, None
    kinds &= frozenset[str]().union(*_enumerated(given))
    texts = frozenset(each for each in given if isinstance(each, str))
    return kinds, texts if len(texts) == len(given) else None


def _enumerated(values: list[Any]) -> Iterator[frozenset[str]]:
    for value in values:
        kinds = of_value(value).kinds
        yield NUMBERS if kinds & NUMBERS else kinds


def _listed(schema: Mapping[str, Any], word: str) -> list[Any]:
    found = schema.get(word)
    return found if isinstance(found, list) else []


def _old(root: Any) -> bool:
    named = root.get("$schema") if isinstance(root, Mapping) else None
    return isinstance(named, str) and any(draft in named for draft in _OLD_DRAFTS)
