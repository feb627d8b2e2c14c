"""Admission: what a rate limit and a debounce make of an event that fired a trigger, as rows of the event's own commit.

The order is rate limit, then debounce, then the run. An event that may not start one yet waits for a timer, which is a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automations.core.trigger.debounce import Window, joined
from automations.core.trigger.rate_limit import spend
from automations.store import buckets, timers

if TYPE_CHECKING:
    from automations.core.spec.model import Debounce, RateLimit
    from automations.core.trigger.bindings import Verdict
    from automations.services.ports import Ids
    from automations.store.database import Row, Transaction


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event that fired a trigger. `size` is that of its envelope in bytes."""

    event_row_id: str
    verdict: Verdict
    size: int

    @property
    def names(self) -> Row:
        """Whose trigger it is."""
        bound = self.verdict.candidate.bound
        trigger_id = self.verdict.candidate.trigger.id
        return {"automation_uid": bound.uid, "automation_id": bound.automation.id, "trigger_id": trigger_id}

    @property
    def turn(self) -> tuple[str | int, ...]:
        """What a group is sorted by: the buckets and windows of an automation in the order of its triggers."""
        candidate = self.verdict.candidate
        return candidate.bound.uid, candidate.place, *self.verdict.keys.values()


def admit(tx: Transaction, arrival: Arrival, *, now: int, ids: Ids) -> Row | None:
    """The outcome to keep for an event that does not start a run now; None when it does."""
    limit = arrival.verdict.candidate.trigger.rate_limit
    if limit is not None and (held_up := _limited(tx, arrival, limit, now=now, ids=ids)):
        return held_up
    return gather(tx, arrival, now=now, ids=ids)


def gather(tx: Transaction, arrival: Arrival, *, now: int, ids: Ids) -> Row | None:
    """The outcome of an event that joins a debounce window; None when its trigger has none, so that it starts a run."""
    debounce = arrival.verdict.candidate.trigger.debounce
    return None if debounce is None else _debounced(tx, arrival, debounce, now=now, ids=ids)


def outcome(arrival: Arrival, word: str, *, now: int, **about: Any) -> Row:
    """One row of what became of an event for an automation."""
    blank = dict.fromkeys(("reason", "key", "timer_id", "due_at", "run_id"))
    generation = arrival.verdict.candidate.bound.generation
    names = {**arrival.names, "event_row_id": arrival.event_row_id, "generation": generation}
    return {**names, **blank, "outcome": word, "now": now, **about}


def _limited(tx: Transaction, arrival: Arrival, limit: RateLimit, *, now: int, ids: Ids) -> Row | None:
    names, key = arrival.names, arrival.verdict.keys["rateLimit"]
    bucket = {"uid": names["automation_uid"], "trigger_id": names["trigger_id"], "key": key}
    spent = buckets.hold(tx, **bucket)
    passage = spend(limit, spent, now=now)
    if passage.spent_until != spent:
        buckets.keep(tx, {**bucket, "spent_until": passage.spent_until})
    if passage.outcome == "pass":
        return None
    if passage.outcome == "drop":
        return outcome(arrival, "dropped", now=now, reason=passage.reason, key=key)
    timer = _timer(arrival, "delay", key=key, now=now) | {"id": ids.new(), "due_at": passage.due_at}
    timers.begin(tx, timer | {"events": 1, "bytes": arrival.size})
    return outcome(arrival, "delayed", now=now, key=key, timer_id=timer["id"], due_at=passage.due_at)


def _debounced(tx: Transaction, arrival: Arrival, debounce: Debounce, *, now: int, ids: Ids) -> Row:
    key = arrival.verdict.keys["debounce"]
    fresh = _timer(arrival, "window", key=key, now=now) | {"id": ids.new(), "due_at": now, "events": 0, "bytes": 0}
    row = timers.hold_window(tx, fresh)
    standing = Window(row["opened_at"], row["due_at"], row["events"], row["bytes"]) if row["events"] else None
    window = joined(debounce, standing, now=now, size=arrival.size)
    timers.move(tx, row["id"], due_at=window.due_at, events=window.events, size=window.size, now=now)
    return outcome(arrival, "debounced", now=now, key=key, timer_id=row["id"], due_at=window.due_at)


def _timer(arrival: Arrival, kind: str, *, key: str, now: int) -> Row:
    return {**arrival.names, "kind": kind, "key": key, "opened_at": now, "now": now}
