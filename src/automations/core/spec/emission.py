"""Circles of events: an automation whose actions emit what starts it again, directly or by way of others.

What is emitted is known from manifests: the `audit.eventTypes` of a step's action, under the `audit.eventSource` of the
automation. One that names no source emits nothing that is known. A circle is a warning, because a filter may end it; the hop
count of events ends it at run time in any case.
"""

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

from automations.core.diagnostic import Diagnostic, Path, Severity
from automations.core.spec.document import Document
from automations.core.spec.model import Automation, Manifest, TriggerKind
from automations.core.trigger.patterns import compile_pattern


class Emitter(NamedTuple):
    """One automation with its document and the manifests of its steps, by step id."""

    document: Document
    automation: Automation
    manifests: Mapping[str, Manifest]


class _Edge(NamedTuple):
    source: str
    type: str
    trigger: int


def check_circles(emitters: Mapping[str, Emitter]) -> Iterator[Diagnostic]:
    """One warning a circle, at a trigger in it, with the whole way round. `emitters` by automation id."""
    emitted = {identity: found for identity, each in emitters.items() if (found := _emits(each))}
    if not emitted:
        return
    started = {identity: dict(_starts(each.automation, emitted)) for identity, each in sorted(emitters.items())}
    while circle := _circle(started):
        first = circle[0]
        edge = started[first].pop(circle[-1])
        shown = " → ".join((*circle, first))
        path: Path = ("triggers", edge.trigger)
        message = f"a circle of events: {shown}; {circle[-1]} emits {edge.source} {edge.type}, which starts {first}"
        hint = "narrow the trigger's source, type or filter, so that it does not answer to its own events"
        document = emitters[first].document
        yield Diagnostic("spec/event-circle", Severity.WARNING, message, document.at(path), path, hint)


def _emits(each: Emitter) -> tuple[tuple[str, str], ...]:
    """Source and type of every event that an automation's actions are known to emit."""
    source = each.automation.spec.get("audit", {}).get("eventSource")
    if not source:
        return ()
    types = (each.manifests[step].document.get("audit", {}).get("eventTypes", ()) for step in each.manifests)
    return tuple(dict.fromkeys((source, kind) for listed in types for kind in listed))


def _starts(automation: Automation, emitted: Mapping[str, tuple[tuple[str, str], ...]]) -> Iterator[tuple[str, _Edge]]:
    """Which automations start this one, and by what."""
    for index, trigger in enumerate(automation.triggers):
        if trigger.kind is not TriggerKind.EVENT:
            continue
        for identity, events in emitted.items():
            for source, kind in events:
                if _fits(trigger.sources, source) and _fits(trigger.types, kind):
                    yield identity, _Edge(source, kind, index)


def _fits(patterns: tuple[str, ...], text: str) -> bool:
    return not patterns or any(compile_pattern(pattern).match(text) for pattern in patterns)


def _circle(started: Mapping[str, Mapping[str, _Edge]]) -> tuple[str, ...]:
    """Some circle in the order in which events go round, beginning with the smallest id; nothing when there is none."""
    try:
        TopologicalSorter(started).prepare()
    except CycleError as found:
        loop: list[str] = found.args[1][:-1]
        begin = loop.index(min(loop))
        return tuple(loop[begin:] + loop[:begin])
    return ()
