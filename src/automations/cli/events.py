"""`events send`, `list`, `show`, and `why`: hand events in, see what became of them, and why."""

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command, Option
from automations.cli.cursor import given_cursor
from automations.cli.given import given_time
from automations.cli.table import clean, counted, suspension, table
from automations.cli.unattended import tell_unattended
from automations.core.instant import iso
from automations.errors import UsageError

if TYPE_CHECKING:
    from automations.cli.context import Context
    from automations.services.trigger.send import Answer

MOST = 1000
OUTCOMES = ("materialized", "waiting", "coalesced", "dropped", "unmatched", "rejected")
MARKS = {"match": "+", "started": "+", "no_match": "-", "error": "!"}
MOST_LOOKED_AT = 100_000
SHOWN = 200
"""Characters of a value that are shown on a line."""
EVENT = Argument("event", "An event's id (its own, or the one that `events list` shows).")


def run_send(context: "Context", given: Mapping[str, Any]) -> int:
    """Materialize events; `{event, materialized:[{automation, run, actions}]}`, or a list of those and of refusals."""
    from automations.core.trigger.cause import read_cause

    written = context.settings.cause
    answers = context.runtime.send.take(_raw(given), cause=read_cause(written) if written else None)
    if context.json:
        shown = [_answer(context, each) for each in answers.each]
        context.document(shown if answers.several else shown[0])
    else:
        for each in answers.each:
            _tell(context, each, several=answers.several)
        held = {one["name"] for each in answers.each if each.taken for one in each.taken.suspended}
        for name in sorted(held):
            context.note(f"to go on: automations resume {name}; then send again what started nothing")
        if any(each.taken and (each.taken.materialized or each.taken.outcomes) for each in answers.each):
            tell_unattended(context)
    return 1 if any(each.problem for each in answers.each) else 0


def _answer(context: "Context", answer: "Answer") -> dict[str, Any]:
    from automations.core.trigger.envelope import to_document
    from automations.services.trigger.event_view import outcome_record

    taken = answer.taken
    if taken is None or answer.envelope is None:
        return answer.refusal()
    shown = {
        "event": to_document(answer.envelope) if taken.stored is None else dict(taken.stored),
        "materialized": context.runtime.inspect.materialized(taken.materialized),
        "duplicate": taken.duplicate,
    }
    shown |= {"conflict": True} if taken.conflict else {}
    about = {"automations": [outcome_record(row) for row in taken.outcomes], "suspended": list(taken.suspended)}
    return shown | {name: each for name, each in about.items() if each}


def _tell(context: "Context", answer: "Answer", *, several: bool) -> None:
    """One event's answer for a person."""
    place = f"{answer.place}: " if several else ""
    taken = answer.taken
    if answer.problem is not None or taken is None or answer.envelope is None:
        refused = answer.refusal()
        context.note(
            clean(f"{place}refused: {refused['error']}" + (f" ({refused['hint']})" if "hint" in refused else ""))
        )
        return
    name = answer.envelope.id
    if taken.duplicate:
        context.say(clean(f"{place}event {name} was seen before; nothing new was started"))
    if taken.conflict:
        context.say(clean(f"{place}it was seen with another body: this one was not taken in (conflict)"))
    for reference in taken.materialized:
        context.say(f"{place}{reference['automationId']}: run {reference['runId']}")
    for row in taken.outcomes:
        why = row["reason"] or (f"until {iso(row['due_at'])}" if row["due_at"] is not None else "")
        context.say(clean(f"{place}{row['automation_id']}: {row['outcome']}" + (f" ({why})" if why else "")))
    for each in taken.suspended:
        context.say(clean(f"{place}{each['name']}: nothing was started; it is suspended {suspension(each)}"))
    if not (taken.materialized or taken.outcomes or taken.duplicate or taken.suspended):
        _tell_unmatched(context, answer, place=place, several=several)


def _tell_unmatched(context: "Context", answer: "Answer", *, place: str, several: bool) -> None:
    """An event that nothing wanted; of a single one also who would have, and where to look."""
    from automations.services.trigger.event_view import idle

    assert answer.taken is not None and answer.envelope is not None  # noqa: PT018, S101  # it was taken in
    row = answer.taken.event_row_id
    waiting = {} if several else idle(context.runtime.database, context.runtime.bindings, row)
    for identity, status in waiting.items():
        context.say(f"{place}{identity}: nothing was started; its status is {status}")
        context.note("to go on: set its status to active and apply; then send the event again")
    if not waiting:
        context.say(clean(f"{place}event {answer.envelope.id} matched no trigger"))
    if not several:
        context.note(f"see why: automations why {row}")


