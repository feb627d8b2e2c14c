"""`runs list`, `runs show` and `runs watch`: what ran, its story, and what happens now."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from automations.cli import cancel
from automations.cli.action_card import gone, state_of
from automations.cli.became import tell_became
from automations.cli.command import Argument, Command, Option
from automations.cli.cursor import given_cursor
from automations.cli.replay import COMMAND as REPLAY
from automations.cli.table import clean, table
from automations.cli.unattended import tell_unattended
from automations.cli.watch import run_watch
from automations.errors import UsageError

if TYPE_CHECKING:
    from automations.cli.context import Context

MOST = 1000
_OF_THE_SPEC = frozenset({"EXPRESSION_ERROR", "INPUT_INVALID"})
"""Errors that trying again with the same spec does not mend."""
SHOWN = 200
"""Characters of an output or an input that are shown on a line."""


def run_list(context: "Context", given: Mapping[str, Any]) -> int:
    """Runs, newest first, a page at a time."""
    from automations.core.run.states import RunStatus
    from automations.services.inspect import Filter

    limit = given["limit"]
    if not 1 <= limit <= MOST:
        raise UsageError(f"--limit takes 1 to {MOST}, not {limit}")
    if given["status"] not in (None, *RunStatus):
        raise UsageError(f"no run has the status {given['status']}", hint=f"one of: {', '.join(RunStatus)}")
    before = given_cursor(context, given, "run")
    wanted = Filter(given["automation"], given["status"], before, limit)
    records = context.runtime.inspect.runs(wanted)
    if context.json:
        context.document(records)
        return 0
    if not records:
        narrowed = any(given[name] for name in ("automation", "status", "cursor"))
        context.say("no such runs" if narrowed else "no runs yet")
        tell_became(context, given["automation"])
        return 0
    rows = [
        (each["id"], each["automationId"], each["status"], each["createdAt"], each.get("triggerEventId", ""))
        for each in records
    ]
    context.say(table(("RUN", "AUTOMATION", "STATUS", "CREATED", "EVENT"), rows))
    tell_became(context, given["automation"])
    if len(records) == limit:
        chosen = "".join(f" --{name} {given[name]}" for name in ("automation", "status") if given[name])
        context.note(f"more: automations runs list{chosen} --limit {limit} --cursor {records[-1]['id']}")
    return 0


def run_show(context: "Context", given: Mapping[str, Any]) -> int:
    """One run: its event, its steps with attempts, inputs, outputs and errors."""
    record = context.runtime.inspect.run(context.runtime.short_ids.run(given["id"]))
    if context.json:
        context.document(record)
    else:
        context.say("\n".join(story(record)))
        for line in _again(context, record):
            context.note(line)
        if "completedAt" not in record:
            tell_unattended(context)
    return 0


def _again(context: "Context", record: Mapping[str, Any]) -> Iterator[str]:
    """How to try a failed run again; what its spec got wrong stays wrong until today's spec is asked for."""
    from automations.errors import NotFound

    if record["status"] not in ("failed", "timed_out", "cancelled"):
        return
    again = f"automations runs replay {record['id']}"
    yield f"again: {again}"
    if record.get("error", {}).get("code") in _OF_THE_SPEC:
        try:
            today = context.runtime.inspect.automation_of(record["id"])["generation"]
        except NotFound:
            return
        newer = f"today's spec, generation {today}" if today > record["generation"] else "the spec once that is mended"
        yield f"       {again} --current  (by {newer}; without it by generation {record['generation']} again)"


def story(record: Mapping[str, Any]) -> Iterator[str]:
    """A run as a person reads it, from the event that began it to how it ended."""
    yield f"run {record['id']}: {record['status']}"
    yield f"  automation  {record['automationId']} (generation {record['generation']})"
    event = record.get("event")
    if event:
        yield f"  event       {clean(event['source'])} {clean(event['type'])} {clean(event['id'])}"
    if "replayOf" in record:
        yield f"  replay of   {record['replayOf']}"
    yield f"  created     {record['createdAt']}"
    yield from _place(record)
    if "completedAt" in record:
        yield f"  completed   {record['completedAt']}"
    if "error" in record:
        yield f"  error       {clean(record['error']['message'])} [{record['error']['code']}]"
    for replay in record.get("replays", ()):
        made = f", as run {replay['madeRunId']}" if "madeRunId" in replay else ""
        why = f": {clean(replay['reason'])}" if "reason" in replay else ""
        yield f"  replayed    {replay['requestedAt']} by {clean(replay['requestedBy'])} ({replay['mode']}{made}){why}"
    yield "  steps"
    for action in record["actions"]:
        yield from _step(action)
    yield "  what happened"
    yield from _happened(record)


