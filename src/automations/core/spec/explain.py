"""Why a document does not fit its schema, in words: one finding a problem, at the best place, with the next step.

The schema itself carries the words where it can: `title` names a set of words, `patternErrorMessage` says what a text
must look like, `errorMessage` what its holder requires; editors that know these annotations show the same sentences.
Values are quoted only where the schema lists the words that are allowed, so a secret pasted into the wrong place is not
repeated.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from automations.core.diagnostic import Diagnostic, Path, Severity, in_order
from automations.core.nearest import nearest
from automations.core.spec import schemas
from automations.core.spec.document import Document
from automations.core.spec.phrases import Naming, expected, found, shown

_RANK = ("type", "conflict", "value", "unknown-key", "missing-key", "too-short", "pattern", "too-long")
"""Of several complaints about one place the first of these is the cause; the others follow from it."""


@dataclass(frozen=True, slots=True)
class _Complaint:
    """What the validator found: `value` at `path` breaks `keyword` of the subschema `schema`, which is at `route`."""

    keyword: str
    wanted: Any
    value: Any
    path: Path
    schema: Mapping[str, Any]
    route: Path


@dataclass(frozen=True, slots=True)
class _Problem:
    """One complaint in words. `suggestion` is the key that an unknown one was probably meant to be."""

    code: str
    path: Path
    message: str
    hint: str = ""
    suggestion: str = ""


_Explanation = Callable[[_Complaint, Naming], Iterator[_Problem]]


def explain(document: Document, schema_name: str) -> tuple[Diagnostic, ...]:
    """Find every problem that the schema called `schema_name` has with `document`, in stable order.

    Raises NotFound for a schema name that is not known.
    """
    naming = Naming(schema_name, document.value)
    causes: dict[Path, _Problem] = {}
    for error in _validator(schema_name).iter_errors(document.value):
        complaint = _complaint(error)
        for problem in _EXPLANATIONS[complaint.keyword](complaint, naming):
            known = causes.get(problem.path)
            if known is None or _rank(problem) < _rank(known):
                causes[problem.path] = problem
    # A mistyped key is unknown and leaves its right name missing: that is one problem.
    renamed = {(*each.path[:-1], each.suggestion) for each in causes.values() if each.suggestion}
    kept = (each for each in causes.values() if each.code != "missing-key" or each.path not in renamed)
    return in_order(_diagnostic(document, each) for each in kept)


def _rank(problem: _Problem) -> int:
    return _RANK.index(problem.code) if problem.code in _RANK else len(_RANK)


def _diagnostic(document: Document, problem: _Problem) -> Diagnostic:
    if problem.code == "missing-key":
        span = document.key(problem.path[:-1])
    elif problem.code in ("unknown-key", "conflict"):
        span = document.key(problem.path)
    else:
        span = document.at(problem.path)
    return Diagnostic(f"spec/{problem.code}", Severity.ERROR, problem.message, span, problem.path, problem.hint)


@cache
def _validator(schema_name: str) -> Validator:
    keywords = {"pattern": _pattern_keyword}
    kind: type[Validator] = extend(Draft202012Validator, keywords)  # type: ignore[no-untyped-call]  # its stub is bare
    return kind(dict(schemas.schema(schema_name)))


def _pattern_keyword(_: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    """Judge `pattern` as ECMA-262 §22.2.2.3 does: `$` is the end, where Python's also stands before a last newline.

    The schemas use `$` for this only as a pattern's last character.
    """
    if isinstance(instance, str) and not _fits(pattern, instance):
        yield ValidationError("does not match")


def _fits(pattern: str, text: str) -> bool:
    exact = pattern.removesuffix("$") + r"\Z" if pattern.endswith("$") else pattern
    return re.search(exact, text) is not None


def _complaint(error: ValidationError) -> _Complaint:
    schema = error.schema if isinstance(error.schema, Mapping) else {}
    path, route = tuple(error.absolute_path), tuple(error.absolute_schema_path)
    # A subschema `false` has no keyword.
    keyword = error.validator if isinstance(error.validator, str) else "false"
    return _Complaint(keyword, error.validator_value, error.instance, path, schema, route)


def _conflict(at: _Complaint, naming: Naming) -> Iterator[_Problem]:
    """Explain keys whose schema is `false`: the nearest `errorMessage` around them says what their holder cannot have.

    The validator places such a complaint at the holder, and its route ends at the holder's `properties`.
    """
    message: str = ""
    node: Any = naming.schema
    for part in at.route:
        while "$ref" in node and part not in node:
            node = naming.resolved(node)
        node = node[part]
        if isinstance(node, Mapping):
            message = node.get("errorMessage", message)
    for key in naming.at(at.path):
        if node.get(key) is False:
            yield _Problem("conflict", (*at.path, key), f"{naming.of(at.path)} {message}", f"remove {key}")


def _unknown_keys(at: _Complaint, naming: Naming) -> Iterator[_Problem]:
    known: Mapping[str, Any] = at.schema["properties"]
    for key in at.value:
        if key in known:
            continue
        meant = nearest(key, [each for each in known if each not in at.value])
        deeper = naming.below(at.schema, key)
        if meant or deeper:
            hint = f'did you mean "{meant or deeper}"?'
        else:
            hint = f"the keys here are: {', '.join(each for each in known if each != '$schema')}"
        message = f'unknown key "{shown(key)}" in {naming.of(at.path)}'
        yield _Problem("unknown-key", (*at.path, key), message, hint, meant)


def _missing_keys(at: _Complaint, naming: Naming) -> Iterator[_Problem]:
    known: Mapping[str, Any] = at.schema.get("properties", {})
    for key in at.wanted:
        if key in at.value:
            continue
        # A conditional branch requires keys that stand in the schema around it, and says why itself.
        own = known.get(key, at.schema)
        if "errorMessage" in own:
            message = f"{naming.of(at.path)} {own['errorMessage']}"
        else:
            message = f"{naming.of((*at.path, key))} is required"
        written = nearest(key, [each for each in at.value if each not in known]) if known else ""
        hint = f'did you mean "{key}" where it says "{shown(written)}"?' if written else _how_to_add(key, own)
        yield _Problem("missing-key", (*at.path, key), message, hint)


def _how_to_add(key: str, own: Mapping[str, Any]) -> str:
    if len(own.get("enum", ())) > 1:
        return f"add {key}, one of: {', '.join(own['enum'])}"
    example = next(iter(own.get("examples", ())), None)
    if not isinstance(example, str):
        return f"add {key}"
    return f'add {key}, such as {key}: "{example}"' if example[0].isdigit() else f"add {key}, such as {key}: {example}"


def _type(at: _Complaint, naming: Naming) -> Iterator[_Problem]:
    if "errorMessage" in at.schema:
        message = f"{naming.of(at.path[:-1])} {at.schema['errorMessage']}"
    else:
        message = f"{naming.of(at.path)} must be {expected(at.wanted)}"
    yield _Problem("type", at.path, message, f"found {found(at.value)}{_how_to_retype(at)}")


def _how_to_retype(at: _Complaint) -> str:
    if at.wanted == "boolean":
        return "; write true or false, without quotes"
    if "string" not in at.wanted or not isinstance(at.value, int | float):
        return ""
    if "patternErrorMessage" in at.schema and not _fits(at.schema["pattern"], str(at.value)):
        return f"; it {at.schema['patternErrorMessage']}"
    return "; put it in quotes"


def _word(at: _Complaint, naming: Naming) -> Iterator[_Problem]:
    words: list[str] = at.wanted
    message = f"unsupported {at.schema.get('title') or naming.of(at.path)}: {shown(at.value)}"
    hint = f"use one of: {', '.join(words)}" if len(words) > 1 else f'use "{words[0]}"'
    meant = nearest(at.value, words) if isinstance(at.value, str) else ""
    if meant and len(words) > 1:
        hint = f'did you mean "{meant}"? {hint}'
    elif isinstance(at.value, int | float) and str(at.value) in words:
        hint += ", in quotes: it is a text, not a number"
    yield _Problem("value", at.path, message, hint)


def _pattern(at: _Complaint, naming: Naming) -> Iterator[_Problem]:
    if "patternErrorMessage" in at.schema:
        message = f"{naming.of(at.path, identified=False)} {at.schema['patternErrorMessage']}"
    else:
        message = f"{naming.of(at.path[:-1])} {at.schema['errorMessage']}"
    yield _Problem("pattern", at.path, message)


def _limit(at: _Complaint, naming: Naming, *, code: str, words: str) -> Iterator[_Problem]:
    if code == "too-few" and "errorMessage" in at.schema:
        message = f"{naming.of(at.path[:-1])} {at.schema['errorMessage']}"
    elif code == "too-short":
        required = len(at.path) == 1 and at.path[0] in naming.schema["required"]
        message = f"{naming.of(at.path)} {'is required' if required else 'must not be empty'}"
    else:
        message = f"{naming.of(at.path)} {words.format(at.wanted)}"
    yield _Problem(code, at.path, message)


_EXPLANATIONS: Mapping[str, _Explanation] = {
    "false": _conflict,
    "additionalProperties": _unknown_keys,
    "required": _missing_keys,
    "type": _type,
    "enum": _word,
    "pattern": _pattern,
    "minItems": partial(_limit, code="too-few", words="must have at least {} item"),
    "minLength": partial(_limit, code="too-short", words=""),
    "maxLength": partial(_limit, code="too-long", words="must have at most {} characters"),
    "minimum": partial(_limit, code="range", words="must be at least {}"),
    "maximum": partial(_limit, code="range", words="must be at most {}"),
}
"""Every keyword that the schemas use to refuse; a test holds them to these (`const` only tells kinds apart)."""
