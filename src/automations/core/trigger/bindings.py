"""The binding table: which triggers an event could fire, found by source and type, compiled once per generation.

A table is immutable and belongs to one serial of the definitions: a request is answered by exactly one table. Filters,
expressions and programs compile when an event first asks for them and are kept, also across tables, because a bound
automation is the same object as long as its generation and manifests are.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, count
from operator import attrgetter
from typing import Any, Literal

from automations.core.expression.cel import Activation, EvaluationFailed
from automations.core.expression.matcher import When, compile_when
from automations.core.run.blueprint import Blueprint, blueprint_of
from automations.core.run.program import Program, compile_program
from automations.core.spec.model import Automation, AutomationStatus, Manifest, Route, Trigger, TriggerKind
from automations.core.trigger.envelope import Envelope, to_document
from automations.core.trigger.filter import Filter, compile_filter
from automations.core.trigger.patterns import Pattern, compile_pattern

TRIGGER_ROOTS = frozenset({"event", "vars", "automation"})
"""What a trigger's expression can see: the rest exists only once a run does."""

_made = attrgetter("order")
_FIRED_BY_EVENTS = (TriggerKind.EVENT, TriggerKind.WEBHOOK)


@dataclass(frozen=True)
class Bound:
    """One automation generation, ready to fire. `manifests` maps step ids to what each step is pinned to."""

    uid: str
    generation: int
    automation: Automation
    manifests: Mapping[str, Manifest]

    @cached_property
    def program(self) -> Program:
        """The compiled generation."""
        return compile_program(self.uid, self.generation, automation=self.automation, manifests=self.manifests)

    @cached_property
    def blueprint(self) -> Blueprint:
        """What every run of it has in common."""
        return blueprint_of(self.program, {step: manifest.digest for step, manifest in self.manifests.items()})


@dataclass(frozen=True)
class BoundTrigger:
    """One trigger of a bound automation. `order` counts triggers as they were made, in their authors' order."""

    bound: Bound
    trigger: Trigger
    order: int = 0

    @cached_property
    def filter(self) -> Filter:
        """The compiled filter on `event.data`."""
        return compile_filter(self.trigger.filter)

    @cached_property
    def expr(self) -> When | None:
        """The compiled CEL predicate, if there is one."""
        return compile_when(self.trigger.expr, roots=TRIGGER_ROOTS) if self.trigger.expr else None

    @cached_property
    def patterns(self) -> tuple[tuple[str, tuple[Pattern, ...]], ...]:
        """Compiled source, type and subject patterns."""
        given = (("source", self.trigger.sources), ("type", self.trigger.types), ("subject", self.trigger.subjects))
        return tuple((name, tuple(compile_pattern(each) for each in texts)) for name, texts in given if texts)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one trigger made of one event; `predicate`, `value` and `reason` name the first thing that failed."""

    candidate: BoundTrigger
    outcome: Literal["match", "no_match", "error"]
    predicate: str | None = None
    value: Any = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class BoundRoute:
    """A route as the server sees it. `gone` routes were deleted and answer 410."""

    route: Route
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Everything that is bound at one serial."""

    serial: int
    bound: Mapping[str, Bound]
    routes: Mapping[str, BoundRoute]
    by_kind: Mapping[tuple[str | None, str | None], tuple[BoundTrigger, ...]]
    live_routes: frozenset[str] = frozenset()
    """Ids of the routes that are not gone."""

    def candidates(self, envelope: Envelope) -> Iterable[BoundTrigger]:
        """Triggers whose source and type may match, in the order in which their automations were made."""
        source, kind = envelope.source, envelope.type
        keys = ((source, kind), (source, None), (None, kind), (None, None))
        groups = [self.by_kind[key] for key in keys if key in self.by_kind]
        if len(groups) == 1:
            return groups[0]
        return sorted(chain.from_iterable(groups), key=_made)


