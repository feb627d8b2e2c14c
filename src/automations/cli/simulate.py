"""`simulate`: what an event would start; with --persist, start it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command, Option
from automations.cli.events import because
from automations.cli.table import clean

if TYPE_CHECKING:
    from automations.cli.context import Context
    from automations.core.spec.model import Automation, Trigger
    from automations.core.trigger.bindings import Bound, Verdict
    from automations.core.trigger.envelope import Envelope


def run(context: "Context", given: Mapping[str, Any]) -> int:
    """Without --persist nothing is written and the store need not exist."""
    from automations.cli.given import given_bytes
    from automations.core.canonical import digest
    from automations.core.spec.catalogue import interpret
    from automations.core.trigger.envelope import to_document
    from automations.services.plan.author import accepted
    from automations.services.trigger.ingest import Delivery

    interpreted = interpret(given_bytes(given["file"]), given["file"])
    automation = accepted(interpreted)
    if not given["persist"]:
        _show(context, automation, _envelope(context, automation, given["event_json"], new_id=context.ids.new()))
        return 0
    runtime = context.runtime
    runtime.author.create(interpreted, actor=context.settings.actor)
    envelope = _envelope(context, automation, given["event_json"])
    taken = runtime.ingest.one(Delivery(envelope, digest(to_document(envelope)["data"])))
    materialized = runtime.inspect.materialized(taken.materialized)
    if context.json:
        context.document(materialized)
    else:
        for each in materialized:
            context.say(f"{each['automation']['id']}: run {each['run']['id']}, {len(each['actions'])} actions")
        if not materialized:
            context.say("the event matched no trigger")
    return 0


def _show(context: "Context", automation: "Automation", envelope: "Envelope") -> None:
    from automations.core.run.materialize import Occasion, materialize
    from automations.core.trigger.bindings import Bound
    from automations.core.trigger.envelope import identity, to_document
    from automations.services.trigger.event_view import verdict_record

    document = to_document(envelope)
    occasion = Occasion(identity(envelope), automation.triggers[0], event=document)
    bound = Bound("simulated", 0, automation, {})
    verdicts = [verdict_record(_judged(bound, trigger, envelope)) for trigger in automation.triggers]
    made = materialize(bound, occasion, now=context.clock.now(), new_id=context.ids.new)
    shown: dict[str, Any] = {
        "persisted": False,
        "fires": any(verdict["outcome"] == "match" for verdict in verdicts),
        "triggers": verdicts,
        "automation": automation.id,
        "event": document,
        "run": {
            "automationId": automation.id,
            "idempotencyKey": made.run["idempotency_key"],
            "trigger": dict(automation.triggers[0].raw),
        },
        "actions": [_action(row) for row in made.actions],
    }
    if context.json:
        context.document(shown)
        return
    if not shown["fires"]:
        context.say(f"{automation.id}: this event would start nothing")
    for verdict in verdicts:
        context.say(clean(f"  trigger {verdict['trigger']} ({verdict['kind']}){because(verdict)}"))
    if shown["fires"]:
        context.say(f"{automation.id}: {len(made.actions)} actions, nothing written")
        for action in shown["actions"]:
            wrong = f": {action['error']['message']}" if "error" in action else ""
            context.say(clean(f"  {action['stepId']}: {action['status']}  {action['actionId']}{wrong}"))


def _judged(bound: "Bound", trigger: "Trigger", envelope: "Envelope") -> "Verdict":
    """What a trigger makes of the event; a webhook trigger as if its own route had delivered it."""
    from dataclasses import replace

    from automations.core.spec.model import TriggerKind
    from automations.core.trigger.bindings import BoundTrigger, Verdict, judge

    candidate = BoundTrigger(bound, trigger)
    if trigger.kind is TriggerKind.WEBHOOK:
        route = trigger.route.id if trigger.route else "simulated"
        owner = bound.automation.id
        envelope = replace(envelope, origin="webhook", route_id=route, route_automation_id=owner)
    elif trigger.kind is not TriggerKind.EVENT:
        return Verdict(candidate, "no_match", reason="not started by events")
    return judge(candidate, envelope, activation=None)


def _action(row: Mapping[str, Any]) -> dict[str, Any]:
    from automations.core.canonical import decode

    shown = {
        "stepId": row["step_id"],
        "actionId": row["action_id"],
        "idempotencyKey": row["idempotency_key"],
        "status": row["status"],
    }
    if row["input_digest"]:
        shown["input"] = decode(row["input_json"])
    if row["error_json"]:
        shown["error"] = decode(row["error_json"])
    return shown


def _envelope(
    context: "Context", automation: "Automation", event_json: str | None, *, new_id: str | None = None
) -> "Envelope":
    """The event that was given. What is kept has to bring its id, as ever; what is only looked at gets `new_id`."""
    from automations.core.strict_json import parse
    from automations.core.trigger.envelope import from_document

    now = context.clock.now()
    if event_json is not None:
        return from_document(parse(event_json), received_at=now, new_id=new_id)
    trigger = automation.triggers[0]
    example = {
        "id": f"sim_{automation.id}",
        "source": trigger.sources[0] if trigger.sources else "simulated",
        "type": trigger.types[0] if trigger.types else "simulated",
        "data": {key: value for key, value in trigger.filter.items() if not isinstance(value, (dict, list))},
    }
    return from_document(example, received_at=now)


COMMANDS = (
    Command(
        ("simulate",),
        "What an event would start; with --persist, start it.",
        run,
        arguments=(Argument("file", "A spec file, or - for standard input."),),
        options=(
            Option("--event-json", "The event; made up from the first trigger by default."),
            Option("--persist", "Create the automation and materialize the event.", "flag", default=False),
        ),
        quick=True,
    ),
)
