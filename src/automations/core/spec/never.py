"""Filters that no event can match: they contradict the trigger's own `eventSchema`, or ask for one of nothing.

Only certainty counts: what a schema leaves open may come.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from automations.core.diagnostic import Severity
from automations.core.expression.infer import plainly
from automations.core.expression.schema_shape import shape_of
from automations.core.expression.shape import Reading, Shape, both, of_kind
from automations.core.nearest import nearest
from automations.core.spec.finding import Finding
from automations.core.spec.model import Automation, Trigger
from automations.core.trigger.filter import check_filter, compile_filter

_SCALARS = frozenset({"null", "bool", "int", "double", "string"})


def check_filters(automation: Automation) -> Iterator[Finding]:
    """A warning for every predicate that rules every event out."""
    for index, trigger in enumerate(automation.triggers):
        # What does not compile is told as that.
        wrong = {path[0] for _, path in check_filter(trigger.filter, schema=trigger.raw.get("eventSchema"))}
        for key, matcher in trigger.filter.items():
            problem = None if key in wrong else _problem(trigger, key, matcher)
            if problem:
                message, _, hint = problem.partition("|")
                path = ("triggers", index, "filter", key)
                yield Finding(
                    "spec/filter-never", path, f"this filter never matches: {message}", hint, Severity.WARNING
                )


def _problem(trigger: Trigger, key: str, matcher: Any) -> str | None:
    if matcher == []:
        return "a list of nothing has no member to be equal to|name what shall match, or leave the key away"
    schema = trigger.raw.get("eventSchema")
    if not isinstance(schema, Mapping):
        return None
    data = both(of_kind("map"), shape_of(schema))
    literal, nested = data.read(key), _nested(data, key)
    readings = [literal] if "." not in key else [literal, nested]
    there = [each.shape for each in readings if each.shape is not None]
    if isinstance(matcher, Mapping):
        return _excluded(readings, key, matcher["not"])
    if not there:
        close = nearest(key, data.names)
        return f"the eventSchema has no {key}|" + (f"did you mean {close}?" if close else "see eventSchema")
    if all(_impossible(shape, key, matcher) for shape in there):
        said = ", ".join(sorted(there[-1].values)) if there[-1].values else plainly(there[-1].kinds)
        return f"the eventSchema says that {key} is {said}|"
    return None


def _nested(data: Shape, key: str) -> Reading:
    """A dotted key as a path."""
    reading = Reading(data, "always")
    for part in key.split("."):
        if reading.shape is None or "map" not in reading.shape.kinds:
            return Reading(None)
        found = reading.shape.read(part)
        reading = found if reading.presence == "always" else found._replace(presence="unsure")
    return reading


def _impossible(shape: Shape, key: str, matcher: Any, *, nested: bool = False) -> bool:
    """Whether no value of a shape satisfies a matcher. A list does when a member does, so its items count."""
    kinds = shape.kinds - {"list"}
    if "list" in shape.kinds and not nested and not _impossible(shape.item(), key, matcher, nested=True):
        return False
    if nested:
        kinds -= {"map"}  # an object in a list satisfies nothing, nor does a list
    if shape.values is not None and kinds <= {"string"}:
        test = compile_filter({key: matcher})
        return not any(test.match({key: value}).matches for value in shape.values)
    if matcher is None:
        return "null" not in kinds
    if isinstance(matcher, bool):
        return "bool" not in kinds
    if isinstance(matcher, int | float):
        return kinds.isdisjoint({"int", "double"})
    return _no_such_text(kinds, key, matcher)


def _no_such_text(kinds: frozenset[str], key: str, matcher: Any) -> bool:
    """Whether nothing of these kinds is written as a text matcher wants it: `5` is, `true` is, an object has one text."""
    if "string" in kinds:
        return False
    test = compile_filter({key: matcher})
    texts: dict[str, tuple[Any, ...]] = {"null": (None,), "bool": (True, False), "map": ({},), "list": ()}
    if any(test.match({key: value}).matches for kind in kinds & texts.keys() for value in texts[kind]):
        return False
    wanted = [matcher] if isinstance(matcher, str) else matcher
    return kinds.isdisjoint({"int", "double"}) or not any(_numeric(text) for text in wanted)


def _numeric(text: str) -> bool:
    """Whether a number may be written like this, wildcards and all."""
    return all(character in "0123456789.+-eE*" for character in text) and text != ""


def _excluded(readings: list[Reading], key: str, matcher: Any) -> str | None:
    """`{not: …}` of every value that a field which is always there can have."""
    values: set[str] = set()
    for each in readings:
        if each.shape is None:
            continue
        if each.shape.values is None or each.shape.kinds != {"string"} or each.presence != "always":
            return None
        values |= each.shape.values
    test = compile_filter({key: {"not": matcher}})
    if not values or any(test.match({key: value}).matches for value in values):
        return None
    return f"it excludes all that {key} can be: {', '.join(sorted(values))}|"
