"""Approvals: who may decide about a waiting action, what a decision does, and when it is refused.

A gate is the contract's `approvalGate`: `{requirement, blockedUntilApproved, decision?}`. It exists from the run's start, but a
decision can be given only once the action is ready, because it is bound to the input that was rendered then. The refusals' words
are those of the original.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automations.core.instant import iso
from automations.core.run.queue import Refusal
from automations.core.run.states import ActionStatus

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Waiting:
    """An action and its gate as they stand."""

    id: str
    status: ActionStatus
    gate: Mapping[str, Any] | None
    started_by: str | None = None
    """Who started the run by hand; that person's own approval does not count unless the gate allows it."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What to persist: the new gate, the new status, and a dead letter where the action was rejected."""

    status: ActionStatus
    gate: Mapping[str, Any]
    dead_letter: Mapping[str, Any] | None = None


def pending_gate(requirement: Mapping[str, Any]) -> dict[str, Any]:
    """The gate of an action that is not ready yet: nobody can decide about it so far."""
    return {"requirement": dict(requirement), "blockedUntilApproved": True}


def asked_gate(gate: Mapping[str, Any], *, decision_id: str, now: int) -> dict[str, Any]:
    """The gate of an action that became ready: a decision is pending. `now` in microseconds."""
    return {**gate, "decision": {"id": decision_id, "status": "pending", "requestedAt": iso(now)}}


def approve(waiting: Waiting, *, actor: str, now: int) -> Decided | Refusal:
    """Count one approval; the action is queued when enough different people gave theirs."""
    refusal = _may_decide(waiting, verb="approve")
    if refusal:
        return refusal
    gate = dict(waiting.gate or {})
    if actor == waiting.started_by and not gate["requirement"].get("allowSelf", False):
        return Refusal(f"{actor} started the run of queued action {waiting.id}; somebody else must approve it")
    decision = dict(gate["decision"])
    given = [*decision.get("approvals", []), {"by": actor, "at": iso(now)}]
    if len({each["by"] for each in given}) < len(given):
        return Refusal(f"{actor} approved queued action {waiting.id} already; somebody else must")
    if len(given) < gate["requirement"].get("count", 1):
        return Decided(ActionStatus.WAITING_APPROVAL, {**gate, "decision": {**decision, "approvals": given}})
    decision |= {"status": "approved", "decidedAt": iso(now), "approvals": given, "metadata": {"decidedBy": actor}}
    return Decided(ActionStatus.QUEUED, {**gate, "blockedUntilApproved": False, "decision": decision})


def reject(waiting: Waiting, *, actor: str, reason: str | None, now: int) -> Decided | Refusal:
    """One rejection ends the action: dead to clients of the original, and not replayable."""
    refusal = _may_decide(waiting, verb="reject")
    if refusal:
        return refusal
    gate = dict(waiting.gate or {})
    decision = {**gate["decision"], "status": "rejected", "decidedAt": iso(now), "metadata": {"decidedBy": actor}}
    if reason:
        decision["reason"] = reason
    letter = {
        "reason": reason or "approval rejected",
        "failedAt": iso(now),
        "attempts": 0,
        "replayable": False,
        "metadata": {"approvalDecisionId": decision["id"]},
    }
    return Decided(ActionStatus.REJECTED, {**gate, "decision": decision}, letter)


def _may_decide(waiting: Waiting, *, verb: str) -> Refusal | None:
    if waiting.gate is None:
        return Refusal(f"queued action has no approval gate: {waiting.id}")
    if waiting.status.final:
        return Refusal(f"cannot {verb} terminal queued action: {waiting.id}")
    if waiting.status is ActionStatus.CLAIMED:
        return Refusal(f"cannot {verb} claimed queued action: {waiting.id}")
    if waiting.status is ActionStatus.BLOCKED:
        return Refusal(f"queued action is not ready for a decision, steps before it are not over: {waiting.id}")
    if waiting.gate.get("decision", {}).get("status") != "pending":
        return Refusal(f"queued action approval decision is not pending: {waiting.id}")
    return None
