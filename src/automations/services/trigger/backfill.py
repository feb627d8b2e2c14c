"""The verb backfill: fire the slots of a time that has passed, each once, as if the schedule had been looked at then.

A slot that fired before is not fired again, and the schedule's overlap rule holds. Each slot is a commit of its own, so that a
backfill that is interrupted is simply begun again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automations.core.instant import iso
from automations.core.nearest import suggestion
from automations.core.run.materialize import Materialized
from automations.core.trigger.schedule import between, local_time
from automations.errors import Conflict, InvalidInput, NotFound
from automations.services.identity import not_there
from automations.services.reconcile.suspend import check_not_suspended
from automations.services.run.admit import admit_runs
from automations.services.run.programs import Programs
from automations.services.trigger.schedule_line import FIRED_BEFORE, Line, lines, start
from automations.store import schedules

if TYPE_CHECKING:
    from automations.core.trigger.bindings import Bound
    from automations.services.ports import Wake
    from automations.services.trigger.parts import Parts


@dataclass(frozen=True, slots=True)
class Period:
    """The slots to fire: from `since` up to `until`, both included (microseconds), `most` of them at most."""

    since: int
    until: int
    most: int
    trigger: str | None = None


class Backfill:
    """Fires slots of the past."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._programs = Programs()
        """Of runs that new ones replace."""
        self.wake: Wake = lambda: None
        """Called after a commit that queued work."""

    def plan(self, automation_id: str, period: Period) -> list[dict[str, Any]]:
        """Every slot of the period: `[{trigger, nominalTime, localTime, outcome: would_start | fired_before, runId?}]`.

        Raises NotFound, Conflict for an automation that is not active, InvalidInput for a period that is none, reaches into the
        future, or holds too many slots.
        """
        return [_shown(line, nominal, fired) for line, nominal, fired in self._slots(automation_id, period)]

    def run(self, automation_id: str, period: Period, *, actor: str) -> list[dict[str, Any]]:
        """Fire them, the oldest first; each with `outcome: started | fired_before | skipped`. Raises what `plan` raises."""
        done = []
        for line, nominal, fired in self._slots(automation_id, period):
            shown = _shown(line, nominal, fired)
            if fired is None:
                shown |= self._start(line, nominal, actor=actor)
            done.append(shown)
        if any(each["outcome"] == "started" for each in done):
            self.wake()
        return done

    def _start(self, line: Line, nominal: int, *, actor: str) -> dict[str, Any]:
        now = self._parts.clock.now()
        with self._parts.database.write() as tx:
            started = start(tx, line, nominal, now=now, ids=self._parts.ids)
            if isinstance(started, Materialized):
                admit_runs(tx, [started], programs=self._programs, now=now)
        if isinstance(started, Materialized):
            automation, run_id = line.bound.automation.id, started.run["id"]
            self._parts.telemetry.emit(
                "schedule.backfilled", automation=automation, run=run_id, nominal=iso(nominal), actor=actor
            )
            return {"outcome": "started", "runId": run_id}
        if started == FIRED_BEFORE:
            return {"outcome": FIRED_BEFORE}
        return {"outcome": "skipped", "reason": started}

    def _slots(self, automation_id: str, period: Period) -> list[tuple[Line, int, str | None]]:
        now = self._parts.clock.now()
        if period.since > period.until or period.until > now:
            raise InvalidInput(
                "a backfill goes from an earlier time to a later one, and not beyond now",
                hint="such as: --from 2026-03-01T00:00:00Z --to 2026-03-02T00:00:00Z",
            )
        with self._parts.database.read() as tx:
            table = self._parts.bindings.within(tx)
            bound = table.bound.get(automation_id)
            if bound is None:
                raise not_there(tx, automation_id)
            check_not_suspended(tx, table, bound, now=now)
            if not bound.active:
                raise Conflict(
                    f"automation {automation_id} is {bound.automation.status}", hint="set it active and apply"
                )
            chosen = [line for line in lines(bound) if period.trigger in (None, line.trigger.id)]
            if not chosen:
                raise _no_schedule(bound, period)
            found = []
            for line in chosen:
                nominal = between(line.schedule, since=period.since, until=period.until, most=period.most)
                fired = schedules.fired_between(tx, **line.names, since=period.since, until=period.until)
                found += [(line, each, fired.get(each)) for each in nominal]
        if len(found) > period.most:
            ids = ", ".join(line.trigger.id for line in chosen)
            one = f", or one of its schedules with --trigger ({ids})" if len(chosen) > 1 else ""
            raise InvalidInput(
                f"that are more than {period.most} slots", hint=f"say a shorter time{one}, or allow more with --max"
            )
        return sorted(found, key=lambda each: each[1])


def _no_schedule(bound: Bound, period: Period) -> NotFound:
    name, ids = bound.automation.id, [line.trigger.id for line in lines(bound)]
    if not ids or period.trigger is None:
        return NotFound(f"automation {name} has no schedule", hint="see: automations schedules list")
    hint = suggestion(period.trigger, ids, there="its schedules are")
    return NotFound(f"automation {name} has no schedule {period.trigger}", hint=hint)


def _shown(line: Line, nominal: int, fired: str | None) -> dict[str, Any]:
    shown = {
        "trigger": line.trigger.id,
        "nominalTime": iso(nominal),
        "localTime": local_time(line.schedule, nominal),
        "outcome": "would_start" if fired is None else FIRED_BEFORE,
    }
    return shown if fired is None else {**shown, "runId": fired}
