"""Hazards of what an automation does: approvals, limits, concurrency, inputs, lifecycle."""

from collections.abc import Iterator, Mapping
from typing import Any

from automations.core.diagnostic import Path
from automations.core.plan.comparison import Comparison
from automations.core.plan.hazards import Hazard
from automations.core.spec.model import Automation, Step


def step_hazards(pair: Comparison) -> Iterator[Hazard]:
    """Every hazard of a changed automation's steps and of how it runs."""
    if pair.before is None:
        return
    yield from _approvals(pair, pair.before)
    yield from _limits(pair, pair.before)
    yield from _whole(pair.id, pair.before.spec, pair.after.spec)
    counts = pair.in_flight
    if policy(pair.before.spec, "onUpdate", "finish") == "cancel-queued" and counts.live:
        message = f"{pair.id} says onUpdate: cancel-queued, and runs of it are under way"
        yield Hazard("AU401", pair.id, message, ("lifecycle", "onUpdate"))


def policy(spec: Mapping[str, Any], word: str, default: str) -> str:
    """What a spec's lifecycle says of `onUpdate` or `onDelete`."""
    return str(spec.get("lifecycle", {}).get(word, default))


def _approvals(pair: Comparison, before: Automation) -> Iterator[Hazard]:
    steps = {step.id: (path, step) for path, step, _ in pair.steps()}
    for was in before.steps:
        if was.approval is None:
            continue
        path, now = steps.get(was.id, (("actions",), None))
        if now is None:
            moved = [(at, each) for at, each in steps.values() if each.action_id == was.action_id]
            if not moved or all(each.approval for _, each in moved):
                continue
            path, now = next((at, each) for at, each in moved if each.approval is None)
        if weaker := _weaker(was, now, before=before, after=pair.after):
            yield Hazard("AU320", pair.id, f"{pair.id}: step {now.id} {weaker}", (*path, "approval"))


def _weaker(was: Step, now: Step, *, before: Automation, after: Automation) -> str | None:
    old = was.approval
    if old is None:
        return None
    if now.approval is None:
        return f"runs without the approval of {_people(old.count)} that it needed"
    if now.approval.count < old.count:
        return f"needs {_people(now.approval.count)} instead of {_people(old.count)}"
    if now.approval.allow_self and not old.allow_self:
        return "may be approved by whoever started the run"
    raw, new = _raw_approval(before, was.id), _raw_approval(after, now.id)
    gained = set(map(str, new.get("roles") or ())) - set(map(str, raw.get("roles") or ()))
    if raw.get("roles") and (not new.get("roles") or gained):
        return f"may be approved by {', '.join(sorted(gained)) or 'anybody'}, no longer only by {_roles(raw)}"
    if new.get("onExpire") == "approve" and raw.get("onExpire") != "approve":
        return "goes on by itself when nobody answers in time"
    return None


def _raw_approval(automation: Automation, step_id: str) -> Mapping[str, Any]:
    for section in ("actions", "finally"):
        for raw in automation.spec.get(section, ()):
            if raw["id"] == step_id:
                found: Mapping[str, Any] = raw.get("approval") or raw.get("approvalGate", {}).get("requirement") or {}
                return found
    return {}


def _roles(raw: Mapping[str, Any]) -> str:
    return ", ".join(map(str, raw["roles"]))


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"


def _limits(pair: Comparison, before: Automation) -> Iterator[Hazard]:
    if not pair.in_flight.live:
        return
    for path, step, was in pair.steps():
        if was is None:
            continue
        if step.retry.max_attempts < was.retry.max_attempts:
            message = f"step {step.id} is tried {step.retry.max_attempts} times instead of {was.retry.max_attempts}"
            yield _lowered(pair, (*path, "retry"), message)
        if step.timeout is not None and (was.timeout is None or step.timeout < was.timeout):
            yield _lowered(pair, (*path, "timeout"), f"step {step.id} has less time")
    time, before_time = pair.after.timeouts.run, before.timeouts.run
    if time is not None and (before_time is None or time < before_time):
        yield _lowered(pair, ("timeout",), "a run has less time")


def _lowered(pair: Comparison, path: Path, message: str) -> Hazard:
    live = pair.in_flight.live
    return Hazard("AU400", pair.id, f"{pair.id}: {message}, with {live} under way; those keep what they have", path)


def _whole(identity: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Hazard]:
    old, new = before.get("concurrency", {}), after.get("concurrency", {})
    if old and old.get("key") != new.get("key"):
        message = f"{identity} limits runs by another key: those under way do not count for it"
        yield Hazard("AU206", identity, message, ("concurrency", "key"))
    if before.get("inputs") != after.get("inputs"):
        yield Hazard("AU402", identity, f"{identity} takes other inputs than its callers know", ("inputs",))
    if before.get("lifecycle", {}).get("protect") is True and after.get("lifecycle", {}).get("protect") is not True:
        yield Hazard("AU502", identity, f"{identity} is not protected against deletion any more", ("lifecycle",))
