"""The run machine: what follows from how a run stands, in tables and as laws over random graphs."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automations.core.run.machine import ActionView, RunView, advance, scope
from automations.core.run.program import Program
from automations.core.run.states import ActionStatus, RunStatus
from played_runs import CLAIMABLE, applied, born, ended, graphs, played, settled, stands
from samples import manifest, program, step


def reasons(run: RunView) -> dict[str, str | None]:
    return {each.step_id: each.reason for each in run.actions if each.status is ActionStatus.SKIPPED}


DIAMOND = (step("a"), step("b", dependsOn=["a"]), step("c", dependsOn=["a"]), step("d", dependsOn=["b", "c"]))


def test_a_run_is_born_with_the_steps_that_wait_for_nothing_queued() -> None:
    run = settled(program(*DIAMOND), born(program(*DIAMOND)))
    assert stands(run) == {"a": "queued", "b": "blocked", "c": "blocked", "d": "blocked"}
    assert run.status is RunStatus.MATERIALIZED


def test_a_step_waits_for_all_of_its_dependencies() -> None:
    made = program(*DIAMOND)
    run = settled(made, ended(settled(made, born(made)), "a", ActionStatus.SUCCEEDED))
    run = settled(made, ended(run, "b", ActionStatus.SUCCEEDED))
    assert stands(run)["d"] == "blocked"
    assert stands(settled(made, ended(run, "c", ActionStatus.SUCCEEDED)))["d"] == "queued"


def test_a_failure_skips_all_that_follows_in_one_decision_and_leaves_other_branches_alone() -> None:
    made = program(*DIAMOND, step("e", dependsOn=["d"]), step("other"))
    run = settled(made, born(made, status=RunStatus.RUNNING))
    run = settled(made, ended(run, "a", ActionStatus.DEAD, error={"code": "X", "message": "m"}))
    assert stands(run) == {
        "a": "dead",
        "b": "skipped",
        "c": "skipped",
        "d": "skipped",
        "e": "skipped",
        "other": "queued",
    }
    assert set(reasons(run).values()) == {"upstream_failed"}
    assert run.status is RunStatus.RUNNING
    over = advance(made, ended(run, "other", ActionStatus.SUCCEEDED))
    assert over.run is RunStatus.FAILED
    assert over.error == {"code": "X", "message": "step a: m", "stepId": "a"}


def test_a_failure_that_was_told_to_continue_lets_dependants_read_it_and_the_run_succeed() -> None:
    follow = step("b", dependsOn=["a"], input={"was": "${{ steps.a.status }}", "why": "${{ steps.a.error.code }}"})
    made = program(step("a", onFailure="continue"), follow)
    run = ended(settled(made, born(made)), "a", ActionStatus.DEAD, error={"code": "X", "message": "m"})
    decision = advance(made, run)
    assert [each.input for each in decision.actions] == [{"was": "dead", "why": "X"}]
    assert advance(made, ended(applied(run, decision), "b", ActionStatus.SUCCEEDED)).run is RunStatus.SUCCEEDED


@pytest.mark.parametrize(
    ("on", "ends", "status", "reason"),
    [
        ("default", ActionStatus.SUCCEEDED, "queued", None),
        ("default", ActionStatus.DEAD, "skipped", "upstream_failed"),
        ("default", ActionStatus.REJECTED, "skipped", "upstream_failed"),
        ("succeeded", ActionStatus.SUCCEEDED, "queued", None),
        ("succeeded", ActionStatus.FAILED, "skipped", "upstream_failed"),
        ("failed", ActionStatus.SUCCEEDED, "skipped", "upstream_succeeded"),
        ("failed", ActionStatus.DEAD, "queued", None),
        ("completed", ActionStatus.DEAD, "queued", None),
        ("completed", ActionStatus.SUCCEEDED, "queued", None),
    ],
)
def test_a_dependant_follows_the_outcome_that_it_waits_for(
    on: str, ends: ActionStatus, status: str, reason: str | None
) -> None:
    made = program(step("a"), step("b", dependsOn=[{"step": "a", "on": on}]))
    run = settled(made, ended(settled(made, born(made)), "a", ends))
    assert (stands(run)["b"], reasons(run).get("b")) == (status, reason)


@pytest.mark.parametrize(
    ("on", "status", "reason"),
    [
        ("default", "queued", None),
        ("completed", "queued", None),
        ("succeeded", "skipped", "upstream_skipped"),
        ("failed", "skipped", "upstream_skipped"),
    ],
)
def test_a_dependant_of_a_step_that_its_when_skipped(on: str, status: str, reason: str | None) -> None:
    made = program(step("a", when="false"), step("b", dependsOn=[{"step": "a", "on": on}]))
    run = settled(made, born(made))
    assert (stands(run)["a"], stands(run)["b"], reasons(run).get("b")) == ("skipped", status, reason)


def test_a_run_whose_steps_are_all_skipped_is_over_and_succeeded_at_once() -> None:
    made = program(step("a", when="false"), step("b", dependsOn=[{"step": "a", "on": "succeeded"}]))
    assert settled(made, born(made)).status is RunStatus.SUCCEEDED


def test_an_error_in_when_fails_the_step_and_never_runs_it() -> None:
    made = program(step("a", when="event.data.missing == 1"), step("b", dependsOn=["a"]))
    decision = advance(made, born(made, event={"data": {}}))
    error = decision.actions[0].error
    assert error is not None
    assert (error["code"], error["retryable"]) == ("EXPRESSION_ERROR", False)
    assert decision.run is RunStatus.FAILED
    assert stands(applied(born(made), decision)) == {"a": "failed", "b": "skipped"}


def test_an_error_in_an_input_fails_the_step_and_names_the_place() -> None:
    made = program(step("a", input={"list": ["${{ event.data.missing }}"]}))
    decision = advance(made, born(made, event={"data": {}}))
    assert decision.error is not None
    assert "input: list[0]" in decision.error["message"]


def test_an_input_that_its_manifest_refuses_fails_the_step_before_anybody_claims_it() -> None:
    picky = manifest(inputSchema={"type": "object", "properties": {"n": {"type": "integer"}}})
    made = program(step("a", input={"n": "${{ event.data.n }}"}), manifests={"a": picky})
    assert stands(settled(made, born(made, event={"data": {"n": 1}}))) == {"a": "queued"}
    decision = advance(made, born(made, event={"data": {"n": "one"}}))
    assert decision.error is not None
    assert decision.error["code"] == "INPUT_INVALID"


@pytest.mark.parametrize("value", [None, [], "text", 0, False, {"a": None}])
def test_an_input_of_any_shape_is_frozen_with_its_digest(value: Any) -> None:
    made = program(step("a", input=value))
    change = advance(made, born(made)).actions[0]
    assert change.input == value
    assert change.input_digest is not None


def test_a_step_that_asks_for_approval_waits_for_it_and_the_run_says_so() -> None:
    made = program(step("a", approval={"mode": "manual"}), step("b", dependsOn=["a"]))
    run = settled(made, born(made))
    assert stands(run) == {"a": "waiting_approval", "b": "blocked"}
    assert run.status is RunStatus.WAITING_APPROVAL


def test_a_run_with_work_to_do_is_not_shown_as_waiting_for_approval() -> None:
    made = program(step("a", approval={"mode": "manual"}), step("b"))
    assert settled(made, born(made, status=RunStatus.RUNNING)).status is RunStatus.RUNNING


def test_a_manifest_s_approvals_are_asked_for_in_addition_to_the_step_s() -> None:
    made = program(step("a", approval={"mode": "manual", "count": 2}), manifests={"a": manifest(requiredApprovals=1)})
    assert made.step("a").approvals == 3


def test_a_rejected_step_fails_its_run() -> None:
    made = program(step("a", approval={"mode": "manual"}), step("b", dependsOn=["a"]))
    run = settled(made, ended(settled(made, born(made)), "a", ActionStatus.REJECTED))
    assert (run.status, stands(run)["b"]) == (RunStatus.FAILED, "skipped")


@pytest.mark.parametrize("ends", [ActionStatus.SUCCEEDED, ActionStatus.DEAD])
def test_finally_comes_after_all_actions_however_they_end_and_reads_how(ends: ActionStatus) -> None:
    made = program(step("a"), step("b"), finals=(step("report", input={"run": "${{ run.status }}"}),))
    run = settled(made, ended(settled(made, born(made)), "a", ends))
    assert stands(run)["report"] == "blocked"
    decision = advance(made, ended(run, "b", ActionStatus.SUCCEEDED))
    said = "succeeded" if ends is ActionStatus.SUCCEEDED else "failed"
    assert [(each.step_id, each.input) for each in decision.actions] == [("report", {"run": said})]


def test_a_failed_finally_step_fails_the_run() -> None:
    made = program(step("a", when="false"), finals=(step("report"),))
    run = settled(made, born(made))
    assert settled(made, ended(run, "report", ActionStatus.DEAD)).status is RunStatus.FAILED


def test_a_replayed_action_reopens_a_failed_run() -> None:
    made = program(step("a"))
    run = replace(born(made, status=RunStatus.FAILED), actions=(ActionView("id-a", "a", ActionStatus.QUEUED),))
    assert advance(made, run).run is RunStatus.RUNNING


def test_expressions_see_only_outputs_of_what_succeeded() -> None:
    made = program(step("a"), step("b"))
    run = ended(
        ended(born(made), "a", ActionStatus.SUCCEEDED, output={"n": 1}), "b", ActionStatus.DEAD, output={"n": 2}
    )
    assert scope(made, run)["steps"] == {"a": {"status": "succeeded", "output": {"n": 1}}, "b": {"status": "dead"}}


# Laws over random graphs.


@settings(max_examples=200)
@given(graphs(), st.data())
def test_every_run_ends_once_every_open_action_ended(made: Program, data: st.DataObject) -> None:
    *_, last = played(made, data)
    assert last.status.final
    assert all(each.status.final for each in last.actions)


@given(graphs(), st.data())
def test_a_run_ends_when_its_last_action_does_and_not_before(made: Program, data: st.DataObject) -> None:
    for run in played(made, data):
        assert run.status.final == all(each.status.final for each in run.actions)


@given(graphs(), st.data())
def test_a_decision_that_was_persisted_is_followed_by_none(made: Program, data: st.DataObject) -> None:
    for run in played(made, data):
        again = advance(made, run)
        assert (again.actions, again.run) == ((), None)


@given(graphs(), st.data())
def test_a_step_never_starts_before_what_it_waits_for_is_over(made: Program, data: st.DataObject) -> None:
    for run in played(made, data):
        now = {each.step_id: each.status for each in run.actions}
        for each in made.steps:
            if now[each.step.id] in CLAIMABLE | {ActionStatus.WAITING_APPROVAL}:
                assert all(now[dependency.step].final for dependency in each.step.depends_on)
                assert not each.step.final or all(now[main.step.id].final for main in made.steps if not main.step.final)


@given(graphs(), st.data())
def test_only_blocked_steps_are_moved_and_each_at_most_once(made: Program, data: st.DataObject) -> None:
    for run in played(made, data):
        blocked = {each.id for each in run.actions if each.status is ActionStatus.BLOCKED}
        for open_step in (each for each in run.actions if each.status in CLAIMABLE):
            moved = [each.id for each in advance(made, ended(run, open_step.step_id, ActionStatus.DEAD)).actions]
            assert set(moved) <= blocked
            assert len(set(moved)) == len(moved)


@given(graphs(), st.data())
def test_a_run_fails_exactly_when_a_step_ended_badly_that_was_not_told_to_continue(
    made: Program, data: st.DataObject
) -> None:
    *_, last = played(made, data)
    bad = [
        each.step_id
        for each in last.actions
        if each.status.unsuccessful and made.step(each.step_id).step.on_failure == "stop"
    ]
    assert (last.status is RunStatus.FAILED) == bool(bad)


@given(graphs(), st.data())
def test_a_step_is_skipped_only_for_a_reason(made: Program, data: st.DataObject) -> None:
    *_, last = played(made, data)
    assert all((each.reason is not None) == (each.status is ActionStatus.SKIPPED) for each in last.actions)
