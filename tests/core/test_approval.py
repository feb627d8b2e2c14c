"""Approvals: who may decide, when enough have agreed, and what makes a question lapse; tables, and a law against brute force."""

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automations.core.instant import SECOND
from automations.core.run.approval import (
    EXPIRED,
    Approver,
    Decided,
    Waiting,
    approve,
    asked_again,
    asked_gate,
    content_of,
    expire,
    missing,
    pending_gate,
    reject,
    same_person,
    stands,
)
from automations.core.run.blueprint import requirement_of
from automations.core.run.queue import Refusal
from automations.core.run.states import ActionStatus
from samples import manifest, program, step

NOW = 1_700_000_000 * SECOND
CONTENT = content_of("sha256:input", "sha256:spec")
STEP = {"count": 2, "roles": ["sre"]}
MANIFEST = {"count": 1, "roles": ["security"]}


def waiting(requirement: dict[str, Any] | None = None, **keys: Any) -> Waiting:
    gate = pending_gate({"requiresApproval": True, "count": 1, **(requirement or {})})
    asked = asked_gate(gate, decision_id="d1", content=CONTENT, expires_at=keys.get("expires_at"), now=NOW)
    return Waiting(**{"id": "a1", "status": ActionStatus.WAITING_APPROVAL, "gate": asked, "content": CONTENT, **keys})


def agreed(asked: Waiting, *approvers: Approver) -> Waiting | Decided | Refusal:
    """What comes of these people agreeing one after the other; the first that is refused ends it."""
    for approver in approvers:
        decided = approve(asked, approver, now=NOW)
        if isinstance(decided, Refusal) or decided.status is not ActionStatus.WAITING_APPROVAL:
            return decided
        asked = Waiting(asked.id, decided.status, decided.gate, asked.started_by, asked.content, asked.expires_at)
    return asked


def one(name: str, *roles: str) -> Approver:
    return Approver(name, frozenset(roles))


@pytest.mark.parametrize(
    ("requirement", "approvers", "verdict"),
    [
        ({}, [one("ada")], "queued"),
        ({"count": 2}, [one("ada"), one("bob")], "queued"),
        ({"count": 2}, [one("ada")], "waiting"),
        ({"count": 2}, [one("ada"), one("ADA ")], "refused"),
        ({"roles": ["sre"]}, [one("ada")], "refused"),
        ({"roles": ["sre"]}, [one("ada", "dev")], "refused"),
        ({"roles": ["sre", "lead"]}, [one("ada", "lead")], "queued"),
        ({"groups": [STEP, MANIFEST]}, [one("ada", "sre"), one("bob", "sre"), one("eve", "security")], "queued"),
        ({"groups": [STEP, MANIFEST]}, [one("ada", "sre"), one("bob", "sre"), one("cid", "sre")], "refused"),
        # Ada could sit in either group; she moves when somebody can only sit in hers.
        (
            {"groups": [STEP, MANIFEST]},
            [one("ada", "security", "sre"), one("bob", "sre"), one("cid", "sre")],
            "queued",
        ),
        ({"groups": [{"count": 1}, MANIFEST]}, [one("eve", "security"), one("ada")], "queued"),
    ],
)
def test_enough_different_people_of_the_roles_asked_for_agree(
    requirement: dict[str, Any], approvers: list[Approver], verdict: str
) -> None:
    found = agreed(waiting(requirement), *approvers)
    if isinstance(found, Waiting):
        assert verdict == "waiting"
    else:
        assert verdict == ("refused" if isinstance(found, Refusal) else str(found.status))


ROLES = ("x", "y", "z")
roles = st.frozensets(st.sampled_from(ROLES), max_size=2)
groups = st.lists(
    st.builds(lambda count, of: {"count": count, "roles": sorted(of)}, st.integers(1, 2), roles), min_size=1, max_size=2
)


@given(groups, st.lists(roles, min_size=1, max_size=5))
def test_an_action_is_let_go_exactly_when_everybody_needed_can_be_seated(
    asked: list[dict[str, Any]], people: list[frozenset[str]]
) -> None:
    standing = waiting({"groups": asked})
    given_so_far: list[frozenset[str]] = []
    for number, mine in enumerate(people):
        decided = approve(standing, Approver(f"p{number}", mine), now=NOW)
        if isinstance(decided, Refusal):
            assert seated(asked, [*given_so_far, mine]) == seated(asked, given_so_far)
            continue
        given_so_far.append(mine)
        enough = seated(asked, given_so_far) == sum(each["count"] for each in asked)
        assert (decided.status is ActionStatus.QUEUED) == enough
        if enough:
            return
        assert sum(each["count"] for each in missing(decided.gate)) == sum(each["count"] for each in asked) - seated(
            asked, given_so_far
        )
        standing = Waiting("a1", decided.status, decided.gate, content=CONTENT)


def seated(asked: list[dict[str, Any]], people: list[frozenset[str]]) -> int:
    """By trying every order of people on the seats."""
    seats = [frozenset(each["roles"]) for each in asked for _ in range(each["count"])]
    everybody = [*people, *[None] * len(seats)]
    return max(
        sum(person is not None and (not seat or bool(seat & person)) for seat, person in zip(seats, order, strict=True))
        for order in set(permutations(everybody, len(seats)))
    )


