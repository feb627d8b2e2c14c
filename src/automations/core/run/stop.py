"""Stops: a run that is told to end early (cancelled, timed out, superseded, dropped), and what that does to its steps.

What waits is cancelled at once; what somebody works on is asked to stop, and is over when its holder says so or loses its
lease. Only then do the `finally` steps run, unless they are stopped as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from automations.core.instant import SECOND
from automations.core.run.states import ActionStatus, RunStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

GRACE = 30 * SECOND
"""How long (microseconds) the holder of a claimed action has to stop once it is asked; then its lease is over."""
BY_ITSELF = "cancelled"
"""The reason of an action that was cancelled alone, not with its run."""

Scope = Literal["main", "finally", "all"]


class Stop(NamedTuple):
    """How a run was told to end: the status that it ends in, and which of its steps are stopped."""

    status: RunStatus
    scope: Scope = "main"

    def covers(self, *, final: bool) -> bool:
        """Whether a main step, or a `finally` step, is stopped."""
        return self.scope in (("finally", "all") if final else ("main", "all"))

    @property
    def reason(self) -> str:
        """What a stopped step says for its reason, such as `run_cancelled`."""
        return f"run_{self.status}"


class Standing(NamedTuple):
    """A step's action as it stands."""

    id: str
    step_id: str
    status: ActionStatus
    final: bool


class Stopped(NamedTuple):
    """What a stop does to one action: `asked` while somebody holds it, else it is cancelled at once."""

    id: str
    step_id: str
    asked: bool
    reason: str


def stopped(stop: Stop | None, standings: Iterable[Standing]) -> tuple[Stopped, ...]:
    """What becomes of a run's actions under a stop."""
    if stop is None:
        return ()
    return tuple(
        Stopped(each.id, each.step_id, each.status is ActionStatus.CLAIMED, stop.reason)
        for each in standings
        if stop.covers(final=each.final) and not each.status.final
    )


def outcome(stop: Stop | None, *, failed: bool) -> RunStatus:
    """How a run ends whose steps are all over; `failed` is whether one of them ended in a way that counts.

    A run whose main steps failed and whose `finally` steps then ran out of time has failed.
    """
    if stop is not None and not (stop.scope == "finally" and failed):
        return stop.status
    return RunStatus.FAILED if failed else RunStatus.SUCCEEDED
