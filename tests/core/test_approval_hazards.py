"""Approvals as a reviewer sees them: whatever way a step gets round the people that it waited for, the plan says so."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automations.core.plan.comparison import compared
from automations.core.plan.state import InFlight
from automations.core.plan.step_hazards import step_hazards
from automations.core.spec.graph import succeeded
from samples import automation, spec


def act(identity: str, *after: Any, ask: int = 0, **keys: Any) -> dict[str, Any]:
    """A step behind others, which asks so many people."""
    asks = {"approval": {"requiresApproval": True, "count": ask, **keys.pop("how", {})}} if ask else {}
    return {"id": identity, "actionId": f"do.{identity}", "dependsOn": list(after), **asks, **keys}


def told(before: list[Any], after: list[Any]) -> list[str]:
    """What a plan says, without the automation's name."""
    pair = compared(automation("a", actions=after), spec("a", actions=before), InFlight())
    found = list(step_hazards(pair))
    assert {each.code for each in found} <= {"AU320"}
    return [each.message.removeprefix("a: ") for each in found]


GATED = [act("build"), act("gate", "build", ask=2), act("ship", "gate"), act("tell", "ship")]


def test_a_gate_that_goes_is_told_with_what_no_longer_waits_for_it() -> None:
    assert told(GATED, [act("build"), act("ship", "build"), act("tell", "ship")]) == [
        "step gate goes, and with it the approval of 2 people: ship, tell no longer wait for it"
    ]


def test_a_step_that_goes_round_a_gate_is_told_and_what_follows_it_is_not_told_again() -> None:
    around = "step ship no longer waits for the approval of 2 people at step gate"
    assert told(GATED, [GATED[0], GATED[1], act("ship", "build"), act("tell", "ship")]) == [around]
    late = [GATED[0], GATED[1], act("ship", {"step": "gate", "on": "completed"}), GATED[3]]
    assert told(GATED, late) == [around]


def test_a_gate_under_another_name_is_told_by_what_it_lost() -> None:
    renamed = [act("build"), act("check", "build"), act("ship", "check"), act("tell", "ship")]
    assert told(GATED, renamed) == [
        "step gate goes, and with it the approval of 2 people: ship, tell no longer wait for it"
    ]
    renamed[1] |= {"actionId": "do.gate"}
    assert told(GATED, renamed) == ["step check (was gate) runs without the approval of 2 people that it needed"]
    assert told([act("ship", ask=2)], [act("release")]) == [
        "step release, in the place of ship, runs without the approval of 2 people that it needed"
    ]


def test_what_takes_the_place_of_a_step_behind_a_gate_waits_too_or_is_told() -> None:
    behind = [*GATED[:2], act("release", "gate"), act("tell", "release")]
    assert told(GATED, behind) == []
    behind[2] = act("release", "build")
    assert told(GATED, behind) == [
        "step release, in the place of ship, no longer waits for the approval of 2 people at step gate"
    ]


def test_two_steps_that_change_their_actions_change_who_waits() -> None:
    before = [act("a", ask=2, actionId="drop.tables"), act("b", actionId="say.hello")]
    assert told(before, [act("a", ask=2, actionId="say.hello"), act("b", actionId="drop.tables")]) == [
        "step b (was a) runs without the approval of 2 people that it needed"
    ]
    assert told(before, [act("a", ask=2, actionId="drop.table"), act("b", actionId="say.hello")]) == []


def test_a_weaker_gate_is_told_once_and_not_at_every_step_behind_it() -> None:
    weaker = [GATED[0], act("gate", "build", ask=1), *GATED[2:]]
    assert told(GATED, weaker) == ["step gate needs 1 person instead of 2 people"]
    assert told(GATED, [GATED[0], act("gate", "build"), *GATED[2:]]) == [
        "step gate runs without the approval of 2 people that it needed"
    ]
    weaker[2] = act("ship", "build")
    assert told(GATED, weaker) == [
        "step gate needs 1 person instead of 2 people",
        "step ship no longer waits for the approval of 2 people at step gate",
    ]


@pytest.mark.parametrize("keys", [{"when": "false"}, {"onFailure": "continue"}], ids=lambda keys: next(iter(keys)))
def test_a_gate_that_may_be_passed_by_now_is_told(keys: dict[str, Any]) -> None:
    passed = told(GATED, [GATED[0], act("gate", "build", ask=2, **keys), *GATED[2:]])
    at_all = "step ship no longer waits for the approval of 2 people at step gate"
    skipped = "step ship goes on without the approval of 2 people when step gate is skipped or fails"
    assert passed == [skipped if "when" in keys else at_all]


