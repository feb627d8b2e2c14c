"""Reading schedules: where each stands, and when it fires. Nothing here writes."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from automations.core.canonical import decode
from automations.core.instant import iso
from automations.core.spec import build
from automations.core.spec.model import Trigger, TriggerKind
from automations.core.trigger.schedule import jitter_of, local_time, next_due, schedule_of, slots
from automations.errors import NotFound
from automations.store import automations, schedules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from automations.store.database import Database, Row, Transaction

SKIPS_SHOWN = 5


def every_schedule(database: Database, *, now: int) -> list[dict[str, Any]]:
    """Every schedule: when it fires next, and what it skipped last."""
    with database.read() as tx:
        cursors = {(row["automation_uid"], row["trigger_id"]): row for row in schedules.every(tx)}
        return [
            _record(tx, row, trigger, cursor=cursors.get((row["uid"], trigger.id)), now=now)
            for row in automations.live(tx)
            for trigger in _schedules_of(row)
        ]


def next_slots(database: Database, automation_id: str, *, after: int, count: int) -> list[dict[str, Any]]:
    """The next slots of all of an automation's schedules, in order. Raises NotFound when it has none."""
    with database.read() as tx:
        row = automations.get(tx, automation_id)
    if row is None or row["deleted_at"] is not None:
        raise NotFound(f"automation not found: {automation_id}", hint="see: automations list")
    found = []
    for trigger in _schedules_of(row):
        schedule = schedule_of(trigger.raw)
        for nominal in islice(slots(schedule, after), count):
            slot = {"nominalTime": iso(nominal), "localTime": local_time(schedule, nominal), "trigger": trigger.id}
            jitter = jitter_of(schedule, nominal, key=_key(row, trigger))
            found.append({**slot, "firesAt": iso(nominal + jitter)} if jitter else slot)
    if not found:
        raise NotFound(f"automation {automation_id} has no schedule that fires", hint="see: automations schedules list")
    return sorted(found, key=lambda slot: str(slot["nominalTime"]))[:count]


def _schedules_of(row: Row) -> Iterator[Trigger]:
    for trigger in build.automation(decode(row["spec_json"])).triggers:
        if trigger.kind is TriggerKind.SCHEDULE:
            yield trigger


def _record(tx: Transaction, row: Row, trigger: Trigger, *, cursor: Row | None, now: int) -> dict[str, Any]:
    schedule = schedule_of(trigger.raw)
    at = cursor["cursor_at"] if cursor else now
    next_at = next_due(schedule, cursor=at, key=_key(row, trigger)) if row["status"] == "active" else None
    shown = {
        "automationId": row["id"],
        "trigger": trigger.id,
        "cron": schedule.cron,
        "every": trigger.raw.get("every"),
        "timezone": schedule.timezone,
        "status": row["status"],
        "nextDue": None if next_at is None else iso(next_at),
        "skipped": [
            {"nominalTime": iso(skip["nominal_at"]), "reason": skip["reason"]}
            for skip in schedules.skips(tx, row["uid"], trigger.id, limit=SKIPS_SHOWN)
        ],
    }
    return {name: value for name, value in shown.items() if value is not None}


def _key(row: Row, trigger: Trigger) -> str:
    return f"{row['uid']}/{trigger.id}"
