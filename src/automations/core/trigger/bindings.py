"""The binding table: which triggers an event could fire, found by source and type, compiled once per generation.

A table is immutable and belongs to one serial of the definitions: a request is answered by exactly one table. Filters,
expressions and programs compile when an event first asks for them and are kept, also across tables, because a bound
automation is the same object as long as its generation and manifests are.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from types import MappingProxyType
from typing import Any, Literal

from automations.core import canonical
from automations.core.expression.cel import Activation, EvaluationFailed
from automations.core.expression.matcher import When, compile_when
from automations.core.expression.template import Template, compile_template
from automations.core.run.blueprint import Blueprint, blueprint_of
from automations.core.run.program import Program, compile_program
from automations.core.spec.conform import Conformity, compile_schema
from automations.core.spec.model import Automation, AutomationStatus, Manifest, Route, Trigger, TriggerKind
from automations.core.trigger.envelope import TEXT_LIMIT, Envelope, to_document
from automations.core.trigger.filter import Filter, compile_filter
from automations.core.trigger.index import Index, Key, build_index, keys_of
from automations.core.trigger.patterns import Pattern, compile_pattern

TRIGGER_ROOTS = frozenset({"event", "vars", "automation"})
"""What a trigger's expression can see: the rest exists only once a run does."""

_NO_KEYS: Mapping[str, str] = MappingProxyType({})
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

    @cached_property
    def by_events(self) -> tuple["BoundTrigger", ...]:
        """The triggers that events fire, active or not; kept, so that what they compiled lasts as long as this does."""
        return tuple(
            BoundTrigger(self, trigger, place)
            for place, trigger in enumerate(self.automation.triggers)
            if trigger.kind in _FIRED_BY_EVENTS
        )

    @property
    def active(self) -> bool:
        """Whether its triggers fire."""
        return self.automation.status is AutomationStatus.ACTIVE


