"""`events send`, `list`, `show`, and `why`: hand events in, see what became of them, and why."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command, Option
from automations.cli.table import clean, table
from automations.errors import UsageError

if TYPE_CHECKING:
    from automations.cli.context import Context

MOST = 1000
OUTCOMES = ("materialized", "unmatched")
EVENT = Argument("event", "An event's id (its own, or the one that `events list` shows).")


def run_send(context: "Context", given: Mapping[str, Any]) -> int:
    """Materialize an event; `{event, materialized:[{automation, run, actions}]}`."""
    from automations.core.canonical import digest_bytes
    from automations.core.strict_json import parse
    from automations.core.trigger.envelope import from_document, to_document
    from automations.services.ingest import Delivery

    raw = _raw(given)
    runtime = context.runtime
    now = runtime.clock.now()
    envelope = from_document(parse(raw), received_at=now, new_id=runtime.ids.new())
    taken = runtime.ingest.one(Delivery(envelope, digest_bytes(raw)))
    if context.json:
        materialized = runtime.inspect.materialized(taken.materialized)
        context.document({"event": to_document(envelope), "materialized": materialized, "duplicate": taken.duplicate})
        return 0
    if taken.duplicate:
        context.say(clean(f"event {envelope.id} was seen before; nothing new was started"))
    for reference in taken.materialized:
        context.say(f"{reference['automationId']}: run {reference['runId']}")
    if not taken.materialized:
        context.say(clean(f"event {envelope.id} matched no trigger"))
    return 0


def run_list(context: "Context", given: Mapping[str, Any]) -> int:
    """Events, newest first, a page at a time."""
    from automations.services.event_view import event_list

    limit, outcome = given["limit"], given["outcome"]
    if not 1 <= limit <= MOST:
        raise UsageError(f"--limit takes 1 to {MOST}, not {limit}")
    if outcome not in (None, *OUTCOMES):
        raise UsageError(f"unknown outcome: {outcome}", hint=f"one of: {', '.join(OUTCOMES)}")
    records = event_list(context.runtime.database, outcome=outcome, before=given["cursor"], limit=limit)
    if context.json:
        context.document(records)
    elif records:
        rows = [
            (each["eventId"], each["source"], each["type"], each["outcome"], str(len(each["materialized"])), each["id"])
            for each in records
        ]
        context.say(table(("EVENT", "SOURCE", "TYPE", "OUTCOME", "RUNS", "ID"), rows))
        if len(records) == limit:
            wanted = f" --outcome {outcome}" if outcome else ""
            context.note(f"more: automations events list --limit {limit}{wanted} --cursor {records[-1]['eventId']}")
    else:
        context.say("no events")
    return 0


def run_show(context: "Context", given: Mapping[str, Any]) -> int:
    """One event's envelope, and what became of it."""
    from automations.services.event_view import event_show

    context.document(event_show(context.runtime.database, given["event"]))
    return 0


def run_why(context: "Context", given: Mapping[str, Any]) -> int:
    """For each trigger that is bound now: does it fire for this event, and if not, what stands in the way."""
    from automations.services.event_view import why

    runtime = context.runtime
    answer = why(runtime.database, runtime.bindings, given["event"])
    if context.json:
        context.document(answer)
        return 0
    event = answer["event"]
    context.say(clean(f"{event['source']} {event['type']} {event['id']}: {event['outcome']}"))
    for each in answer["triggers"]:
        mark = {"match": "+", "no_match": "-", "error": "!"}[each["outcome"]]
        context.say(clean(f"{mark} {each['automationId']} trigger {each['trigger']} ({each['kind']}){because(each)}"))
    if not answer["triggers"]:
        context.say("no event or webhook trigger is bound")
    return 0


def because(verdict: Mapping[str, Any]) -> str:
    """What stood in the way of a trigger, after its name; empty when nothing did."""
    if verdict["outcome"] == "match":
        return ""
    if "reason" in verdict:
        return f": {verdict['reason']}"
    seen = "nothing" if verdict["value"] is None else repr(verdict["value"])
    return f": {verdict['predicate']} does not match, it is {seen}"


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
        "Send an event (an open-events envelope).",
        run_send,
        arguments=(Argument("file", "A file with the event, or - for standard input.", required=False),),
        options=(Option("--event-json", "The event itself."),),
    ),
    Command(
        ("events", "list"),
        "List events, newest first.",
        run_list,
        options=(
            Option("--outcome", f"Only events with this outcome: {' or '.join(OUTCOMES)}."),
            Option("--limit", "How many.", "number", 50),
            Option("--cursor", "Only events before this one; printed under a full page."),
        ),
    ),
    Command(("events", "show"), "Show one event.", run_show, arguments=(EVENT,)),
    Command(("why",), "Say for each trigger why it fires for an event, or does not.", run_why, arguments=(EVENT,)),
)
