"""The run machine: given a run as it stands, what happens next.

`advance` is called after everything that can move a run (it was created, an action ended, an approval was given). It goes on
until nothing more follows: a skipped step may release its dependants, which may be skipped in turn. Only this machine moves
blocked steps and runs, and stops what a run no longer needs; else only the queue machine moves a queued action.

    blocked ──dependencies, when, input──► queued | waiting_approval | skipped | failed
    blocked | waiting_approval | queued | retrying ──the run is stopped──► cancelled
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from automations.core.canonical import digest
from automations.core.diagnostic import dotted
from automations.core.expression.cel import Activation, EvaluationFailed
from automations.core.instant import iso
from automations.core.run.program import Program, StepProgram
from automations.core.run.readiness import Skip, Standing, Waiting, readiness
from automations.core.run.states import ActionStatus, RunStatus, SkipReason, standing
from automations.core.run.stop import Standing as StepStanding
from automations.core.run.stop import Stop, Stopped, outcome, stopped


@dataclass(frozen=True, slots=True)
class ActionView:
    """One step's action as it stands. `output` and `error` are plain data."""

    id: str
    step_id: str
    status: ActionStatus
    reason: str | None = None
    output: Any = None
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as it stands. `event` is the envelope's document. Times in microseconds.

    `holds` is whether it has its slot, or needs none; without it no step goes on.
    """

    id: str
    status: RunStatus
    created_at: int
    event: Mapping[str, Any] | None
    inputs: Mapping[str, Any]
    actions: tuple[ActionView, ...]
    schedule: Mapping[str, Any] | None = None
    shared: Activation | None = None
    """The event as expressions read it, converted once for all the runs that it starts."""
    stop: Stop | None = None
    holds: bool = True


@dataclass(frozen=True, slots=True)
class ActionChange:
    """A blocked action moves. `input` is rendered once, validated, and frozen for all attempts."""

    id: str
    step_id: str
    status: ActionStatus
    reason: str | None = None
    input: Any = None
    input_digest: str | None = None
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What to persist, all in one transaction. `run` is None when the run's own status stays.

    `statuses` are those that the actions then have; `finishing` says that the main steps are over and `finally` is not.
    """

    actions: tuple[ActionChange, ...]
    run: RunStatus | None
    error: Mapping[str, Any] | None = None
    stopped: tuple[Stopped, ...] = ()
    statuses: frozenset[ActionStatus] = frozenset()
    finishing: bool = False


def advance(program: Program, run: RunView) -> Decision:
    """Everything that follows from how the run stands now."""
    states = {action.step_id: action for action in run.actions}
    stops = stopped(run.stop, _step_standings(program, states))
    for each in stops:
        if not each.asked:
            states[each.step_id] = replace(states[each.step_id], status=ActionStatus.CANCELLED, reason=each.reason)
    changes: dict[str, ActionChange] = {}
    moved = run.holds
    while moved:
        moved = False
        for step in program.steps:
            change = _next(step, program=program, run=run, states=states)
            if change is not None:
                changes[change.step_id] = change
                states[change.step_id] = replace(
                    states[change.step_id], status=change.status, reason=change.reason, error=change.error
                )
                moved = True
    statuses = frozenset(action.status for action in states.values())
    status = _status(program, run, states=states)
    return Decision(
        actions=tuple(changes.values()),
        run=None if status is run.status else status,
        error=_run_error(program, run, states) if status is RunStatus.FAILED else None,
        stopped=stops,
        statuses=statuses,
        finishing=not status.final and _main_steps_over(program, states),
    )


def _status(program: Program, run: RunView, *, states: Mapping[str, ActionView]) -> RunStatus:
    failed = bool(_failures(program, run, states))
    status = standing(run.status, {action.status for action in states.values()}, failed=failed)
    if status.final:
        return outcome(run.stop, failed=failed)
    return status if run.holds else run.status


def scope(program: Program, run: RunView, *, states: Mapping[str, ActionView] | None = None) -> dict[str, Any]:
    """What expressions see: the roots `event, inputs, schedule, steps, run, automation, vars`."""
    actions = states or {action.step_id: action for action in run.actions}
    return {
        "event": run.event or {},
        "inputs": run.inputs,
        "schedule": run.schedule or {},
        "vars": program.automation.vars,
        "steps": {step_id: _step_scope(action) for step_id, action in actions.items()},
        "run": {"id": run.id, "status": str(_outcome(program, run, actions)), "createdAt": iso(run.created_at)},
        "automation": {
            "id": program.automation.id,
            "name": program.automation.name,
            "version": program.automation.version,
            "generation": program.generation,
        },
    }


