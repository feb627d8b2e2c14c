"""Approvals, replay and manual triggers, on every store."""

from typing import Any

import pytest

from automations.core.audit import broken_at
from automations.core.canonical import decode
from automations.errors import Conflict, InvalidInput, NotFound
from automations.services import audit_view, event_view, operate, trigger
from automations.store import audit
from automations.store.database import Database
from control_plane import ControlPlane
from samples import event_trigger, spec, step, webhook_trigger


class Operated(ControlPlane):
    """A control plane that can be operated."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.operate = operate.Operate(operate.Parts(database, self.programs, self.clock, self.ids, self.telemetry))
        self.start = trigger.Start(trigger.Parts(database, self.bindings, self.clock, self.ids, self.telemetry))

    def action(self, number: int = 0) -> str:
        """The id of an action of a new run of the automation that one event starts."""
        self._sent = getattr(self, "_sent", 0) + 1
        return str(self.send(f"event-{self._sent}").materialized[0]["actionIds"][number])

    def row(self, action_id: str) -> dict[str, Any]:
        with self.database.read() as tx:
            row = tx.one("SELECT * FROM actions WHERE id = :id", id=action_id)
        assert row is not None
        return row


@pytest.fixture
def plane(database: Database) -> Operated:
    return Operated(database)


GATE = {"approval": {"requiresApproval": True, "reason": "money"}}


def test_a_step_with_a_gate_is_handed_out_only_after_its_approval(plane: Operated) -> None:
    plane.apply({"a.yaml": spec("a", actions=[step("pay", **GATE)])})
    action = plane.action()
    assert plane.claim() == []
    approved = plane.operate.approve(action, actor="ada")
    assert approved["status"] == "queued"
    gate = decode(approved["approval_json"])
    assert gate["requirement"] == {"requiresApproval": True, "count": 1, "reason": "money"}
    assert gate["blockedUntilApproved"] is False
    assert gate["decision"]["status"] == "approved"
    assert gate["decision"]["metadata"] == {"decidedBy": "ada"}
    assert [row["id"] for row in plane.claim()] == [action]


def test_two_approvals_come_from_two_people(plane: Operated) -> None:
    gate = {"approval": {"requiresApproval": True, "count": 2}}
    plane.apply({"a.yaml": spec("a", actions=[step("pay", **gate)])})
    action = plane.action()
    assert plane.operate.approve(action, actor="ada")["status"] == "waiting_approval"
    with pytest.raises(Conflict, match=r"ada approved queued action .* already"):
        plane.operate.approve(action, actor="ada")
    assert plane.operate.approve(action, actor="bob")["status"] == "queued"


def test_a_rejected_action_is_over_and_takes_its_run_with_it(plane: Operated) -> None:
    plane.apply({"a.yaml": spec("a", actions=[step("pay", **GATE), step("ship", dependsOn=["pay"])])})
    action = plane.action()
    rejected = plane.operate.reject(action, actor="ada", reason="too dear")
    assert rejected["status"] == "rejected"
    assert decode(rejected["dead_letter_json"])["reason"] == "too dear"
    assert plane.steps(rejected["run_id"]) == {"pay": "rejected", "ship": "skipped"}
    assert plane.run(rejected["run_id"])["status"] == "failed"
    with pytest.raises(Conflict, match=f"queued action is not replayable: {action}"):
        plane.operate.replay(action, actor="ada")


def test_decisions_are_refused_in_the_words_of_the_original(plane: Operated) -> None:
    plane.apply({"a.yaml": spec("a", actions=[step("one"), step("pay", dependsOn=["one"], **GATE)])})
    one, pay = plane.action(0), plane.action(1)
    with pytest.raises(NotFound, match="queued action not found: nope"):
        plane.operate.approve("nope", actor="ada")
    with pytest.raises(Conflict, match=f"queued action has no approval gate: {one}"):
        plane.operate.approve(one, actor="ada")
    with pytest.raises(Conflict, match=rf"not ready for a decision.*: {pay}"):
        plane.operate.approve(pay, actor="ada")


def test_a_decision_is_given_once_and_never_about_a_claimed_or_ended_action(plane: Operated) -> None:
    plane.apply({"a.yaml": spec("a", actions=[step("pay", **GATE)])})
    action = plane.action()
    plane.operate.approve(action, actor="ada")
    with pytest.raises(Conflict, match=f"queued action approval decision is not pending: {action}"):
        plane.operate.approve(action, actor="bob")
    (claimed,) = plane.claim()
    with pytest.raises(Conflict, match=f"cannot reject claimed queued action: {action}"):
        plane.operate.reject(action, actor="bob")
    plane.done(claimed)
    with pytest.raises(Conflict, match=f"cannot approve terminal queued action: {action}"):
        plane.operate.approve(action, actor="bob")


def test_a_replayed_action_starts_over_and_what_was_skipped_for_it_runs_after_all(plane: Operated) -> None:
    plane.apply(
        {"a.yaml": spec("a", actions=[step("one"), step("two", dependsOn=["one"]), step("three", dependsOn=["two"])])}
    )
    action = plane.action()
    (claimed,) = plane.claim()
    plane.undone(claimed, retryable=False)
    run = claimed["run_id"]
    assert plane.steps(run) == {"one": "dead", "two": "skipped", "three": "skipped"}
    replayed = plane.operate.replay(action, actor="ada", reason="upstream is back")
    assert (replayed["status"], replayed["attempt"], replayed["dead_letter_json"]) == ("queued", 0, None)
    assert plane.steps(run) == {"one": "queued", "two": "blocked", "three": "blocked"}
    assert plane.run(run)["status"] == "running"
    for _ in range(3):
        plane.done(plane.claim()[0])
    assert plane.run(run)["status"] == "succeeded"
    assert plane.inspect.status()["counts"]["replayRequests"] == 1


def test_only_a_dead_action_is_replayed(plane: Operated) -> None:
    plane.apply({"a.yaml": spec("a")})
    action = plane.action()
    with pytest.raises(Conflict, match=f"queued action is not dead: {action}"):
        plane.operate.replay(action, actor="ada")


def test_every_decision_is_in_the_audit_chain(plane: Operated) -> None:
    plane.apply({"a.yaml": spec("a", actions=[step("pay", **GATE)])})
    plane.operate.approve(plane.action(), actor="ada")
    plane.operate.reject(plane.action(), actor="bob")
    with plane.database.read() as tx:
        rows = audit.every(tx)
    assert [(row["action"], row["actor"]) for row in rows] == [
        ("apply", "tester"),
        ("approval.approve", "ada"),
        ("approval.reject", "bob"),
    ]
    assert broken_at(rows) is None


def told(plane: Operated, event: str) -> dict[str, tuple[str, str | None]]:
    """For each automation: the outcome and the predicate that stood in the way."""
    answer = event_view.why(plane.database, plane.bindings, event)
    return {each["automationId"]: (each["outcome"], each.get("predicate")) for each in answer["triggers"]}


def test_why_names_the_first_thing_that_stood_in_the_way_of_each_trigger(plane: Operated) -> None:
    plane.apply(
        {
            "yes.yaml": spec("yes"),
            "type.yaml": spec("type", triggers=[event_trigger(type="other")]),
            "filter.yaml": spec("filter", triggers=[event_trigger(filter={"priority": "high"})]),
            "expr.yaml": spec("expr", triggers=[event_trigger(expr="event.data.size > 3")]),
            "broken.yaml": spec("broken", triggers=[event_trigger(expr="event.data.nothing == 1")]),
            "hook.yaml": spec("hook", triggers=[webhook_trigger()]),
            "paused.yaml": spec("paused", status="paused"),
        }
    )
    plane.send("e1", data={"priority": "low", "size": 2})
    assert told(plane, "e1") == {
        "yes": ("match", None),
        "type": ("no_match", "type"),
        "filter": ("no_match", "filter.priority"),
        "expr": ("no_match", "expr"),
        "broken": ("error", "expr"),
        "hook": ("no_match", "route"),
        "paused": ("no_match", "status"),
    }


def test_events_are_listed_with_their_outcome_newest_first(plane: Operated) -> None:
    plane.apply({"a.yaml": spec("a")})
    plane.send("e1")
    plane.send("e2", type="nobody.wants.it")
    found = event_view.event_list(plane.database, outcome=None, before=None, limit=10)
    assert [(each["id"], each["outcome"], len(each["materialized"])) for each in found] == [
        ("e2", "unmatched", 0),
        ("e1", "materialized", 1),
    ]
    older = event_view.event_list(plane.database, outcome=None, before=found[0]["eventId"], limit=10)
    assert [each["id"] for each in older] == ["e1"]
    with pytest.raises(NotFound, match="event not found: nope"):
        event_view.event_show(plane.database, "nope")


def test_the_record_of_what_was_done_is_whole_until_somebody_edits_it(plane: Operated) -> None:
    plane.apply({"a.yaml": spec("a")})
    plane.apply({"a.yaml": spec("a", version="2.0.0")})
    assert [each["action"] for each in audit_view.entries(plane.database, before=None, limit=10)] == ["apply", "apply"]
    whole = audit_view.verify(plane.database)
    assert (whole["ok"], whole["entries"]) == (True, 2)
    with plane.database.write() as tx:
        tx.run("UPDATE audit SET actor = 'nobody' WHERE seq = 1")
    assert audit_view.verify(plane.database) == {"ok": False, "entries": 2, "brokenAt": 1}


def test_an_automations_history_tells_who_applied_what(plane: Operated) -> None:
    plane.apply({"a.yaml": spec("a")})
    plane.apply({"a.yaml": spec("a", version="2.0.0")})
    found = audit_view.history(plane.database, "a")
    assert [(each["generation"], each["appliedBy"]) for each in found] == [(2, "tester"), (1, "tester")]
    with pytest.raises(NotFound, match="automation not found: b"):
        audit_view.history(plane.database, "b")


MANUAL = {
    "triggers": [{"kind": "manual"}],
    "inputs": {"type": "object", "required": ["ref"], "properties": {"ref": {"type": "string"}}},
    "actions": [{"id": "one", "actionId": "x.one", "input": {"ref": "${{ inputs.ref }}"}}],
}


def test_a_manual_trigger_starts_a_run_with_its_inputs(plane: Operated) -> None:
    plane.apply({"a.yaml": {**spec("a"), **MANUAL}})
    first = plane.start.manual("a", {"ref": "main"}, actor="ada")
    second = plane.start.manual("a", {"ref": "main"}, actor="ada")
    assert first["runId"] != second["runId"]
    rows = plane.claim(limit=5)
    assert [decode(row["input_json"]) for row in rows] == [{"ref": "main"}] * 2


def test_inputs_that_do_not_conform_start_nothing_and_all_are_named(plane: Operated) -> None:
    plane.apply({"a.yaml": {**spec("a"), **MANUAL}})
    with pytest.raises(InvalidInput, match="ref"):
        plane.start.manual("a", {"ref": 5}, actor="ada")
    assert plane.claim() == []


GATED = {**MANUAL, "actions": [{"id": "one", "actionId": "x.one", **GATE}]}


def test_who_started_a_run_by_hand_does_not_approve_it_unless_that_is_allowed(plane: Operated) -> None:
    plane.apply({"a.yaml": {**spec("a"), **GATED}})
    (action,) = plane.start.manual("a", {"ref": "main"}, actor="ada")["actionIds"]
    with pytest.raises(Conflict, match="ada started the run"):
        plane.operate.approve(action, actor="ada")
    assert plane.operate.approve(action, actor="bob")["status"] == "queued"
    allowed = {"approval": {"requiresApproval": True, "allowSelf": True}}
    plane.apply({"a.yaml": {**spec("a"), **MANUAL, "actions": [{"id": "one", "actionId": "x.one", **allowed}]}})
    (action,) = plane.start.manual("a", {"ref": "main"}, actor="ada")["actionIds"]
    assert plane.operate.approve(action, actor="ada")["status"] == "queued"


@pytest.mark.parametrize(
    ("changes", "message"),
    [({}, "has no manual trigger"), ({**MANUAL, "status": "paused"}, "is paused")],
)
def test_only_an_active_automation_with_a_manual_trigger_starts_by_hand(
    plane: Operated, changes: dict[str, Any], message: str
) -> None:
    plane.apply({"a.yaml": {**spec("a"), **changes}})
    with pytest.raises(Conflict, match=message):
        plane.start.manual("a", {"ref": "main"}, actor="ada")
    with pytest.raises(NotFound, match="automation not found: b"):
        plane.start.manual("b", {}, actor="ada")
