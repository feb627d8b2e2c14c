"""Runs as values, played through the run machine: born, settled, ended step by step, over any graph that the checks allow."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from automations.core.run.machine import ActionView, Decision, RunView, advance
from automations.core.run.program import Program
from automations.core.run.states import ActionStatus, RunStatus
from samples import program, step

CLAIMABLE = {ActionStatus.QUEUED, ActionStatus.RETRYING, ActionStatus.CLAIMED}
OUTCOMES = (ActionStatus.SUCCEEDED, ActionStatus.DEAD, ActionStatus.FAILED, ActionStatus.REJECTED)


def born(
    made: Program, *, status: RunStatus = RunStatus.MATERIALIZED, event: Any = None, inputs: Any = None
) -> RunView:
    """A run of which nothing has happened yet."""
    actions = tuple(ActionView(f"id-{each.step.id}", each.step.id, ActionStatus.BLOCKED) for each in made.steps)
    return RunView("run-1", status, 0, event, inputs or {}, actions)


def applied(run: RunView, decision: Decision) -> RunView:
    """The run as it stands once a decision is persisted."""
    changes = {each.id: each for each in decision.actions}
    actions = tuple(
        replace(each, status=changes[each.id].status, reason=changes[each.id].reason, error=changes[each.id].error)
        if each.id in changes
        else each
        for each in run.actions
    )
    return replace(run, actions=actions, status=decision.run or run.status)


def settled(made: Program, run: RunView) -> RunView:
    return applied(run, advance(made, run))


def ended(run: RunView, step_id: str, status: ActionStatus, **view: Any) -> RunView:
    """The run after the queue machine ended one of its actions."""
    return replace(
        run,
        actions=tuple(
            replace(each, status=status, **view) if each.step_id == step_id else each for each in run.actions
        ),
    )


def stands(run: RunView) -> dict[str, str]:
    return {each.step_id: str(each.status) for each in run.actions}


@st.composite
def graphs(draw: st.DrawFn) -> Program:
    """Any graph that the checks allow: random dependencies on earlier steps, `when`, policies, approvals and finally."""
    sections: dict[bool, list[dict[str, Any]]] = {False: [], True: []}
    for index in range(draw(st.integers(1, 7))):
        final = index > 0 and draw(st.integers(0, 4)) == 0
        reachable = [each["id"] for each in (sections[False] + sections[True] if final else sections[False])]
        on = st.sampled_from(["default", "succeeded", "completed", "failed"])
        wanted = draw(st.lists(st.sampled_from(reachable), unique=True, max_size=3)) if reachable else []
        keys: dict[str, Any] = {"dependsOn": [{"step": each, "on": draw(on)} for each in wanted]}
        when = draw(st.sampled_from([None, None, None, "true", "false", "event.data.missing"]))
        if when is not None:
            keys["when"] = when
        keys["onFailure"] = draw(st.sampled_from(["stop", "stop", "continue"]))
        if draw(st.integers(0, 4)) == 0:
            keys["approval"] = {"mode": "manual"}
        sections[final].append(step(f"s{index}", **keys))
    # The author's order need not be the graph's.
    return program(*draw(st.permutations(sections[False])), finals=tuple(draw(st.permutations(sections[True]))))


def played(made: Program, data: st.DataObject) -> Iterator[RunView]:
    """A run of random outcomes in random order, as it stands after each settlement."""
    run = settled(made, born(made, event={"data": {}}))
    yield run
    while open_steps := [each for each in run.actions if each.status in CLAIMABLE | {ActionStatus.WAITING_APPROVAL}]:
        chosen = data.draw(st.sampled_from(open_steps))
        if chosen.status is ActionStatus.WAITING_APPROVAL:
            status = data.draw(st.sampled_from([ActionStatus.QUEUED, ActionStatus.REJECTED]))
        else:
            status = data.draw(st.sampled_from(OUTCOMES))
        run = settled(made, ended(run, chosen.step_id, status))
        yield run
