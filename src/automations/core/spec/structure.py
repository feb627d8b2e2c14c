"""The structural verdict on a document: yes, fast, or no, with everything that is wrong and where.

Most documents are good, so a compiled validator says yes in microseconds. Only a document that it refuses pays for the
slower one (and for importing it) that knows enough to explain; a test holds the verdicts of the two equal.
"""

import re
from functools import cache
from typing import Literal, Protocol

from automations.core.diagnostic import Diagnostic
from automations.core.spec import schemas
from automations.core.spec.document import Document

Kind = Literal["automation", "action", "test"]

_ACTION = re.compile(rb"executorBindings|kind\W{1,8}Action\b")
_TEST_ENDINGS = (".test.yaml", ".test.yml", ".test.json")


class _Validator(Protocol):
    def is_valid(self, instance: object) -> bool: ...


def check(document: Document, schema_name: str) -> tuple[Diagnostic, ...]:
    """Find all in `document` that its schema (one of `schemas.NAMES`) does not allow, in stable order; empty when good.

    The document's value must be plain JSON data with text keys, as the reader makes it. Raises NotFound for a schema
    name that is not known.
    """
    if _compiled(schema_name).is_valid(document.value):
        return ()
    from automations.core.spec.explain import explain  # noqa: PLC0415 - 0.2 s to import, needed for bad documents only

    return explain(document, schema_name)


def fits(value: object, schema_name: str) -> bool:
    """Whether a value is as its schema wants it, for those who need no reasons. Raises NotFound as `check` does."""
    return _compiled(schema_name).is_valid(value)


def kind_of(document: Document) -> Kind | None:
    """Tell what a document is meant to be: a test by its file's name, an action by its keys; None for no mapping."""
    if document.file.lower().endswith(_TEST_ENDINGS):
        return "test"
    if not isinstance(document.value, dict):
        return None
    if "executorBindings" in document.value or document.value.get("kind") == "Action":
        return "action"
    return "automation"


def perhaps_action(raw: bytes) -> bool:
    """Whether a file may hold an action's manifest, from its bytes alone; escapes could hide one, so this is only a guess."""
    return _ACTION.search(raw) is not None


@cache
def _compiled(schema_name: str) -> _Validator:
    import jsonschema_rs  # noqa: PLC0415  # 20 ms to import, needed when some file is new

    return jsonschema_rs.Draft202012Validator(dict(schemas.schema(schema_name)))
