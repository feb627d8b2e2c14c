"""Hazards: which deletes are refused without an exact number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automations.core.plan.hazards import Destroyed, mass_hazard


def refused(count: int, owned: int) -> bool:
    return bool(mass_hazard(deletes=count, others=0, owned=owned))


@pytest.mark.parametrize(
    ("count", "owned", "expected"),
    [
        (0, 0, False),
        (0, 50, False),
        (1, 1, False),  # the only one there is: one is always allowed
        (1, 2, False),
        (2, 2, True),  # all
        (2, 9, True),
        (2, 10, False),  # a fifth
        (3, 10, True),
        (10, 50, False),
        (10, 49, True),
        (11, 1000, True),  # more than ten
    ],
)
def test_more_than_a_fifth_or_ten_or_all_are_refused(count: int, owned: int, expected: bool) -> None:
    assert refused(count, owned) is expected


def test_the_refusal_names_the_exact_number_and_what_would_be_done() -> None:
    (found,) = mass_hazard(deletes=3, others=0, owned=3)
    assert (found.code, found.refused, found.severity) == ("AU001", True, "danger")
    assert found.message == "3 of 3 automations would be deleted; to do that, say --allow-deletes=3"
    (found,) = mass_hazard(deletes=2, others=1, owned=9)
    assert "3 of 9 automations would be deleted or switched off" in found.message
    (found,) = mass_hazard(deletes=0, others=2, owned=4)
    assert "2 of 4 automations would be switched off" in found.message


def test_not_even_the_only_one_goes_when_nothing_at_all_is_declared() -> None:
    (found,) = mass_hazard(deletes=1, others=0, owned=1, empty=True)
    assert found.message == (
        "nothing at all is declared: 1 of 1 automations would be deleted; to do that, say --allow-deletes=1"
    )
    assert mass_hazard(deletes=0, others=0, owned=0, empty=True) == ()


@pytest.mark.parametrize(
    ("deletes", "owned", "recent", "expected"),
    [
        (0, 8, Destroyed(9, 9), False),  # what was done before is not refused afterwards
        (1, 9, Destroyed(), False),
        (1, 9, Destroyed(1, 1), False),  # two of ten
        (1, 8, Destroyed(1, 1), True),  # two of nine
        (1, 90, Destroyed(10, 10), True),
        (1, 1, Destroyed(1, 1), True),  # all of two
        (1, 9, Destroyed(1, 0), True),  # two of nine: one switched off is still owned
    ],
)
def test_what_was_destroyed_within_ten_minutes_counts_as_if_it_came_at_once(
    deletes: int, owned: int, recent: Destroyed, expected: bool
) -> None:
    assert bool(mass_hazard(deletes=deletes, others=0, owned=owned, recent=recent)) is expected


@given(st.integers(1, 60), st.integers(0, 200))
def test_deleting_more_of_the_same_is_never_less_dangerous(count: int, more: int) -> None:
    owned = count + more
    assert not refused(count, owned) or count == owned or refused(count + 1, owned)


@given(st.integers(2, 60), st.integers(0, 200))
def test_owning_more_never_makes_the_same_deletes_worse(count: int, more: int) -> None:
    owned = count + more
    assert refused(count, owned) or not refused(count, owned + 1)