def _step_scope(action: ActionView) -> dict[str, Any]:
    seen: dict[str, Any] = {"status": str(action.status)}
    if action.status is ActionStatus.SUCCEEDED:
        seen["output"] = action.output
    if action.error is not None:
        seen["error"] = action.error
    return seen


def _next(
    step: StepProgram, *, program: Program, run: RunView, states: Mapping[str, ActionView]
) -> ActionChange | None:
    action = states[step.step.id]
    if action.status is not ActionStatus.BLOCKED:
        return None
    if step.step.final and not _main_steps_over(program, states):
        return None
    verdict = readiness(step.step, _standings(program, states))
    if isinstance(verdict, Waiting):
        return None
    if isinstance(verdict, Skip):
        return ActionChange(action.id, action.step_id, ActionStatus.SKIPPED, reason=verdict.reason)
    return _enter(step, action=action, roots=Activation(scope(program, run, states=states), base=run.shared))


def _enter(step: StepProgram, *, action: ActionView, roots: Activation) -> ActionChange:
    def failed(code: str, message: str) -> ActionChange:
        error = {"code": code, "message": message, "retryable": False}
        return ActionChange(action.id, action.step_id, ActionStatus.FAILED, error=error)

    try:
        if step.when is not None and not step.when.test(roots):
            return ActionChange(action.id, action.step_id, ActionStatus.SKIPPED, reason=SkipReason.WHEN)
    except EvaluationFailed as problem:
        return failed("EXPRESSION_ERROR", f"when: {problem}")
    try:
        rendered = step.input.render(roots)
    except EvaluationFailed as problem:
        return failed("EXPRESSION_ERROR", f"input: {problem}")
    if step.misplaced:
        fields = ", ".join(dotted(each.path) for each in step.misplaced)
        return failed("INPUT_INVALID", f"input: {fields}: {step.step.action_id} does not mark it x-secret")
    violations = step.accepts.violations(rendered) if step.accepts else ()
    if violations:
        return failed("INPUT_INVALID", f"input does not conform to {step.step.action_id}: {'; '.join(violations)}")
    status = ActionStatus.WAITING_APPROVAL if step.approvals else ActionStatus.QUEUED
    return ActionChange(action.id, action.step_id, status, input=rendered, input_digest=digest(rendered))


def _standings(program: Program, states: Mapping[str, ActionView]) -> dict[str, Standing]:
    return {
        each.step.id: Standing(
            states[each.step.id].status, states[each.step.id].reason, each.step.on_failure == "continue"
        )
        for each in program.steps
    }


def _step_standings(program: Program, states: Mapping[str, ActionView]) -> list[StepStanding]:
    return [
        StepStanding(states[each.step.id].id, each.step.id, states[each.step.id].status, each.step.final)
        for each in program.steps
    ]


def _main_steps_over(program: Program, states: Mapping[str, ActionView]) -> bool:
    return all(states[each.step.id].status.final for each in program.steps if not each.step.final)


def _failures(program: Program, run: RunView, states: Mapping[str, ActionView]) -> list[ActionView]:
    """Steps that ended as their author did not hope, but for those that the run's own stop ended."""
    stopped_by = run.stop.reason if run.stop else ""
    return [
        states[each.step.id]
        for each in program.steps
        if states[each.step.id].status.unsuccessful
        and each.step.on_failure == "stop"
        and not (states[each.step.id].status is ActionStatus.CANCELLED and states[each.step.id].reason == stopped_by)
    ]


def _outcome(program: Program, run: RunView, states: Mapping[str, ActionView]) -> RunStatus:
    """What `run.status` says to an expression: how the run would end if no more went wrong."""
    failed = bool(_failures(program, run, states))
    if failed or run.stop is not None or _main_steps_over(program, states):
        return outcome(run.stop, failed=failed)
    return RunStatus.RUNNING


def _run_error(program: Program, run: RunView, states: Mapping[str, ActionView]) -> dict[str, Any] | None:
    for action in _failures(program, run, states):
        error = action.error or {"code": str(action.status).upper(), "message": action.reason or str(action.status)}
        return {
            "code": error["code"],
            "message": f"step {action.step_id}: {error['message']}",
            "stepId": action.step_id,
        }
    return None
