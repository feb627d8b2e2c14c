"""The words for where a run and an action stand, and which of them are final."""

from enum import StrEnum


class RunStatus(StrEnum):
    """Where a run stands."""

    MATERIALIZED = "materialized"
    RUNNING = "running"
    WAITING_APPROVAL = "waiting_approval"
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        """Whether the run is over (a replay of one of its actions reopens it)."""
        return self in (RunStatus.SUCCEEDED, RunStatus.FAILED)


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

    @property
    def final(self) -> bool:
        """Whether the action is over, except by replay."""
        return self in FINAL

    @property
    def unsuccessful(self) -> bool:
        """Over, and not as its author hoped."""
        return self in (ActionStatus.FAILED, ActionStatus.DEAD, ActionStatus.REJECTED)


FINAL = frozenset(
    {ActionStatus.SUCCEEDED, ActionStatus.SKIPPED, ActionStatus.FAILED, ActionStatus.DEAD, ActionStatus.REJECTED}
)


_MOVING = frozenset({ActionStatus.QUEUED, ActionStatus.CLAIMED, ActionStatus.RETRYING})


def standing(run: RunStatus, statuses: set[ActionStatus], *, failed: bool) -> RunStatus:
    """Where a run stands now that its actions stand so; `failed` is whether one of them ended in a way that counts."""
    if statuses <= FINAL:
        return RunStatus.FAILED if failed else RunStatus.SUCCEEDED
    if statuses & _MOVING:
        return RunStatus.MATERIALIZED if run is RunStatus.MATERIALIZED else RunStatus.RUNNING
    return RunStatus.WAITING_APPROVAL if ActionStatus.WAITING_APPROVAL in statuses else run


class SkipReason(StrEnum):
    """Why a step was skipped."""

    WHEN = "when"
    UPSTREAM_FAILED = "upstream_failed"
    UPSTREAM_SKIPPED = "upstream_skipped"
    UPSTREAM_SUCCEEDED = "upstream_succeeded"
