"""Whether plain data conforms to an author's JSON Schema (a manifest's `inputSchema`, `outputSchema`), compiled once.

The validator is imported when the first schema is compiled: it takes longer to load than the interpreter to start.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from automations.core.diagnostic import dotted
from automations.errors import InvalidInput

_WHOLE = "urn:automations:whole"


class _Validator(Protocol):
    def is_valid(self, instance: Any) -> bool: ...

    def iter_errors(self, instance: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Conformity:
    """A compiled schema. Draft 2020-12 unless the schema's `$schema` names another; references stay inside it."""

    validator: _Validator

    def violations(self, value: Any, *, most: int = 5) -> tuple[str, ...]:
        """What is wrong with `value`, as sentences with a path; empty when it conforms."""
        if self.validator.is_valid(value):
            return ()
        found = []
        for error in self.validator.iter_errors(value):
            place = dotted(tuple(error.instance_path))
            found.append(f"{place}: {error.message}" if place else str(error.message))
            if len(found) == most:
                break
        return tuple(found)


def compile_schema(schema: Mapping[str, Any]) -> Conformity:
    """Compile a schema. Raises InvalidInput when it is not one (or refers outside itself)."""
    import jsonschema_rs  # noqa: PLC0415  # see the module's head

    try:
        return Conformity(jsonschema_rs.validator_for(dict(schema), retriever=_refuse))
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise InvalidInput(f"not a usable JSON Schema: {str(error).splitlines()[0]}", code="schema_invalid") from error


def compile_part(schema: Mapping[str, Any], path: Iterable[str]) -> Conformity:
    """Compile the part of a schema at a path, which may refer to other parts. Raises InvalidInput as `compile_schema` does."""
    from urllib.parse import quote  # noqa: PLC0415  # as slow to load, and few schemas are looked at in parts

    import jsonschema_rs  # noqa: PLC0415  # see the module's head

    pointer = "/".join(quote(key.replace("~", "~0").replace("/", "~1"), safe="~") for key in path)
    part = {**{key: schema[key] for key in ("$schema",) if key in schema}, "$ref": f"{_WHOLE}#/{pointer}"}

    def whole(uri: str) -> Any:
        return dict(schema) if uri == _WHOLE else _refuse(uri)

    try:
        return Conformity(jsonschema_rs.validator_for(part, retriever=whole))
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise InvalidInput(f"not a usable JSON Schema: {str(error).splitlines()[0]}", code="schema_invalid") from error


def _refuse(uri: str) -> Any:
    raise ValueError(f"a schema may only refer to parts of itself, not to {uri}")