def run_list(context: "Context", given: Mapping[str, Any]) -> int:
    """Events, newest first, a page at a time."""
    from automations.services.trigger.event_view import event_list
    from automations.store.events import Wanted

    limit, outcome = given["limit"], given["outcome"]
    if not 1 <= limit <= MOST:
        raise UsageError(f"--limit takes 1 to {MOST}, not {limit}")
    if outcome not in (None, *OUTCOMES):
        raise UsageError(f"unknown outcome: {outcome}", hint=f"one of: {', '.join(OUTCOMES)}")
    since = given_time(context, given["since"], "--since")
    before = given_cursor(context, given, "event")
    wanted = Wanted(outcome, given["source"], given["type"], since, before, limit)
    records = event_list(context.runtime.database, wanted)
    if context.json:
        context.document(records)
    elif records:
        rows = [
            (each["eventId"], each["source"], each["type"], each["outcome"], str(len(each["materialized"])), each["id"])
            for each in records
        ]
        context.say(
            table(("EVENT", "SOURCE", "TYPE", "OUTCOME", "RUNS", "ID"), [tuple(map(clean, row)) for row in rows])
        )
        if len(records) == limit:
            chosen = "".join(
                f" --{name} {shlex.quote(given[name])}"
                for name in ("outcome", "source", "type", "since")
                if given[name]
            )
            context.note(f"more: automations events list{chosen} --limit {limit} --cursor {records[-1]['eventId']}")
    else:
        narrowed = any(given[name] for name in ("outcome", "source", "type", "since", "cursor"))
        context.say("no such events" if narrowed else "no events")
    return 0


def run_show(context: "Context", given: Mapping[str, Any]) -> int:
    """One event's envelope, and what became of it for each automation."""
    from automations.services.trigger.event_view import event_show

    record = event_show(context.runtime.database, context.runtime.short_ids.event(given["event"]))
    if context.json:
        context.document(record)
        return 0
    context.say(clean(f"event {record['id']}: {record['outcome']}" + _because(record)))
    about = (
        ("row", "eventId"),
        ("source", "source"),
        ("type", "type"),
        ("subject", "subject"),
        ("received", "receivedAt"),
    )
    for title, key in about:
        if record.get(key) is not None:
            context.say(clean(f"  {title:<9} {record[key]}"))
    cause = record.get("metadata", {}).get("automations", {})
    if isinstance(cause, dict) and "causedBy" in cause:
        context.say(clean(f"  caused by run {cause['causedBy']} (hop {cause.get('hops')})"))
    if "conflicts" in record:
        context.say(clean(f"  {_conflicts(record)}"))
    for each in record["automations"]:
        run = f"  automations runs show {each['runId']}" if "runId" in each else ""
        context.say(clean(f"  {each['automationId']}: {each['outcome']}{_because(each)}{run}"))
    gone = "what it said is kept no longer; only that it came is (retention.events)"
    context.say(clean(f"  data      {_short(record['data']) if 'data' in record else gone}"))
    return 0


def run_why(context: "Context", given: Mapping[str, Any]) -> int:
    """For each trigger that is bound now: does it fire for this event, and if not, what stands in the way."""
    from automations.services.trigger.event_view import why

    runtime = context.runtime
    if not 1 <= given["limit"] <= MOST:
        raise UsageError(f"--limit takes 1 to {MOST}, not {given['limit']}")
    event_id = runtime.short_ids.event(given["event"])
    answer = why(runtime.database, runtime.bindings, event_id, most=given["limit"], now=runtime.clock.now())
    if context.json:
        context.document(answer)
        return 0
    event = answer["event"]
    context.say(clean(f"{event['source']} {event['type']} {event['id']}: {event['outcome']}{_because(event)}"))
    if "conflicts" in event:
        context.say(clean(_conflicts(event)))
    for each in answer["triggers"]:
        mark = MARKS.get(each["outcome"], "~")
        run = f"  automations runs show {each['runId']}" if "runId" in each else ""
        context.say(
            clean(f"{mark} {each['automationId']} trigger {each['trigger']} ({each['kind']}){because(each)}{run}")
        )
    if "more" in answer:
        rest = ", ".join(f"{count} {outcome}" for outcome, count in answer["more"].items())
        context.say(f"and {rest} (--limit shows more)")
    if not answer["triggers"]:
        context.say("no event or webhook trigger is bound")
    return 0


