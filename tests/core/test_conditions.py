"""Conditions: `since` tells for how long a status has held, whatever else was said meanwhile."""

from hypothesis import given
from hypothesis import strategies as st

from automations.core.instant import SECOND, iso
from automations.core.plan.conditions import Condition, differ, updated

TYPES = ("Ready", "SpecValid")
conditions = st.builds(
    Condition,
    st.sampled_from(TYPES),
    st.sampled_from(["True", "False", "Unknown"]),
    st.sampled_from(["R1", "R2"]),
    st.sampled_from(["", "m"]),
)


def test_a_first_condition_holds_since_now() -> None:
    assert updated({}, [Condition("Ready", "True", "Fine", "m")], now=0) == {
        "Ready": {"status": "True", "reason": "Fine", "message": "m", "since": iso(0)}
    }


def test_another_reason_keeps_since_and_another_status_moves_it() -> None:
    held = updated({}, [Condition("Ready", "False", "Invalid")], now=0)
    held = updated(held, [Condition("Ready", "False", "Missing", "m")], now=SECOND)
    assert (held["Ready"]["reason"], held["Ready"]["since"]) == ("Missing", iso(0))
    assert updated(held, [Condition("Ready", "True", "Fine")], now=2 * SECOND)["Ready"]["since"] == iso(2 * SECOND)


def test_conditions_that_are_not_mentioned_stay() -> None:
    held = updated({}, [Condition("Ready", "True", "Fine")], now=0)
    assert updated(held, [Condition("Bound", "True", "Applied")], now=SECOND)["Ready"] == held["Ready"]


def test_what_was_held_is_not_changed_in_place() -> None:
    held = updated({}, [Condition("Ready", "True", "Fine")], now=0)
    before = {key: dict(value) for key, value in held.items()}
    updated(held, [Condition("Ready", "False", "Bad")], now=SECOND)
    assert held == before


@given(st.lists(st.lists(conditions, max_size=2, unique_by=lambda each: each.type), max_size=8))
def test_since_is_when_the_status_last_changed(rounds: list[list[Condition]]) -> None:
    held: dict[str, dict[str, str]] = {}
    expected: dict[str, tuple[str, str]] = {}
    for number, said in enumerate(rounds):
        now = number * SECOND
        for each in said:
            if expected.get(each.type, ("", ""))[0] != each.status:
                expected[each.type] = (each.status, iso(now))
        held = updated(held, said, now=now)
    assert {key: (value["status"], value["since"]) for key, value in held.items()} == expected


@given(st.lists(conditions, unique_by=lambda each: each.type), st.lists(conditions, unique_by=lambda each: each.type))
def test_only_since_may_change_without_a_difference(one: list[Condition], other: list[Condition]) -> None:
    early, late = updated({}, one, now=0), updated({}, one, now=SECOND)
    assert not differ(early, late)
    assert differ(early, updated({}, other, now=0)) == (set(one) != set(other))
