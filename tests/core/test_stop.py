"""Stops and places: what a run that is told to end does to its steps, and what a status means for its slot and its clock."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automations.core.run.machine import RunView, advance
from automations.core.run.place import Move, Place, place
from automations.core.run.program import Program
from automations.core.run.states import ActionStatus, RunStatus
from automations.core.run.stop import Scope, Stop, outcome
from played_runs import applied, born, ended, graphs, played, settled, stands
from samples import automation, program, step

OPEN = {ActionStatus.QUEUED, ActionStatus.RETRYING, ActionStatus.CLAIMED, ActionStatus.WAITING_APPROVAL}
CANCEL = Stop(RunStatus.CANCELLED)


def stop(made: Program, run: RunView, with_: Stop = CANCEL) -> RunView:
    """The run after a stop was persisted: what nobody holds is cancelled, what somebody holds is asked."""
    run = replace(run, stop=with_)
    decision = advance(made, run)
    for each in decision.stopped:
        if not each.asked:
            run = ended(run, each.step_id, ActionStatus.CANCELLED, reason=each.reason)
    return applied(run, decision)


@pytest.mark.parametrize("status", ["queued", "retrying", "waiting_approval", "blocked"])
def test_what_nobody_holds_is_cancelled_at_once(status: str) -> None:
    made = program(step("a"), step("b", dependsOn=["a"]))
    run = ended(born(made, status=RunStatus.RUNNING), "a", ActionStatus(status))
    run = stop(made, run)
    assert (stands(run), run.status) == ({"a": "cancelled", "b": "cancelled"}, RunStatus.CANCELLED)


def test_what_somebody_holds_is_asked_and_waited_for() -> None:
    made = program(step("a"), step("b"), finals=(step("f"),))
    run = stop(made, ended(settled(made, born(made)), "a", ActionStatus.CLAIMED))
    assert [(each.step_id, each.asked) for each in advance(made, run).stopped] == [("a", True)]
    assert (stands(run), run.status) == ({"a": "claimed", "b": "cancelled", "f": "blocked"}, RunStatus.RUNNING)
    run = settled(made, ended(run, "a", ActionStatus.CANCELLED, reason="run_cancelled"))
    assert stands(run)["f"] == "queued"
    assert settled(made, ended(run, "f", ActionStatus.SUCCEEDED)).status is RunStatus.CANCELLED


@pytest.mark.parametrize(
    ("scope", "main", "final"), [("main", True, False), ("finally", False, True), ("all", True, True)]
)
def test_a_stop_covers_what_its_scope_says(scope: Scope, main: bool, final: bool) -> None:
    told = Stop(RunStatus.TIMED_OUT, scope)
    assert (told.covers(final=False), told.covers(final=True)) == (main, final)


@pytest.mark.parametrize(
    ("told", "failed", "ends"),
    [
        (None, False, "succeeded"),
        (None, True, "failed"),
        (CANCEL, False, "cancelled"),
        (CANCEL, True, "cancelled"),
        (Stop(RunStatus.TIMED_OUT), True, "timed_out"),
        (Stop(RunStatus.TIMED_OUT, "finally"), False, "timed_out"),
        (Stop(RunStatus.TIMED_OUT, "finally"), True, "failed"),
        (Stop(RunStatus.DROPPED, "all"), False, "dropped"),
    ],
)
def test_how_a_run_ends(told: Stop | None, failed: bool, ends: str) -> None:
    assert outcome(told, failed=failed) == ends


def test_a_run_without_its_slot_lets_no_step_go_on() -> None:
    made = program(step("a"), finals=(step("f"),))
    waiting = replace(born(made, status=RunStatus.PENDING), holds=False)
    decision = advance(made, waiting)
    assert (decision.actions, decision.run) == ((), None)
    assert stop(made, waiting, Stop(RunStatus.CANCELLED, "all")).status is RunStatus.CANCELLED


def test_expressions_see_how_a_stopped_run_will_end() -> None:
    made = program(step("a"), finals=(step("f", input={"was": "${{ run.status }}"}, when="run.status == 'timed_out'"),))
    run = replace(settled(made, born(made)), stop=Stop(RunStatus.TIMED_OUT))
    decision = advance(made, run)
    assert [(each.step_id, each.input) for each in decision.actions] == [("f", {"was": "timed_out"})]


@settings(max_examples=200)
@given(graphs(), st.data())
def test_a_run_that_is_stopped_at_any_moment_ends_so_and_begins_no_main_step(
    made: Program, data: st.DataObject
) -> None:
    moments = [run for run in played(made, data) if not run.status.final]
    if not moments:
        return
    run = data.draw(st.sampled_from(moments))
    for each in run.actions:
        if each.status is ActionStatus.QUEUED and data.draw(st.booleans()):
            run = ended(run, each.step_id, ActionStatus.CLAIMED)
    told = data.draw(st.sampled_from([CANCEL, Stop(RunStatus.TIMED_OUT), Stop(RunStatus.CANCELLED, "all")]))
    held = {each.step_id for each in run.actions if each.status is ActionStatus.CLAIMED}
    run = stop(made, run, told)
    final = {each.step.id for each in made.steps if each.step.final}
    while not run.status.final:
        now = {each.step_id for each in run.actions if each.status in OPEN}
        assert now <= held | final if told.scope == "main" else now <= held
        chosen = data.draw(st.sampled_from(sorted(now)))
        main = chosen not in final or told.scope == "all"
        ends = (
            ActionStatus.CANCELLED if main else data.draw(st.sampled_from([ActionStatus.SUCCEEDED, ActionStatus.DEAD]))
        )
        run = settled(made, ended(run, chosen, ends, reason=told.reason if main else None))
    assert run.status is told.status
    assert all(each.status.final for each in run.actions)


@given(graphs(), st.data())
def test_a_stop_that_was_persisted_is_followed_by_nothing_new(made: Program, data: st.DataObject) -> None:
    for run in played(made, data):
        if not run.status.final:
            stopped = stop(made, run)
            again = advance(made, stopped)
            assert (again.actions, again.run, [each for each in again.stopped if not each.asked]) == ((), None, [])


NOW = 1_000
IDLE: dict[str, Any] = dict.fromkeys(
    ("slot", "slot_limit", "deadline_at", "deadline_left", "finally_at", "stop", "stop_scope")
)
TIMED = automation(timeout="1ms", finallyTimeout="2ms")
RUNNING, ASKS, PENDING = RunStatus.RUNNING, RunStatus.WAITING_APPROVAL, RunStatus.PENDING


@pytest.mark.parametrize(
    ("run", "status", "finishing", "wanted"),
    [
        ({}, RunStatus.MATERIALIZED, False, Place(None, 2_000, None, None)),
        ({"deadline_at": 1_500}, RUNNING, False, Place(None, 1_500, None, None)),
        ({"deadline_at": 1_500}, ASKS, False, Place(None, None, 500, None)),
        ({"deadline_left": 500}, ASKS, False, Place(None, None, 500, None)),
        ({"deadline_left": 500}, RUNNING, False, Place(None, 1_500, None, None)),
        ({"deadline_at": 900}, ASKS, False, Place(None, None, 0, None)),
        ({"deadline_at": 1_500, "slot": "returning"}, PENDING, False, Place("returning", None, 500, None)),
        ({"deadline_at": 1_500, "slot": "held"}, RunStatus.SUCCEEDED, False, Place(None, None, None, None)),
        ({"deadline_at": 1_500}, RUNNING, True, Place(None, 3_000, None, NOW)),
        ({"deadline_at": 1_700, "finally_at": 700}, RUNNING, True, Place(None, 1_700, None, 700)),
        (
            {"deadline_at": 1_500, "stop": "cancelled", "stop_scope": "main"},
            RUNNING,
            False,
            Place(None, None, None, None),
        ),
        (
            {"deadline_at": 1_500, "finally_at": 700, "stop": "timed_out", "stop_scope": "finally"},
            RUNNING,
            True,
            Place(None, None, None, 700),
        ),
    ],
)
def test_what_a_move_means_for_the_clock(
    run: dict[str, Any], status: RunStatus, finishing: bool, wanted: Place
) -> None:
    assert place(IDLE | run, TIMED, Move(status, finishing, NOW)) == wanted


@pytest.mark.parametrize(("releases", "slot"), [(True, "released"), (False, "held")])
def test_a_slot_is_given_away_while_waiting_only_where_the_spec_says_so(releases: bool, slot: str) -> None:
    made = automation(concurrency={"key": "k", "releaseWhileWaiting": releases})
    assert place(IDLE | {"slot": "held"}, made, Move(ASKS, False, NOW)).slot == slot


def test_a_clock_that_counts_approvals_does_not_stop_for_them() -> None:
    made = automation(timeout="1ms", timeoutCountsApprovals=True)
    assert place(IDLE | {"deadline_at": 1_500}, made, Move(ASKS, False, NOW)).deadline_at == 1_500
