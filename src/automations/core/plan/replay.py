"""Replay: what recorded events would start under a plan, beside what they start now. Nothing runs, nothing is written.

Only triggers are judged, with the matcher that judges live events: dedupe, debounce, rate limits and concurrency are not played
again, and a webhook's mapping is not either, because raw bodies are never kept. What is kept of an event is counted at once,
so that any number of events takes the same memory.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from automations.core.plan.change import Change
from automations.core.spec import build
from automations.core.trigger.bindings import Bound, Table, build_table, match
from automations.core.trigger.envelope import Envelope

SAMPLES = 10
"""Event ids that are kept of each kind."""
Side = Literal["onlyBefore", "both", "onlyAfter"]
SIDES: tuple[Side, ...] = ("onlyBefore", "both", "onlyAfter")


@dataclass(slots=True)
class Tally:
    """How many events start an automation only before, before and after, and only after; the ids of the first few."""

    counts: dict[Side, int] = field(default_factory=lambda: dict.fromkeys(SIDES, 0))
    samples: dict[Side, list[str]] = field(default_factory=lambda: {side: [] for side in SIDES})

    def add(self, side: Side, event_id: str) -> None:
        """Count one event."""
        self.counts[side] += 1
        if len(self.samples[side]) < SAMPLES:
            self.samples[side].append(event_id)

    def document(self) -> dict[str, Any]:
        """`{onlyBefore: {count, samples}, both: …, onlyAfter: …}`."""
        return {side: {"count": self.counts[side], "samples": self.samples[side]} for side in SIDES}


class Replay:
    """Plays events through the old and the new triggers of what a plan changes."""

    def __init__(
        self, changes: Iterable[Change], specs: Mapping[str, Mapping[str, Any]], routes: Mapping[str, str]
    ) -> None:
        """`specs` are old specs by their id, `routes` the paths of the routes that are bound now by their ids."""
        looked_at = [
            each
            for each in changes
            if each.resource == "automation" and (each.action in ("create", "delete") or each.fields)
        ]
        self.events = 0
        self._names = {each.previous_id or each.id: each.id for each in looked_at}
        self._tallies = {each.id: Tally() for each in looked_at}
        self._before = _table(build.automation(specs[name]) for name in self._names if name in specs)
        self._after = _table(each.automation for each in looked_at if each.automation is not None)
        gone = {path for each in looked_at for path in each.effects.unbound}
        self._routes = routes
        self._new_routes = {
            trigger.route.path: trigger.route.id
            for bound in self._after.bound.values()
            for trigger in bound.automation.triggers
            if trigger.route
        }
        self._gone = gone - set(self._new_routes)

    def take(self, envelope: Envelope) -> None:
        """Play one event."""
        self.events += 1
        before = {self._names[each] for each in _fired(self._before, envelope)}
        moved = self._moved(envelope)
        after = set() if moved is None else _fired(self._after, moved)
        for identity in sorted(before | after):
            side: Side = "onlyBefore" if identity not in after else "both" if identity in before else "onlyAfter"
            self._tallies[identity].add(side, envelope.id)

    def document(self) -> dict[str, Any]:
        """`{events, automations: [{id, onlyBefore, both, onlyAfter}]}`, those that no event started left out."""
        tallies = sorted(self._tallies.items())
        return {
            "events": self.events,
            "automations": [{"id": name, **each.document()} for name, each in tallies if any(each.counts.values())],
        }

    def _moved(self, envelope: Envelope) -> Envelope | None:
        """The event as it would arrive after the change: by the route that has its path then; None if there is none."""
        if envelope.route_id is None:
            return envelope
        path = self._routes.get(envelope.route_id) or _told_path(envelope)
        if path in self._gone:
            return None
        owner = envelope.route_automation_id
        return replace(
            envelope,
            route_id=self._new_routes.get(path or "", envelope.route_id),
            route_automation_id=self._names.get(owner, owner) if owner else owner,
        )


def _told_path(envelope: Envelope) -> str | None:
    """The path that a recorded event says it came in by, for events of another store."""
    webhook = envelope.metadata.get("webhook")
    path = webhook.get("path") if isinstance(webhook, dict) else None
    return path if isinstance(path, str) else None


def _table(automations: Iterable[Any]) -> Table:
    return build_table(0, (Bound(each.id, 0, each, {}) for each in automations))


def _fired(table: Table, envelope: Envelope) -> set[str]:
    return {each.candidate.bound.automation.id for each in match(table, envelope) if each.outcome == "match"}
