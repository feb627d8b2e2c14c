"""What expressions of an automation see, as shapes: the schemas of its events, inputs and steps' outputs, and its constants.

The names are those of the run machine's `scope` and of the bindings; what no schema describes is open.
"""

from collections.abc import Mapping
from functools import reduce
from typing import Any

from automations.core.diagnostic import Path
from automations.core.expression.cel import Expression, ExpressionInvalid
from automations.core.expression.guards import Paths, when_true
from automations.core.expression.matcher import compile_when
from automations.core.expression.schema_shape import shape_of
from automations.core.expression.shape import ANY, Presence, Reading, Shape, both, either, fields, of_value, softened
from automations.core.spec import namespaces
from automations.core.spec.graph import ancestors, succeeded
from automations.core.spec.model import Automation, Manifest, Trigger, TriggerKind
from automations.core.trigger.bindings import TRIGGER_ROOTS

_BY_EVENTS = (TriggerKind.EVENT, TriggerKind.WEBHOOK)
_BY_HAND = (TriggerKind.MANUAL, TriggerKind.API)


def trigger_roots(automation: Automation, trigger: Trigger) -> dict[str, Shape]:
    """What a trigger's expression sees."""
    event = namespaces.event(_data(trigger))
    return {"event": event, "vars": of_value(dict(automation.vars)), "automation": namespaces.AUTOMATION}


def key_roots(automation: Automation) -> dict[str, Shape]:
    """What the concurrency key sees."""
    return {**_given(automation), "vars": of_value(dict(automation.vars)), "automation": namespaces.AUTOMATION}


def step_roots(automation: Automation, manifests: Mapping[str, Manifest]) -> dict[str, dict[str, Shape]]:
    """What the expressions of each step see, by step id. `manifests` by step id; steps without one answer anything."""
    of_steps = {"automation": namespaces.AUTOMATION_OF_STEPS, "run": namespaces.RUN, "item": namespaces.NOTHING}
    shared = {**key_roots(automation), **of_steps}
    above, sure = ancestors(automation.steps), succeeded(automation.steps)
    outputs = {step.id: _output(manifests.get(step.id)) for step in automation.steps}
    found = {}
    for step in automation.steps:
        known = {name: namespaces.step(outputs[name], sure=name in sure[step.id]) for name in above[step.id]}
        found[step.id] = {
            **shared,
            "steps": fields({name: Reading(each, "always", "yes") for name, each in known.items()}),
        }
    return found


def asked_by_triggers(automation: Automation) -> Paths:
    """Paths of an event that are there whichever trigger fired: its filter or its expression has asked for them."""
    events = [trigger for trigger in automation.triggers if trigger.kind in _BY_EVENTS]
    return reduce(frozenset.intersection, map(asked_by, events)) if events else frozenset()


def asked_by(trigger: Trigger) -> Paths:
    """Paths of an event that are there when a trigger has fired."""
    return asked_by_filter(trigger) | asked_by_condition(trigger.expr, roots=TRIGGER_ROOTS)


def asked_by_filter(trigger: Trigger) -> Paths:
    """Paths that a trigger's filter has found; `{not: …}` holds for what is missing too."""
    found = set()
    for key, matcher in trigger.filter.items():
        if not isinstance(matcher, Mapping):
            parts = key.split(".")
            found |= {("event", "data", *parts[:end]) for end in range(1, len(parts) + 1)}
            found.add(("event", "data", key))
    return frozenset(found)


def asked_by_condition(when: str | Mapping[str, object] | None, *, roots: frozenset[str] | None = None) -> Paths:
    """Paths that are there when a `when` (or a trigger's `expr`) was true; nothing for one that does not compile."""
    if when is None:
        return frozenset()
    if isinstance(when, Mapping):
        plain = [tuple(key.split(".")) for key, matcher in when.items() if not isinstance(matcher, Mapping)]
        asked = {path[:end] for path in plain for end in range(2, len(path) + 1)}
        return frozenset(
            asked | {(*path[:2], "output") for path in plain if path[0] == "steps" and path[2:] == ("status",)}
        )
    try:
        compiled = compile_when(when) if roots is None else compile_when(when, roots=roots)
    except ExpressionInvalid:
        return frozenset()
    return when_true(compiled.tree()) if isinstance(compiled, Expression) else frozenset()


def _given(automation: Automation) -> dict[str, Shape]:
    """The roots that hang on what started the run. What only some triggers give, others leave empty."""
    kinds = {trigger.kind for trigger in automation.triggers}
    events = [trigger for trigger in automation.triggers if trigger.kind in _BY_EVENTS]
    window = namespaces.window(trigger.debounce for trigger in events)
    event = namespaces.event(reduce(either, map(_data, events)) if events else namespaces.OBJECT, window=window)
    schema = automation.spec.get("inputs")
    inputs = namespaces.OBJECT if schema is None else _filled(both(namespaces.OBJECT, shape_of(schema)), schema)
    return {
        "event": event if kinds <= set(_BY_EVENTS) else softened(event),
        "inputs": inputs if kinds <= set(_BY_HAND) else softened(inputs),
        "schedule": namespaces.SCHEDULE if kinds == {TriggerKind.SCHEDULE} else softened(namespaces.SCHEDULE),
    }


def _filled(shape: Shape, schema: Any) -> Shape:
    """An object whose missing properties are filled in with their defaults, as inputs are."""
    listed = schema.get("properties") if isinstance(schema, Mapping) else None
    properties = listed if isinstance(listed, Mapping) else {}

    def read(name: str) -> Reading:
        found, inner = shape.read(name), properties.get(name)
        if found.shape is None or not isinstance(inner, Mapping):
            return found
        presence: Presence = "always" if "default" in inner else found.presence
        return Reading(_filled(found.shape, inner), presence, found.known)

    return Shape(shape.kinds, read, shape.item, shape.names, shape.values)


def _data(trigger: Trigger) -> Shape:
    schema = trigger.raw.get("eventSchema")
    return namespaces.OBJECT if schema is None else both(namespaces.OBJECT, shape_of(schema))


def _output(manifest: Manifest | None) -> Shape:
    schema = manifest.output_schema if manifest else None
    return ANY if schema is None else shape_of(schema)


_EXPECTED: dict[tuple[str, Path], Shape] = {}
"""Shapes of inputs by manifest digest and path: thousands of steps name a few dozen actions."""
_MOST_EXPECTED = 10_000


def expected(manifest: Manifest, path: Path) -> Shape:
    """What an action's `inputSchema` wants at a path of the input."""
    found = _EXPECTED.get((manifest.digest, path))
    if found is None:
        found = shape_of(manifest.input_schema)
        for part in path:
            found = found.item() if isinstance(part, int) else found.read(part).shape or ANY
        if len(_EXPECTED) >= _MOST_EXPECTED:
            _EXPECTED.clear()
        _EXPECTED[manifest.digest, path] = found
    return found