def run_near_misses(context: "Context", given: Mapping[str, Any]) -> int:
    """Events that came near an automation's triggers and did not fire them, among the newest that are kept."""
    from automations.services.trigger.event_view import near_misses

    runtime = context.runtime
    if not 1 <= given["limit"] <= MOST_LOOKED_AT:
        raise UsageError(f"--limit takes 1 to {MOST_LOOKED_AT}, not {given['limit']}")
    answer = near_misses(runtime.database, runtime.bindings, given["id"], most=given["limit"])
    if context.json:
        context.document(answer)
        return 0
    context.say(f"{given['id']}: the newest {counted(answer['looked'], 'event')}, judged by its triggers of today")
    for each in answer["triggers"]:
        context.say(f"  trigger {each['trigger']}: {each['matched']} matched, {each['nearMisses']} came near")
        for predicate, count in each["byPredicate"].items():
            context.say(clean(f"    {count} failed at {predicate}"))
        if "latest" in each:
            latest = each["latest"]
            context.say(clean(f"    latest: {latest['eventId']}{because({**latest, 'outcome': 'no_match'})}"))
    if not answer["triggers"]:
        context.say("  it has no trigger that events fire")
    return 0


def because(verdict: Mapping[str, Any]) -> str:
    """What stood in the way of a trigger, after its name; empty when nothing did."""
    outcome = verdict["outcome"]
    if outcome == "match":
        return ""
    if outcome not in ("no_match", "error"):
        return f": {outcome}{_because(verdict)}"
    if "reason" in verdict:
        return f": {verdict['reason']}"
    seen = "nothing" if verdict["value"] is None else _short(verdict["value"])
    wanted = f", not {_short(verdict['expected'])}" if "expected" in verdict else ""
    return f": {verdict['predicate']} is {seen}{wanted}"


def _because(record: Mapping[str, Any]) -> str:
    """Why, and until when, in brackets; empty when there is nothing to say."""
    said = [str(record["reason"])] if record.get("reason") else []
    said += [f"key {record['key']}"] if record.get("key") else []
    said += [f"until {record['dueAt']}"] if "dueAt" in record else []
    return f" ({', '.join(said)})" if said else ""


def _conflicts(record: Mapping[str, Any]) -> str:
    """How often an event's identity came again with another body."""
    return f"came again with another body: {counted(record['conflicts'], 'time')}, the last at {record['conflictAt']}"


def _short(value: Any) -> str:
    import json

    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} …"


def _raw(given: Mapping[str, Any]) -> bytes:
    if (given["file"] is None) == (given["event_json"] is None):
        raise UsageError("events send takes a file (or - for standard input), or --event-json", hint="give one of them")
    if given["event_json"] is not None:
        return str(given["event_json"]).encode(errors="surrogateescape")
    from automations.cli.given import given_bytes

    return given_bytes(given["file"])


COMMANDS = (
    Command(
        ("events", "send"),
        "Send events: open-events envelopes or CloudEvents, one, a JSON list, or one a line.",
        run_send,
        arguments=(Argument("file", "A file with the events, or - for standard input.", required=False),),
        options=(Option("--event-json", "The event itself."),),
    ),
    Command(
        ("events", "list"),
        "List events, newest first.",
        run_list,
        options=(
            Option("--outcome", f"Only events with this outcome: {', '.join(OUTCOMES)}."),
            Option("--source", "Only events of this source."),
            Option("--type", "Only events of this type."),
            Option("--since", "Only events received since: a time, or how long ago, such as 90m or 7d."),
            Option("--limit", "How many.", "number", 50),
            Option("--cursor", "Only events before this one; printed under a full page."),
        ),
    ),
    Command(("events", "show"), "Show one event.", run_show, arguments=(EVENT,)),
    Command(
        ("events", "near-misses"),
        "Count events that came near an automation's triggers and did not fire them.",
        run_near_misses,
        arguments=(Argument("id", "An automation id."),),
        options=(Option("--limit", "How many of the newest events to look at.", "number", 1000),),
    ),
    Command(
        ("why",),
        "Say for each trigger why it fires for an event, or does not.",
        run_why,
        arguments=(EVENT,),
        options=(Option("--limit", "How many triggers to tell of; those that came nearest first.", "number", 50),),
    ),
)