def _happened(record: Mapping[str, Any]) -> Iterator[str]:
    """Everything in order of time, beside how long after the beginning."""
    from automations.core.run.timeline import lasted, timeline

    for moment in timeline(record):
        since = lasted(record["createdAt"], moment.at)
        yield f"    {moment.at}  +{since:<9}  {moment.step or '':<16}  {clean(moment.text)}".rstrip()


def _place(record: Mapping[str, Any]) -> Iterator[str]:
    """Its slot, until when it may go on, and how it was told to end."""
    slot = record.get("slot")
    if slot:
        state = f", {slot['state']}" if "state" in slot else ""
        key = clean(slot["key"]) or "(all runs of the automation)"
        yield f"  slot        {key}: one of {slot['limit']}{state}"
    if "deadlineAt" in record:
        yield f"  deadline    {record['deadlineAt']}"
    stop = record.get("stop")
    if stop:
        by = f" by {clean(stop['by'])}" if "by" in stop else ""
        because = f": {clean(stop['reason'])}" if "reason" in stop else ""
        yield f"  stopped     {stop['status']}{by} at {stop['at']}{because}"


def _step(action: Mapping[str, Any]) -> Iterator[str]:
    state = state_of(action)
    because = f" ({action['reason']})" if action.get("reason", state) != state else ""
    yield f"    {action['stepId']}: {state}{because}  {action['actionId']}"
    if state not in ("succeeded", "skipped", "blocked", "cancelled"):
        yield f"      action  {action['id']}"
    if action["attempts"] and state != "succeeded":
        yield from _error(action["attempts"][-1].get("error"), indent=6)
    if action["invocation"]["input"]:
        yield f"      input   {_short(action['invocation']['input'])}"
    if "result" in action:
        yield f"      output  {_short(action['result'].get('output', action['result']))}"
    if "error" in action and not action["attempts"]:
        yield from _error(action["error"], indent=6)
    if state == "claimed":
        yield f"      held by {clean(action['claimedBy'])} until {action['leaseExpiresAt']}"
    if "cancelRequested" in action:
        yield f"      asked to stop at {action['cancel']['requestedAt']}"
    if state == "retrying":
        yield f"      next attempt at {action['availableAt']}"
    if state == "queued" and "result" not in action:
        yield f"      waiting for a runner since {action['availableAt']}"
    if "deadLetter" in action:
        yield f"      {clean(gone(action, error=False))}"


def _error(error: Mapping[str, Any] | None, *, indent: int) -> Iterator[str]:
    """An error's code and message, and the last thing that a process said on stderr."""
    if not error:
        return
    yield f"{' ' * indent}{error['code']}: {clean(error['message'])}"
    said = error.get("metadata", {}).get("stderr", "").strip().splitlines()
    if said:
        yield f"{' ' * indent}stderr: {clean(said[-1])[:SHOWN]}"


def _short(value: Any) -> str:
    import json

    text = json.dumps(value, ensure_ascii=False)
    return clean(text if len(text) <= SHOWN else f"{text[:SHOWN]} … ({len(text)} characters; see --json)")


COMMANDS = (
    Command(
        ("runs", "list"),
        "List runs, newest first.",
        run_list,
        options=(
            Option("--automation", "Only runs of this automation."),
            Option("--status", "Only runs with this status."),
            Option("--limit", "How many.", "number", 50),
            Option("--cursor", "Only runs before this one; printed under a full page."),
        ),
        quick=True,
    ),
    Command(("runs", "show"), "Tell one run's story.", run_show, arguments=(Argument("id", "A run id."),), quick=True),
    Command(
        ("runs", "watch"),
        "Watch a run until it is over (exit 0 when it succeeds, else 1), or all runs until Ctrl-C.",
        run_watch,
        arguments=(Argument("id", "A run id; without one, all runs.", required=False),),
    ),
    REPLAY,
    cancel.RUN,
)
