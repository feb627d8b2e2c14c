"""Hazards of what an automation does: limits, concurrency, inputs, lifecycle."""

from collections.abc import Iterator, Mapping
from typing import Any

from automations.core.diagnostic import Path
from automations.core.plan.approval_hazards import approval_hazards
from automations.core.plan.comparison import Comparison
from automations.core.plan.hazards import Hazard
from automations.core.spec.model import Automation


def step_hazards(pair: Comparison) -> Iterator[Hazard]:
    """Every hazard of a changed automation's steps and of how it runs."""
    if pair.before is None:
        return
    yield from approval_hazards(pair)
    yield from _limits(pair, pair.before)
    yield from _whole(pair.id, pair.before.spec, pair.after.spec)


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
    if old and not new:
        message = f"{identity} no longer limits how many runs go on side by side"
        yield Hazard("AU206", identity, message, ("id",))
    elif old and old.get("key") != new.get("key"):
        message = f"{identity} limits runs by another key: those under way do not count for it"
        yield Hazard("AU206", identity, message, ("concurrency", "key"))
    if before.get("inputs") != after.get("inputs"):
        yield Hazard("AU402", identity, f"{identity} takes other inputs than its callers know", ("inputs",))
    if before.get("lifecycle", {}).get("protect") is True and after.get("lifecycle", {}).get("protect") is not True:
        yield Hazard("AU502", identity, f"{identity} is not protected against deletion any more", ("lifecycle",))
