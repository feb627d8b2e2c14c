"""The verb fire: what a rate limit delayed goes on, and debounce windows that are due close into a run.

A timer is a row. Whoever deletes it does what it is for, in the same commit, so a kill loses nothing and two daemons do nothing
twice. The run is of the automation as it is bound now; events that came while it was another are judged again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from automations.core.canonical import decode
from automations.core.instant import SECOND
from automations.core.run.materialize import Materialized, Occasion, materialize
from automations.core.trigger.bindings import judge
from automations.core.trigger.debounce import Window, about
from automations.errors import AutomationsError, StoreUnavailable
from automations.services.run.admit import admit_runs
from automations.services.run.programs import Programs
from automations.services.run.run_event import windowed
from automations.services.trigger.admission import Arrival, gather
from automations.services.trigger.event_view import envelope_of
from automations.store import buckets, events, outcomes, timers

if TYPE_CHECKING:
    from automations.core.trigger.bindings import BoundTrigger, Table
    from automations.core.trigger.envelope import Envelope
    from automations.services.ports import Wake
    from automations.services.trigger.parts import Parts
    from automations.store.database import Row, Transaction

LOOK = SECOND
"""How often to look for timers that other processes set (microseconds)."""
TIDY = 60 * SECOND
"""How often full buckets are forgotten, and how far ahead of this clock a timer may have been set."""
MOST = 100
"""Timers in one tick, so that a stop is heard."""
AGAIN = 60 * SECOND
"""When a timer is tried again whose run could not be made."""
_TIDIED = 1_000


@dataclass(frozen=True, slots=True)
class _Fired:
    """What one timer led to. `word` is the end of a telemetry event's name."""

    word: str
    automation_id: str
    events: int
    run_id: str | None = None
    reason: str | None = None


