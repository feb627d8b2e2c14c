"""The queue machine: what a claim, a completion, a failure or a lost lease does to one queued action.

Pure: an action as it stands and a signal give the change to persist, or the reason to refuse it. The service persists a
change with a guarded UPDATE (status, fence and lease must still be what was judged here), so a stale holder never wins.
The refusals' words are those of the original.

    queued | retrying ──claim──► claimed ──complete──► succeeded
                                    │ ──fail──► retrying | dead
                                    │ ──lease or time lost──► retrying | dead (poison after 3)
                                    └─asked to stop, and let go─► cancelled
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
TIMEOUT = "TIMEOUT"
"""The error of an attempt that took longer than its timeout, whoever noticed; it may be made again."""
STEP_TIMEOUT = "STEP_TIMEOUT"
"""The error of a step whose attempts took longer than its `totalTimeout`; it is not tried again."""
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
    attempt_deadline_at: int | None = None
    step_deadline_at: int | None = None
    stopping: str | None = None
    """Who asked its holder to stop, and why; None while nobody did."""


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
    attempt_error: Mapping[str, Any] | None = None
    """What the attempt failed with, where the action's own error is another."""


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
    if late(action, now=now):
        return Refusal(f"queued action ran out of time: {action.id}")
    if action.stopping is not None and verb == "complete":
        return Refusal(f"cannot complete cancelled queued action: {action.id}")
    return None


def late(action: Action, *, now: int) -> bool:
    """Whether the attempt, or the step with all its attempts, has had its time."""
    ends = (action.attempt_deadline_at, action.step_deadline_at)
    return any(at is not None and at <= now for at in ends)


def completed_again(
    action: Action, holder: Holder, *, result: Mapping[str, Any] | None, taken: Taken, now: int
) -> bool:
    """Whether this completion was taken already: its caller did not hear the answer and gets it once more."""
    if not _same_hand(action, holder, taken=taken, now=now):
        return False
    if action.status is ActionStatus.DEAD:  # refused for its output; what was refused is not kept, so any repeats it
        return taken.error is not None and _reported(taken.error).get("code") == OUTPUT_INVALID
    said = None if result is None else encode(dict(result))
    return action.status is ActionStatus.SUCCEEDED and taken.result == said


def failed_again(action: Action, holder: Holder, *, failure: Failure, taken: Taken, now: int) -> bool:
    """Whether this failure was taken already, see `completed_again`."""
    if action.status is ActionStatus.CANCELLED:  # whatever is said about it again, it was let go
        return _same_hand(action, holder, taken=taken, now=now)
    if action.status not in (ActionStatus.RETRYING, ActionStatus.DEAD):
        return False
    same_hand = _same_hand(action, holder, taken=taken, now=now)
    return same_hand and taken.error is not None and _reported(taken.error) == failure.document()


def _reported(error: str) -> Mapping[str, Any]:
    """What was reported, of an error that a row shows: it may have ended the step for want of time."""
    shown: Mapping[str, Any] = decode(error)
    found: Mapping[str, Any] = (
        shown.get("metadata", {}).get("lastError", shown) if shown["code"] == STEP_TIMEOUT else shown
    )
    return found


def _same_hand(action: Action, holder: Holder, *, taken: Taken, now: int) -> bool:
    """Only a fence tells a repeated report from a late one of an earlier claim by the same runner."""
    mine = action.claimed_by == holder.runner and holder.fence is not None and holder.fence == action.fence
    return mine and action.lease_expires_at is None and now < taken.at + REPEATABLE


def complete(action: Action) -> Change:
    """The holder finished its work."""
    return Change(ActionStatus.SUCCEEDED, action.attempt, action.crashes, ended="succeeded")


def fail(action: Action, failure: Failure, policy: "Retry", *, now: int, fraction: float) -> Change:
    """The holder could not: try again later, or give up."""
    if action.stopping is not None:
        return let_go(action)
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
        if action.step_deadline_at is None or now + pause < action.step_deadline_at:
            return Change(
                ActionStatus.RETRYING, attempt, action.crashes, available_at=now + pause, error=error, ended="failed"
            )
        return _no_time(attempt, action, error, now=now)
    letter = dead_letter(reason, attempts=attempt, now=now, error=error)
    return Change(ActionStatus.DEAD, attempt, action.crashes, error=error, dead_letter=letter, ended="failed")


def _no_time(attempt: int, action: Action, error: Mapping[str, Any], *, now: int) -> Change:
    """The attempt failed, and the next one could begin only when the step's time is over."""
    said = f"totalTimeout leaves no time for another attempt; the last one failed: {error['code']}: {error['message']}"
    over = {"code": STEP_TIMEOUT, "message": said, "retryable": False, "metadata": {"lastError": dict(error)}}
    letter = dead_letter("no time left for another attempt", attempts=attempt, now=now, error=over)
    return Change(
        ActionStatus.DEAD, attempt, action.crashes, error=over, dead_letter=letter, ended="failed", attempt_error=error
    )


def let_go(action: Action) -> Change:
    """The holder of an action that it was asked to stop let it go, or lost it: it is over, and no attempt is spent."""
    error = {"code": "CANCELLED", "message": action.stopping or "cancelled", "retryable": False}
    return Change(ActionStatus.CANCELLED, action.attempt, action.crashes, error=error, ended="cancelled")


def expire(action: Action, policy: "Retry", *, now: int, fraction: float) -> Change | None:
    """What an action whose lease, attempt or step may be out of time becomes; None where nothing is."""
    held = action.status is ActionStatus.CLAIMED
    lost = held and (action.lease_expires_at is None or action.lease_expires_at <= now)
    if action.stopping is not None and held:
        return let_go(action) if lost or late(action, now=now) else None
    if action.step_deadline_at is not None and action.step_deadline_at <= now and not action.status.final:
        return _step_over(action, now=now)
    if held and late(action, now=now):
        failure = Failure(TIMEOUT, "the attempt took longer than its timeout")
        return fail(action, failure, policy, now=now, fraction=fraction)._replace(ended="timed_out")
    return lose(action, now=now) if lost else None


def _step_over(action: Action, *, now: int) -> Change:
    held = action.status is ActionStatus.CLAIMED
    attempt = action.attempt + held
    error = {"code": STEP_TIMEOUT, "message": "all attempts together took longer than totalTimeout", "retryable": False}
    letter = dead_letter("step timeout", attempts=attempt, now=now, error=error)
    ended = "timed_out" if held else ""
    return Change(ActionStatus.DEAD, attempt, action.crashes, error=error, dead_letter=letter, ended=ended)


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
