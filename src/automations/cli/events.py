"""`events send`: hand an event in, from a file, standard input or the command line."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command, Option
from automations.cli.table import clean
from automations.errors import UsageError

if TYPE_CHECKING:
    from automations.cli.context import Context


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
)
