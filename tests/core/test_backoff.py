"""Patience with a tree that cannot be applied."""

from hypothesis import given
from hypothesis import strategies as st

from automations.core.instant import SECOND
from automations.core.plan.backoff import LONGEST, Backoff


def test_waits_double_from_a_second_to_five_minutes() -> None:
    waits, backoff = [], Backoff()
    for _ in range(12):
        backoff = backoff.after("d", now=0)
        waits.append(backoff.until // SECOND)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


def test_another_tree_is_tried_at_once_and_begins_anew() -> None:
    backoff = Backoff().after("one", now=0).after("one", now=0).after("one", now=0)
    assert backoff.waits("one", now=SECOND)
    assert not backoff.waits("two", now=0)
    assert backoff.after("two", now=0).until == SECOND


@given(st.integers(0, 40), st.integers(-(10**12), 10**12))
def test_no_wait_outlasts_a_clock_that_was_set_back(failures: int, jump: int) -> None:
    backoff = Backoff()
    for _ in range(failures + 1):
        backoff = backoff.after("d", now=0)
    assert not backoff.waits("d", now=jump) or backoff.until - jump <= LONGEST
