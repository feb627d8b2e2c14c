"""How things stand: conditions from facts, and the two words that people look at first."""

from typing import Any

import pytest

from automations.core.plan.conditions import updated
from automations.core.plan.health import QUIET, health, once, suspended, sync
from automations.core.plan.standing import Facts, Pause, conditions_of, worth_keeping


def standing(**facts: Any) -> dict[str, Any]:
    return updated({}, conditions_of(Facts(**facts)), now=0)


WHY = ("Because", "of this")


@pytest.mark.parametrize(
    ("facts", "wrong", "words"),
    [
        ({}, [], ("Synced", "Healthy")),
        ({"invalid": "a.yaml:1: no"}, ["SpecValid"], ("OutOfSync", "Degraded")),
        ({"drift": "a route was disabled"}, ["Drifted"], ("OutOfSync", "Degraded")),
        ({"waiting": WHY}, ["Reconciling"], ("OutOfSync", "Progressing")),
        ({"blocked": WHY}, ["PruneBlocked"], ("OutOfSync", "Healthy")),
        ({"stalled": WHY}, ["Stalled"], ("OutOfSync", "Degraded")),
    ],
)
def test_each_fact_is_one_condition_and_sync_is_apart_from_health(
    facts: dict[str, Any], wrong: list[str], words: tuple[str, str]
) -> None:
    held = standing(**facts)
    bad = [name for name, each in held.items() if each["status"] != ("False" if name in QUIET else "True")]
    assert sorted(set(bad) - {"Ready"}) == wrong
    assert (sync(held), health(held)) == words
    only_told = {"PruneBlocked", "Reconciling"}
    assert ("Ready" in bad) == bool(set(wrong) - only_told)


def test_a_tree_that_cannot_be_read_leaves_sync_unknown_and_health_as_it_was() -> None:
    assert (sync(standing(), trusted=False), health(standing())) == ("Unknown", "Healthy")
    assert sync({"Source": {"status": "False"}, **standing()}) == "Unknown"
    assert sync({}) == "Unknown"


def test_a_suspension_is_laid_over_and_sync_stays_what_it_was() -> None:
    shown = suspended(standing(), words="by ops: quiet", since="then")
    assert (sync(shown), health(shown)) == ("Synced", "Suspended")
    assert shown["Suspended"] == {"status": "True", "reason": "ByHand", "message": "by ops: quiet", "since": "then"}
    assert shown["Ready"]["reason"] == "Suspended"


def test_a_quiet_condition_is_written_once_it_held_and_then_also_when_it_ends() -> None:
    fine = conditions_of(Facts())
    assert {each.type for each in worth_keeping({}, fine)} == {"Ready", "SpecValid", "Bound"}
    assert {each.type for each in worth_keeping({"Drifted": {}}, fine)} == {"Ready", "SpecValid", "Bound", "Drifted"}
    assert "Drifted" in {each.type for each in worth_keeping({}, conditions_of(Facts(drift="x")))}


def test_a_pause_holds_until_its_end_and_says_who_and_why() -> None:
    assert Pause("ops", "quiet", 0).holds(10**18)
    assert [Pause("ops", "quiet", 0, 5).holds(now) for now in (4, 5)] == [True, False]
    assert Pause("ops", "quiet", 0, 5).words() == "by ops, until 1970-01-01T00:00:00.000Z: quiet"


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        (["a.yaml:1: bad", "a.yaml:1: bad"], ["", "a.yaml:1: bad"]),
        (["gone; the last state keeps running", "gone"], ["gone; the last state keeps running", ""]),
        (["one", "two", ""], ["one", "two", ""]),
        ([], []),
    ],
)
def test_what_one_condition_says_another_need_not_say_again(messages: list[str], told: list[str]) -> None:
    assert once(messages) == told
