"""How long a failed attempt waits: bounds that hold for any policy, attempt and chance."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automations.core.instant import SECOND, iso, parse_duration
from automations.core.run.retry import LONGEST_RETRY_AFTER, LONGEST_WAIT, Retry, wait

HUGE = parse_duration("999999d" * 6)
policies = st.builds(
    Retry,
    max_attempts=st.integers(1, 100),
    base=st.integers(0, HUGE),
    cap=st.integers(0, HUGE),
    jitter=st.sampled_from(["none", "equal", "full"]),
)
fractions = st.floats(0, 1, exclude_max=True)
attempts = st.integers(-(2**40), 2**40)


def ceiling(policy: Retry, attempt: int) -> int:
    return min(policy.cap, policy.base << max(0, min(attempt - 1, 40)), LONGEST_WAIT)


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (8, 60), (10_000, 60)])
def test_the_wait_doubles_up_to_the_cap(attempt: int, seconds: int) -> None:
    assert wait(Retry(jitter="none"), attempt, fraction=0.9) == seconds * SECOND


@pytest.mark.parametrize("attempt", [0, -1, -(2**63)])
def test_an_attempt_below_the_first_waits_like_the_first(attempt: int) -> None:
    assert wait(Retry(jitter="none"), attempt, fraction=0.0) == SECOND


@given(policies, attempts, fractions)
def test_the_wait_stays_within_the_share_that_its_jitter_leaves_fixed(
    policy: Retry, attempt: int, fraction: float
) -> None:
    most = ceiling(policy, attempt)
    least = {"none": most, "equal": most // 2, "full": 0}[policy.jitter]
    assert least <= wait(policy, attempt, fraction=fraction) <= most


@given(policies, attempts, fractions, fractions)
def test_more_chance_never_means_less_wait(policy: Retry, attempt: int, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert wait(policy, attempt, fraction=low) <= wait(policy, attempt, fraction=high)


@given(policies, attempts, fractions, st.none() | st.integers(-(2**63), 2**63))
def test_a_retry_after_only_lengthens_and_by_an_hour_at_most(
    policy: Retry, attempt: int, fraction: float, after: int | None
) -> None:
    own = wait(policy, attempt, fraction=fraction)
    told = wait(policy, attempt, fraction=fraction, retry_after=after)
    assert own <= told <= max(own, LONGEST_RETRY_AFTER)
    assert told == max(own, min(after or 0, LONGEST_RETRY_AFTER))


@given(policies, attempts, fractions)
def test_the_longest_wait_of_any_policy_can_be_stored_and_shown(policy: Retry, attempt: int, fraction: float) -> None:
    at = 1_800_000_000 * SECOND + wait(policy, attempt, fraction=fraction)
    assert 0 < at < 2**63
    assert iso(at).endswith("Z")
