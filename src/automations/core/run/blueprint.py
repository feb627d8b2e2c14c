"""A blueprint: everything about the rows of a new run that its event cannot change, worked out once per bound generation.

Ingest makes thousands of runs a second of the same few automations; what is constant is copied instead of computed again. Where
even the first decision is constant (the first steps have neither `when` nor templates, and their input is valid) it is kept too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from automations.core.canonical import as_written, digest, encode
from automations.core.instant import MILLISECOND
from automations.core.run.approval import pending_gate
from automations.core.run.program import Program, StepProgram
from automations.core.run.states import ActionStatus
from automations.core.spec.model import Automation

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Blueprint:
    """Constant columns of a run, of each of its actions in order, and each trigger's JSON by its id.

    `opened` says that `actions` already hold the run machine's first decision.
    """

    run: Row
    actions: tuple[Row, ...]
    triggers: Mapping[str, str]
    opened: bool


def blueprint_of(program: Program, manifest_digests: Mapping[str, str]) -> Blueprint:
    """The blueprint of a compiled generation; `manifest_digests` by step id."""
    first = [step for step in program.steps if not step.step.depends_on and not step.step.final]
    opened = bool(first) and all(_is_constant(step) for step in first)
    automation = program.automation
    return Blueprint(
        run={
            "automation_uid": program.uid,
            "automation_id": automation.id,
            "generation": program.generation,
            "digest": automation.digest,
            "manifests_json": encode(dict(manifest_digests)),
            "status": "materialized",
            "error_json": None,
            "slot_key": None,
            "slot_limit": None,
            "slot": None,
            "slot_turn": None,
            "stop": None,
            "stop_scope": None,
            "stop_reason": None,
            "stop_at": None,
            "deadline_at": None,
            "deadline_left": None,
            "finally_at": None,
            "completed_at": None,
        },
        actions=tuple(
            _action(step, position=position, opened=opened and step in first)
            | {"automation_id": automation.id, "priority": _priority(step, automation)}
            for position, step in enumerate(program.steps)
        ),
        triggers={trigger.id: as_written(dict(trigger.raw)) for trigger in automation.triggers},
        opened=opened,
    )


def requirement_of(step: StepProgram) -> dict[str, Any]:
    """What a step's approval gate asks for. `groups` stands there where not everybody asked may be anybody."""
    requirement: dict[str, Any] = {"requiresApproval": True, "count": step.approvals}
    reasons = dict.fromkeys(each.reason for each in step.asks if each.reason)
    if reasons:
        requirement["reason"] = "; ".join(reasons)
    if any(each.roles for each in step.asks):
        requirement["roles"] = sorted({role for each in step.asks for role in each.roles})
    if len({each.roles for each in step.asks}) > 1:
        requirement["groups"] = [
            {"count": each.count, **({"roles": list(each.roles)} if each.roles else {})} for each in step.asks
        ]
    approval = step.step.approval
    if approval and approval.allow_self:
        requirement["allowSelf"] = True
    if approval and approval.expires is not None:
        silence = "reject" if step.manifest and step.manifest.high_risk else approval.on_expire
        requirement |= {"expiresAfterMs": approval.expires // MILLISECOND, "onExpire": silence}
    return requirement


def _priority(step: StepProgram, automation: Automation) -> int:
    """A step's own, else its automation's."""
    return automation.priority if step.step.priority is None else step.step.priority


def _is_constant(step: StepProgram) -> bool:
    """Whether the step is queued at once with the same input whatever the event says."""
    if step.when is not None or step.approvals or not step.input.constant:
        return False
    return not (step.accepts and step.accepts.violations(step.input.render({})))


def _action(step: StepProgram, *, position: int, opened: bool) -> Row:
    given = step.input.render({}) if opened else None
    return {
        "step_id": step.step.id,
        "position": position,
        "action_id": step.step.action_id,
        "manifest_version": step.manifest_version,
        "manifest_digest": step.manifest.digest if step.manifest else None,
        "executor": step.executor,
        "status": str(ActionStatus.QUEUED if opened else ActionStatus.BLOCKED),
        "input_json": encode(given) if opened else None,
        "input_digest": digest(given) if opened else None,
        "max_attempts": step.step.retry.max_attempts,
        "attempt_limit": step.attempt_limit,
        "step_limit": step.step.total_timeout,
        "error_json": None,
        "approval_json": encode(pending_gate(requirement_of(step))) if step.approvals else None,
        "approval_expires_at": None,
        "reason": None,
        "completed_at": None,
    }
