"""The queue machine: who may finish an action, and what failure and a lost lease make of it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automations.core.instant import SECOND, iso
from automations.core.run.queue import (
    POISON_AFTER,
    Action,
    Failure,
    Holder,
    complete,
    dead_letter,
    fail,
    lose,
    may_finish,
)
from automations.core.run.retry import LONGEST_WAIT, Retry
from automations.core.run.states import FINAL, ActionStatus

NOW = 1_700_000_000 * SECOND
CLAIMED = Action(
    id="a1",
    status=ActionStatus.CLAIMED,
    attempt=0,
    max_attempts=3,
    crashes=0,
    fence=4,
    claimed_by="r1",
    lease_expires_at=NOW + 1,
)
PLAIN = Retry(jitter="none")


def failed(action: Action = CLAIMED, policy: Retry = PLAIN, **failure: Any) -> Any:
    return fail(action, Failure(**failure), policy, now=NOW, fraction=0.5)


@pytest.mark.parametrize(
    ("action", "holder", "message"),
    [
        (CLAIMED, Holder("r1"), None),
        (CLAIMED, Holder("r1", 4), None),
        (CLAIMED, Holder("r2"), "queued action a1 is claimed by r1, not r2"),
        (CLAIMED, Holder("r1", 3), "queued action a1 was claimed again: fence 4, not 3"),
        (CLAIMED, Holder("r1", 0), "queued action a1 was claimed again: fence 4, not 0"),
        (CLAIMED._replace(lease_expires_at=NOW), Holder("r1", 4), "queued action lease expired: a1"),
        (CLAIMED._replace(lease_expires_at=None), Holder("r1", 4), "queued action lease expired: a1"),
    ],
)
def test_only_the_holder_of_a_live_lease_may_finish(action: Action, holder: Holder, message: str | None) -> None:
    refusal = may_finish(action, holder, verb="complete", now=NOW)
    assert (refusal.message if refusal else None) == message


@pytest.mark.parametrize("verb", ["complete", "fail"])
@pytest.mark.parametrize("status", [each for each in ActionStatus if each is not ActionStatus.CLAIMED])
def test_only_a_claimed_action_can_be_finished(status: ActionStatus, verb: str) -> None:
    refusal = may_finish(CLAIMED._replace(status=status), Holder("r1", 4), verb=verb, now=NOW)
    assert refusal is not None
    expected = f"cannot {verb} terminal queued action: a1" if status in FINAL else "queued action is not claimed: a1"
    assert refusal.message == expected


def test_success_spends_no_attempt() -> None:
    change = complete(CLAIMED._replace(attempt=2, crashes=1))
    assert (change.status, change.attempt, change.crashes, change.error) == (ActionStatus.SUCCEEDED, 2, 1, None)


def test_a_failure_with_attempts_left_is_retried_after_the_policy_s_wait() -> None:
    change = failed(CLAIMED._replace(attempt=1), code="E", message="m")
    assert (change.status, change.attempt, change.available_at) == (ActionStatus.RETRYING, 2, NOW + 2 * SECOND)
    assert change.error == {"code": "E", "message": "m", "retryable": True}
    assert change.dead_letter is None


@pytest.mark.parametrize(
    ("attempt", "retryable", "reason"),
    [
        (2, True, "max attempts exceeded"),
        (0, False, "non-retryable action error"),
        (2, False, "non-retryable action error"),
    ],
)
def test_a_failure_that_cannot_be_retried_is_dead_with_a_letter(attempt: int, retryable: bool, reason: str) -> None:
    change = failed(CLAIMED._replace(attempt=attempt), retryable=retryable)
    assert change.status is ActionStatus.DEAD
    assert change.available_at is None
    assert change.dead_letter == {
        "reason": reason,
        "failedAt": iso(NOW),
        "lastError": {"code": "ACTION_FAILED", "message": "Action failed", "retryable": retryable},
        "attempts": attempt + 1,
        "replayable": True,
    }


@pytest.mark.parametrize(
    ("failure", "pause"),
    [
        ({"backoff": 5 * SECOND}, 5 * SECOND),
        ({"backoff": 0}, 0),
        ({"backoff": -SECOND}, 0),
        ({"backoff": 2**80}, LONGEST_WAIT),
        ({"retry_after": 10 * SECOND}, 10 * SECOND),
        ({"retry_after": 1}, SECOND),
        ({"backoff": 2 * SECOND, "retry_after": 50 * SECOND}, 2 * SECOND),
    ],
)
def test_a_runner_s_backoff_overrides_the_policy_within_reason(failure: dict[str, Any], pause: int) -> None:
    assert failed(**failure).available_at == NOW + pause


def test_captured_output_travels_in_the_error_and_only_when_there_is_some() -> None:
    assert failed(metadata={"stderr": "x"}).error["metadata"] == {"stderr": "x"}
    assert "metadata" not in failed(metadata={}).error


def test_a_lost_lease_spends_an_attempt_and_names_who_held_it() -> None:
    change = lose(CLAIMED, now=NOW)
    assert (change.status, change.attempt, change.crashes) == (ActionStatus.RETRYING, 1, 1)
    assert change.available_at == NOW
    assert change.error is not None
    assert "r1" in change.error["message"]
    assert change.ended == "lease_expired"


@pytest.mark.parametrize(
    ("attempt", "crashes", "most", "reason"),
    [(2, 2, 10, "poison"), (2, 0, 3, "max attempts exceeded"), (2, 2, 3, "poison"), (9, 5, 100, "poison")],
)
def test_three_crashes_are_poison_and_no_attempts_left_is_dead(
    attempt: int, crashes: int, most: int, reason: str
) -> None:
    change = lose(CLAIMED._replace(attempt=attempt, crashes=crashes, max_attempts=most), now=NOW)
    assert change.status is ActionStatus.DEAD
    assert change.dead_letter is not None
    assert change.dead_letter["reason"] == reason


def test_a_dead_letter_without_an_error_has_no_key_for_it() -> None:
    assert "lastError" not in dead_letter("r", attempts=1, now=NOW, error=None)


@given(st.integers(1, 20), st.lists(st.sampled_from(["fail", "crash", "fatal"]), max_size=40))
def test_an_action_dies_after_its_attempts_or_three_crashes_or_one_fatal_error_and_never_later(
    most: int, ends: list[str]
) -> None:
    action = CLAIMED._replace(max_attempts=most)
    for count, end in enumerate(ends, start=1):
        change = lose(action, now=NOW) if end == "crash" else failed(action, retryable=end == "fail")
        crashes = ends[:count].count("crash")
        dead = count >= most or crashes >= POISON_AFTER or end == "fatal"
        assert change.attempt == count
        assert change.crashes == crashes
        assert (change.status is ActionStatus.DEAD) == dead
        assert (change.dead_letter is not None) == dead
        if dead:
            return
        action = action._replace(attempt=change.attempt, crashes=change.crashes)