@dataclass(frozen=True, eq=False)
class BoundTrigger:
    """One trigger of a bound automation; `place` is where its author wrote it."""

    bound: Bound
    trigger: Trigger
    place: int = 0

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

    @cached_property
    def accepts(self) -> Conformity | None:
        """The compiled schema of `event.data`, if there is one."""
        schema = self.trigger.event_schema
        return None if schema is None else compile_schema(schema)

    @cached_property
    def keys(self) -> tuple[tuple[str, Template | None], ...]:
        """The compiled keys of its rate limit and its debounce, by name; empty for most triggers."""
        given = (("rateLimit", self.trigger.rate_limit), ("debounce", self.trigger.debounce))
        return tuple(
            (name, None if each.key is None else compile_template(each.key, roots=TRIGGER_ROOTS))
            for name, each in given
            if each is not None
        )

    @cached_property
    def filed(self) -> frozenset[tuple[Key, Key]]:
        """What it is found by."""
        return keys_of(self.trigger)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one trigger made of one event; `predicate`, `expected`, `value` and `reason` name the first thing that failed.

    `keys` are the rendered keys of a match's rate limit and debounce.
    """

    candidate: BoundTrigger
    outcome: Literal["match", "no_match", "error"]
    predicate: str | None = None
    value: Any = None
    reason: str | None = None
    expected: Any = None
    keys: Mapping[str, str] = field(default_factory=lambda: _NO_KEYS)

    @property
    def limited(self) -> bool:
        """Whether it is a match that a rate limit or a debounce has a say in."""
        return bool(self.keys)


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
    index: Index
    live_routes: frozenset[str] = frozenset()
    """Ids of the routes that are not gone."""
    by_uid: Mapping[str, Bound] = field(default_factory=dict)
    ranks: Mapping[str, int] = field(default_factory=dict)
    """Uids by the order in which their automations were made."""
    pauses: Mapping[str, int | None] = field(default_factory=dict)
    """Until when each automation (by uid) is suspended by hand, in microseconds; None is without end."""

    def suspended(self, uid: str, *, now: int) -> bool:
        """Whether somebody suspended this automation, and that has not ended yet: it fires nothing."""
        if uid not in self.pauses:
            return False
        until = self.pauses[uid]
        return until is None or now < until

    def awake_since(self, bound: Bound, *, now: int) -> int | None:
        """Since when nothing pauses an automation: the end of a pause that had one, else now; None while something does."""
        if not bound.active or self.suspended(bound.uid, now=now):
            return None
        return self.pauses.get(bound.uid) or now

    def serves(self, route: Route) -> bool:
        """Whether a route is there, just as it is."""
        standing = self.routes.get(route.path)
        return standing is not None and not standing.gone and (standing.route is route or standing.route == route)

    def candidates(self, envelope: Envelope) -> Iterable[BoundTrigger]:
        """Triggers whose source and type may match, in the order in which their automations were made."""
        groups = self.index.find(envelope.source, envelope.type)
        if len(groups) == 1:
            return groups[0]
        # A trigger with several patterns may be found by two of them.
        return sorted(dict.fromkeys(chain.from_iterable(groups)), key=self._made)

    def _made(self, candidate: BoundTrigger) -> tuple[int, int]:
        return self.ranks[candidate.bound.uid], candidate.place


def build_table(
    serial: int, bound: Iterable[Bound], *, routes: Iterable[BoundRoute] = (), before: Table | None = None
) -> Table:
    """Index what is bound. Paused and archived automations fire nothing, but stay known by id.

    With the table `before`, only what is not in it is filed anew.
    """
    automations = {each.automation.id: each for each in bound}
    by_uid = {each.uid: each for each in automations.values()}
    ranks = {uid: rank for rank, uid in enumerate(by_uid)}
    paths: dict[str, BoundRoute] = {}
    for route in routes:
        standing = paths.get(route.route.path)
        if standing is None or standing.gone:
            paths[route.route.path] = route
    live = frozenset(each.route.id for each in paths.values() if not each.gone)
    return Table(serial, automations, paths, _index(by_uid, ranks, before), live, by_uid, ranks)


def _index(by_uid: Mapping[str, Bound], ranks: Mapping[str, int], before: Table | None) -> Index:
    """Everything that events may fire, by source and type. What stays keeps its rank among what stays."""
    standing = before.by_uid if before is not None else {}
    fresh = [each for uid, each in by_uid.items() if standing.get(uid) is not each]
    gone = [each for uid, each in standing.items() if by_uid.get(uid) is not each]
    if before is None or len(fresh) + len(gone) + before.index.stale > len(by_uid) // 4:
        return build_index(_firing(by_uid.values()))
    return before.index.changed(_firing(gone), _firing(fresh), order=lambda each: (ranks[each.bound.uid], each.place))


def _firing(bound: Iterable[Bound]) -> Iterable[BoundTrigger]:
    return (each for mine in bound if mine.active for each in mine.by_events)


def match(table: Table, envelope: Envelope) -> tuple[Verdict, ...]:
    """What every candidate trigger makes of an event.

    The triggers of an automation are alternatives: its first match that nothing holds up fires, and where a rate limit or a
    debounce has a say in every match, all of these are there to be tried, in their author's order.
    """
    activation: Activation | None = None
    verdicts: list[Verdict] = []
    fired: set[str] = set()
    limited = False
    for candidate in table.candidates(envelope):
        if candidate.bound.uid in fired:
            continue
        if activation is None and (candidate.trigger.expr or candidate.keys):
            activation = Activation({"event": to_document(envelope)})
        verdict = judge(candidate, envelope, activation=activation)
        verdicts.append(verdict)
        if verdict.outcome != "match":
            continue
        if candidate.keys:
            limited = True
        else:
            fired.add(candidate.bound.uid)
    if not limited:
        return tuple(verdicts)
    return tuple(each for each in verdicts if not (each.limited and each.candidate.bound.uid in fired))


def judge(candidate: BoundTrigger, envelope: Envelope, *, activation: Activation | None) -> Verdict:
    """One trigger's verdict: origin, patterns, filter, schema, expression, keys. An error never fires a trigger.

    `activation` holds the event, converted once for all candidates; None where none of them has an expression.
    """
    refused = _origin(candidate, envelope)
    if refused:
        return Verdict(candidate, "no_match", "route", envelope.route_id, refused)
    seen = {"source": envelope.source, "type": envelope.type, "subject": envelope.subject}
    for name, patterns in candidate.patterns:
        value = seen[name]
        if value is None or not any(pattern.match(value) for pattern in patterns):
            return Verdict(candidate, "no_match", name, value, expected=[pattern.text for pattern in patterns])
    found = candidate.filter.match(envelope.data)
    if not found.matches:
        return Verdict(candidate, "no_match", f"filter.{found.key}", found.value, expected=found.matcher)
    if candidate.accepts is not None and (wrong := candidate.accepts.violations(envelope.data, most=1)):
        return Verdict(candidate, "error", "eventSchema", reason=f"event.data does not conform: {wrong[0]}")
    if candidate.expr is None and not candidate.keys:
        return Verdict(candidate, "match")
    return _evaluated(candidate, event=activation or Activation({"event": to_document(envelope)}))


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


def _evaluated(candidate: BoundTrigger, *, event: Activation) -> Verdict:
    automation = candidate.bound.automation
    about = {"id": automation.id, "name": automation.name, "version": automation.version}
    own = {"vars": automation.vars, "automation": about}
    activation = Activation(own, base=event)
    predicate = "expr"
    keys = {}
    try:
        if candidate.expr is not None and not candidate.expr.test(activation):
            return Verdict(candidate, "no_match", "expr", value=False, expected=candidate.trigger.expr)
        for name, template in candidate.keys:
            predicate = f"{name}.key"
            keys[name] = "" if template is None else _key(template.render(activation))
    except EvaluationFailed as problem:
        return Verdict(candidate, "error", predicate, reason=str(problem))
    return Verdict(candidate, "match", keys=keys)


def _key(rendered: Any) -> str:
    """A rendered key as text. Raises EvaluationFailed for null, objects and lists, and for what is too long to be a key."""
    if rendered is None or isinstance(rendered, dict | list):
        kind = "null" if rendered is None else "an object" if isinstance(rendered, dict) else "a list"
        raise EvaluationFailed(f"the key is {kind}; it must be a text, a number or a boolean")
    text = rendered if isinstance(rendered, str) else canonical.encode(rendered)
    if len(text.encode()) > TEXT_LIMIT:
        raise EvaluationFailed(f"the key is longer than {TEXT_LIMIT} bytes")
    return text
