"""The queue machine: what a claim, a completion, a failure or a lost lease does to one queued action.

Pure: an action as it stands and a signal give the change to persist, or the reason to refuse it. The service persists a
change with a guarded UPDATE (status, fence and lease must still be what was judged here), so a stale holder never wins.
The refusals' words are those of the original.

    queued | retrying ──claim──► claimed ──complete──► succeeded
                                    │ ──fail──► retrying | dead
                                    └─lease lost─► retrying | dead (poison after 3)
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from automations.core.canonical import decode, encode
from automations.core.instant import SECOND, iso
from automations.core.run.retry import LONGEST_WAIT, wait
from automations.core.run.states import ActionStatus

if TYPE_CHECKING:
    from automations.core.run.retry import Retry

POISON_AFTER = 3
"""Lost leases after which an action is taken out of circulation."""
REPEATABLE = 600 * SECOND
"""How long a report that was taken may be made again and is answered as it was (microseconds)."""
OUTPUT_INVALID = "OUTPUT_INVALID"
"""The error of a completion whose output the action's manifest does not allow."""


class Action(NamedTuple):
    """A queued action as the queue machine sees it. Times in microseconds."""

    id: str
    status: ActionStatus
    attempt: int
    max_attempts: int
    crashes: int
    fence: int
    claimed_by: str | None
    lease_expires_at: int | None


class Holder(NamedTuple):
    """Who calls: the runner's name, and the fence it was given if it says so."""

    runner: str
    fence: int | None = None


class Failure(NamedTuple):
    """What a runner reports. `backoff` and `retry_after` in microseconds; `backoff` overrides the policy's wait."""

    code: str = "ACTION_FAILED"
    message: str = "Action failed"
    retryable: bool = True
    backoff: int | None = None
    retry_after: int | None = None
    metadata: Mapping[str, Any] | None = None

    def document(self) -> dict[str, Any]:
        """The error as the contract shows it."""
        body: dict[str, Any] = {"code": self.code, "message": self.message, "retryable": self.retryable}
        return {**body, "metadata": dict(self.metadata)} if self.metadata else body


class Taken(NamedTuple):
    """The last report that an action's row shows: when it was taken (microseconds), its result and error as canonical JSON."""

    at: int
    result: str | None
    error: str | None


class Change(NamedTuple):
    """What to persist. `ended` says how the attempt ended, for its history."""

    status: ActionStatus
    attempt: int
    crashes: int
    available_at: int | None = None
    error: Mapping[str, Any] | None = None
    dead_letter: Mapping[str, Any] | None = None
    ended: str = ""


class Refusal(NamedTuple):
    """Nothing changes, and why."""

    message: str


def may_finish(action: Action, holder: Holder, *, verb: str, now: int) -> Refusal | None:
    """Whether this holder may `complete` or `fail` (the verb) the action now; None when it may."""
    if action.status.final:
        return Refusal(f"cannot {verb} terminal queued action: {action.id}")
    if action.status is not ActionStatus.CLAIMED:
        return Refusal(f"queued action is not claimed: {action.id}")
    if action.claimed_by != holder.runner:
        return Refusal(f"queued action {action.id} is claimed by {action.claimed_by}, not {holder.runner}")
    if holder.fence is not None and holder.fence != action.fence:
        return Refusal(f"queued action {action.id} was claimed again: fence {action.fence}, not {holder.fence}")
    if action.lease_expires_at is None or action.lease_expires_at <= now:
        return Refusal(f"queued action lease expired: {action.id}")
    return None


def completed_again(
    action: Action, holder: Holder, *, result: Mapping[str, Any] | None, taken: Taken, now: int
) -> bool:
    """Whether this completion was taken already: its caller did not hear the answer and gets it once more."""
    if not _same_hand(action, holder, taken=taken, now=now):
        return False
    if action.status is ActionStatus.DEAD:  # refused for its output; what was refused is not kept, so any repeats it
        return taken.error is not None and decode(taken.error).get("code") == OUTPUT_INVALID
    said = None if result is None else encode(dict(result))
    return action.status is ActionStatus.SUCCEEDED and taken.result == said


def failed_again(action: Action, holder: Holder, *, failure: Failure, taken: Taken, now: int) -> bool:
    """Whether this failure was taken already, see `completed_again`."""
    if action.status not in (ActionStatus.RETRYING, ActionStatus.DEAD):
        return False
    return _same_hand(action, holder, taken=taken, now=now) and taken.error == encode(failure.document())


def _same_hand(action: Action, holder: Holder, *, taken: Taken, now: int) -> bool:
    """Only a fence tells a repeated report from a late one of an earlier claim by the same runner."""
    mine = action.claimed_by == holder.runner and holder.fence is not None and holder.fence == action.fence
    return mine and action.lease_expires_at is None and now < taken.at + REPEATABLE


def complete(action: Action) -> Change:
    """The holder finished its work."""
    return Change(ActionStatus.SUCCEEDED, action.attempt, action.crashes, ended="succeeded")


def fail(action: Action, failure: Failure, policy: "Retry", *, now: int, fraction: float) -> Change:
    """The holder could not: try again later, or give up."""
    attempt = action.attempt + 1
    error = failure.document()
    if not failure.retryable:
        reason = "non-retryable action error"
    elif attempt >= action.max_attempts:
        reason = "max attempts exceeded"
    else:
        if failure.backoff is not None:
            pause = max(0, min(failure.backoff, LONGEST_WAIT))
        else:
            pause = wait(policy, attempt, fraction=fraction, retry_after=failure.retry_after)
        return Change(
            ActionStatus.RETRYING, attempt, action.crashes, available_at=now + pause, error=error, ended="failed"
        )
    letter = dead_letter(reason, attempts=attempt, now=now, error=error)
    return Change(ActionStatus.DEAD, attempt, action.crashes, error=error, dead_letter=letter, ended="failed")


def lose(action: Action, *, now: int) -> Change:
    """The lease ran out: the runner died or hung. A crash spends an attempt; three are poison."""
    attempt, crashes = action.attempt + 1, action.crashes + 1
    error = {
        "code": "LEASE_EXPIRED",
        "message": f"{action.claimed_by} did not finish or extend its lease in time",
        "retryable": True,
    }
    if crashes < POISON_AFTER and attempt < action.max_attempts:
        return Change(ActionStatus.RETRYING, attempt, crashes, available_at=now, error=error, ended="lease_expired")
    reason = "poison" if crashes >= POISON_AFTER else "max attempts exceeded"
    letter = dead_letter(reason, attempts=attempt, now=now, error=error)
    return Change(ActionStatus.DEAD, attempt, crashes, error=error, dead_letter=letter, ended="lease_expired")


def dead_letter(reason: str, *, attempts: int, now: int, error: Mapping[str, Any] | None) -> dict[str, Any]:
    """The dead letter of the contract: `{reason, failedAt, lastError?, attempts, replayable}`."""
    letter: dict[str, Any] = {"reason": reason, "failedAt": iso(now)}
    if error is not None:
        letter["lastError"] = dict(error)
    return {**letter, "attempts": attempts, "replayable": True}
