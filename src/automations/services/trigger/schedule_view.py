"""Reading schedules: where each stands, when it fires, what it skipped. Nothing here writes."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from automations.core.canonical import decode
from automations.core.instant import iso
from automations.core.spec import build
from automations.core.trigger.bindings import Bound
from automations.core.trigger.schedule import clock_change, jitter_of, local_time, next_due, slots
from automations.errors import NotFound
from automations.services.identity import not_there
from automations.services.reconcile.suspend import record, words
from automations.services.trigger.schedule_line import Line, lines
from automations.store import automations, schedule_failures, schedules, suspensions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from automations.store.database import Database, Row, Transaction

SKIPS_SHOWN = 5


def every_schedule(database: Database, *, now: int) -> list[dict[str, Any]]:
    """Every schedule: when it fires next, its last run, what it skipped last, and whether and why it is paused.

    `suspended` is there while somebody suspended its automation by hand, beside the `status` of the spec; then it fires next
    when that ends, or without an end not at all.
    """
    with database.read() as tx:
        cursors = {(row["automation_uid"], row["trigger_id"]): row for row in schedules.every(tx)}
        return [
            _record(tx, line, cursors.get((line.bound.uid, line.trigger.id)), now=now)
            for row in automations.live(tx)
            for line in _lines_of(row)
        ]


def next_slots(database: Database, automation_id: str, *, after: int, count: int) -> list[dict[str, Any]]:
    """The next slots of all of an automation's schedules, in order: `[{nominalTime, localTime, trigger, firesAt?, reason?}]`.

    `reason` says what a clock change has to do with it. Raises NotFound when there are none.
    """
    found = []
    for line in _named(database, automation_id):
        for nominal in islice(slots(line.schedule, after), count):
            jitter = jitter_of(line.schedule, nominal, key=line.key)
            slot = {
                "nominalTime": iso(nominal),
                "localTime": local_time(line.schedule, nominal),
                "trigger": line.trigger.id,
                "firesAt": iso(nominal + jitter) if jitter else None,
                "reason": clock_change(line.schedule, nominal),
            }
            found.append({name: value for name, value in slot.items() if value is not None})
    if not found:
        raise NotFound(f"automation {automation_id} has no schedule that fires", hint="see: automations schedules list")
    return sorted(found, key=lambda slot: str(slot["nominalTime"]))[:count]


def asleep(database: Database, automation_id: str, *, now: int) -> dict[str, str]:
    """By trigger, why an automation's schedules fire nothing as things are; those that fire are left out. Raises NotFound."""
    chosen = _named(database, automation_id)
    with database.read() as tx:
        found = {line.trigger.id: _asleep(tx, line, now=now) for line in chosen}
    return {name: why for name, why in found.items() if why}


def _asleep(tx: Transaction, line: Line, *, now: int) -> str:
    automation = line.bound.automation
    if not line.bound.active:
        return f"the status of {automation.id} is {automation.status}"
    if _suspension(tx, line, now=now) is not None:
        return f"{automation.id} is suspended {words(tx, line.bound.uid)}; to go on: automations resume {automation.id}"
    failures = schedule_failures.get(tx, **line.names)
    if failures and failures["paused_at"] is not None:
        pause = _pause(line, failures)
        return f"it is paused since {pause['since']} after {pause['reason']}; to go on: {pause['resume']}"
    return ""


def _suspension(tx: Transaction, line: Line, *, now: int) -> Row | None:
    """By whom and until when an automation is suspended by hand, if it is; whose end has passed counts no more."""
    row = suspensions.get(tx, line.bound.uid)
    return row if row is not None and (row["until_at"] is None or row["until_at"] > now) else None


def misfires(database: Database, automation_id: str, *, before: int | None, limit: int) -> list[dict[str, Any]]:
    """Slots that did not fire, newest first: `[{trigger, nominalTime, localTime, reason, recordedAt}]`. Raises NotFound."""
    chosen = _named(database, automation_id)
    found = []
    with database.read() as tx:
        for line in chosen:
            for row in schedules.skips(tx, line.bound.uid, line.trigger.id, before=before, limit=limit):
                nominal = row["nominal_at"]
                about = {"nominalTime": iso(nominal), "localTime": local_time(line.schedule, nominal)}
                found.append(
                    {
                        "trigger": line.trigger.id,
                        **about,
                        "reason": row["reason"],
                        "recordedAt": iso(row["recorded_at"]),
                    }
                )
    return sorted(found, key=lambda each: str(each["nominalTime"]), reverse=True)[:limit]


def _named(database: Database, automation_id: str) -> list[Line]:
    with database.read() as tx:
        row = automations.get(tx, automation_id)
        if row is None or row["deleted_at"] is not None:
            raise not_there(tx, automation_id)
    return list(_lines_of(row))


def _lines_of(row: Row) -> Iterator[Line]:
    return lines(Bound(row["uid"], row["generation"], build.automation(decode(row["spec_json"])), {}))


def _record(tx: Transaction, line: Line, cursor: Row | None, *, now: int) -> dict[str, Any]:
    schedule, automation = line.schedule, line.bound.automation
    failures = schedule_failures.get(tx, **line.names)
    halted = failures if failures and failures["paused_at"] is not None else None
    suspension = _suspension(tx, line, now=now)
    at = cursor["cursor_at"] if cursor else now
    if suspension is not None:
        at = suspension["until_at"]  # it begins anew then
    fires = line.bound.active and not halted and at is not None
    next_at = next_due(schedule, cursor=at, key=line.key) if fires else None
    last = schedules.last_fired(tx, **line.names)
    shown = {
        "automationId": automation.id,
        "trigger": line.trigger.id,
        "cron": schedule.cron,
        "every": line.trigger.raw.get("every"),
        "timezone": schedule.timezone,
        "overlap": schedule.overlap,
        "catchUp": schedule.catch_up,
        "status": "paused" if halted else str(automation.status),
        "paused": _pause(line, halted) if halted else None,
        "suspended": None if suspension is None else _suspended(automation.id, suspension),
        "failures": failures["failures"] if failures else None,
        "nextDue": None if next_at is None else iso(next_at),
        "nextLocal": None if next_at is None else local_time(schedule, next_at),
        "lastRun": None if last is None else _last(last),
        "skipped": [
            {"nominalTime": iso(skip["nominal_at"]), "reason": skip["reason"]}
            for skip in schedules.skips(tx, line.bound.uid, line.trigger.id, limit=SKIPS_SHOWN)
        ],
    }
    return {name: value for name, value in shown.items() if value is not None}


def _pause(line: Line, row: Row) -> dict[str, Any]:
    resume = f"automations schedules resume {line.bound.automation.id}"
    return {"since": iso(row["paused_at"]), "reason": f"{row['failures']} failed runs in a row", "resume": resume}


def _suspended(name: str, row: Row) -> dict[str, Any]:
    shown = {key: value for key, value in record(name, row).items() if key not in ("name", "suspended")}
    return {**shown, "resume": f"automations resume {name}"}


def _last(row: Row) -> dict[str, Any]:
    """A run that is kept no longer has no status."""
    shown = {"nominalTime": iso(row["nominal_at"]), "id": row["run_id"], "status": row["status"]}
    return {name: value for name, value in shown.items() if value is not None}
