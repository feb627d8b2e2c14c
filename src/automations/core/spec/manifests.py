"""Action manifests among specs: which one a step means, and whether the step's input can satisfy it."""

from collections.abc import Iterator, Mapping
from typing import Any

from automations.core.diagnostic import Diagnostic, Path, Severity
from automations.core.expression.template import references
from automations.core.spec.conform import compile_schema
from automations.core.spec.document import Document
from automations.core.spec.model import Manifest, Step
from automations.errors import InvalidInput


def resolve(step: Step, manifests: Mapping[tuple[str, str], Manifest]) -> tuple[Manifest | None, tuple[str, ...]]:
    """The manifest a step means, and all known versions of its action.

    A step that names no version takes the only one there is, or the highest by numeric parts.
    """
    versions = sorted((version for action, version in manifests if action == step.action_id), key=_order)
    wanted = step.manifest_version or (versions[-1] if versions else None)
    found = manifests.get((step.action_id, wanted)) if wanted else None
    return found, tuple(versions)


def resolve_all(steps: tuple[Step, ...], manifests: Mapping[tuple[str, str], Manifest]) -> dict[str, Manifest]:
    """Step ids to the manifests they are pinned to; steps without one are left out."""
    found = {step.id: resolve(step, manifests)[0] for step in steps}
    return {step_id: manifest for step_id, manifest in found.items() if manifest is not None}


def check_manifest(document: Document, manifest: Manifest) -> tuple[Diagnostic, ...]:
    """A manifest's own schemas must be schemas."""
    found = []
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


def check_inputs(document: Document, path: Path, *, step: Step, manifest: Manifest) -> Iterator[Diagnostic]:
    """A constant input is checked whole; a templated one by the keys it lacks or has too many."""
    where = (*path, "input")
    templated = {inner[0] for inner, _, _ in references(step.input) if inner}
    schema = dict(manifest.input_schema) if not templated else _keys_only(manifest.input_schema, templated)
    try:
        violations = compile_schema(schema).violations(step.input)
    except InvalidInput:
        return
    for violation in violations:
        message = f"input of step {step.id} does not conform to {manifest.id} {manifest.version}: {violation}"
        hint = "see the manifest's inputSchema"
        yield Diagnostic("spec/input", Severity.ERROR, message, document.at(where), where, hint)


def _keys_only(schema: Mapping[str, Any], templated: set[str | int]) -> dict[str, Any]:
    """The schema with templated properties accepting anything; what combines keys in other ways waits for the run."""
    kept = {key: schema[key] for key in ("type", "required", "additionalProperties", "$schema", "$defs") if key in schema}
    properties = {
        key: {} if key in templated else value for key, value in dict(schema.get("properties", {})).items()
    }
    return {**kept, "properties": properties}


def _order(version: str) -> tuple[tuple[int, int, str], ...]:
    """Versions by numeric parts where they have them (`1.10.0` after `1.9.0`), else as text."""
    return tuple((1, int(part), "") if part.isascii() and part.isdigit() else (0, 0, part) for part in version.split("."))
