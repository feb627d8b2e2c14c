"""Secrets by name: which references a spec or a manifest holds. Values are never here; nothing in the core sees one."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from automations.core.canonical import as_written

_IN_EXPRESSIONS = re.compile(r"\bsecrets\.([A-Za-z_][A-Za-z0-9_]*)")
_SCHEME = "secret://"


def secrets_of(document: Mapping[str, Any]) -> frozenset[str]:
    """`secret://…` references, and `secrets.NAME` of expressions, anywhere in a document."""
    # Few documents hold the word at all, and writing one out is twenty times faster than walking it.
    return frozenset(_found(document)) if "secret" in as_written(document) else frozenset()


def _found(document: Any) -> Iterator[str]:
    pending = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            if value.startswith(_SCHEME):
                yield value
            elif "secrets." in value and "${{" in value:
                yield from (f"secrets.{name}" for name in _IN_EXPRESSIONS.findall(value))
        elif isinstance(value, Mapping):
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
