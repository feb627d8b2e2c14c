"""What a schema cannot say about one automation: its graph, its expressions, its filters, its routes.

Each check is a function of the document and its model that yields findings as (code, path, message, hint); `check` gives them
their places. Rules across files are the catalogue's.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from automations.core.diagnostic import Diagnostic, Path, Severity, dotted
from automations.core.expression.cel import BODY_ROOTS, ExpressionInvalid
from automations.core.expression.infer import plainly
from automations.core.expression.matcher import compile_when
from automations.core.expression.schema_shape import shape_of
from automations.core.expression.template import INPUT_ROOTS, Scan, scan
from automations.core.retention import LEAST_IDENTITY
from automations.core.run.concurrency import KEY_ROOTS
from automations.core.run.inputs import filled_in
from automations.core.spec.conform import compile_part, compile_schema
from automations.core.spec.document import Document
from automations.core.spec.finding import Finding, paths_of_steps, place
from automations.core.spec.graph import ancestors, cycle, guesses
from automations.core.spec.model import Automation, Step, Trigger, TriggerKind
from automations.core.trigger.bindings import TRIGGER_ROOTS
from automations.core.trigger.filter import check_filter
from automations.errors import InvalidInput

RESERVED_PATHS = ("/healthz", "/readyz", "/metrics", "/api")
"""Paths that the server answers itself; no route may take them or anything below `/api`."""

_GRAPH_CODES = ("spec/depends-on", "spec/cycle", "spec/duplicate-step")
"""What makes it a guess which step comes before which."""
_NOT_EXECUTED = "accepted and kept, but this version does not carry it out yet"


def inputs_of(automation: Automation) -> tuple[Scan, ...]:
    """The templates in each step's input, looked for once for all checks."""
    return tuple(scan(step.input, roots=INPUT_ROOTS) for step in automation.steps)


def check(
    document: Document, automation: Automation, *, inputs: Sequence[Scan], broken: Collection[str] = ()
) -> tuple[Diagnostic, ...]:
    """Every finding of every check, with its place. `inputs` are the templates in each step's input.

    `broken` are ids of steps that the file says more of than the model: what they wait for is not known.
    """
    found: list[Finding] = []
    for rule in (_steps, _graph, _conditions, _filters, _routes, _schemas, _schedules, _lifecycle, _not_executed):
        found.extend(rule(document.value, automation))
    found.extend(_templates(document.value, inputs))
    # Where the graph is wrong, whom a step may read is a guess, and a second message about the same slip is noise.
    wrong = broken or any(each.code in _GRAPH_CODES for each in found)
    unsure = guesses(automation.steps, broken) if wrong else ()
    found.extend(_step_references(document.value, automation, inputs, unsure=unsure))
    return tuple(place(document, each) for each in found)


def _steps(spec: Mapping[str, Any], _: Automation) -> Iterator[Finding]:
    seen: dict[str, Path] = {}
    for path, raw in paths_of_steps(spec):
        if raw["id"] in seen:
            yield Finding("spec/duplicate-step", (*path, "id"), f"duplicate automation action step id: {raw['id']}")
        seen.setdefault(raw["id"], path)
        if "approval" in raw and "approvalGate" in raw:
            message = f"automation action step {raw['id']} cannot define both approval and approvalGate"
            yield Finding("spec/approval", (*path, "approvalGate"), message, "keep `approval`")


def _graph(spec: Mapping[str, Any], automation: Automation) -> Iterator[Finding]:
    steps = {step.id: step for step in automation.steps}
    for (path, _), step in zip(paths_of_steps(spec), automation.steps, strict=True):
        for index, dependency in enumerate(step.depends_on):
            problem = _dependency_problem(step, steps.get(dependency.step), name=dependency.step)
            if problem:
                known = ", ".join(sorted(set(steps) - {step.id})) or "none"
                yield Finding("spec/depends-on", (*path, "dependsOn", index), problem, f"the other steps are: {known}")
    if loop := cycle(_sure(automation.steps)):
        path = next(path for path, raw in paths_of_steps(spec) if raw["id"] == loop[0])
        shown = " → ".join((*loop, loop[0]))
        yield Finding("spec/cycle", (*path, "dependsOn"), f"steps wait for each other in a circle: {shown}")


