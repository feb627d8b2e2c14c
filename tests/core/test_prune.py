"""Pruning in the loop: a table of when something may go, and laws that hold for any tree."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automations.core.instant import SECOND
from automations.core.plan.change import Change
from automations.core.plan.hazards import Destroyed
from automations.core.plan.plan import Plan, Request, make_plan
from automations.core.plan.prune import Absence, Policy, Situation, Verdict, confirmed, judge, observed
from automations.core.plan.state import Held, State
from samples import catalogue, spec

MINUTE = 60 * SECOND
NOW = 1000 * MINUTE
AUTO = Policy(prune="auto")
OLD = Absence(NOW - 2 * MINUTE, 2)
NOTHING = Destroyed()


def planned(owned: int, *, gone: int, paused: int = 0) -> Plan:
    """A plan that deletes nothing, of a source whose first `gone` files are away and whose next `paused` say so."""
    names = [f"a{number:02d}" for number in range(owned)]
    held = {
        name: Held(name, name, "source:s", "active", 1, "sha256:old", f"{name}.yaml", deleted=False) for name in names
    }
    specs = {name: spec(name) for name in names}
    state = State("l", 1, held, {}, {}, specs)
    files = {f"{name}.yaml": spec(name) for name in names[gone + paused :]}
    files |= {f"{name}.yaml": spec(name, status="paused") for name in names[gone : gone + paused]}
    return make_plan(catalogue(files), state, Request("s", prune=False))


def verdict(plan: Plan, policy: Policy = AUTO, **keys: Any) -> Verdict:
    absences = {change.id: OLD for change in plan.withheld}
    given = {"absences": absences, "owned": 20, "recent": NOTHING, "now": NOW, **keys}
    return judge(plan, policy, Situation(**given))


def test_nothing_gone_is_nothing_to_judge() -> None:
    assert verdict(planned(20, gone=0)) == Verdict()


@pytest.mark.parametrize(
    ("absence", "reason"),
    [
        (OLD, None),
        (Absence(NOW - 2 * MINUTE, 1), "NotYetGone"),
        (Absence(NOW - MINUTE + 1, 5), "NotYetGone"),
        (Absence(NOW - MINUTE, 2), None),
    ],
)
def test_an_id_is_gone_when_two_snapshots_and_a_minute_say_so(absence: Absence, reason: str | None) -> None:
    found = verdict(planned(20, gone=1), absences={"a00": absence})
    assert (found.reason, found.allowed) == (reason, frozenset() if reason else frozenset({"a00"}))


@pytest.mark.parametrize(("prune", "reason"), [("off", "PruneOff"), ("confirm", "Unconfirmed"), ("auto", None)])
def test_the_policy_decides_about_what_is_gone(prune: Any, reason: str | None) -> None:
    found = verdict(planned(20, gone=2), Policy(prune=prune))
    assert (found.reason, found.count) == (reason, 2 if reason else 0)


def test_a_bad_file_that_may_hold_what_is_gone_blocks_every_delete() -> None:
    found = verdict(planned(20, gone=1), mystery=True)
    assert (found.allowed, found.reason) == (frozenset(), "UnreadableFile")
    assert confirmed(found, planned(20, gone=1)) == found


@pytest.mark.parametrize(
    ("owned", "gone", "paused", "recent", "waits"),
    [
        (20, 4, 0, NOTHING, False),
        (20, 5, 0, NOTHING, True),
        (20, 2, 3, NOTHING, True),
        (20, 0, 4, NOTHING, False),
        (20, 0, 5, NOTHING, True),
        (20, 2, 0, Destroyed(3, 3), True),
        (2, 1, 0, NOTHING, False),
        (1, 1, 0, NOTHING, False),
        (2, 2, 0, NOTHING, True),
        (90, 11, 0, NOTHING, True),
        (90, 10, 0, NOTHING, False),
        (90, 1, 0, Destroyed(10, 10), True),
    ],
)
def test_too_much_at_once_waits_though_the_policy_is_auto(
    owned: int, gone: int, paused: int, recent: Destroyed, waits: bool
) -> None:
    plan = planned(owned, gone=gone, paused=paused)
    found = verdict(plan, owned=owned, recent=recent)
    assert (found.reason == "TooMany") == waits
    if waits:
        assert not found.allowed
        assert (len(found.held), found.count) == (paused, gone + paused)


def test_what_waits_goes_when_a_person_says_so() -> None:
    plan = planned(20, gone=5, paused=2)
    assert confirmed(verdict(plan), plan).allowed == {change.id for change in plan.withheld}


def with_manifest(plan: Plan) -> Plan:
    change = Change("act@1.0.0", "action", "delete", "file removed", "m.yaml", 1)
    return replace(plan, withheld=(*plan.withheld, change))


@pytest.mark.parametrize(("prune", "reason"), [("off", "PruneOff"), ("confirm", "Unconfirmed"), ("auto", "NotYetGone")])
def test_a_manifest_that_is_gone_counts_in_the_number(prune: Any, reason: str) -> None:
    plan = with_manifest(planned(20, gone=0))
    found = verdict(plan, Policy(prune=prune), absences={})
    assert (found.reason, found.count, found.allowed) == (reason, 1, frozenset())


@pytest.mark.parametrize(("prune", "goes"), [("off", False), ("confirm", True), ("auto", True)])
def test_a_superseded_manifest_that_nothing_takes_goes_without_a_word_and_is_in_no_number(
    prune: Any, goes: bool
) -> None:
    plan = with_manifest(planned(20, gone=1))
    found = verdict(plan, Policy(prune=prune), absences={}, superseded=frozenset({"act@1.0.0"}))
    assert found.allowed == (frozenset({"act@1.0.0"}) if goes else frozenset())
    assert found.count == (1 if goes else 2)


def test_a_superseded_manifest_goes_while_too_much_else_waits() -> None:
    found = verdict(with_manifest(planned(20, gone=5)), superseded=frozenset({"act@1.0.0"}))
    assert (found.reason, found.count, found.allowed) == ("TooMany", 5, frozenset({"act@1.0.0"}))


def test_a_superseded_manifest_waits_as_well_while_a_file_is_a_riddle() -> None:
    found = verdict(with_manifest(planned(20, gone=0)), mystery=True, superseded=frozenset({"act@1.0.0"}))
    assert (found.reason, found.count, found.allowed) == ("UnreadableFile", 1, frozenset())


def test_what_stopped_just_before_is_told_where_it_is_why_more_waits() -> None:
    assert verdict(planned(20, gone=1), recent=Destroyed(6, 6)).recent == 6


@given(
    st.integers(0, 6), st.integers(0, 3), st.booleans(), st.booleans(), st.sampled_from(("off", "confirm", "auto")),
    st.booleans(),
)  # fmt: skip
def test_the_number_is_exactly_what_a_word_would_let_go_and_0_lets_nothing_go(
    gone: int, paused: int, manifest: bool, unused: bool, prune: Any, mystery: bool
) -> None:
    plan = planned(20, gone=gone, paused=paused)
    plan = with_manifest(plan) if manifest else plan
    free = frozenset({"act@1.0.0"}) if unused else frozenset()
    found = verdict(plan, Policy(prune=prune), superseded=free, mystery=mystery, recent=Destroyed(1, 1))
    waits = {change.id for change in plan.withheld} - found.allowed
    assert found.count == len(waits | found.held)
    assert (found.reason is None) == (found.count == 0)


def test_a_held_pause_stays_out_of_the_plan_and_the_rest_goes_on() -> None:
    plan = planned(20, gone=0, paused=5)
    held = verdict(plan).held
    names = [f"a{number:02d}" for number in range(20)]
    state = State(
        "l", 1,
        {name: Held(name, name, "source:s", "active", 1, "sha256:old", f"{name}.yaml", deleted=False) for name in names},
        {}, {}, {name: spec(name) for name in names},
    )  # fmt: skip
    files = {f"{name}.yaml": spec(name, status="paused" if name in held else "active") for name in names}
    made = make_plan(catalogue(files), state, Request("s", hold=held))
    assert {change.id for change in made.held_back} == held
    assert {change.id for change in made.changes} == set(names) - held


absences = st.dictionaries(st.sampled_from("abc"), st.builds(Absence, st.integers(0, NOW + MINUTE), st.integers(1, 4)))


@given(absences, st.sets(st.sampled_from("abcd")))
def test_only_what_is_missing_again_is_remembered_and_what_came_back_begins_anew(
    held: dict[str, Absence], gone: set[str]
) -> None:
    seen = observed(held, gone, now=NOW)
    assert set(seen) == gone
    for identity, absence in seen.items():
        before = held.get(identity)
        counts_on = before is not None and before.first_at <= NOW
        assert absence == (Absence(before.first_at, before.snapshots + 1) if counts_on and before else Absence(NOW))


@given(st.lists(st.tuples(st.integers(0, 90), st.booleans()), min_size=1, max_size=12))
def test_nothing_ripens_with_fewer_than_two_looks_in_a_row_or_sooner_than_a_minute(
    looks: list[tuple[int, bool]],
) -> None:
    held: dict[str, Absence] = {}
    now, row, since = NOW, 0, NOW
    for seconds, missing in looks:
        now += seconds * SECOND
        held = observed(held, {"x"} if missing else set(), now=now)
        row, since = (row + 1, since if row else now) if missing else (0, now)
        at = held["x"].ripe_at(AUTO) if missing else None
        assert (at is not None and at <= now) == (row >= 2 and now - since >= MINUTE)
