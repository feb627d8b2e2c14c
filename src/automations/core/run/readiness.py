"""Whether a blocked step may go on, given how its dependencies ended."""

from collections.abc import Mapping
from dataclasses import dataclass

from automations.core.run.states import ActionStatus, SkipReason
from automations.core.spec.model import Dependency, Step


@dataclass(frozen=True, slots=True)
class Standing:
    """How a dependency stands: its status, why it was skipped if it was, and whether its failure was told to continue."""

    status: ActionStatus
    reason: str | None = None
    continues: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    """Every dependency allows the step."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Some dependency is not over yet."""


@dataclass(frozen=True, slots=True)
class Skip:
    """Some dependency ended in a way that rules the step out."""

    reason: SkipReason


Readiness = Ready | Waiting | Skip


def readiness(step: Step, standings: Mapping[str, Standing]) -> Readiness:
    """The verdict over all dependencies: the first that rules the step out wins, else any that is not over, else ready."""
    waiting = False
    for dependency in step.depends_on:
        verdict = _one(dependency, standings[dependency.step])
        if isinstance(verdict, Skip):
            return verdict
        waiting = waiting or isinstance(verdict, Waiting)
    return Waiting() if waiting else Ready()


def _one(dependency: Dependency, standing: Standing) -> Readiness:
    status = standing.status
    if not status.final:
        return Waiting()
    match dependency.on:
        case "completed":
            return Ready()
        case "failed":
            if status.unsuccessful:
                return Ready()
            succeeded = status is ActionStatus.SUCCEEDED
            return Skip(SkipReason.UPSTREAM_SUCCEEDED if succeeded else SkipReason.UPSTREAM_SKIPPED)
        case "succeeded":
            if status is ActionStatus.SUCCEEDED:
                return Ready()
            return Skip(SkipReason.UPSTREAM_FAILED if status.unsuccessful else SkipReason.UPSTREAM_SKIPPED)
        case "default":
            return _default(standing)


def _default(standing: Standing) -> Readiness:
    if standing.status is ActionStatus.SUCCEEDED:
        return Ready()
    if standing.status is ActionStatus.SKIPPED:
        return (
            Ready() if standing.reason == SkipReason.WHEN else Skip(SkipReason(standing.reason or "upstream_skipped"))
        )
    return Ready() if standing.continues else Skip(SkipReason.UPSTREAM_FAILED)
