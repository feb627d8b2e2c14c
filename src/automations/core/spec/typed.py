"""Expressions held against what is known of their data: event schemas, inputs, steps' outputs, constants, actions' inputs.

Errors are what can never work, or fails whenever an optional field is missing; warnings are what works and cannot be meant.
What a schema leaves open is open here.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial

from automations.core.diagnostic import Path, Severity
from automations.core.expression.cel import Expression, ExpressionInvalid
from automations.core.expression.failure import place
from automations.core.expression.guards import Paths
from automations.core.expression.infer import Found, Inferred, infer, nearest_field, plainly
from automations.core.expression.matcher import When, compile_when
from automations.core.expression.shape import ANY, KINDS, Shape, of_kind, overlap
from automations.core.expression.template import Located, Scan, scan
from automations.core.run.concurrency import KEY_ROOTS
from automations.core.spec.finding import Finding, paths_of_steps
from automations.core.spec.graph import succeeded
from automations.core.spec.model import Automation, Manifest, Step, Trigger, TriggerKind
from automations.core.spec.namespaces import only_plain
from automations.core.spec.scopes import (
    asked_by,
    asked_by_condition,
    asked_by_filter,
    asked_by_triggers,
    expected,
    key_roots,
    step_roots,
    trigger_roots,
)
from automations.core.trigger.bindings import TRIGGER_ROOTS

_CODES = {
    "unknown-field": "spec/unknown-field",
    "undeclared-field": "spec/undeclared-field",
    "optional-field": "spec/optional-field",
    "operand-type": "spec/operand-type",
    "never-equal": "spec/never-equal",
    "never-there": "spec/never-there",
}
_WARNINGS = frozenset({"undeclared-field", "never-equal", "never-there"})
_AS_JSON = {"uint": "int", "timestamp": "string", "duration": "string"}
"""What a result becomes in an input."""
_NO_DATA = frozenset({"bytes", "type"})
_NO_TEXT = frozenset({"map", "list", "null"})


def check_triggers(automation: Automation) -> Iterator[Finding]:
    """Every finding in the expressions of triggers, which see no manifest."""
    for index, trigger in enumerate(automation.triggers):
        texts = (trigger.expr or "", *(_key(trigger, word) for word in _KEYED))
        if not any(text and ("eventSchema" in trigger.raw or _of_ours(text)) for text in texts):
            continue
        roots = partial(trigger_roots, automation, trigger)
        if trigger.expr is not None:
            with suppress(ExpressionInvalid):
                condition = compile_when(trigger.expr, roots=TRIGGER_ROOTS)
                yield from _Site(("triggers", index, "expr"), roots, partial(asked_by_filter, trigger)).condition(
                    condition
                )
        for word in _KEYED:
            site = _Site(("triggers", index, word, "key"), roots, partial(asked_by, trigger))
            for located in scan(_key(trigger, word), roots=TRIGGER_ROOTS).expressions():
                yield from site.template(located, text=True)[1]


def check_concurrency(automation: Automation) -> Iterator[Finding]:
    """Every finding in the concurrency key, which sees what started the run and no step."""
    key = automation.concurrency.key if automation.concurrency else ""
    known = "inputs" in automation.spec or any("eventSchema" in trigger.raw for trigger in automation.triggers)
    if known or _of_ours(key):
        site = _Site(("concurrency", "key"), partial(key_roots, automation), partial(asked_by_triggers, automation))
        for located in scan(key, roots=KEY_ROOTS).expressions():
            yield from site.template(located, text=True)[1]


def _of_ours(text: str) -> bool:
    """Whether an expression reads the constants, or what we give it by a name that is not plainly one of ours."""
    return "vars" in text or not only_plain(text)


_KEYED = ("rateLimit", "debounce")
"""What a trigger does by a key that it renders from the event."""


def _key(trigger: Trigger, word: str) -> str:
    return str(trigger.raw.get(word, {}).get("key", ""))


def check_steps(
    automation: Automation, manifests: Mapping[str, Manifest], *, inputs: Sequence[Scan], unsure: Collection[str] = ()
) -> Iterator[Finding]:
    """Every finding in the expressions of steps. `manifests` by step id, `inputs` the templates in each step's input.

    Of the `unsure`, by id, nobody knows what comes before them, and so not what they can read.
    """
    telling = _Telling(automation, manifests)
    roots = _Roots(automation, manifests)
    for (path, _), step, given in zip(paths_of_steps(automation.spec), automation.steps, inputs, strict=True):
        if step.id in unsure:
            continue
        site = _Site((*path, "when"), partial(roots.of, step), partial(asked_by_triggers, automation))
        if isinstance(step.when, str) and telling.of(step, step.when):
            with suppress(ExpressionInvalid):
                yield from site.condition(compile_when(step.when))
        elif isinstance(step.when, Mapping) and any(telling.of(step, key) for key in step.when):
            yield from site.paths(step.when)
        manifest = manifests.get(step.id)
        if telling.of_input(step, given, typed=manifest is not None):
            site = _Site((*path, "input"), partial(roots.of, step), partial(_asked_before, automation, step))
            yield from _input(step, manifest, given=given, site=site, telling=telling)


_PLAIN_PATH = re.compile(r"\$\{\{\s*[\w.]+\s*\}\}")
_PLAIN_READING = re.compile(r"\bsteps\.(\w+)\.(?:status|(output)|error)\b")


class _Telling:
    """Which expressions the known shapes can say anything about, judged by their text alone.

    Most expressions of a large tree read what no schema describes; these need not be looked into.
    """

    def __init__(self, automation: Automation, manifests: Mapping[str, Manifest]) -> None:
        self._words = []
        if "inputs" in automation.spec:
            self._words.append("inputs")
        if any("eventSchema" in trigger.raw for trigger in automation.triggers):
            self._words.append("event")
        self._steps = automation.steps
        self._open = {name for name, manifest in manifests.items() if manifest.output_schema is None}
        self._open |= {step.id for step in automation.steps} - manifests.keys()
        self._sure: Mapping[str, frozenset[str]] = {}

    def of(self, step: Step, text: str) -> bool:
        """Whether an expression of a step, or a text with some in it, is worth a look."""
        if _of_ours(text) or any(word in text for word in self._words):
            return True
        if "steps" not in text:
            return False
        self._sure = self._sure or succeeded(self._steps)
        plain = all(
            name in self._open and (not output or name in self._sure[step.id])
            for name, output in _PLAIN_READING.findall(text)
        )
        return not plain or "error" in text or "steps" in _PLAIN_READING.sub("", text)

    def of_input(self, step: Step, given: Scan, *, typed: bool) -> bool:
        """Whether anything in a step's input is. That of a `typed` step has types to be held against."""
        return any(self.of(step, text) or (typed and not _PLAIN_PATH.fullmatch(text)) for _, text, _ in given.scalars)