def _sure(steps: Sequence[Step]) -> list[Step]:
    """Steps with what they certainly wait for: an id that several have, that none has or that is their own says nothing."""
    times = Counter(step.id for step in steps)
    return [
        replace(
            step, depends_on=tuple(each for each in step.depends_on if each.step != step.id and times[each.step] == 1)
        )
        for step in steps
        if times[step.id] == 1
    ]


def _dependency_problem(step: Step, target: Step | None, *, name: str) -> str | None:
    if target is None:
        return f"automation action step {step.id} depends on unknown step: {name}"
    if target.id == step.id:
        return f"automation action step {step.id} cannot depend on itself"
    if target.final and not step.final:
        return f"automation action step {step.id} cannot wait for {name}, which runs in `finally`, after all actions"
    return None


def _conditions(spec: Mapping[str, Any], automation: Automation) -> Iterator[Finding]:
    for index, trigger in enumerate(automation.triggers):
        yield from _trigger_expressions(("triggers", index), trigger)
    if automation.concurrency:
        for _, problem in scan(automation.concurrency.key, roots=KEY_ROOTS).problems:
            yield Finding("spec/expression", ("concurrency", "key"), problem.message, problem.hint)
    for path, raw in paths_of_steps(spec):
        if "when" in raw:
            try:
                compile_when(raw["when"])
            except ExpressionInvalid as invalid:
                yield Finding("spec/expression", (*path, "when"), invalid.message, invalid.hint)


def _templates(spec: Mapping[str, Any], inputs: Sequence[Scan]) -> Iterator[Finding]:
    for (path, _), given in zip(paths_of_steps(spec), inputs, strict=True):
        for inner, problem in given.problems:
            yield Finding("spec/expression", (*path, "input", *inner), problem.message, problem.hint)


def _trigger_expressions(path: Path, trigger: Trigger) -> Iterator[Finding]:
    if trigger.expr is not None:
        try:
            compile_when(trigger.expr, roots=TRIGGER_ROOTS)
        except ExpressionInvalid as invalid:
            yield Finding("spec/expression", (*path, "expr"), invalid.message, invalid.hint)
    for word, given in (("rateLimit", trigger.rate_limit), ("debounce", trigger.debounce)):
        for _, problem in scan(given.key if given else None, roots=TRIGGER_ROOTS).problems:
            yield Finding("spec/expression", (*path, word, "key"), problem.message, problem.hint)
    if trigger.route is not None and trigger.route.mapping.type_template is not None:
        for _, problem in scan(trigger.route.mapping.type_template, roots=BODY_ROOTS).problems:
            where = (*path, "route", "mapping", "typeTemplate")
            yield Finding("spec/expression", where, problem.message, problem.hint)


def _step_references(
    spec: Mapping[str, Any], automation: Automation, inputs: Sequence[Scan], *, unsure: Collection[str]
) -> Iterator[Finding]:
    above = ancestors(automation.steps)
    for (path, _), step, given in zip(paths_of_steps(spec), automation.steps, inputs, strict=True):
        reachable = above.get(step.id, frozenset())
        for inner, name in _references(step, given):
            if name in reachable:
                continue
            known = any(each.id == name for each in automation.steps)
            reads = f"step {step.id} reads steps.{name}, which"
            if step.id in unsure:
                if not known and all(each.step != name for each in step.depends_on):
                    others = ", ".join(sorted({each.id for each in automation.steps} - {step.id})) or "none"
                    hint = f"the other steps are: {others}"
                    yield Finding("spec/step-reference", (*path, *inner), f"{reads} does not exist", hint)
            elif known:
                hint = f"add {name} to dependsOn of {step.id}"
                yield Finding("spec/step-reference", (*path, *inner), f"{reads} it does not wait for", hint)
            else:
                hint = f"it can read: {', '.join(sorted(reachable)) or 'none'}"
                yield Finding("spec/step-reference", (*path, *inner), f"{reads} does not exist", hint)


def _references(step: Step, given: Scan) -> Iterator[tuple[Path, str]]:
    """What a step reads; what does not compile is told elsewhere."""
    if step.when is not None:
        with suppress(ExpressionInvalid):
            for name in sorted(compile_when(step.when).step_references()):
                yield ("when",), name
    for inner, steps in given.references():
        for name in sorted(steps):
            yield ("input", *inner), name


def _filters(_: Mapping[str, Any], automation: Automation) -> Iterator[Finding]:
    for index, trigger in enumerate(automation.triggers):
        for problem, inner in check_filter(trigger.filter, schema=trigger.raw.get("eventSchema")):
            yield Finding("spec/filter", ("triggers", index, "filter", *inner), problem)


