"""Hazards: which deletes are refused without an exact number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automations.core.plan.hazards import hazards_of


def refused(count: int, owned: int) -> bool:
    found = hazards_of(deletes=tuple(f"a{n}" for n in range(count)), owned=owned)
    return any(each.refused for each in found)


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


def test_every_delete_is_a_hazard_of_its_own_and_the_refusal_names_the_exact_number() -> None:
    found = hazards_of(deletes=("a", "b", "c"), owned=3)
    assert [(each.code, each.id, each.refused) for each in found] == [
        ("AU100", "a", False),
        ("AU100", "b", False),
        ("AU100", "c", False),
        ("AU001", "", True),
    ]
    assert "3 of 3" in found[-1].message
    assert "--allow-deletes=3" in found[-1].message


@given(st.integers(1, 60), st.integers(0, 200))
def test_deleting_more_of_the_same_is_never_less_dangerous(count: int, more: int) -> None:
    owned = count + more
    assert not refused(count, owned) or count == owned or refused(count + 1, owned)


@given(st.integers(2, 60), st.integers(0, 200))
def test_owning_more_never_makes_the_same_deletes_worse(count: int, more: int) -> None:
    owned = count + more
    assert refused(count, owned) or not refused(count, owned + 1)
