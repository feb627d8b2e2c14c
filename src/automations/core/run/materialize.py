"""Materialization: an event that fired a trigger becomes a run and its actions, as rows to insert in one transaction.

Pure: ids and now are handed in. The first `advance` happens here, on the rows themselves, so that a run is born with its
first steps already queued.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from automations.core.canonical import encode
from automations.core.expression.activation import Activation
from automations.core.run.approval import asked_gate, content_of, pending_gate
from automations.core.run.blueprint import requirement_of
from automations.core.run.concurrency import KEY_INVALID, Contest, KeyInvalid, policy_of, rendered
from automations.core.run.machine import ActionChange, ActionView, RunView, advance
from automations.core.run.place import Move, place
from automations.core.run.program import StepProgram
from automations.core.run.states import ActionStatus, RunStatus
from automations.core.run.stop import Stop
from automations.core.spec.model import Concurrency, Overlap, Trigger
from automations.core.trigger.bindings import Bound
from automations.core.trigger.cause import hops_of

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Occasion:
    """What starts a run. `identity` is unique per automation; `event` is the envelope's document, if there is one.

    `window` is about the debounce window that the event stands for; `shared` is the event as expressions read it, converted once
    for all the runs that it starts.
    """

    identity: str
    trigger: Trigger
    event: Mapping[str, Any] | None = None
    event_row_id: str | None = None
    inputs: Mapping[str, Any] | None = None
    schedule: Mapping[str, Any] | None = None
    started_by: str | None = None
    replay_of: str | None = None
    window: Mapping[str, Any] | None = None
    shared: Activation | None = None
    overlap: Overlap | None = None
    """A schedule's own word for what happens while its earlier runs go on; None for the automation's."""


def _begun() -> None:
    """Nothing is left to do: the run was begun when it was made."""


@dataclass(frozen=True, slots=True)
class Materialized:
    """The rows of one new run. One that contends for a slot is not begun yet: its admission decides, see `services.run.admit`."""

    run: Row
    actions: tuple[Row, ...]
    contest: Contest | None = None
    begin: Callable[[], None] = _begun

    def reference(self) -> dict[str, Any]:
        """What a webhook's answer says of it: `{automationId, runId, actionIds}`."""
        return {
            "automationId": self.run["automation_id"],
            "runId": self.run["id"],
            "actionIds": [action["id"] for action in self.actions],
        }


def materialize(bound: Bound, occasion: Occasion, *, now: int, new_id: Callable[[], str]) -> Materialized:
    """A run of a bound automation. Times in microseconds."""
    blueprint = bound.blueprint
    key = f"{bound.automation.id}:{occasion.identity}"
    run = _run(bound, occasion, key=key, row_id=new_id()) | {"now": now}
    about = encode(_about(occasion))
    actions = tuple(
        {
            **blank,
            "id": new_id(),
            "run_id": run["id"],
            "idempotency_key": f"{key}:{blank['step_id']}",
            "metadata_json": about,
            "now": now,
        }
        for blank in blueprint.actions
    )
    policy = policy_of(bound.automation.concurrency, overlap=occasion.overlap, trigger_id=occasion.trigger.id)
    if policy is not None:
        return _contending(bound, occasion, Materialized(run, actions), policy=policy)
    if not blueprint.opened:
        _open(bound, occasion, run, actions)
    elif bound.automation.timeouts.run is not None:
        run["deadline_at"] = now + bound.automation.timeouts.run
    return Materialized(run, actions)


def pend(made: Materialized) -> None:
    """The run waits in line: none of its steps goes on."""
    made.run.update(status=str(RunStatus.PENDING), slot="waiting")


def drop(made: Materialized, reason: str) -> None:
    """The run is recorded and never begins."""
    now = made.run["now"]
    stop = Stop(RunStatus.DROPPED, "all")
    made.run.update(
        status=str(stop.status),
        stop=str(stop.status),
        stop_scope=stop.scope,
        stop_reason=reason,
        stop_at=now,
        completed_at=now,
    )
    _cancel(made.actions, stop.reason, now=now)


def _contending(bound: Bound, occasion: Occasion, made: Materialized, *, policy: Concurrency) -> Materialized:
    """A run that must have a slot before anything of it goes on; one without a usable key has failed."""
    run = made.run
    for row in made.actions:
        row.update(status=str(ActionStatus.BLOCKED), input_json=None, input_digest=None)
    key = _key(bound, occasion, policy)
    if isinstance(key, KeyInvalid):
        error = {"code": KEY_INVALID, "message": key.message}
        run.update(status=str(RunStatus.FAILED), error_json=encode(error), completed_at=run["now"])
        _cancel(made.actions, "run_failed", now=run["now"])
        return made
    run.update(slot_key=key, slot_limit=policy.limit)

    def begin() -> None:
        run["slot"] = "held"
        _open(bound, occasion, run, made.actions)

    return Materialized(run, made.actions, Contest(key, policy), begin)