def build_table(serial: int, bound: Iterable[Bound], routes: Iterable[BoundRoute]) -> Table:
    """Index what is bound. Paused and archived automations fire nothing, but stay known by id."""
    automations = {each.automation.id: each for each in bound}
    order = count()
    index: dict[tuple[str | None, str | None], list[BoundTrigger]] = {}
    for each in automations.values():
        if each.automation.status is not AutomationStatus.ACTIVE:
            continue
        for trigger in each.automation.triggers:
            if trigger.kind in _FIRED_BY_EVENTS:
                candidate = BoundTrigger(each, trigger, next(order))
                for key in _keys(trigger):
                    index.setdefault(key, []).append(candidate)
    paths: dict[str, BoundRoute] = {}
    for route in routes:
        standing = paths.get(route.route.path)
        if standing is None or standing.gone:
            paths[route.route.path] = route
    live = frozenset(each.route.id for each in paths.values() if not each.gone)
    return Table(serial, automations, paths, {key: tuple(found) for key, found in index.items()}, live)


def match(table: Table, envelope: Envelope) -> tuple[Verdict, ...]:
    """What every candidate trigger makes of an event; at most one match an automation (its first trigger that fires)."""
    activation: Activation | None = None
    verdicts: list[Verdict] = []
    fired: set[str] = set()
    for candidate in table.candidates(envelope):
        if candidate.bound.uid in fired:
            continue
        if activation is None and candidate.trigger.expr:
            activation = Activation({"event": to_document(envelope)})
        verdict = judge(candidate, envelope, activation=activation)
        verdicts.append(verdict)
        if verdict.outcome == "match":
            fired.add(candidate.bound.uid)
    return tuple(verdicts)


def fired(table: Table, envelope: Envelope) -> list[BoundTrigger]:
    """The triggers that an event fires, at most one an automation."""
    return [verdict.candidate for verdict in match(table, envelope) if verdict.outcome == "match"]


def judge(candidate: BoundTrigger, envelope: Envelope, *, activation: Activation | None) -> Verdict:
    """One trigger's verdict: origin, then patterns, then filter, then expression. An error never fires a trigger.

    `activation` holds the event, converted once for all candidates; None where none of them has an expression.
    """
    refused = _origin(candidate, envelope)
    if refused:
        return Verdict(candidate, "no_match", "route", envelope.route_id, refused)
    seen = {"source": envelope.source, "type": envelope.type, "subject": envelope.subject}
    for name, patterns in candidate.patterns:
        value = seen[name]
        if value is None or not any(pattern.match(value) for pattern in patterns):
            return Verdict(candidate, "no_match", name, value)
    found = candidate.filter.match(envelope.data)
    if not found.matches:
        return Verdict(candidate, "no_match", f"filter.{found.key}", found.value)
    if candidate.expr is None:
        return Verdict(candidate, "match")
    return _expression(candidate, candidate.expr, event=activation or Activation({"event": to_document(envelope)}))


def _origin(candidate: BoundTrigger, envelope: Envelope) -> str | None:
    """A webhook trigger fires only for a route of its own automation; what an event says about itself is no proof."""
    trigger = candidate.trigger
    if trigger.kind is not TriggerKind.WEBHOOK:
        return None
    if envelope.origin != "webhook":
        return "not delivered by a webhook route"
    if trigger.route is not None:
        return None if envelope.route_id == trigger.route.id else "delivered by another route"
    owner = envelope.route_automation_id
    return None if owner == candidate.bound.automation.id else "delivered by another automation's route"


def _expression(candidate: BoundTrigger, expr: When, *, event: Activation) -> Verdict:
    automation = candidate.bound.automation
    own = {"vars": automation.vars, "automation": {"id": automation.id, "name": automation.name}}
    try:
        passed = expr.test(Activation(own, base=event))
    except EvaluationFailed as problem:
        return Verdict(candidate, "error", "expr", reason=str(problem))
    return Verdict(candidate, "match") if passed else Verdict(candidate, "no_match", "expr", value=False)


def _keys(trigger: Trigger) -> set[tuple[str | None, str | None]]:
    return {(source, kind) for source in _exact(trigger.sources) for kind in _exact(trigger.types)}


def _exact(patterns: tuple[str, ...]) -> set[str | None]:
    """Exact texts to index by; a wildcard anywhere puts the trigger among those that are always looked at."""
    found = {compile_pattern(text).exact for text in patterns}
    return {None} if not found or None in found else found
