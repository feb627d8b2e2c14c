"""`approvals list`, `approve` and `reject`: what waits for a person, and the person's word."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command, Option
from automations.cli.table import clean

if TYPE_CHECKING:
    from automations.cli.context import Context
    from automations.store.database import Row

ACTION = Argument("id", "An action id.")
REASON = Option("--reason", "Why.")
SHOWN = 500
"""Characters of an input that are shown."""


def run_list(context: "Context", _: Mapping[str, Any]) -> int:
    """Actions that wait for an approval, oldest first."""
    rows = context.runtime.approvals.waiting()
    if context.json:
        context.document([_record(row) for row in rows])
    elif rows:
        context.say("\n\n".join("\n".join(_question(row)) for row in rows))
        context.note("decide: automations approvals approve ID, or: automations approvals reject ID --reason WHY")
    else:
        context.say("nothing waits for an approval")
    return 0


def run_approve(context: "Context", given: Mapping[str, Any]) -> int:
    """Give one approval, and say whether it was enough."""
    row = context.runtime.approvals.approve(_id(context, given), actor=context.settings.actor)
    enough = row["status"] != "waiting_approval"
    done = "that was enough" if enough else "others must agree too; see: automations approvals list"
    _tell(context, row, f"approved by {context.settings.actor}; {done}")
    return 0


def run_reject(context: "Context", given: Mapping[str, Any]) -> int:
    """End a waiting action for good."""
    row = context.runtime.approvals.reject(_id(context, given), actor=context.settings.actor, reason=given["reason"])
    _tell(context, row, f"rejected by {context.settings.actor}; it will never run")
    return 0


def _id(context: "Context", given: Mapping[str, Any]) -> str:
    return context.runtime.short_ids.action(given["id"], listed="approvals list")


def _tell(context: "Context", row: "Row", sentence: str) -> None:
    if context.json:
        from automations.core.record import action_record

        context.document(action_record(row))
    else:
        context.say(clean(f"{row['automation_id']} / {row['step_id']}: {sentence}"))


def _record(row: "Row") -> dict[str, Any]:
    """The action of the contract, and ours: `startedBy?` and `missing`, how many approvals of whom it still lacks."""
    from automations.core.record import action_record

    record = {**action_record(row), "missing": row["missing"]}
    started_by = _started_by(row)
    return {**record, "startedBy": started_by} if started_by else record


def _question(row: "Row") -> Iterator[str]:
    """One question as a person wants to read it: what would happen, who wants it, who agreed, until when."""
    import json

    record = _record(row)
    gate = record["approvalGate"]
    decision = gate.get("decision", {})
    text = json.dumps(record["invocation"]["input"], ensure_ascii=False)
    yield f"{record['id']}  {record['invocation']['automationId']} / {record['stepId']}: {record['actionId']}"
    if "reason" in gate["requirement"]:
        yield f"  reason    {clean(gate['requirement']['reason'])}"
    yield f"  asked     {decision.get('requestedAt', '')} by {_cause(row)}"
    yield f"  run       {record['automationRunId']}"
    yield f"  input     {clean(text if len(text) <= SHOWN else f'{text[:SHOWN]} … (see: automations queue show)')}"
    for each in decision.get("approvals", ()):
        yield f"  approved  {clean(each['by'])}{_as(each)} at {each['at']}"
    yield "  needs     " + ", ".join(f"{each['count']} more{_as(each)}" for each in record["missing"])
    if "expiresAt" in decision:
        ending = "approved" if gate["requirement"].get("onExpire") == "approve" else "rejected"
        yield f"  until     {decision['expiresAt']}, then it is {ending}"


def _cause(row: "Row") -> str:
    """Who or what started the run."""
    from automations.core.canonical import decode_words

    started_by = _started_by(row)
    if started_by:
        return clean(started_by)
    if row["event"]:
        event = decode_words(row["event"]["envelope_json"])
        return clean(f"event {event['source']} {event['type']} {event['id']}")
    return "its schedule" if row["run"] and row["run"]["schedule_trigger_id"] else "its trigger"


def _started_by(row: "Row") -> str | None:
    from automations.core.canonical import decode_words

    metadata = row["run"]["metadata_json"] if row["run"] else None
    found: str | None = decode_words(metadata).get("startedBy") if metadata else None
    return found


def _as(entry: Mapping[str, Any]) -> str:
    return f" ({' or '.join(clean(role) for role in entry['roles'])})" if entry.get("roles") else ""


COMMANDS = (
    Command(
        ("approvals", "list"), "List what waits for an approval: what, why, for whom, until when.", run_list, quick=True
    ),
    Command(
        ("approvals", "approve"), "Approve an action that waits for it.", run_approve, arguments=(ACTION,), quick=True
    ),
    Command(
        ("approvals", "reject"),
        "Reject an action that waits for approval; it will never run.",
        run_reject,
        arguments=(ACTION,),
        options=(REASON,),
        quick=True,
    ),
)
