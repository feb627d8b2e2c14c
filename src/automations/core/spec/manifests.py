"""Action manifests among specs: which one a step means, and whether the step's input can satisfy it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from automations.core.canonical import digest
from automations.core.diagnostic import Diagnostic, Path, Severity
from automations.core.expression.failure import ExpressionInvalid, place
from automations.core.expression.infer import infer
from automations.core.expression.schema_shape import shape_of
from automations.core.expression.secret import SecretReference, secret_field
from automations.core.expression.shape import Shape, both, of_kind
from automations.core.expression.template import Scan, scan
from automations.core.nearest import nearest
from automations.core.run.edge import BINDING_ROOTS, TEMPLATED, binding_problems
from automations.core.spec.conform import Conformity, compile_schema
from automations.core.spec.document import Document
from automations.core.spec.model import Manifest, Step
from automations.errors import InvalidInput

_NEVER_WORKS = ("unknown-field", "operand-type")
"""Slips in a binding's templates that fail whatever the step gives; an input may be left out where a template does without."""
_KEPT = ("type", "required", "additionalProperties", "$schema", "$defs", "definitions")
_MOST_NEAR, _MOST_LOOKED_AT = 100, 2_000
"""For how many unknown actions the nearest is looked for, and among how many."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Manifests by action id, in ascending order of versions, but those that others own first. Equal digests: the same."""

    by_action: Mapping[str, tuple[Manifest, ...]]
    own: tuple[Manifest, ...]
    foreign: tuple[Manifest, ...]
    digest: str
    _near: dict[str, str] = field(default_factory=dict)

    def nearest(self, action: str) -> str:
        """The action that is known here and was probably meant; empty when none is, or it would take long to tell."""
        if action not in self._near:
            if len(self._near) >= _MOST_NEAR or len(self.by_action) > _MOST_LOOKED_AT:
                return ""
            self._near[action] = nearest(action, self.by_action)
        return self._near[action]


def shelve(manifests: Iterable[Manifest], foreign: Iterable[Manifest] = ()) -> Shelf:
    """Put manifests where `resolve` finds them without looking at all the others. `foreign` are those that others own."""
    own, others = tuple(manifests), tuple(foreign)
    found: dict[str, list[Manifest]] = {}
    for listed in (others, own):
        for manifest in sorted(listed, key=lambda one: rank(one.version)):
            found.setdefault(manifest.id, []).append(manifest)
    standing = [sorted([each.id, each.version, each.digest] for each in listed) for listed in (own, others)]
    return Shelf({action: tuple(each) for action, each in found.items()}, own, others, digest(standing))


class Shelves:
    """Manifests as each owner sees them: its own before those of others."""

    def __init__(self, owned: Iterable[tuple[str, Manifest]]) -> None:
        self._owned = tuple(owned)
        self._made: dict[str, Shelf] = {}

    def of(self, owner: str) -> Shelf:
        """The shelf of one owner."""
        if owner not in self._made:
            own = (manifest for whose, manifest in self._owned if whose == owner)
            others = (manifest for whose, manifest in self._owned if whose != owner)
            self._made[owner] = shelve(own, others)
        return self._made[owner]


def resolve(step: Step, shelf: Shelf) -> tuple[Manifest | None, tuple[str, ...]]:
    """The manifest a step means, and all known versions of its action.

    A step that names no version takes the highest by numeric parts of those that its own source declares, and of others'
    only where its source has none: what another team adds to its directory changes nothing here.
    """
    there = shelf.by_action.get(step.action_id, ())
    versions = tuple(manifest.version for manifest in there)
    if step.manifest_version is None:
        return (there[-1] if there else None), versions
    return next((each for each in there if each.version == step.manifest_version), None), versions


def resolve_all(steps: tuple[Step, ...], shelf: Shelf) -> dict[str, Manifest]:
    """Step ids to the manifests they are pinned to; steps without one are left out."""
    found = {step.id: resolve(step, shelf)[0] for step in steps}
    return {step_id: manifest for step_id, manifest in found.items() if manifest is not None}


def check_manifest(document: Document, manifest: Manifest) -> tuple[Diagnostic, ...]:
    """A manifest's own schemas must be schemas, and its templates stand where data may go."""
    found = [
        Diagnostic("action/template", Severity.ERROR, problem.message, document.at(path), path, problem.hint)
        for index, binding in enumerate(manifest.bindings)
        for inner, problem in binding_problems(binding.kind, binding.config)
        for path in [("executorBindings", index, *inner)]
    ]
    found += _fields(document, manifest)
    for key, schema in (("inputSchema", manifest.input_schema), ("outputSchema", manifest.output_schema)):
        if schema is None:
            continue
        try:
            compile_schema(schema)
        except InvalidInput as problem:
            found.append(
                Diagnostic("action/schema", Severity.ERROR, problem.message, document.at((key,)), (key,), problem.hint)
            )
    return tuple(found)


