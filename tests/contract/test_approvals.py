"""Approvals with roles, deadlines and bound content, on every store."""

from typing import Any

import pytest

from automations.core.canonical import decode
from automations.core.instant import SECOND
from automations.errors import Conflict, InvalidInput
from automations.services import audit_view
from automations.services.roles import Roles
from automations.services.run.approval import Approvals, Parts
from automations.store import actions
from automations.store.audit import Wanted as WantedEntries
from automations.store.database import Database, Row
from control_plane import ControlPlane
from samples import action, spec, step


class Deciding(ControlPlane):
    """A control plane where people decide."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.approvals = Approvals(Parts(database, self.programs, self.clock, self.ids, self.telemetry))
        self.roles = Roles(database, self.clock)

    def asked(self, *manifests: dict[str, Any], **approval: Any) -> str:
        """The id of an action that waits for this approval."""
        gate = {"approval": {"mode": "manual", **approval}}
        files = {"a.yaml": spec("a", actions=[step("pay", **gate), step("after", dependsOn=["pay"])])}
        self.apply(files | {f"m{number}.yaml": each for number, each in enumerate(manifests)})
        return str(self.send().materialized[0]["actionIds"][0])

    def row(self, action_id: str) -> Row:
        with self.database.read() as tx:
            row = actions.get(tx, action_id)
        assert row is not None
        return row


@pytest.fixture
def plane(database: Database) -> Deciding:
    return Deciding(database)


def test_only_who_has_the_role_at_the_moment_of_the_decision_decides(plane: Deciding) -> None:
    asked = plane.asked(count=2, roles=["sre"])
    with pytest.raises(Conflict, match=r"ada has no role that queued action .* still waits for: sre"):
        plane.approvals.approve(asked, actor="ada")
    plane.roles.grant("ada", "sre", actor="root")
    plane.roles.grant("bob", "sre", actor="root")
    plane.approvals.approve(asked, actor="ada")
    plane.roles.revoke("bob", "sre", actor="root")
    with pytest.raises(Conflict, match="bob has no role"):
        plane.approvals.reject(asked, actor="bob")
    plane.roles.grant("eve", "sre", actor="root")
    approved = plane.approvals.approve(asked, actor="eve")
    assert approved["status"] == "queued"
    given = decode(approved["approval_json"])["decision"]["approvals"]
    assert [(each["by"], each["roles"]) for each in given] == [("ada", ["sre"]), ("eve", ["sre"])]


def test_a_manifest_asks_people_of_its_own_besides(plane: Deciding) -> None:
    manifest = action(requiredApprovals=[{"kind": "manual", "roles": ["security"]}])
    asked = plane.asked(manifest, roles=["sre"])
    plane.roles.grant("ada", "sre", actor="root")
    plane.roles.grant("eve", "security", actor="root")
    assert plane.approvals.waiting()[0]["missing"] == [
        {"count": 1, "roles": ["sre"]},
        {"count": 1, "roles": ["security"]},
    ]
    assert plane.approvals.approve(asked, actor="eve")["status"] == "waiting_approval"
    assert plane.approvals.waiting()[0]["missing"] == [{"count": 1, "roles": ["sre"]}]
    assert plane.approvals.approve(asked, actor="ada")["status"] == "queued"


def test_roles_are_granted_once_and_every_change_is_on_record(plane: Deciding) -> None:
    plane.roles.grant("ada", "sre", actor="root")
    with pytest.raises(Conflict, match="ada has the role sre already"):
        plane.roles.grant("ada", "sre", actor="root")
    with pytest.raises(InvalidInput, match="not a name"):
        plane.roles.grant(" ada", "sre", actor="root")
    (granted,) = plane.roles.every()
    assert (granted["actor"], granted["role"], granted["grantedBy"]) == ("ada", "sre", "root")
    plane.roles.revoke("ada", "sre", actor="boss")
    with pytest.raises(Conflict, match="ada does not have the role sre"):
        plane.roles.revoke("ada", "sre", actor="boss")
    told = [(each["actor"], each["action"], each["subject"]) for each in entries(plane)]
    assert told == [("boss", "role.revoke", "ada"), ("root", "role.grant", "ada")]
    assert audit_view.verify(plane.database)["ok"]


def entries(plane: Deciding) -> list[dict[str, Any]]:
    return audit_view.entries(plane.database, WantedEntries(), limit=50)


def test_a_question_lapses_at_its_end_and_takes_the_run_with_it(plane: Deciding) -> None:
    asked = plane.asked(expires="10s")
    assert plane.approvals.tick(plane.clock.at) == plane.clock.at + 5 * SECOND
    plane.clock.at += 8 * SECOND
    assert plane.approvals.tick(plane.clock.at) == plane.clock.at + 2 * SECOND
    plane.clock.at += 2 * SECOND
    plane.approvals.tick(plane.clock.at)
    row = plane.row(asked)
    assert (row["status"], row["approval_expires_at"]) == ("rejected", None)
    assert decode(row["dead_letter_json"])["reason"] == "approval expired"
    assert plane.steps(row["run_id"]) == {"pay": "rejected", "after": "skipped"}
    assert plane.run(row["run_id"])["status"] == "failed"
    assert (entries(plane)[0]["actor"], entries(plane)[0]["action"]) == ("expiry", "approval.expire")


def test_silence_agrees_where_that_was_asked_for(plane: Deciding) -> None:
    asked = plane.asked(expires="10s", onExpire="approve")
    plane.clock.at += 10 * SECOND
    plane.approvals.tick(plane.clock.at)
    assert [row["id"] for row in plane.claim()] == [asked]


def test_an_answer_that_comes_too_late_settles_the_question_without_any_tick(plane: Deciding) -> None:
    asked = plane.asked(expires="10s")
    plane.clock.at += 10 * SECOND
    with pytest.raises(Conflict, match=f"queued action approval decision is not pending: {asked}"):
        plane.approvals.approve(asked, actor="ada")
    assert plane.row(asked)["status"] == "rejected"
    with pytest.raises(Conflict, match=f"cannot approve terminal queued action: {asked}"):
        plane.approvals.approve(asked, actor="ada")


def test_an_answer_about_an_input_that_was_changed_meanwhile_is_void(plane: Deciding) -> None:
    asked = plane.asked(count=2)
    plane.approvals.approve(asked, actor="ada")
    with plane.database.write() as tx:
        tx.run("""UPDATE actions SET input_json = '{"amount":1000}' WHERE id = :id""", id=asked)
    with pytest.raises(Conflict, match="has changed; look at it and decide again"):
        plane.approvals.approve(asked, actor="bob")
    gate = decode(plane.row(asked)["approval_json"])
    assert "approvals" not in gate["decision"]
    assert (entries(plane)[0]["action"], entries(plane)[0]["actor"]) == ("approval.void", "bob")
    plane.approvals.approve(asked, actor="bob")
    assert plane.approvals.approve(asked, actor="ada")["status"] == "queued"


def test_silence_never_agrees_to_high_risk(plane: Deciding) -> None:
    risky = action(riskLevel="high")
    made = plane.plan(
        {
            "a.yaml": spec(
                "a", actions=[step("pay", approval={"mode": "manual", "expires": "1h", "onExpire": "approve"})]
            ),
            "m.yaml": risky,
        }
    )
    assert [each.code for each in made.diagnostics if each.severity == "error"] == ["spec/approval-silence"]