def test_a_gate_that_some_runs_skip_is_missed_as_well() -> None:
    sometimes = [GATED[0], act("gate", "build", ask=1, when="event.data.production"), *GATED[2:]]
    assert told(sometimes, [GATED[0], act("ship", "build"), GATED[3]]) == [
        "step gate goes, and with it the approval of 1 person: ship, tell no longer wait for it"
    ]


@pytest.mark.parametrize(
    "after",
    [
        [act("build"), act("ship", "build", ask=2), act("tell", "ship")],
        [act("build", ask=3), act("ship", "build"), act("tell", "ship")],
        [act("build"), act("check", "build", ask=2), act("ship", "check"), act("tell", "ship")],
        [act("build"), act("lint", "build"), act("gate", "lint", ask=2), act("ship", "gate"), act("tell", "ship")],
        [*GATED, act("more", "build")],
    ],
    ids=["at the step itself", "further up", "in a gate with another name", "with a step between", "a step more"],
)
def test_an_approval_that_only_moves_is_no_loss(after: list[Any]) -> None:
    assert told(GATED, after) == []


def test_two_approvals_are_not_made_up_for_by_one() -> None:
    two = [act("one", ask=1), act("two", "one", ask=1), act("ship", "two")]
    assert told(two, [act("both", ask=1), act("ship", "both")]) == [
        "step two goes, and with it the approval of 1 person: ship no longer waits for it"
    ]


def test_a_guarded_step_that_goes_with_nothing_behind_it_is_told() -> None:
    assert told([act("build"), act("ship", "build", ask=1)], [act("build")]) == [
        "step ship goes, and with it the approval of 1 person"
    ]


def chain(name: str, *, ask: int = 1, action: str = "do") -> list[Any]:
    """Thousands of steps with an approval each, that all wait for each other."""
    listed = [act(f"{name}{number}", *([f"{name}{number - 1}"] if number else []), ask=ask) for number in range(3000)]
    return [each | {"actionId": f"{action}.{number}"} for number, each in enumerate(listed)]


@pytest.mark.timeout(30)
@pytest.mark.parametrize("after", [chain("s"), chain("t"), chain("t", action="other"), list(reversed(chain("s")))])
def test_thousands_of_approvals_are_compared_at_once(after: list[Any]) -> None:
    assert told(chain("s"), after) == []


def test_thousands_of_weakened_approvals_are_each_told() -> None:
    one, two = ([act(f"s{number}", ask=ask) for number in range(3000)] for ask in (1, 2))
    assert len(told(two, one)) == 3000
    assert told(one, two) == []


@pytest.mark.timeout(30)
def test_thousands_of_steps_behind_a_gate_are_told_in_a_sentence() -> None:
    behind = [act(f"s{number}", "gate") for number in range(3000)]
    assert told([act("gate", ask=1), *behind], [each | {"dependsOn": []} for each in behind]) == [
        "step gate goes, and with it the approval of 1 person: s0, s1, s2, s3, s4 and more no longer wait for it"
    ]


NAMES = "abcdef"
versions = st.tuples(
    st.frozensets(st.sampled_from([(one, other) for one in NAMES for other in NAMES if one < other]), max_size=9),
    st.dictionaries(st.sampled_from(NAMES), st.integers(1, 2), max_size=3),
)


def version(drawn: tuple[frozenset[tuple[str, str]], dict[str, int]]) -> list[Any]:
    edges, asks = drawn
    return [act(name, *(one for one, other in sorted(edges) if other == name), ask=asks.get(name, 0)) for name in NAMES]


@given(versions, versions)
def test_who_lost_an_approval_is_told_of_and_nobody_else(before: Any, after: Any) -> None:
    asked, now = before[1], after[1]
    were, are = (succeeded(automation("a", actions=version(each)).steps) for each in (before, after))
    lost = made_up = False
    for step in NAMES:
        had = {gate for gate in {step, *were[step]} if gate in asked}
        has = {gate for gate in {step, *are[step]} if gate in now}
        missing = {gate for gate in had if gate not in has or now[gate] < asked[gate]}
        made_up = made_up or bool(missing and has - had)
        lost = lost or bool(missing and not has - had)
    found = told(version(before), version(after))
    assert found or not lost
    assert lost or made_up or not found
