"""Reading events: what came in, what became of it for each automation, and why each trigger did or did not fire.

Nothing here writes. Near misses are worked out from the events that are kept when somebody asks, so that they cost an event
nothing and are always told by the spec of today.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from automations.core.canonical import decode
from automations.core.expression.cel import Activation
from automations.core.instant import iso
from automations.core.trigger.bindings import Bound, BoundTrigger, Table, Verdict, judge
from automations.core.trigger.envelope import Envelope, from_document, to_document
from automations.errors import NotFound
from automations.services.absent import no_automation
from automations.services.reconcile.suspend import words
from automations.store import actions, events, outcomes, runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from automations.services.plan.definitions import Bindings
    from automations.store.database import Database, Row, Transaction
    from automations.store.events import Wanted

SHOWN = 50
"""Triggers that `why` tells of unless it is asked for more."""
LOOKED_AT = 1_000
"""Newest events that near misses are counted in unless it is asked for more."""
BLANK = "{}"
"""The envelope of an event whose content is kept no longer, only its identity."""
WAITING = ("delayed", "debounced")
FAR = ("route", "status", "source", "type")
"""Predicates whose failure is no near miss: the event was never meant for the trigger. Farthest first."""


def event_list(database: Database, wanted: Wanted) -> list[dict[str, Any]]:
    """Events, newest first, below the cursor."""
    with database.read() as tx:
        rows = events.page(tx, wanted)
        kept = outcomes.of_events(tx, [row["id"] for row in rows])
        return [_record(tx, row, [each for each in kept if each["event_row_id"] == row["id"]]) for row in rows]


def event_show(database: Database, name: str) -> dict[str, Any]:
    """One event by its row id or its own id, with `automations`: what became of it for each. Raises NotFound."""
    with database.read() as tx:
        row = _find(tx, name)
        kept = outcomes.of_event(tx, row["id"])
        return {**_record(tx, row, kept), "automations": _automations(row, kept)}


def why(database: Database, bindings: Bindings, name: str, *, most: int = SHOWN, now: int = 0) -> dict[str, Any]:
    """What each trigger that is bound now makes of an event, and what was recorded when it came.

    `{event, triggers: [{automationId, trigger, kind, outcome, predicate?, expected?, value?, reason?, runId?, dueAt?}], more}`:
    those that fired first, then those that came near, `most` of them; `more` counts the rest by outcome.
    """
    with database.read() as tx:
        table = bindings.within(tx)
        row = _find(tx, name)
        if row["envelope_json"] == BLANK:
            raise NotFound(f"what event {name} said is kept no longer", hint="see: automations events list")
        kept = {(each["automation_uid"], each["trigger_id"]): each for each in outcomes.of_event(tx, row["id"])}
        event = _record(tx, row, list(kept.values()))
        judged = list(_heard(tx, _judged(table.bound.values(), as_owned(envelope_of(row), table)), table, now))
        started = _started(tx, row)
        judged = list(_alternatives(tx, judged, kept, started))
    shown = []
    for verdict in sorted(judged, key=_nearness):
        candidate = verdict.candidate
        recorded = kept.get((candidate.bound.uid, candidate.trigger.id))
        record = verdict_record(verdict)
        if recorded:
            record |= _recorded(recorded)
        elif verdict.outcome == "match" and candidate.bound.uid in started:
            record["runId"] = started[candidate.bound.uid]
        shown.append(record)
    shown.sort(key=lambda each: each["outcome"] == "no_match")
    answer: dict[str, Any] = {"event": event, "triggers": shown[:most]}
    if len(shown) > most:
        answer["more"] = dict(Counter(each["outcome"] for each in shown[most:]))
    return answer


def idle(database: Database, bindings: Bindings, name: str) -> dict[str, str]:
    """The automations whose triggers want an event and that fire nothing, because of their status: `{id: status}`."""
    with database.read() as tx:
        table, row = bindings.within(tx), _find(tx, name)
    envelope = envelope_of(row)
    event = Activation({"event": to_document(envelope)})
    return {
        bound.automation.id: str(bound.automation.status)
        for bound in table.bound.values()
        if not bound.active
        and any(judge(each, envelope, activation=event).outcome == "match" for each in bound.by_events)
    }


def near_misses(database: Database, bindings: Bindings, automation_id: str, *, most: int = LOOKED_AT) -> dict[str, Any]:
    """Events of a trigger's source and type that it did not want, among the `most` newest that are kept.

    `{automationId, looked, since?, triggers: [{trigger, matched, nearMisses, byPredicate, latest?}]}`. Raises NotFound.
    """
    with database.read() as tx:
        table = bindings.within(tx)
        bound = table.bound.get(automation_id)
        rows = [row for row in events.newest(tx, limit=most) if row["envelope_json"] != BLANK]
    if bound is None:
        raise no_automation(automation_id, table.bound)
    counted = [{"trigger": each.trigger.id, "matched": 0, "missed": Counter[str]()} for each in bound.by_events]
    for row in rows:
        for entry, verdict in zip(counted, _judged((bound,), envelope_of(row)), strict=True):
            _count(entry, verdict, row)
    answer: dict[str, Any] = {"automationId": automation_id, "looked": len(rows)}
    if rows:
        answer["since"] = iso(rows[-1]["received_at"])
    return {**answer, "triggers": [_counted(entry) for entry in counted]}


def envelope_of(row: Row) -> Envelope:
    """The envelope as it was matched: where it came from is in its scope, never in what it says about itself."""
    envelope = from_document(decode(row["envelope_json"]), received_at=row["received_at"])
    kind, _, scope = row["scope"].partition(":")
    if kind != "route":
        return envelope
    owner = envelope.metadata.get("webhook", {}).get("automationId")
    return replace(envelope, origin="webhook", route_id=scope, route_automation_id=owner)


def as_owned(envelope: Envelope, table: Table) -> Envelope:
    """The event as its route would deliver it now: a route follows an automation that is renamed."""
    now = next(
        (each.route for each in table.routes.values() if each.route.id == envelope.route_id and not each.gone), None
    )
    return envelope if now is None else replace(envelope, route_automation_id=now.automation_id)


def _started(tx: Transaction, row: Row) -> dict[str, str]:
    """By uid of their automations, the runs that an event started at once."""
    found = (runs.get(tx, each["runId"]) for each in decode(row["materialized_json"]))
    return {run["automation_uid"]: run["id"] for run in found if run is not None}


def verdict_record(verdict: Verdict) -> dict[str, Any]:
    """`{automationId, trigger, kind, outcome, predicate?, expected?, value?, reason?}`."""
    trigger = verdict.candidate.trigger
    record: dict[str, Any] = {
        "automationId": verdict.candidate.bound.automation.id,
        "trigger": trigger.id,
        "kind": str(trigger.kind),
        "outcome": verdict.outcome,
    }
    if verdict.outcome != "match":
        record |= {"predicate": verdict.predicate, "value": verdict.value}
    if verdict.expected is not None:
        record["expected"] = verdict.expected
    if verdict.reason:
        record["reason"] = verdict.reason
    return record


def outcome_record(row: Row) -> dict[str, Any]:
    """What became of an event for one automation: `{automationId, trigger, outcome, reason?, key?, dueAt?, runId?}`."""
    return {"automationId": row["automation_id"], "trigger": row["trigger_id"], **_recorded(row)}


def _find(tx: Transaction, name: str) -> Row:
    row = events.get(tx, name) or events.latest_of(tx, name)
    if row is None:
        raise NotFound(f"event not found: {name}", hint="see: automations events list")
    return row


def _record(tx: Transaction, row: Row, kept: Iterable[Row]) -> dict[str, Any]:
    """The envelope, or what is left of it, with `outcome`, `receivedAt` and the runs that it started, at once or later.

    `contentKept` is false where nothing is left but what names it.
    """
    envelope: dict[str, Any] = decode(row["envelope_json"])
    later = [
        {
            "automationId": each["automation_id"],
            "runId": each["run_id"],
            "actionIds": [action["id"] for action in actions.of_run(tx, each["run_id"])],
        }
        for each in kept
        if each["outcome"] == "started"
    ]
    about = {"reason": row["reason"]} if row["reason"] else {}
    about |= {"replays": row["replays"]} if row["replays"] else {}
    if row["conflicts"]:
        about |= {"conflicts": row["conflicts"], "conflictAt": iso(row["conflict_at"])}
    return {
        **(
            {}
            if envelope
            else {"id": row["event_id"], "source": row["source"], "type": row["type"], "contentKept": False}
        ),
        **envelope,
        "eventId": row["id"],
        "outcome": row["outcome"],
        **about,
        "receivedAt": iso(row["received_at"]),
        "materialized": [*decode(row["materialized_json"]), *later],
    }


def _automations(row: Row, kept: Iterable[Row]) -> list[dict[str, Any]]:
    """What became of an event for each automation that it concerned, by automation."""
    found = [
        {"automationId": each["automationId"], "outcome": "started", "runId": each["runId"]}
        for each in decode(row["materialized_json"])
    ]
    found += [
        {"automationId": each["automation_id"], "trigger": each["trigger_id"], **_recorded(each)} for each in kept
    ]
    return sorted(found, key=lambda each: str(each["automationId"]))


def _recorded(row: Row) -> dict[str, Any]:
    """What an outcome row says, without the names."""
    shown = {
        "outcome": row["outcome"],
        "reason": row["reason"],
        "key": row["key"] or None,
        "dueAt": None if row["due_at"] is None or row["outcome"] not in WAITING else iso(row["due_at"]),
        "runId": row["run_id"],
    }
    return {name: value for name, value in shown.items() if value is not None}


def _judged(bound: Iterable[Bound], envelope: Envelope) -> Iterator[Verdict]:
    activation = Activation({"event": to_document(envelope)})
    for each in bound:
        for candidate in each.by_events:
            yield _verdict(candidate, envelope, activation)


def _heard(tx: Transaction, verdicts: Iterable[Verdict], table: Table, now: int) -> Iterator[Verdict]:
    """The verdicts, but of what is suspended by hand only that; one that ended before `now` (microseconds) counts no more."""
    for verdict in verdicts:
        bound = verdict.candidate.bound
        if verdict.outcome != "no_match" and table.suspended(bound.uid, now=now):
            reason = f"suspended {words(tx, bound.uid)}; automations resume {bound.automation.id}"
            yield Verdict(verdict.candidate, "no_match", "suspended", "by hand", reason)
        else:
            yield verdict


def _alternatives(
    tx: Transaction, verdicts: Iterable[Verdict], kept: Mapping[tuple[str, str], Row], started: Mapping[str, str]
) -> Iterator[Verdict]:
    """The verdicts, but of several matches of one automation only that counts which fired, or which would."""
    verdicts = list(verdicts)
    matches: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.outcome == "match":
            matches.setdefault(verdict.candidate.bound.uid, []).append(verdict)
    chosen = {uid: _chosen(tx, mine, kept, started) for uid, mine in matches.items() if len(mine) > 1}
    for verdict in verdicts:
        fired = chosen.get(verdict.candidate.bound.uid)
        if verdict.outcome != "match" or fired in (None, verdict.candidate.trigger.id):
            yield verdict
        else:
            reason = f"it matches too; of an automation's triggers one takes an event, here {fired}"
            yield Verdict(verdict.candidate, "no_match", "trigger", fired, reason)


def _chosen(
    tx: Transaction, matches: Sequence[Verdict], kept: Mapping[tuple[str, str], Row], started: Mapping[str, str]
) -> str:
    """The trigger that took an event for an automation: by what is on record, else by the rule of today."""
    bound = matches[0].candidate.bound
    for each in matches:
        if (bound.uid, each.candidate.trigger.id) in kept:
            return each.candidate.trigger.id
    run = runs.get(tx, started[bound.uid]) if bound.uid in started else None
    recorded = decode(run["trigger_json"]) if run is not None else {}
    for each in matches:
        if each.candidate.trigger.id == recorded.get("id") or each.candidate.trigger.raw == recorded:
            return each.candidate.trigger.id
    return next((each for each in matches if not each.limited), matches[0]).candidate.trigger.id


def _verdict(candidate: BoundTrigger, envelope: Envelope, activation: Activation) -> Verdict:
    if candidate.bound.active:
        return judge(candidate, envelope, activation=activation)
    status = str(candidate.bound.automation.status)
    return Verdict(candidate, "no_match", "status", status, expected="active")


def _nearness(verdict: Verdict) -> int:
    """What fired or failed comes first, then what came near, then what was never meant, the farthest last."""
    if verdict.outcome != "no_match":
        return -2 if verdict.outcome == "match" else -1
    return len(FAR) - FAR.index(verdict.predicate) if verdict.predicate in FAR else 0


def _count(entry: dict[str, Any], verdict: Verdict, row: Row) -> None:
    if verdict.outcome == "match":
        entry["matched"] += 1
    elif verdict.predicate not in FAR:
        entry["missed"][verdict.predicate] += 1
        if "latest" not in entry:
            about = verdict_record(verdict)
            told = {name: about[name] for name in ("predicate", "expected", "value", "reason") if name in about}
            entry["latest"] = {"eventId": row["id"], "receivedAt": iso(row["received_at"]), **told}


def _counted(entry: Mapping[str, Any]) -> dict[str, Any]:
    missed: Counter[str] = entry["missed"]
    shown = {
        "trigger": entry["trigger"],
        "matched": entry["matched"],
        "nearMisses": missed.total(),
        "byPredicate": dict(missed.most_common()),
        "latest": entry.get("latest"),
    }
    return {name: value for name, value in shown.items() if value is not None}