def _key(bound: Bound, occasion: Occasion, policy: Concurrency) -> str | KeyInvalid:
    template = bound.program.key
    if template is None:
        return policy.key
    automation = bound.automation
    roots = {
        "event": occasion.event or {},
        "inputs": occasion.inputs or {},
        "schedule": occasion.schedule or {},
        "vars": automation.vars,
        "automation": {"id": automation.id, "name": automation.name, "version": automation.version},
    }
    return rendered(template, roots)


def _cancel(actions: tuple[Row, ...], reason: str, *, now: int) -> None:
    for row in actions:
        row.update(status=str(ActionStatus.CANCELLED), reason=reason, completed_at=now)


def _open(bound: Bound, occasion: Occasion, run: Row, actions: tuple[Row, ...]) -> None:
    """Let the run machine decide for the first time, and write what it decides into the rows."""
    view = RunView(
        id=run["id"],
        status=RunStatus.MATERIALIZED,
        created_at=run["now"],
        event=occasion.event,
        inputs=occasion.inputs or {},
        schedule=occasion.schedule,
        shared=occasion.shared,
        actions=tuple(ActionView(row["id"], row["step_id"], ActionStatus.BLOCKED) for row in actions),
    )
    decision = advance(bound.program, view)
    changes = {change.id: change for change in decision.actions}
    for row in actions:
        if row["id"] in changes:
            step = bound.program.step(row["step_id"])
            row.update(changed(changes[row["id"]], program=step, spec=run["digest"], now=run["now"]))
    status = decision.run or RunStatus.MATERIALIZED
    move = Move(status, decision.finishing, run["now"])
    run.update(place(run, bound.automation, move)._asdict(), status=str(status))
    run["error_json"] = encode(decision.error) if decision.error else None
    run["completed_at"] = run["now"] if status.final else None


def changed(change: ActionChange, *, program: StepProgram, spec: str, now: int) -> Row:
    """The columns that a run-machine change sets on a blocked action; `spec` is the digest that its run is pinned to."""
    return {
        "status": str(change.status),
        "reason": change.reason,
        "input_json": encode(change.input) if change.input_digest else None,
        "input_digest": change.input_digest,
        "error_json": encode(change.error) if change.error else None,
        **_gate(program, change, spec=spec, now=now),
        "completed_at": now if change.status.final else None,
    }


def _gate(step: StepProgram, change: ActionChange, *, spec: str, now: int) -> Row:
    """The gate of a step that asks for approval, open for a decision about this content where the action waits for one."""
    if not step.approvals:
        return {"approval_json": None, "approval_expires_at": None}
    gate = pending_gate(requirement_of(step))
    if change.status is not ActionStatus.WAITING_APPROVAL:
        return {"approval_json": encode(gate), "approval_expires_at": None}
    expires = step.step.approval.expires if step.step.approval else None
    until = None if expires is None else now + expires
    content = content_of(change.input_digest, spec)
    asked = asked_gate(gate, decision_id=change.id, content=content, expires_at=until, now=now)
    return {"approval_json": encode(asked), "approval_expires_at": until}


def _about(occasion: Occasion) -> dict[str, Any]:
    """What an invocation says about the event that caused it."""
    event = occasion.event
    if event is None:
        return {}
    named = {"eventId": event["id"]}
    if hops := hops_of(event.get("metadata")):
        named["hops"] = hops
    return {**named, "eventDedupeKey": event["dedupeKey"]} if "dedupeKey" in event else named


def _run(bound: Bound, occasion: Occasion, *, key: str, row_id: str) -> Row:
    event = occasion.event
    metadata = {"eventSource": event["source"], "eventType": event["type"]} if event else {}
    if event and "dedupeKey" in event:
        metadata["eventDedupeKey"] = event["dedupeKey"]
    if occasion.schedule:
        metadata["schedule"] = occasion.schedule
    if occasion.window:
        metadata["window"] = occasion.window
    if occasion.started_by:
        metadata["startedBy"] = occasion.started_by
    return {
        **bound.blueprint.run,
        "id": row_id,
        "trigger_json": bound.blueprint.triggers[occasion.trigger.id],
        "event_row_id": occasion.event_row_id,
        "trigger_event_id": event["id"] if event else None,
        "schedule_trigger_id": occasion.trigger.id if occasion.schedule else None,
        "idempotency_key": key,
        "inputs_json": None if occasion.inputs is None else encode(occasion.inputs),
        "metadata_json": encode(metadata),
        "replay_of": occasion.replay_of,
    }
