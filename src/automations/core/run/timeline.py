"""A run as it happened: from its record to moments in order, each a sentence about the run or one of its steps.

Works on the record that `runs show` prints and the server answers, so that whoever has that can tell the story. Times are
ISO-8601 in UTC; text that comes from outside is passed on as it is, for the renderer to make safe.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automations.core.instant import SECOND, parse_iso
from automations.core.run.replay import EARLIER

if TYPE_CHECKING:
    from collections.abc import Iterator

Record = Mapping[str, Any]

_ENDED = {
    "succeeded": "succeeded",
    "failed": "failed",
    "lease_expired": "was lost: its runner did not report in time",
    "timed_out": "took too long",
    "cancelled": "was stopped",
    "released": "was given back",
}
_WHY_SKIPPED = {
    "when": "its `when` is false",
    "upstream_failed": "a step before it failed",
    "upstream_skipped": "a step before it was skipped",
    "upstream_succeeded": "it waits for a failure, and there was none",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened at an instant (ISO-8601); `step` is None for the run itself."""

    at: str
    step: str | None
    text: str


def timeline(run: Record) -> tuple[Moment, ...]:
    """Every moment of a run, in order of time; what happened at one instant is told run first, then in the steps' order."""
    steps = (moment for action in run["actions"] for moment in _action(action))
    moments = [*_beginning(run), *_earlier(run), *steps, *_end(run)]
    return tuple(sorted(moments, key=lambda each: each.at))


def lasted(since: str, until: str) -> str:
    """The time between two instants as people say it: `350 ms`, `1.2 s`, `3 min 5 s`."""
    duration = max(0, parse_iso(until) - parse_iso(since))
    if duration < SECOND:
        return f"{duration // 1000} ms"
    seconds = duration / SECOND
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _beginning(run: Record) -> Iterator[Moment]:
    yield Moment(run["createdAt"], None, f"began: {_cause(run)}")
    slot = run.get("slot")
    if slot and run["status"] == "pending":
        key = slot["key"] or "its automation"
        yield Moment(run["createdAt"], None, f"waits for one of {slot['limit']} slots of {key}")
    stop = run.get("stop")
    if stop:
        by = f" by {stop['by']}" if "by" in stop else ""
        why = f": {stop['reason']}" if "reason" in stop else ""
        yield Moment(stop["at"], None, f"told to end, {stop['status'].replace('_', ' ')}{by}{why}")


def _cause(run: Record) -> str:
    metadata = run.get("metadata", {})
    if "replayOf" in run:
        return f"a replay of {run['replayOf']}"
    if "schedule" in metadata:
        schedule = metadata["schedule"]
        return f"schedule {schedule['trigger']} for {schedule['nominalTime']} ({schedule['localTime']})"
    event = run.get("event")
    if event:
        return f"{run['trigger'].get('kind', 'event')} {event['source']} {event['type']} {event['id']}"
    by = metadata.get("startedBy")
    return f"by {by}" if by else str(run["trigger"].get("kind", "unknown"))


def _earlier(run: Record) -> Iterator[Moment]:
    """What failed before a replay began it anew, and the replays themselves."""
    for replay in run.get("replays", ()):
        made = f", as run {replay['madeRunId']}" if "madeRunId" in replay else ""
        current = f", with generation {replay['generation']}" if "generation" in replay else ""
        why = f": {replay['reason']}" if replay.get("reason") else ""
        yield Moment(
            replay["requestedAt"], None, f"replayed by {replay['requestedBy']} ({replay['mode']}{current}{made}){why}"
        )
    for each in run.get("metadata", {}).get(EARLIER, ()):
        error = each["error"]
        yield Moment(each["at"], each["stepId"], f"failed before any attempt: {error['message']}")


def _end(run: Record) -> Iterator[Moment]:
    if "completedAt" not in run:
        return
    took = f" after {lasted(run['createdAt'], run['completedAt'])}"
    error = run.get("error")
    because = f": {error['message']}" if error else ""
    yield Moment(run["completedAt"], None, f"{run['status'].replace('_', ' ')}{took}{because}")


def _action(action: Record) -> Iterator[Moment]:
    step = action["stepId"]
    yield from _gate(action, step)
    for attempt in action.get("attempts", ()):
        yield Moment(attempt["startedAt"], step, f"attempt {attempt['attempt']} begins at {attempt['runner']}")
        error = attempt.get("error")
        how = _ENDED.get(attempt["outcome"], attempt["outcome"])
        took = lasted(attempt["startedAt"], attempt["endedAt"])
        because = f": {error['code']}: {error['message']}" if error else ""
        yield Moment(attempt["endedAt"], step, f"attempt {attempt['attempt']} {how} after {took}{because}")
    yield from _latest(action, step)
    yield from _over(action, step)


def _gate(action: Record, step: str) -> Iterator[Moment]:
    gate = action.get("approvalGate", {})
    decision = gate.get("decision")
    if not decision:
        return
    asked = gate["requirement"]
    needed = asked.get("count", 1)
    people = "one person" if needed == 1 else f"{needed} people"
    whose = f" with a role of {', '.join(asked['roles'])}" if asked.get("roles") else ""
    reason = f" ({asked['reason']})" if asked.get("reason") else ""
    yield Moment(decision["requestedAt"], step, f"asks for the approval of {people}{whose}{reason}")
    for number, given in enumerate(decision.get("approvals", ()), start=1):
        yield Moment(given["at"], step, f"approved by {given['by']} ({number} of {needed})")
    if decision["status"] == "rejected":
        by = decision.get("metadata", {}).get("decidedBy", "somebody")
        why = f": {decision['reason']}" if decision.get("reason") else ""
        yield Moment(decision["decidedAt"], step, f"rejected by {by}{why}")


def _latest(action: Record, step: str) -> Iterator[Moment]:
    """The attempt that stands in the action's own row: the one under way, or the one that succeeded."""
    state = action.get("state", action["status"])
    if state not in ("claimed", "succeeded") or "claimedAt" not in action:
        return
    number = action["attempt"] + 1
    yield Moment(action["claimedAt"], step, f"attempt {number} begins at {action.get('claimedBy', 'a runner')}")
    if state == "succeeded" and "completedAt" in action:
        took = lasted(action["claimedAt"], action["completedAt"])
        yield Moment(action["completedAt"], step, f"attempt {number} succeeded after {took}")


def _over(action: Record, step: str) -> Iterator[Moment]:
    state = action.get("state", action["status"])
    if "completedAt" not in action:
        return
    if state == "skipped":
        reason = action.get("reason", "")
        yield Moment(action["completedAt"], step, f"skipped: {_WHY_SKIPPED.get(reason, reason)}")
    elif state == "cancelled":
        why = f": {action['reason']}" if action.get("reason") else ""
        yield Moment(action["completedAt"], step, f"cancelled{why}")
    elif state == "failed":
        error = action.get("error", {})
        yield Moment(
            action["completedAt"], step, f"failed before any attempt: {error.get('message', 'no reason given')}"
        )
    elif "deadLetter" in action and state == "dead":
        letter = action["deadLetter"]
        yield Moment(action["completedAt"], step, f"dead: {letter['reason']}")