def _fields(document: Document, manifest: Manifest) -> Iterator[Diagnostic]:
    """Names in a binding's templates that no input which conforms can have."""
    roots: Mapping[str, Shape] | None = None
    for index, binding in enumerate(manifest.bindings):
        key = TEMPLATED.get(binding.kind, "")
        for located in scan(binding.config.get(key), roots=BINDING_ROOTS).expressions():
            roots = roots or {"input": both(of_kind("map"), shape_of(manifest.input_schema))}
            expression = located.expression
            for each in infer(expression, roots).found:
                if each.fault in _NEVER_WORKS:
                    line, column = place(expression.text, expression.offsets().get(each.node, 0))
                    said = ExpressionInvalid(each.message, line=line, column=column).moved(located.line, located.column)
                    path = ("executorBindings", index, key, *located.path)
                    span = document.at(path)
                    yield Diagnostic("action/template", Severity.ERROR, said.message, span, path, each.hint)


def check_secrets(
    document: Document, path: Path, *, step: Step, manifest: Manifest | None, given: Scan
) -> Iterator[Diagnostic]:
    """A secret stands only where a manifest says that one may: without a manifest, nowhere. `given` is the step's input."""
    if given.problems:
        return
    for scalar in given.scalars:
        if not any(isinstance(piece, SecretReference) for piece in scalar.cut.pieces):
            continue
        if manifest is not None and secret_field(manifest.input_schema, scalar.path):
            continue
        where = (*path, "input", *scalar.path)
        known = (
            f"{manifest.id} {manifest.version} does not mark it" if manifest else f"{step.action_id} has no manifest"
        )
        message = f"step {step.id} gives a secret to a field that may not have one: {known} x-secret"
        hint = "mark the property with `x-secret: true` in the manifest's inputSchema"
        yield Diagnostic("spec/secret", Severity.ERROR, message, document.at(where), where, hint)


def check_inputs(
    document: Document, path: Path, *, step: Step, manifest: Manifest, given: Scan
) -> Iterator[Diagnostic]:
    """A constant input is checked whole; a templated one by the keys it lacks or has too many. `given` is its templates."""
    where = (*path, "input")
    filled = list(given.templated())
    if () in filled:
        return
    try:
        violations = _conformity(manifest, frozenset(inner[0] for inner in filled)).violations(step.input)
    except InvalidInput:
        return
    for violation in violations:
        message = f"input of step {step.id} does not conform to {manifest.id} {manifest.version}: {violation}"
        hint = "see the manifest's inputSchema"
        yield Diagnostic("spec/input", Severity.ERROR, message, document.at(where), where, hint)


def check_silence(document: Document, path: Path, *, step: Step, manifest: Manifest) -> Iterator[Diagnostic]:
    """Nobody's silence agrees to what can do much harm."""
    if step.approval is None or step.approval.on_expire != "approve" or not manifest.high_risk:
        return
    where = (*path, "approval", "onExpire")
    risk = manifest.document["riskLevel"]
    message = f"step {step.id} would be approved by silence, but {manifest.id} {manifest.version} is of {risk} risk"
    hint = "use onExpire: reject, or leave it away"
    yield Diagnostic("spec/approval-silence", Severity.ERROR, message, document.at(where), where, hint)


def _keys_only(schema: Mapping[str, Any], filled: set[str | int]) -> dict[str, Any]:
    """The schema with templated properties accepting anything; what combines keys in other ways waits for the run."""
    kept = {key: schema[key] for key in _KEPT if key in schema}
    properties = dict(schema.get("properties", {}))
    closed = schema.get("additionalProperties") is False
    properties |= {key: {} for key in filled if isinstance(key, str) and (key in properties or not closed)}
    patterns = dict.fromkeys(schema.get("patternProperties", {}), True)
    return {**kept, "properties": properties, "patternProperties": patterns}


def newest(versions: Iterable[str]) -> str:
    """The highest of some versions."""
    return max(versions, key=rank)


def rank(version: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """Versions by numeric parts where they have them (`1.10.0` after `1.9.0`), else as text."""
    return tuple(_part(part) for part in version.split(".")), version


def _part(part: str) -> tuple[int, int, str]:
    if not (part.isascii() and part.isdigit()):
        return 0, 0, part
    digits = part.lstrip("0")  # compared by length, then as text: Python reads no number of many thousand digits
    return 1, len(digits), digits


_COMPILED: dict[tuple[str, frozenset[str | int]], Conformity] = {}
"""Compiled input schemas by manifest digest and templated keys: thousands of steps name a few dozen actions."""
_MOST_COMPILED = 1_000


def _conformity(manifest: Manifest, filled: frozenset[str | int]) -> Conformity:
    key = (manifest.digest, filled)
    found = _COMPILED.get(key)
    if found is None:
        schema = _keys_only(manifest.input_schema, set(filled)) if filled else manifest.input_schema
        found = compile_schema(schema)
        if len(_COMPILED) >= _MOST_COMPILED:
            _COMPILED.clear()
        _COMPILED[key] = found
    return found
