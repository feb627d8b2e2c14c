"""Replay: what trying again does to a run, and what of an old run a new one may keep.

A dead action goes back into the queue (attempt 0) with its frozen input. One that failed before its first attempt waits for its
turn as if it had never had one, and so does everything when today's spec is asked for: conditions, input and approval are worked
out anew. Steps that were skipped for the sake of those are blocked again; what succeeded stays as it ran.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from automations.core.run.queue import Refusal
from automations.core.run.states import ActionStatus, SkipReason
from automations.core.spec.graph import ancestors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from automations.core.spec.model import Step

EARLIER = "earlierFailures"
"""In a run's metadata: `[{stepId, at, error}]`."""
MOST_KEPT = 20
_BECAUSE_OF_UPSTREAM = (SkipReason.UPSTREAM_FAILED, SkipReason.UPSTREAM_SKIPPED)


class Mode(StrEnum):
    """What is tried again."""

    FAILED_ACTIONS = "failed-actions"
    DEAD_ACTIONS = "dead-actions"
    ENTIRE_RUN = "entire-run"


@dataclass(frozen=True, slots=True)
class Ended:
    """A step's action as it stands. `replayable` is what its dead letter says."""

    id: str
    step_id: str
    status: ActionStatus
    reason: str | None = None
    replayable: bool = False


@dataclass(frozen=True, slots=True)
class Again:
    """What happens to one action: back into the queue as it is, or blocked until the run machine looks at it anew."""

    id: str
    step_id: str
    was: ActionStatus
    how: Literal["requeue", "restart"]


def may_replay(action_id: str, status: ActionStatus, dead_letter: Mapping[str, Any] | None) -> Refusal | None:
    """Whether an action may be replayed; the words are the original's."""
    if status not in (ActionStatus.DEAD, ActionStatus.REJECTED):
        return Refusal(f"queued action is not dead: {action_id}")
    if not (dead_letter or {}).get("replayable", False):
        return Refusal(f"queued action is not replayable: {action_id}")
    return None


def chosen(mode: Mode, ended: Sequence[Ended]) -> tuple[Ended, ...]:
    """The actions that a mode tries again: all that failed or were stopped, or only those that spent their attempts.

    What a person rejected stays rejected.
    """
    always = {ActionStatus.FAILED, ActionStatus.CANCELLED} if mode is Mode.FAILED_ACTIONS else set[ActionStatus]()
    spent = (ActionStatus.DEAD, ActionStatus.REJECTED)
    return tuple(each for each in ended if each.status in always or (each.status in spent and each.replayable))


def again(these: Sequence[Ended], steps: Sequence[Step], *, ended: Sequence[Ended], current: bool) -> tuple[Again, ...]:
    """What trying these again does to them, and to what was skipped for their sake; in the order of the steps."""
    mine = {each.step_id: each for each in these}
    waiting = {step_id for each in these for step_id in revived(each.step_id, steps, ended)} - set(mine)
    found = []
    for each in ended:
        if each.step_id in waiting:
            found.append(Again(each.id, each.step_id, each.status, "restart"))
        elif each.step_id in mine:
            as_it_is = each.status is ActionStatus.DEAD and not current
            found.append(Again(each.id, each.step_id, each.status, "requeue" if as_it_is else "restart"))
    return tuple(found)


def with_failures(metadata: Mapping[str, Any], failures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A run's metadata that also tells of failures which a replay is about to overwrite; the latest MOST_KEPT of all.

    An action that failed before its first attempt has no attempt that would tell of it.
    """
    kept = [*metadata.get(EARLIER, ()), *failures]
    return {**metadata, EARLIER: kept[-MOST_KEPT:]} if kept else dict(metadata)


def revived(step_id: str, steps: Sequence[Step], ended: Sequence[Ended]) -> tuple[str, ...]:
    """Ids of the steps that wait again because `step_id` is replayed: skipped for its sake, directly or along the way."""
    skipped = {
        each.step_id for each in ended if each.status is ActionStatus.SKIPPED and each.reason in _BECAUSE_OF_UPSTREAM
    }
    found = {step_id}
    grew = True
    while grew:
        grew = False
        for step in steps:
            waits = any(dependency.step in found for dependency in step.depends_on)
            if step.id in skipped and step.id not in found and waits:
                found.add(step.id)
                grew = True
    return tuple(step.id for step in steps if step.id in found and step.id != step_id)


def kept(from_step: str, steps: Sequence[Step], ended: Sequence[Ended]) -> frozenset[str]:
    """Ids of the steps whose outcome a new run takes over when it begins at `from_step`.

    All that succeeded, or that a condition ruled out, and neither is that step nor waits for it. `finally` steps always run.
    """
    above = ancestors(steps)
    settled = {
        each.step_id
        for each in ended
        if each.status is ActionStatus.SUCCEEDED
        or (each.status is ActionStatus.SKIPPED and each.reason == SkipReason.WHEN)
    }
    return frozenset(
        step.id
        for step in steps
        if step.id in settled
        and not step.final
        and step.id != from_step
        and from_step not in above.get(step.id, frozenset())
    )
