"""Approvals: who may decide about a waiting action, what a decision does, and when it is refused or lapses.

A gate is the contract's `approvalGate`: `{requirement, blockedUntilApproved, decision?}`. It exists from the run's start, but a
decision can be given only once the action is ready, because it is bound to the input that was rendered then and to the spec: a
decision about other content is void. The refusals' words are those of the original.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from automations.core.actor import BY_EXPIRY
from automations.core.canonical import digest
from automations.core.instant import iso
from automations.core.run.queue import Refusal
from automations.core.run.states import ActionStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EXPIRED = "approval expired"
"""Why an action is dead whose question nobody answered in time."""


@dataclass(frozen=True, slots=True)
class Approver:
    """Who decides, and the roles that the store says this person has."""

    name: str
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Waiting:
    """An action and its gate as they stand. `content` is `content_of` what is asked about; `expires_at` in microseconds."""

    id: str
    status: ActionStatus
    gate: Mapping[str, Any] | None
    started_by: str | None = None
    """Who started the run by hand; that person's own approval does not count unless the gate allows it."""
    content: str = ""
    expires_at: int | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """What to persist: the new gate, the new status, and a dead letter where the action was rejected.

    `refusal` is what the caller is told all the same: the question had lapsed, or was about something else.
    """

    status: ActionStatus
    gate: Mapping[str, Any]
    dead_letter: Mapping[str, Any] | None = None
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class _Seats:
    """How many of these roles must agree; no roles for anybody."""

    count: int
    roles: frozenset[str] = field(default_factory=frozenset)

    def admits(self, roles: frozenset[str]) -> bool:
        return not self.roles or bool(self.roles & roles)


def content_of(input_digest: str | None, spec_digest: str) -> str:
    """What a decision is bound to: the rendered input and the spec."""
    return digest({"input": input_digest, "spec": spec_digest})


def pending_gate(requirement: Mapping[str, Any]) -> dict[str, Any]:
    """The gate of an action that is not ready yet: nobody can decide about it so far."""
    return {"requirement": dict(requirement), "blockedUntilApproved": True}


def asked_gate(
    gate: Mapping[str, Any], *, decision_id: str, content: str, expires_at: int | None, now: int
) -> dict[str, Any]:
    """The gate of an action that became ready: a decision is pending. Times in microseconds."""
    decision: dict[str, Any] = {"id": decision_id, "status": "pending", "requestedAt": iso(now), "content": content}
    if expires_at is not None:
        decision["expiresAt"] = iso(expires_at)
    return {**gate, "decision": decision}


def approve(waiting: Waiting, approver: Approver, *, now: int) -> Decided | Refusal:
    """Count one approval; the action is queued when enough different people, of the roles asked for, gave theirs."""
    settled = _may_decide(waiting, verb="approve", now=now)
    if settled:
        return settled
    gate = dict(waiting.gate or {})
    decision = dict(gate["decision"])
    refusal = _may_approve(waiting, gate, approver=approver)
    if refusal:
        return refusal
    seats = _seats(gate["requirement"])
    mine = sorted(approver.roles & {role for each in seats for role in each.roles})
    entry = {"by": approver.name, "at": iso(now), **({"roles": mine} if mine else {})}
    given = [*decision.get("approvals", ()), entry]
    if _taken(seats, given) < sum(each.count for each in seats):
        return Decided(ActionStatus.WAITING_APPROVAL, {**gate, "decision": {**decision, "approvals": given}})
    decision |= {
        "status": "approved",
        "decidedAt": iso(now),
        "approvals": given,
        "metadata": {"decidedBy": approver.name},
    }
    return Decided(ActionStatus.QUEUED, {**gate, "blockedUntilApproved": False, "decision": decision})


def reject(waiting: Waiting, approver: Approver, *, reason: str | None, now: int) -> Decided | Refusal:
    """One rejection ends the action: dead to clients of the original, and not replayable."""
    settled = _may_decide(waiting, verb="reject", now=now)
    if settled:
        return settled
    gate = dict(waiting.gate or {})
    seats = _seats(gate["requirement"])
    if not any(each.admits(approver.roles) for each in seats):
        return _lacks(waiting.id, seats, approver=approver)
    return _rejected(gate, by=approver.name, reason=reason, now=now)


def expire(waiting: Waiting, *, now: int) -> Decided | None:
    """What becomes of a question whose time ran out: rejected, unless its author chose otherwise; None while it is open."""
    gate = waiting.gate
    if waiting.status is not ActionStatus.WAITING_APPROVAL or gate is None or not _lapsed(waiting, now=now):
        return None
    if gate["requirement"].get("onExpire") != "approve":
        return _rejected(gate, by=BY_EXPIRY, reason=EXPIRED, now=now, replayable=True)
    decision = {**gate["decision"], "status": "approved", "decidedAt": iso(now), "metadata": {"decidedBy": BY_EXPIRY}}
    return Decided(ActionStatus.QUEUED, {**gate, "blockedUntilApproved": False, "decision": decision})


