"""Inputs of a manual or api start: what a person types becomes what the spec's `inputs` schema describes.

Defaults of the schema are filled in, words of the command line take the type that the schema gives them, and what is required
and missing can be asked for. Whether the whole conforms is the schema validator's to say.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from automations.core.canonical import encode
from automations.core.nearest import suggestion
from automations.core.strict_json import parse
from automations.errors import InvalidInput

MOST_BYTES = 256 * 1024
"""Bytes of JSON that the inputs of one run may take."""

_LISTED_ELSEWHERE = frozenset({"patternProperties", "allOf", "anyOf", "oneOf", "if", "$ref", "$dynamicRef"})
"""Keywords that may bring names beside those of `properties`."""
_BOOLEANS = {"true": True, "yes": True, "false": False, "no": False}


@dataclass(frozen=True, slots=True)
class Question:
    """A required input that was not given, as a person can be asked for it."""

    name: str
    schema: Mapping[str, Any]

    @property
    def choices(self) -> tuple[Any, ...]:
        """The values that are allowed, where they are listed."""
        return tuple(self.schema.get("enum", ()))

    @property
    def text(self) -> str:
        """The question: the name, what it is, what it may be."""
        about = str(self.schema.get("description", "")).strip()
        allowed = ", ".join(map(_written, self.choices)) or str(_type(self.schema) or "")
        return f"{self.name}{f' ({allowed})' if allowed else ''}{f': {about}' if about else ''}"


def with_defaults(schema: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs with the schema's defaults where nothing was given, also inside objects that were."""
    filled = dict(inputs)
    for name, inner in _properties(schema):
        if name not in filled and "default" in inner:
            filled[name] = inner["default"]
        elif isinstance(filled.get(name), Mapping):
            filled[name] = with_defaults(inner, filled[name])
    return filled


def filled_in(schema: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every default that `with_defaults` may fill in, after the path of its property in the schema."""
    for name, inner in _properties(schema):
        if "default" in inner:
            yield ("properties", name), inner["default"]
        for path, default in filled_in(inner):
            yield ("properties", name, *path), default


def missing(schema: Mapping[str, Any], inputs: Mapping[str, Any]) -> tuple[Question, ...]:
    """What is required, has no default and was not given, in the order of the schema's `required`."""
    known = dict(_properties(schema))
    given = with_defaults(schema, inputs)
    required = schema.get("required", ())
    return tuple(Question(name, known.get(name, {})) for name in required if name not in given)


def unlisted(schema: Mapping[str, Any], names: Iterable[str]) -> dict[str, str]:
    """Names that the schema does not list where it lists any, each with a hint: which was meant, and which there are."""
    known = list(schema.get("properties") or ()) if isinstance(schema.get("properties"), Mapping) else []
    if not known or schema.keys() & _LISTED_ELSEWHERE:
        return {}
    return {name: suggestion(name, known, there="the inputs are") for name in names if name not in known}


def typed(schema: Mapping[str, Any], name: str, text: str) -> Any:
    """A word of the command line as the schema's type for `name`; text where it gives none. Raises InvalidInput."""
    inner = dict(_properties(schema)).get(name, {})
    listed = [each for each in inner.get("enum", ()) if _written(each) == text]
    if listed:
        return listed[0]
    kinds = _type(inner)
    kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds or ("string",))
    for kind in kinds:
        found = _as(kind, text)
        if found is not None:
            return found[0]
    raise InvalidInput(f"input {name} must be {' or '.join(kinds)}, not {text[:64]!r}", code="inputs_invalid")


def bounded(inputs: Mapping[str, Any]) -> str:
    """The inputs' canonical text. Raises InvalidInput when it is larger than MOST_BYTES."""
    text = encode(dict(inputs))
    size = len(text.encode())
    if size > MOST_BYTES:
        raise InvalidInput(f"the inputs are {size} bytes of JSON; {MOST_BYTES} are allowed", code="inputs_too_large")
    return text


def _properties(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    properties = schema.get("properties", {})
    for name, inner in properties.items() if isinstance(properties, Mapping) else ():
        if isinstance(inner, Mapping):
            yield name, inner


def _type(schema: Mapping[str, Any]) -> Any:
    return schema.get("type")


def _as(kind: str, text: str) -> tuple[Any] | None:
    """The value of a type that a text stands for, in a tuple; None when it stands for none."""
    if kind == "string":
        return (text,)
    if kind == "boolean":
        return (_BOOLEANS[text.lower()],) if text.lower() in _BOOLEANS else None
    try:
        value = parse(text)
    except InvalidInput:
        return None
    fits = {
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "number": isinstance(value, int | float) and not isinstance(value, bool),
        "null": value is None,
        "array": isinstance(value, list),
        "object": isinstance(value, dict),
    }
    return (value,) if fits.get(kind, False) else None


def _written(value: Any) -> str:
    return value if isinstance(value, str) else encode(value)
