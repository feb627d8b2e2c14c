"""The words for where a run and an action stand, and which of them are final."""

from collections.abc import Set as AbstractSet
from enum import StrEnum


class RunStatus(StrEnum):
    """Where a run stands."""

    PENDING = "pending"
    MATERIALIZED = "materialized"
    RUNNING = "running"
    WAITING_APPROVAL = "waiting_approval"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    SUPERSEDED = "superseded"
    DROPPED = "dropped"

    @property
    def final(self) -> bool:
        """Whether the run is over (a replay of one of its actions reopens it)."""
        return self in OVER


OVER = frozenset(
    {
        RunStatus.SUCCEEDED,
        RunStatus.FAILED,
        RunStatus.CANCELLED,
        RunStatus.TIMED_OUT,
        RunStatus.SUPERSEDED,
        RunStatus.DROPPED,
    }
)


class ActionStatus(StrEnum):
    """Where a queued action stands."""

    BLOCKED = "blocked"
    WAITING_APPROVAL = "waiting_approval"
    QUEUED = "queued"
    CLAIMED = "claimed"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    SKIPPED = "skipped"
    FAILED = "failed"
    DEAD = "dead"
    REJECTED = "rejected"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether the action is over, except by replay."""
        return self in FINAL

    @property
    def unsuccessful(self) -> bool:
        """Over, and not as its author hoped."""
        return self in UNSUCCESSFUL


UNSUCCESSFUL = frozenset({ActionStatus.FAILED, ActionStatus.DEAD, ActionStatus.REJECTED, ActionStatus.CANCELLED})
FINAL = UNSUCCESSFUL | {ActionStatus.SUCCEEDED, ActionStatus.SKIPPED}


MOVING = frozenset({ActionStatus.QUEUED, ActionStatus.CLAIMED, ActionStatus.RETRYING})
"""A runner has it, or may take it."""
_BEGUN = frozenset({ActionStatus.CLAIMED, ActionStatus.RETRYING})


def standing(run: RunStatus, statuses: AbstractSet[ActionStatus], *, failed: bool) -> RunStatus:
    """Where a run stands now that its actions stand so; `failed` is whether one of them ended in a way that counts."""
    if statuses <= FINAL:
        return RunStatus.FAILED if failed else RunStatus.SUCCEEDED
    if statuses & MOVING:
        begun = run is not RunStatus.MATERIALIZED or statuses & _BEGUN
        return RunStatus.RUNNING if begun else RunStatus.MATERIALIZED
    return RunStatus.WAITING_APPROVAL if ActionStatus.WAITING_APPROVAL in statuses else run


class SkipReason(StrEnum):
    """Why a step was skipped."""

    WHEN = "when"
    UPSTREAM_FAILED = "upstream_failed"
    UPSTREAM_SKIPPED = "upstream_skipped"
    UPSTREAM_SUCCEEDED = "upstream_succeeded"
