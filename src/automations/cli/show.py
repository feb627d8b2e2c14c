"""`list` and `show`: what is bound."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command, Option
from automations.cli.table import clean, counted, table

if TYPE_CHECKING:
    from automations.cli.context import Context

_NARROWEST = 11
"""Characters of the column of words on a card; a longer condition makes it wider."""


def run_list(context: "Context", _: Mapping[str, Any]) -> int:
    """Every automation, oldest first."""
    inspect = context.runtime.inspect
    records = [*inspect.automations(), *inspect.terminating()]
    if context.json:
        context.document(records)
    elif records:
        rows = [
            (
                each["id"],
                "terminating" if "deletedAt" in each else each["status"],
                each.get("sync", ""),
                each["health"],
                str(each["generation"]),
                each["owner"],
                each.get("file", ""),
            )
            for each in records
        ]
        context.say(table(("ID", "STATUS", "SYNC", "HEALTH", "GENERATION", "OWNER", "FILE"), rows))
    else:
        context.say("no automations yet; write a spec into automations.d and run: automations apply")
    return 0


def run_show(context: "Context", given: Mapping[str, Any]) -> int:
    """One automation, or one of its generations."""
    record = _record(context, given["id"], given["revision"])
    if context.json:
        context.document(record)
    else:
        context.say("\n".join(clean(line) for line in card(record)))
        if given["revision"] is None and "deletedAt" not in record:
            for line in _near(context, given["id"]):
                context.say(line)
    return 0


def _record(context: "Context", identity: str, revision: int | None) -> dict[str, Any]:
    """What is bound; else what is deleted while runs of it go on. Raises NotFound."""
    from automations.errors import NotFound

    inspect = context.runtime.inspect
    try:
        return inspect.automation(identity, generation=revision)
    except NotFound:
        if revision is not None:
            raise
        return inspect.deleted(identity)


def _near(context: "Context", identity: str) -> Iterator[str]:
    """What came near its triggers lately; nothing when nothing did."""
    from automations.services.trigger.event_view import near_misses

    answer = near_misses(context.runtime.database, context.runtime.bindings, identity)
    total = sum(each["nearMisses"] for each in answer["triggers"])
    if total:
        yield f"  {counted(total, 'near miss', 'near misses')} among the newest {counted(answer['looked'], 'event')}"
        yield f"    see: automations events near-misses {identity}"


def card(record: Mapping[str, Any]) -> Iterator[str]:
    """An automation for a person."""
    spec = record["spec"]
    yield f"{record['id']}  {spec['name']} {spec['version']}"
    facts = list(_facts(record))
    width = max(_NARROWEST, *(len(label) for label, _ in facts))
    yield from (f"  {label:<{width}} {said}".rstrip() for label, said in facts)
    yield from _waiting(record)
    yield "  triggers"
    for trigger in spec["triggers"]:
        what = " ".join(str(trigger[key]) for key in ("source", "type", "cron", "every") if key in trigger)
        path = trigger.get("route", {}).get("path")
        yield f"    {trigger['kind']} {what}" + (f" at {path}" if path else "")
    yield "  steps"
    for step in (*spec["actions"], *spec.get("finally", ())):
        after = [each if isinstance(each, str) else each["step"] for each in step.get("dependsOn", ())]
        yield f"    {step['id']}: {step['actionId']}" + (f" after {', '.join(after)}" if after else "")


def _facts(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """How it stands: a word for each fact, and the fact."""
    deleted = f"terminating: deleted at {record.get('deletedAt')}, starts nothing new"
    yield "status", deleted if "deletedAt" in record else record["status"]
    yield "generation", f"{record['generation']}  {record['digest'][:19]}"
    yield "owner", f"{record['owner']}  {record.get('file', '')}"
    yield "health", record["health"] + (f", {record['sync']}" if "sync" in record else "")
    for name, condition in record["conditions"].items():
        yield name, f"{condition['status']} ({condition['reason']}) since {condition['since']}"
        if condition["message"]:
            yield "", condition["message"]


def _waiting(record: Mapping[str, Any]) -> Iterator[str]:
    """The runs that a deleted automation still waits for."""
    if "waitsFor" not in record:
        return
    yield "  waits for"
    for run in record["waitsFor"]:
        yield f"    run {run['runId']}: {run['status']} since {run['since']}"
        for step in run["steps"]:
            holder = f" by {step['claimedBy']}" if "claimedBy" in step else ""
            yield f"      {step['stepId']}: {step['status']}{holder}"
    more = record["runs"] - len(record["waitsFor"])
    if more:
        yield f"    and {counted(more, 'more run', 'more runs')}: automations runs list --automation {record['id']}"
    yield "    one is ended with: automations runs cancel RUN"


COMMANDS = (
    Command(("list",), "List what is bound.", run_list, quick=True),
    Command(
        ("show",),
        "Show one automation.",
        run_show,
        arguments=(Argument("id", "An automation id."),),
        options=(Option("--revision", "One of its earlier generations.", "number"),),
        quick=True,
    ),
)
