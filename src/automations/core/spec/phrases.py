"""The words of structural findings: what a place is called, what a value is, which word somebody meant."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from automations.core.diagnostic import Path, dotted
from automations.core.spec import schemas

_ANY = "*"
_NOUNS: Mapping[str, Mapping[tuple[str, ...], str]] = {
    "automation": {
        (): "automation",
        ("triggers", _ANY): "automation trigger",
        ("triggers", _ANY, "route"): "webhook route",
        ("triggers", _ANY, "route", "signature"): "webhook signature",
        ("triggers", _ANY, "route", "mapping"): "webhook mapping",
        ("actions", _ANY): "automation action step",
        ("finally", _ANY): "automation action step",
    },
    "action": {(): "action manifest", ("executorBindings", _ANY): "executor binding"},
    "test": {(): "test file", ("cases", _ANY): "test case"},
}
"""What is called by a noun of its own; everything else by its path from the nearest of these."""

_SPELT = {"approvalGate": "approval gate"}
"""Keys that the original's messages spell as words."""

_EXPECTED = {
    "string": "a string",
    "array": "an array",
    "object": "an object",
    "boolean": "a boolean",
    "integer": "a whole number",
    "number": "a number",
}
_LONGEST = 60


@dataclass(frozen=True, slots=True)
class Naming:
    """Names places of `value`, a document of the schema called `schema_name`."""

    schema_name: str
    value: Any

    @property
    def schema(self) -> Mapping[str, Any]:
        """The whole schema."""
        return schemas.schema(self.schema_name)

    def at(self, path: Path) -> Any:
        """Fetch the document's value at a path that exists."""
        item = self.value
        for part in path:
            item = item[part]
        return item

    def resolved(self, part: Mapping[str, Any]) -> Mapping[str, Any]:
        """Follow the reference (`#/$defs/<name>`) that a part of the schema may be."""
        if "$ref" not in part:
            return part
        target: Mapping[str, Any] = self.schema["$defs"][part["$ref"].removeprefix("#/$defs/")]
        return target

    def below(self, part: Mapping[str, Any], key: str) -> str:
        """Find where below a part of the schema an object may have `key`: `retry.maxAttempts`, or nothing."""
        for name, each in self.resolved(part).get("properties", {}).items():
            inner = self.resolved(each) if isinstance(each, Mapping) else {}
            if key in inner.get("properties", {}):
                return f"{name}.{key}"
            if deeper := self.below(inner, key):
                return f"{name}.{deeper}"
        return ""

    def of(self, path: Path, *, identified: bool = True) -> str:
        """Name a path, such as `automation action step build retry.base`; a list's own item goes by id, name or index.

        Without `identified` an id's own holder is not called by that (bad) id.
        """
        nouns = _NOUNS[self.schema_name]
        size = max(len(prefix) for prefix in nouns if _matches(prefix, path))
        prefix, rest = path[:size], path[size:]
        noun = next(noun for pattern, noun in nouns.items() if len(pattern) == size and _matches(pattern, path))
        if prefix and isinstance(prefix[-1], int) and (identified or rest != ("id",)):
            noun += f" {self._label(prefix)}"
        place = dotted(rest)
        return f"{noun} {_SPELT.get(place, place)}" if rest else noun

    def _label(self, path: Path) -> str:
        item = self.at(path)
        names = (item.get(key) for key in ("id", "name")) if isinstance(item, dict) else ()
        name = next((each for each in names if isinstance(each, str) and each), None)
        return shown(name) if name is not None else str(path[-1])


def _matches(pattern: tuple[str, ...], path: Path) -> bool:
    if len(pattern) > len(path):
        return False
    return all(
        isinstance(part, int) if want is _ANY else part == want for want, part in zip(pattern, path, strict=False)
    )


def expected(types: str | list[str]) -> str:
    """Word the value of a schema's `type`, such as `a string or an array`."""
    return " or ".join(_EXPECTED[each] for each in ([types] if isinstance(types, str) else types))


def found(value: Any) -> str:
    """Word the kind of a value, without the value."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "a boolean (true or false)"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "a list" if isinstance(value, list) else "a mapping"


def shown(value: Any) -> str:
    """Show a scalar as its author wrote it, on one line and cut when long; lists and mappings only by their kind."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        text = " ".join(str(value).split())
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return "null" if value is None else found(value)