def stands(gate: Mapping[str, Any], content: str) -> bool:
    """Whether an approval that was given is about this content. One from before contents were kept is."""
    return bool(gate.get("decision", {}).get("content", content) == content)


def asked_again(gate: Mapping[str, Any], *, content: str, now: int) -> dict[str, Any]:
    """The gate whose decision is void, open once more: what was agreed to is not what would run."""
    decision = gate["decision"]
    fresh = {"id": decision["id"], "status": "pending", "requestedAt": iso(now), "content": content, "voided": iso(now)}
    return {**gate, "blockedUntilApproved": True, "decision": fresh}


def missing(gate: Mapping[str, Any]) -> list[dict[str, Any]]:
    """How many approvals a gate still lacks, by the roles that may give them: `[{count, roles?}]`."""
    seats = _seats(gate["requirement"])
    given = gate.get("decision", {}).get("approvals", ())
    found = []
    for at, each in enumerate(seats):
        lacking = each.count - _assigned(seats, given).count(at)
        if lacking > 0:
            found.append({"count": lacking, **({"roles": sorted(each.roles)} if each.roles else {})})
    return found


def _seats(requirement: Mapping[str, Any]) -> list[_Seats]:
    groups: Sequence[Mapping[str, Any]] = requirement.get("groups") or (requirement,)
    return [_Seats(each.get("count", 1), frozenset(each.get("roles", ()))) for each in groups]


def _taken(seats: Sequence[_Seats], given: Sequence[Mapping[str, Any]]) -> int:
    return len(_assigned(seats, given))


def _assigned(seats: Sequence[_Seats], given: Sequence[Mapping[str, Any]]) -> list[int]:
    """Which group each taken seat is of, with as many approvers seated as can be (augmenting paths).

    Somebody of two roles may be needed for either: who takes which seat is decided over all approvers at once.
    """
    places = [at for at, each in enumerate(seats) for _ in range(min(each.count, len(given)))]
    holder: dict[int, int] = {}

    def seat(person: int, tried: set[int]) -> bool:
        roles = frozenset(given[person].get("roles", ()))
        for place, group in enumerate(places):
            if place in tried or not seats[group].admits(roles):
                continue
            tried.add(place)
            if place not in holder or seat(holder[place], tried):
                holder[place] = person
                return True
        return False

    for person in range(len(given)):
        seat(person, set())
    return [places[place] for place in holder]


def _may_approve(waiting: Waiting, gate: Mapping[str, Any], *, approver: Approver) -> Refusal | None:
    name = approver.name
    if same_person(name, waiting.started_by) and not gate["requirement"].get("allowSelf", False):
        return Refusal(f"{name} started the run of queued action {waiting.id}; somebody else must approve it")
    given = list(gate["decision"].get("approvals", ()))
    if any(same_person(name, each["by"]) for each in given):
        return Refusal(f"{name} approved queued action {waiting.id} already; somebody else must")
    seats = _seats(gate["requirement"])
    with_me = [*given, {"by": name, "roles": sorted(approver.roles)}]
    if _taken(seats, with_me) == _taken(seats, given):
        return _lacks(waiting.id, seats, approver=approver)
    return None


def same_person(one: str, other: str | None) -> bool:
    """Whether two names are one person's: `Ada` and `ada ` are not two."""
    return other is not None and _plain(one) == _plain(other)


def _plain(name: str) -> str:
    return normalize("NFKC", name).strip().casefold()


def _lacks(action_id: str, seats: Sequence[_Seats], *, approver: Approver) -> Refusal:
    wanted = sorted({role for each in seats for role in each.roles})
    return Refusal(f"{approver.name} has no role that queued action {action_id} still waits for: {', '.join(wanted)}")


def _rejected(gate: Mapping[str, Any], *, by: str, reason: str | None, now: int, replayable: bool = False) -> Decided:
    decision = {**gate["decision"], "status": "rejected", "decidedAt": iso(now), "metadata": {"decidedBy": by}}
    if reason:
        decision["reason"] = reason
    letter = {
        "reason": reason or "approval rejected",
        "failedAt": iso(now),
        "attempts": 0,
        "replayable": replayable,
        "metadata": {"approvalDecisionId": decision["id"]},
    }
    return Decided(ActionStatus.REJECTED, {**gate, "decision": decision}, letter)


def _lapsed(waiting: Waiting, *, now: int) -> bool:
    return waiting.expires_at is not None and waiting.expires_at <= now


def _may_decide(waiting: Waiting, *, verb: str, now: int) -> Decided | Refusal | None:
    """Why nobody may decide now, with what has to be persisted first where the question lapsed; None when one may."""
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
    expired = expire(waiting, now=now)
    if expired:
        refusal = Refusal(f"queued action approval decision is not pending: {waiting.id} (its time ran out)")
        return Decided(expired.status, expired.gate, expired.dead_letter, refusal)
    if not stands(waiting.gate, waiting.content):
        refusal = Refusal(f"what queued action {waiting.id} would do has changed; look at it and decide again")
        gate = asked_again(waiting.gate, content=waiting.content, now=now)
        return Decided(ActionStatus.WAITING_APPROVAL, gate, refusal=refusal)
    return None