class _Roots:
    """What steps see, worked out when the first of them asks."""

    def __init__(self, automation: Automation, manifests: Mapping[str, Manifest]) -> None:
        self._automation = automation
        self._manifests = manifests
        self._made: Mapping[str, Mapping[str, Shape]] = {}

    def of(self, step: Step) -> Mapping[str, Shape]:
        """The shapes of a step's roots."""
        self._made = self._made or step_roots(self._automation, self._manifests)
        return self._made[step.id]


def _asked_before(automation: Automation, step: Step) -> Paths:
    """What is there when a step's input is rendered: what its trigger and its own `when` asked for."""
    return asked_by_triggers(automation) | asked_by_condition(step.when)


class _Site:
    """A value in a spec that holds expressions, what they see, and what is there for them; both are asked when it matters."""

    def __init__(self, path: Path, roots: Callable[[], Mapping[str, Shape]], present: Callable[[], Paths]) -> None:
        self.path = path
        self._roots = roots
        self._present = present

    def condition(self, condition: When) -> Iterator[Finding]:
        """Findings in an expression that must be true or false; the object form of `when` cannot fail."""
        if not isinstance(condition, Expression):
            return
        inferred = self._inferred(condition)
        for each in inferred.found:
            yield self._finding(each, Located((), condition, 1, 1, whole=True))
        if not inferred.found and not overlap(inferred.shape.kinds, {"bool"}):
            message = f"a condition must be true or false; this is {plainly(inferred.shape.kinds)}"
            yield Finding("spec/expression", self.path, message)

    def paths(self, when: Mapping[str, object]) -> Iterator[Finding]:
        """Findings in the object form of `when`, which passes over a path that leads nowhere."""
        for key in when:
            root, *parts = key.split(".")
            said, shape = root, self._roots().get(root, ANY)
            for part in parts:
                reading = shape.read(part)
                message, hint = "", ""
                if not overlap(shape.kinds, {"map"}):
                    message = f"{said} is {plainly(shape.kinds)}, which has no fields"
                elif reading.shape is None or (reading.known == "no" and reading.presence == "maybe"):
                    message, hint = f"{said}.{part} is never there", nearest_field(part, shape)
                if message:
                    yield Finding("spec/never-there", (*self.path, key), message, hint, Severity.WARNING)
                    break
                said, shape = f"{said}.{part}", reading.shape or ANY

    def template(self, located: Located, *, text: bool = False) -> tuple[Shape, list[Finding]]:
        """What a template's expression comes to, and findings in it; with `text` it must be what can be written as one."""
        inferred = self._inferred(located.expression)
        found = [self._finding(each, located) for each in inferred.found]
        kinds = inferred.shape.kinds
        if not found and kinds <= (_NO_DATA if located.whole and not text else _NO_TEXT | _NO_DATA):
            what = "part of a text" if not located.whole else "a key" if text else "the value of an input"
            message = f"the result is {plainly(kinds)}, which cannot be {what}"
            found.append(self._finding(Found("operand-type", 0, message), located))
        return inferred.shape, found

    def _inferred(self, expression: Expression) -> Inferred:
        """Guards elsewhere are looked for only when something would need one."""
        roots = self._roots()
        inferred = infer(expression, roots)
        return infer(expression, roots, present=self._present()) if inferred.found else inferred

    def _finding(self, found: Found, located: Located) -> Finding:
        """A finding of the walk, with its place in the scalar."""
        expression = located.expression
        line, column = place(expression.text, expression.offsets().get(found.node, 0))
        at = ExpressionInvalid(found.message, line=line, column=column).moved(located.line, located.column)
        severity = Severity.WARNING if found.fault in _WARNINGS else Severity.ERROR
        code, hint, message = _CODES[found.fault], found.hint, at.message
        if found.fault == "optional-field" and found.path[:1] == ("steps",) and found.path[2:] == ("output",):
            step = found.path[1]
            code = "spec/step-skipped"
            message = message.replace("is optional and may be missing", f"is missing when {step} is skipped or fails")
            hint = f"guard it: has(steps.{step}.output), or wait with dependsOn: [{{step: {step}, on: succeeded}}]"
        return Finding(code, (*self.path, *located.path), message, hint, severity)


