"""A run's place: what a new status means for the slot that it holds and for the time that it has left.

The main steps have `timeout` from when the run has its slot; waiting for approval, or for the slot to come back, stops the
clock unless the spec counts it. The `finally` steps have a clock of their own. Times in microseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from automations.core.run.states import RunStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from automations.core.spec.model import Automation, Timeouts


class Place(NamedTuple):
    """Columns of a run: its slot, and its deadline or what is left while the clock stands."""

    slot: str | None
    deadline_at: int | None
    deadline_left: int | None
    finally_at: int | None


class Move(NamedTuple):
    """A run gets a status; `finishing` says that its main steps are over and its `finally` steps are not."""

    status: RunStatus
    finishing: bool
    now: int


def place(run: Mapping[str, Any], automation: Automation, move: Move) -> Place:
    """Where a run stands after a move."""
    if move.status.final:
        return Place(None, None, None, run["finally_at"])
    slot = run["slot"]
    waits = move.status is RunStatus.WAITING_APPROVAL
    if waits and slot == "held" and automation.concurrency and automation.concurrency.release_while_waiting:
        slot = "released"
    if move.finishing and run["finally_at"] is None:
        return Place(slot, _after(automation.timeouts.final, move.now), None, move.now)
    if run["finally_at"] is not None:
        stopped = run["stop_scope"] in ("finally", "all")
        return Place(slot, None if stopped else run["deadline_at"], None, run["finally_at"])
    return Place(slot, *_main(run, automation.timeouts, move), None)


def _main(run: Mapping[str, Any], timeouts: Timeouts, move: Move) -> tuple[int | None, int | None]:
    at, left = run["deadline_at"], run["deadline_left"]
    if run["stop"] is not None:
        return None, None
    stands = move.status in (RunStatus.WAITING_APPROVAL, RunStatus.PENDING) and not timeouts.counts_approvals
    if at is None and left is None:
        left = timeouts.run
    elif left is None:
        left = max(0, at - move.now)
    if left is None or stands:
        return None, left
    return (move.now + left if at is None else at), None


def _after(span: int | None, now: int) -> int | None:
    return None if span is None else now + span