def test_who_started_the_run_does_not_agree_with_himself_however_he_writes_his_name() -> None:
    for name in ("ada", "Ada", " ada ", "\uff41\uff44\uff41"):
        assert isinstance(approve(waiting(started_by="ada"), one(name), now=NOW), Refusal)
        assert same_person(name, "ada")
    assert isinstance(approve(waiting({"allowSelf": True}, started_by="ada"), one("ada"), now=NOW), Decided)
    assert not same_person("ada", None)


def test_whoever_may_not_agree_may_not_reject_either() -> None:
    assert isinstance(reject(waiting({"roles": ["sre"]}), one("ada"), reason=None, now=NOW), Refusal)
    rejected = reject(waiting({"roles": ["sre"]}), one("ada", "sre"), reason="no", now=NOW)
    assert isinstance(rejected, Decided)
    assert (rejected.status, rejected.gate["decision"]["reason"]) == (ActionStatus.REJECTED, "no")


def test_an_unanswered_question_is_rejected_at_its_end_and_not_before() -> None:
    asked = waiting({"onExpire": "reject"}, expires_at=NOW + SECOND)
    assert expire(asked, now=NOW + SECOND - 1) is None
    lapsed = expire(asked, now=NOW + SECOND)
    assert lapsed is not None
    assert lapsed.dead_letter is not None
    assert (lapsed.status, lapsed.dead_letter["reason"]) == (ActionStatus.REJECTED, EXPIRED)
    assert lapsed.gate["decision"]["metadata"] == {"decidedBy": "expiry"}


def test_silence_agrees_where_its_author_said_so() -> None:
    lapsed = expire(waiting({"onExpire": "approve"}, expires_at=NOW), now=NOW)
    assert lapsed is not None
    assert (lapsed.status, lapsed.gate["blockedUntilApproved"]) == (ActionStatus.QUEUED, False)


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_an_answer_that_comes_too_late_settles_the_question_and_is_refused(verb: str) -> None:
    asked = waiting(expires_at=NOW)
    late = approve(asked, one("ada"), now=NOW) if verb == "approve" else reject(asked, one("ada"), reason=None, now=NOW)
    assert isinstance(late, Decided)
    assert late.refusal is not None
    assert late.status is ActionStatus.REJECTED
    assert late.refusal.message.startswith("queued action approval decision is not pending: a1")


def test_an_answer_about_other_content_is_void_and_the_question_is_asked_again() -> None:
    asked = agreed(waiting({"count": 2}), one("ada"))
    assert isinstance(asked, Waiting)
    other = Waiting("a1", asked.status, asked.gate, content=content_of("sha256:other", "sha256:spec"))
    void = approve(other, one("bob"), now=NOW)
    assert isinstance(void, Decided)
    assert void.refusal is not None
    assert void.status is ActionStatus.WAITING_APPROVAL
    assert "approvals" not in void.gate["decision"]
    assert stands(void.gate, other.content)
    assert not stands(void.gate, CONTENT)
    assert asked_again(void.gate, content=CONTENT, now=NOW)["blockedUntilApproved"]


def test_a_gate_from_before_contents_were_kept_can_still_be_decided() -> None:
    gate = {**pending_gate({"requiresApproval": True}), "decision": {"id": "d", "status": "pending"}}
    decided = approve(Waiting("a1", ActionStatus.WAITING_APPROVAL, gate, content=CONTENT), one("ada"), now=NOW)
    assert isinstance(decided, Decided)
    assert decided.status is ActionStatus.QUEUED


@pytest.mark.parametrize(
    ("approval", "manifested", "requirement"),
    [
        ({"mode": "manual"}, {}, {"count": 1}),
        ({"mode": "manual", "count": 2, "roles": ["sre"]}, {}, {"count": 2, "roles": ["sre"]}),
        (None, {"requiredApprovals": 2}, {"count": 2}),
        ({"mode": "manual"}, {"requiredApprovals": 1}, {"count": 2}),
        (
            {"mode": "manual", "count": 2, "roles": ["sre"], "reason": "Prod"},
            {"requiredApprovals": [{"kind": "manual", "roles": ["security"], "reason": "Money"}]},
            {"count": 3, "roles": ["security", "sre"], "reason": "Prod; Money", "groups": [STEP, MANIFEST]},
        ),
        (
            {"mode": "manual", "expires": "4h"},
            {},
            {"count": 1, "expiresAfterMs": 4 * 3_600_000, "onExpire": "reject"},
        ),
        (
            {"mode": "manual", "expires": "1s", "onExpire": "approve"},
            {"riskLevel": "low"},
            {"count": 1, "expiresAfterMs": 1000, "onExpire": "approve"},
        ),
        (
            {"mode": "manual", "expires": "1s", "onExpire": "approve"},
            {"riskLevel": "critical"},
            {"count": 1, "expiresAfterMs": 1000, "onExpire": "reject"},
        ),
    ],
)
def test_a_step_and_its_manifest_ask_together(
    approval: dict[str, Any] | None, manifested: dict[str, Any], requirement: dict[str, Any]
) -> None:
    asks = step("work", **({"approval": approval} if approval else {}))
    made = program(asks, manifests={"work": manifest(**manifested)})
    assert requirement_of(made.step("work")) == {"requiresApproval": True, **requirement}
