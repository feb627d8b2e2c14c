"""References to secrets in templates: `${{ secrets.NAME }}`, or `${{ secrets["team/token"] }}` for a name with other characters.

A reference is never evaluated. What is rendered, stored and shown keeps it as it was written; whoever starts the attempt puts
the value in at the places that the *template* names, never where the rendered text looks like a reference: event data may say
`${{ secrets.NAME }}` too, and gets nothing.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from automations.core.diagnostic import Path

ROOT = "secrets"
_REFERENCE = re.compile(
    r"""secrets (?: \.(?P<plain>[A-Za-z_][A-Za-z0-9_]*) | \[ \s* (?P<quote>["']) (?P<quoted>[^"'\\\s]+) (?P=quote) \s* \] ) \Z""",
    re.VERBOSE,
)
_MENTIONED = re.compile(r"(?<![\w.])secrets(?!\w)")

Reveal = Callable[[str], str]
"""Gives the value of a secret by its name. Raises SecretUnavailable."""


class SecretReference(NamedTuple):
    """One reference, and how it was written."""

    name: str
    text: str


class SecretText(NamedTuple):
    """A scalar at `path` that holds secrets: its plain pieces and references, in order."""

    path: Path
    parts: tuple[str | SecretReference, ...]

    @property
    def shown(self) -> str:
        """The text with its references as they were written."""
        return "".join(each if isinstance(each, str) else each.text for each in self.parts)

    def reveal(self, secret: Reveal) -> str:
        """The text with the values. Raises SecretUnavailable."""
        return "".join(each if isinstance(each, str) else secret(each.name) for each in self.parts)


def secret_name(source: str) -> str | None:
    """The name, when an expression is exactly a reference to a secret."""
    found = _REFERENCE.match(source)
    return (found["plain"] or found["quoted"]) if found else None


def mentions_secrets(source: str) -> bool:
    """Whether an expression speaks of secrets in any way; text that only looks so counts too."""
    return _MENTIONED.search(source) is not None


def filled(value: Any, places: Iterable[SecretText], secret: Reveal) -> Any:
    """Plain data with the values put in at these places; what holds none is the given one. Raises SecretUnavailable."""
    for place in places:
        value = _put(value, place.path, place.reveal(secret))
    return value


def _put(value: Any, path: Path, text: str) -> Any:
    if not path:
        return text
    step, rest = path[0], path[1:]
    copy = list(value) if isinstance(value, list) else dict(value)
    copy[step] = _put(value[step], rest, text)  # type: ignore[index]  # a path's steps fit the data that it leads through
    return copy


def secret_field(schema: Any, path: Path) -> bool:
    """Whether a schema marks the field at `path`, or one around it, with `x-secret: true`."""
    if isinstance(schema, Mapping) and schema.get("x-secret") is True:
        return True
    inner = _inner(schema, path[0]) if path else None
    return inner is not None and secret_field(inner, path[1:])


def without_fields(schema: Any, paths: Iterable[Path]) -> Any:
    """The schema with the fields at these paths accepting anything: what a secret is like is not known before it is used."""
    for path in paths:
        schema = _open(schema, path)
    return schema


def _open(schema: Any, path: Path) -> Any:
    inner = _inner(schema, path[0]) if path else None
    if inner is None:
        return True
    if isinstance(path[0], int):
        return {**schema, "items": _open(inner, path[1:])}
    return {**schema, "properties": {**schema["properties"], path[0]: _open(inner, path[1:])}}


def _inner(schema: Any, step: str | int) -> Any:
    if not isinstance(schema, Mapping):
        return None
    if isinstance(step, int):
        return schema.get("items")
    properties = schema.get("properties")
    return properties.get(step) if isinstance(properties, Mapping) else None