def _input(step: Step, manifest: Manifest | None, *, given: Scan, site: _Site, telling: _Telling) -> Iterator[Finding]:
    for located in given.expressions():
        if telling.of(step, located.expression.text):
            shape, found = site.template(located)
            yield from found
            if found:
                continue
        else:
            shape = _RESULTS.get(located.expression.return_type, ANY)
        if manifest is None:
            continue
        kinds = _as_json(shape.kinds) if located.whole else frozenset({"string"})
        wanted = expected(manifest, located.path)
        if kinds and not overlap(kinds, wanted.kinds):
            action = f"{manifest.id} {manifest.version}"
            message = f"input of step {step.id}: {plainly(kinds)} where {action} takes {plainly(wanted.kinds)}"
            path = (*site.path, *located.path)
            yield Finding("spec/input", path, message, "see the manifest's inputSchema")


_RESULTS = {kind: of_kind(kind) for kind in KINDS}


def _as_json(kinds: frozenset[str]) -> frozenset[str]:
    return frozenset(_AS_JSON.get(kind, kind) for kind in kinds - _NO_DATA)


def check_event_schemas(automation: Automation, inputs: Sequence[Scan]) -> Iterator[Finding]:
    """A warning where expressions read what events say: a schema of it is what lets them be checked."""
    for index, trigger in enumerate(automation.triggers):
        by_events = trigger.kind in (TriggerKind.EVENT, TriggerKind.WEBHOOK)
        if by_events and "eventSchema" not in trigger.raw and _reads_event_data(automation, trigger, inputs):
            message = "expressions read event.data, and no eventSchema says what is in it: they are not checked"
            hint = "add an eventSchema to the trigger, even one that only names the fields that are read"
            yield Finding("spec/no-event-schema", ("triggers", index), message, hint, Severity.WARNING)


def _reads_event_data(automation: Automation, trigger: Trigger, inputs: Sequence[Scan]) -> bool:
    """Whether a trigger's own expression, or anything in a step, reads what events say."""
    texts = [trigger.expr or ""]
    texts += (step.when if isinstance(step.when, str) else " ".join(step.when or ()) for step in automation.steps)
    texts += (text for given in inputs for _, text, _ in given.scalars)
    return any("event.data" in text for text in texts)
