"""Reading events: what came in, what became of it, and why each trigger did or did not fire. Nothing here writes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from automations.core.canonical import decode
from automations.core.instant import iso
from automations.core.spec.model import AutomationStatus, TriggerKind
from automations.core.trigger.bindings import BoundTrigger, Verdict, judge
from automations.core.trigger.envelope import Envelope, from_document
from automations.errors import NotFound
from automations.store import events

if TYPE_CHECKING:
    from automations.services.definitions import Bindings
    from automations.store.database import Database, Row

_BY_EVENTS = (TriggerKind.EVENT, TriggerKind.WEBHOOK)
MOST_VERDICTS = 1000
"""Triggers that one answer tells of."""


def event_list(database: Database, *, outcome: str | None, before: str | None, limit: int) -> list[dict[str, Any]]:
    """Events, newest first, below the cursor `before` (an event's row id)."""
    with database.read() as tx:
        return [event_record(row) for row in events.page(tx, outcome=outcome, before=before, limit=limit)]


def event_show(database: Database, name: str) -> dict[str, Any]:
    """One event by its row id or its own id. Raises NotFound."""
    return event_record(_find(database, name))


def why(database: Database, bindings: Bindings, name: str) -> dict[str, Any]:
    """`{event, triggers:[{automationId, trigger, outcome, predicate?, value?, reason?}]}`, judged by what is bound now."""
    row = _find(database, name)
    envelope = envelope_of(row)
    table = bindings.current()
    verdicts = []
    for bound in table.bound.values():
        for trigger in bound.automation.triggers:
            if trigger.kind not in _BY_EVENTS:
                continue
            verdict = judge(BoundTrigger(bound, trigger), envelope, activation=None)
            if bound.automation.status is not AutomationStatus.ACTIVE:
                verdict = replace(verdict, outcome="no_match", predicate="status", value=str(bound.automation.status))
            verdicts.append(verdict_record(verdict))
    verdicts.sort(key=lambda each: ("match", "error", "no_match").index(each["outcome"]))
    return {"event": event_record(row), "triggers": verdicts[:MOST_VERDICTS]}


def event_record(row: Row) -> dict[str, Any]:
    """The envelope with `outcome`, `receivedAt` and the runs that it started."""
    envelope: dict[str, Any] = decode(row["envelope_json"])
    return {
        **envelope,
        "eventId": row["id"],
        "outcome": row["outcome"],
        "receivedAt": iso(row["received_at"]),
        "materialized": decode(row["materialized_json"]),
    }


def envelope_of(row: Row) -> Envelope:
    """The envelope as it was matched: where it came from is in its scope, never in what it says about itself."""
    envelope = from_document(decode(row["envelope_json"]), received_at=row["received_at"])
    kind, _, scope = row["scope"].partition(":")
    if kind != "route":
        return envelope
    owner = envelope.metadata.get("webhook", {}).get("automationId")
    return replace(envelope, origin="webhook", route_id=scope, route_automation_id=owner)


def _find(database: Database, name: str) -> Row:
    with database.read() as tx:
        row = events.get(tx, name) or events.latest_of(tx, name)
    if row is None:
        raise NotFound(f"event not found: {name}", hint="see: automations events list")
    return row


def verdict_record(verdict: Verdict) -> dict[str, Any]:
    """`{automationId, trigger, kind, outcome, predicate?, value?, reason?}`."""
    trigger = verdict.candidate.trigger
    record: dict[str, Any] = {
        "automationId": verdict.candidate.bound.automation.id,
        "trigger": trigger.id,
        "kind": str(trigger.kind),
        "outcome": verdict.outcome,
    }
    if verdict.outcome != "match":
        record |= {"predicate": verdict.predicate, "value": verdict.value}
    if verdict.reason:
        record["reason"] = verdict.reason
    return record
