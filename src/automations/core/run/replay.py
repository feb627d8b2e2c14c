"""Replay: what putting a dead action back into the queue does to its run.

The action starts over (attempt 0) with its frozen input. Steps that were skipped for its failure are blocked again, so that
they run when it succeeds now; everything that ran stays as it ran.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automations.core.run.queue import Refusal
from automations.core.run.states import ActionStatus, SkipReason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from automations.core.spec.model import Step

_BECAUSE_OF_UPSTREAM = (SkipReason.UPSTREAM_FAILED, SkipReason.UPSTREAM_SKIPPED)


@dataclass(frozen=True, slots=True)
class Ended:
    """A step's action as it ended."""

    step_id: str
    status: ActionStatus
    reason: str | None


def may_replay(action_id: str, status: ActionStatus, dead_letter: Mapping[str, Any] | None) -> Refusal | None:
    """Whether an action may be replayed; the words are the original's."""
    if status not in (ActionStatus.DEAD, ActionStatus.REJECTED):
        return Refusal(f"queued action is not dead: {action_id}")
    if not (dead_letter or {}).get("replayable", False):
        return Refusal(f"queued action is not replayable: {action_id}")
    return None


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