def _routes(_: Mapping[str, Any], automation: Automation) -> Iterator[Finding]:
    for index, trigger in enumerate(automation.triggers):
        if trigger.route is None:
            continue
        problem = path_problem(trigger.route.path)
        if problem:
            yield Finding("spec/route-path", ("triggers", index, "route", "path"), problem)
        signature = trigger.route.signature
        if signature is not None and (signature.rejects_replays or 0) > LEAST_IDENTITY:
            path = ("triggers", index, "route", "signature", "rejectReplays")
            message = "rejectReplays is 7d at most: what came in before that need not be known any more"
            yield Finding("spec/reject-replays", path, message)


def path_problem(path: str) -> str | None:
    """What is wrong with a webhook route's path, in the original's words; None when nothing is."""
    if not path.startswith("/"):
        return "webhook route path must start with /"
    if "?" in path or "#" in path:
        return "webhook route path must not include query or fragment"
    if ".." in path:
        return "webhook route path must not contain .."
    if any(not ("!" <= character <= "~") or character in "%;\\" for character in path):
        return "webhook route path must be plain ASCII without spaces, %, ; or backslashes"
    if "//" in path or (path.endswith("/") and path != "/"):
        return "webhook route path must not contain // or end with /"
    if path in RESERVED_PATHS or path.startswith("/api/"):
        return f"webhook route path is the server's own: {path}"
    return None


def _schemas(spec: Mapping[str, Any], automation: Automation) -> Iterator[Finding]:
    given: list[tuple[Path, Mapping[str, Any] | None]] = [(("inputs",), spec.get("inputs"))]
    given += [(("triggers", place, "eventSchema"), each.event_schema) for place, each in enumerate(automation.triggers)]
    for path, schema in given:
        if schema is None:
            continue
        try:
            compile_schema(schema)
        except InvalidInput as problem:
            yield Finding("spec/schema", path, problem.message, problem.hint)
            continue
        kinds = shape_of(schema).kinds
        if "map" not in kinds:
            where = (*path, "type") if "type" in schema else path
            what = "inputs are" if path == ("inputs",) else "an event's data is"
            message = f"{what} always an object, and this schema allows only {plainly(kinds)}"
            yield Finding("spec/schema", where, message, "write `type: object`, and what is in it under `properties`")
    yield from _defaults(spec.get("inputs", {}))


def _defaults(schema: Mapping[str, Any]) -> Iterator[Finding]:
    """A default that is filled in where an input is not given has to be one that could have been given."""
    for path, default in filled_in(schema):
        with suppress(InvalidInput):  # no schema at all is told as that
            for violation in compile_part(schema, path).violations(default, most=1):
                message = f"the default of {dotted(path[1::2])} does not fit its own schema: {violation}"
                yield Finding(
                    "spec/schema", ("inputs", *path, "default"), message, "correct the default, or the schema"
                )


def _schedules(_: Mapping[str, Any], automation: Automation) -> Iterator[Finding]:
    for index, trigger in enumerate(automation.triggers):
        if trigger.kind is not TriggerKind.SCHEDULE:
            continue
        from automations.core.trigger import schedule  # noqa: PLC0415  # time zones and cron: 10 ms that few specs need

        problem = schedule.check(trigger.raw)
        if problem:
            yield Finding("spec/schedule", ("triggers", index, problem.key), problem.message, problem.hint)


def _lifecycle(_: Mapping[str, Any], automation: Automation) -> Iterator[Finding]:
    if automation.renamed_from == automation.id:
        message = f"automation {automation.id} cannot be renamed from its own id"
        hint = "name the id that it had before, or remove renamedFrom"
        yield Finding("spec/renamed-from", ("lifecycle", "renamedFrom"), message, hint)


def _not_executed(spec: Mapping[str, Any], _: Automation) -> Iterator[Finding]:
    for path, what in _idle_keys(spec):
        yield Finding("spec/not-executed", path, f"{what}: {_NOT_EXECUTED}", severity=Severity.WARNING)


def _idle_keys(spec: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    for path, raw in paths_of_steps(spec):
        if raw.get("approval", {}).get("mode") == "policy":
            yield (*path, "approval", "mode"), "approval by policy (people are asked where requiresApproval is true)"
