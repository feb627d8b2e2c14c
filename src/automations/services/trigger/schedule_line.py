"""Starting the run of one schedule slot, for the scheduler and for a backfill: no nominal instant ever starts two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from automations.core.instant import iso
from automations.core.run.materialize import Materialized, Occasion, materialize
from automations.core.spec.model import Overlap, TriggerKind
from automations.core.trigger.schedule import Schedule, local_time, schedule_of
from automations.store import runs, schedules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from automations.core.spec.model import Trigger
    from automations.core.trigger.bindings import Bound
    from automations.core.trigger.schedule import Skip
    from automations.services.ports import Ids
    from automations.store.database import Row, Transaction

FIRED_BEFORE = "fired_before"
OVERLAP = "overlap"


@dataclass(frozen=True, slots=True)
class Line:
    """One schedule of a bound automation."""

    bound: Bound
    trigger: Trigger
    schedule: Schedule

    @property
    def names(self) -> Row:
        """Whose schedule it is."""
        return {"uid": self.bound.uid, "trigger_id": self.trigger.id}

    @property
    def key(self) -> str:
        """What its jitter is drawn from."""
        return f"{self.bound.uid}/{self.trigger.id}"


def lines(bound: Bound) -> Iterator[Line]:
    """The schedules of an automation."""
    for trigger in bound.automation.triggers:
        if trigger.kind is TriggerKind.SCHEDULE:
            yield Line(bound, trigger, schedule_of(trigger.raw))


def start(tx: Transaction, line: Line, nominal: int, *, now: int, ids: Ids) -> Materialized | str:
    """A slot's run for the caller to write down, or why there is none: `fired_before`, or an earlier run that is not over."""
    if schedules.has_fired(tx, {**line.names, "nominal_at": nominal}):
        return FIRED_BEFORE
    if line.schedule.overlap == "skip" and runs.live_of_trigger(tx, line.bound.uid, line.trigger.id):
        return OVERLAP
    made = materialize(line.bound, _occasion(line, nominal), now=now, new_id=ids.new)
    if not schedules.fire(tx, {**line.names, "nominal_at": nominal, "run_id": made.run["id"]}):
        return FIRED_BEFORE
    schedules.unskip(tx, **line.names, nominal_at=nominal)
    return made


def keep_skips(tx: Transaction, names: Row, skipped: Iterable[Skip], *, now: int) -> None:
    """Write skipped slots of a schedule into the ledger; `names` says of which."""
    schedules.keep_skips(
        tx, [{**names, "now": now, "nominal_at": skip.nominal, "reason": skip.reason} for skip in skipped]
    )


def _occasion(line: Line, nominal: int) -> Occasion:
    schedule = {
        "trigger": line.trigger.id,
        "nominalTime": iso(nominal),
        "localTime": local_time(line.schedule, nominal),
        "timezone": line.schedule.timezone,
    }
    identity = f"schedule:{line.trigger.id}:{iso(nominal)}"
    overlap = _OVERLAPS.get(line.schedule.overlap)
    return Occasion(identity=identity, trigger=line.trigger, schedule=schedule, overlap=overlap)


_OVERLAPS: dict[str, Overlap] = {"queue": "queue", "cancel-running": "cancel-running"}
"""The words of a schedule that need a slot; `skip` looks at its own runs only, and says so in its ledger."""