class Timers:
    """Fires timers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._programs = Programs()
        """Of runs that new ones replace."""
        self._tidied: int | None = None
        self.wake: Wake = lambda: None
        """Called after a commit that queued work."""

    def tick(self, now: int) -> int:
        """Fire what is due; when to look again (microseconds). Raises StoreUnavailable."""
        self._tidy(now=now)
        with self._parts.database.read() as tx:
            due = timers.due(tx, now=now, limit=MOST)
        for timer_id in due:
            self._attempt(timer_id, now=now)
        with self._parts.database.read() as tx:
            following = timers.next_due(tx)
        return now + LOOK if following is None else min(now + LOOK, max(following, now))

    def _attempt(self, timer_id: str, *, now: int) -> None:
        """Fire one. What goes wrong with it for good must not hold up the others; it is tried again later."""
        try:
            fired = self._fire(timer_id, now=now)
        except StoreUnavailable:
            raise
        except AutomationsError as problem:
            with self._parts.database.write() as tx:
                timers.postpone(tx, timer_id, due_at=now + AGAIN)
            self._parts.telemetry.emit("timer.failed", timer=timer_id, error=problem.message)
            return
        if fired is None:
            return
        told = {"automation": fired.automation_id, "events": fired.events, "run": fired.run_id, "reason": fired.reason}
        self._parts.telemetry.emit(
            f"timer.{fired.word}", **{name: value for name, value in told.items() if value is not None}
        )
        if fired.run_id:
            self.wake()

    def _fire(self, timer_id: str, *, now: int) -> _Fired | None:
        with self._parts.database.write() as tx:
            table = self._parts.bindings.within(tx)
            timer = timers.take(tx, timer_id, now=now)
            if timer is None:
                return None
            candidate = _standing(table, timer, now=now)
            if isinstance(candidate, str):
                count = outcomes.close(tx, timer_id, outcome="dropped", reason=candidate, run_id=None, now=now)
                fired = _Fired("dropped", timer["automation_id"], count, reason=candidate)
            else:
                _drop_strangers(tx, candidate, timer_id, now=now)
                close = self._pass if timer["kind"] == "delay" else self._close
                fired = close(tx, candidate, timer, now=now)
            events.settle_all(tx, timer_id)
        return fired

    def _pass(self, tx: Transaction, candidate: BoundTrigger, timer: Row, *, now: int) -> _Fired:
        """A delayed event goes on: into a window, or into a run."""
        row = outcomes.first_waiting(tx, timer["id"])
        if row is None:
            return _gone(timer)
        verdict = judge(candidate, _delivered(candidate, row), activation=None)
        joining = gather(
            tx, Arrival(row["event_row_id"], verdict, len(row["envelope_json"])), now=now, ids=self._parts.ids
        )
        if joining is not None:
            outcomes.keep(tx, [joining])
            return _Fired("passed", timer["automation_id"], 1)
        occasion = Occasion(
            identity=row["identity"],
            trigger=candidate.trigger,
            event=decode(row["envelope_json"]),
            event_row_id=row["event_row_id"],
        )
        made = self._started(tx, candidate, occasion, now=now)
        outcomes.end(tx, _ended(row, "started", run_id=made.run["id"], now=now))
        return _Fired("passed", timer["automation_id"], 1, run_id=made.run["id"])

    def _close(self, tx: Transaction, candidate: BoundTrigger, timer: Row, *, now: int) -> _Fired:
        """A window closes: its first or last event starts a run, the others become part of it."""
        debounce = candidate.trigger.debounce
        first = debounce is not None and debounce.emit == "first"
        row = outcomes.first_waiting(tx, timer["id"]) if first else outcomes.last_waiting(tx, timer["id"])
        if row is None:
            return _gone(timer)
        window = about(
            debounce, Window(timer["opened_at"], timer["due_at"], timer["events"]), key=timer["key"], closed_at=now
        )
        members = outcomes.every_waiting(tx, timer["id"]) if window["emit"] == "all" else ()
        document = windowed(decode(row["envelope_json"]), window, members=[each["envelope_json"] for each in members])
        occasion = Occasion(
            identity=row["identity"],
            trigger=candidate.trigger,
            event=document,
            event_row_id=row["event_row_id"],
            window=window,
        )
        made = self._started(tx, candidate, occasion, now=now)
        outcomes.end(tx, _ended(row, "started", run_id=made.run["id"], now=now))
        others = outcomes.close(tx, timer["id"], outcome="coalesced", reason=None, run_id=made.run["id"], now=now)
        return _Fired("closed", timer["automation_id"], 1 + others, run_id=made.run["id"])

    def _started(self, tx: Transaction, candidate: BoundTrigger, occasion: Occasion, *, now: int) -> Materialized:
        made = materialize(candidate.bound, occasion, now=now, new_id=self._parts.ids.new)
        admit_runs(tx, [made], programs=self._programs, now=now)
        return made

    def _tidy(self, *, now: int) -> None:
        """Now and then, and when the clock went back: what a fast clock set waits no longer than it was meant to."""
        if self._tidied is not None and self._tidied <= now < self._tidied + TIDY:
            return
        with self._parts.database.read() as tx:
            ahead = timers.set_ahead(tx, ahead=now + TIDY)
            full = buckets.any_full(tx, now=now)
        if ahead or full:
            with self._parts.database.write() as tx:
                timers.rebase(tx, now=now, ahead=now + TIDY)
                buckets.drop_full(tx, now=now, most=_TIDIED)
        self._tidied = now


def _standing(table: Table, timer: Row, *, now: int) -> BoundTrigger | str:
    """The trigger that a timer is of as it is bound now, or why its events start nothing."""
    bound = table.by_uid.get(timer["automation_uid"])
    if bound is None:
        return "automation_deleted"
    if not bound.active:
        return "automation_paused"
    if table.suspended(bound.uid, now=now):
        return "automation_suspended"
    for candidate in bound.by_events:
        if candidate.trigger.id == timer["trigger_id"]:
            return candidate
    return "trigger_removed"


def _drop_strangers(tx: Transaction, candidate: BoundTrigger, timer_id: str, *, now: int) -> None:
    """Events that came while the automation was another, and that its trigger does not want any more, start nothing."""
    for row in outcomes.of_other_generations(tx, timer_id, generation=candidate.bound.generation):
        if judge(candidate, _delivered(candidate, row), activation=None).outcome != "match":
            outcomes.end(tx, _ended(row, "dropped", reason="no_longer_matches", now=now))


def _delivered(candidate: BoundTrigger, row: Row) -> Envelope:
    """A waiting event as it came: to a route of the same automation, whatever that was called then."""
    envelope = envelope_of(row)
    own = envelope.route_automation_id == row["automation_id"]
    return replace(envelope, route_automation_id=candidate.bound.automation.id) if own else envelope


def _ended(row: Row, word: str, *, now: int, run_id: str | None = None, reason: str | None = None) -> Row:
    names = {name: row[name] for name in ("event_row_id", "automation_uid")}
    return {**names, "outcome": word, "run_id": run_id, "reason": reason, "now": now}


def _gone(timer: Row) -> _Fired:
    return _Fired("dropped", timer["automation_id"], timer["events"], reason="no_longer_matches")
