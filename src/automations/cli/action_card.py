"""One queued action as a person reads it, whichever command shows it: what it is, how it stands, what happened, what to do."""

from collections.abc import Iterator, Mapping
from typing import Any

from automations.cli.table import clean, counted

SHOWN = 500
"""Characters of an input or an output that are shown."""


def state_of(record: Mapping[str, Any]) -> str:
    """How an action stands, in our words: the contract's `status` shows some states as the original's nearest one."""
    return str(record.get("state", record["status"]))


def why_dead(record: Mapping[str, Any]) -> str:
    """Why an action was given up, with its last error."""
    letter = record["deadLetter"]
    error = letter.get("lastError") or {}
    return f"{letter['reason']}: {error['code']} {error['message']}" if error else str(letter["reason"])


def gone(record: Mapping[str, Any], *, error: bool = True) -> str:
    """What a dead letter says, in one sentence: `rejected by ann: not today`, `dead after 2 attempts: …`, with its last error."""
    letter = record["deadLetter"]
    if state_of(record) == "rejected":
        by = record.get("approvalGate", {}).get("decision", {}).get("metadata", {}).get("decidedBy")
        return f"rejected{f' by {by}' if by else ''}: {letter['reason']}"
    when = f"after {counted(letter['attempts'], 'attempt')}" if letter["attempts"] else "before any attempt"
    return f"dead {when}: {why_dead(record) if error else letter['reason']}"


def card(record: Mapping[str, Any]) -> Iterator[str]:
    """The lines."""
    yield title(record)
    yield f"  run       {record['automationRunId']}"
    yield f"  state     {clean(_state(record))}"
    if "deadLetter" in record:
        letter = record["deadLetter"]
        yield f"  {state_of(record):<9} {letter['failedAt']}: {clean(gone(record))}"
    yield f"  input     {_json(record['invocation']['input'])}"
    if "result" in record:
        yield f"  output    {_json(record['result'].get('output', record['result']))}"
    if "error" in record and "deadLetter" not in record:
        yield f"  error     {clean(record['error']['code'])}: {clean(record['error']['message'])}"
    told = [(each["endedAt"], _attempt(each)) for each in record.get("attempts", ())]
    told += [(each["requestedAt"], _replay(each)) for each in record.get("replays", ())]
    yield from (f"  {at}  {text}" for at, text in sorted(told))
    yield from _next(record)


def title(record: Mapping[str, Any]) -> str:
    """Which action it is, in a line."""
    return f"{record['id']}  {record['invocation']['automationId']} / {record['stepId']}: {record['actionId']}"


def _state(record: Mapping[str, Any]) -> str:
    state = state_of(record)
    if state == "claimed":
        return f"claimed by {record['claimedBy']} until {record['leaseExpiresAt']}"
    if state == "retrying":
        return f"retrying, next attempt at {record['availableAt']}"
    because = f" ({record['reason']})" if record.get("reason", state) != state else ""
    return f"{state.replace('_', ' ')}{because}"


def _next(record: Mapping[str, Any]) -> Iterator[str]:
    """What a person may do about it."""
    state, identity = state_of(record), record["id"]
    if "deadLetter" in record:
        again = f"automations dlq replay {identity} --reason WHY"
        yield f"  again     {again}" if record["deadLetter"]["replayable"] else "  it is not replayable"
    elif state == "waiting_approval":
        yield f"  decide    automations approvals approve {identity}, or reject {identity} --reason WHY"
    elif state == "failed":
        yield f"  again     automations runs replay {record['automationRunId']}"


def _attempt(attempt: Mapping[str, Any]) -> str:
    error = attempt.get("error", {})
    said = f": {error['code']} {error['message']}" if error else ""
    return clean(
        f"attempt {attempt['attempt']} by {attempt['runner']} (fence {attempt['fence']}) {attempt['outcome']}{said}"
    )


def _replay(replay: Mapping[str, Any]) -> str:
    return clean(f"replayed by {replay['requestedBy']} ({replay['mode']}): {replay.get('reason', '')}")


def _json(value: Any) -> str:
    import json

    text = json.dumps(value, ensure_ascii=False)
    return clean(text if len(text) <= SHOWN else f"{text[:SHOWN]} … ({len(text)} characters; see --json)")
