"""Approvals, replay and manual triggers, on every store."""

from typing import Any

import pytest

from automations.core.audit import broken_at
from automations.core.canonical import decode
from automations.errors import Conflict, InvalidInput, NotFound
from automations.services import audit_view
from automations.services.audit import Sealer
from automations.services.run import approval, replay
from automations.services.trigger import event_view, trigger
from automations.services.trigger.parts import Parts
from automations.store import audit
from automations.store.audit import Wanted as WantedEntries
from automations.store.database import Database
from automations.store.events import Wanted
from control_plane import ControlPlane
from samples import event_trigger, spec, step, webhook_trigger


class Operated(ControlPlane):
    """A control plane that can be operated."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        parts = (database, self.programs, self.clock, self.ids, self.telemetry)
        self.approvals = approval.Approvals(approval.Parts(*parts))
        self.replay = replay.Replay(replay.Parts(database, self.bindings, *parts[1:]))
        self.start = trigger.Start(Parts(database, self.bindings, self.clock, self.ids, self.telemetry))

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
    approved = plane.approvals.approve(action, actor="ada")
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
    assert plane.approvals.approve(action, actor="ada")["status"] == "waiting_approval"
    with pytest.raises(Conflict, match=r"ada approved queued action .* already"):
        plane.approvals.approve(action, actor="ada")
    assert plane.approvals.approve(action, actor="bob")["status"] == "queued"


def test_a_rejected_action_is_over_and_takes_its_run_with_it(plane: Operated) -> None:
    plane.apply({"a.yaml": spec("a", actions=[step("pay", **GATE), step("ship", dependsOn=["pay"])])})
    action = plane.action()
    rejected = plane.approvals.reject(action, actor="ada", reason="too dear")
    assert rejected["status"] == "rejected"
    assert decode(rejected["dead_letter_json"])["reason"] == "too dear"
    assert plane.steps(rejected["run_id"]) == {"pay": "rejected", "ship": "skipped"}
    assert plane.run(rejected["run_id"])["status"] == "failed"
    with pytest.raises(Conflict, match=f"queued action is not replayable: {action}"):
        plane.replay.action(action, actor="ada")


def test_decisions_are_refused_in_the_words_of_the_original(plane: Operated) -> None:
    plane.apply({"a.yaml": spec("a", actions=[step("one"), step("pay", dependsOn=["one"], **GATE)])})
    one, pay = plane.action(0), plane.action(1)
    with pytest.raises(NotFound, match="queued action not found: nope"):
        plane.approvals.approve("nope", actor="ada")
    with pytest.raises(Conflict, match=f"queued action has no approval gate: {one}"):
        plane.approvals.approve(one, actor="ada")
    with pytest.raises(Conflict, match=rf"not ready for a decision.*: {pay}"):
        plane.approvals.approve(pay, actor="ada")


def test_a_decision_is_given_once_and_never_about_a_claimed_or_ended_action(plane: Operated) -> None:
    plane.apply({"a.yaml": spec("a", actions=[step("pay", **GATE)])})
    action = plane.action()
    plane.approvals.approve(action, actor="ada")
    with pytest.raises(Conflict, match=f"queued action approval decision is not pending: {action}"):
        plane.approvals.approve(action, actor="bob")
    (claimed,) = plane.claim()
    with pytest.raises(Conflict, match=f"cannot reject claimed queued action: {action}"):
        plane.approvals.reject(action, actor="bob")
    plane.done(claimed)
    with pytest.raises(Conflict, match=f"cannot approve terminal queued action: {action}"):
        plane.approvals.approve(action, actor="bob")


def test_a_replayed_action_starts_over_and_what_was_skipped_for_it_runs_after_all(plane: Operated) -> None:
    plane.apply(
        {"a.yaml": spec("a", actions=[step("one"), step("two", dependsOn=["one"]), step("three", dependsOn=["two"])])}
    )
    action = plane.action()
    (claimed,) = plane.claim()
    plane.undone(claimed, retryable=False)
    run = claimed["run_id"]
    assert plane.steps(run) == {"one": "dead", "two": "skipped", "three": "skipped"}
    replayed = plane.replay.action(action, actor="ada", reason="upstream is back")
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
        plane.replay.action(action, actor="ada")


def test_every_decision_is_in_the_audit_chain(plane: Operated) -> None:
    plane.apply({"a.yaml": spec("a", actions=[step("pay", **GATE)])})
    plane.approvals.approve(plane.action(), actor="ada")
    plane.approvals.reject(plane.action(), actor="bob", reason="not on a Friday")
    with plane.database.read() as tx:
        rows = audit.after(tx, 0, limit=10_000)
    assert [(row["action"], row["actor"]) for row in rows] == [
        ("apply", "tester"),
        ("approval.approve", "ada"),
        ("approval.reject", "bob"),
    ]
    assert decode(rows[-1]["detail_json"])["reason"] == "not on a Friday"
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
    found = event_view.event_list(plane.database, Wanted(limit=10))
    assert [(each["id"], each["outcome"], len(each["materialized"])) for each in found] == [
        ("e2", "unmatched", 0),
        ("e1", "materialized", 1),
    ]
    older = event_view.event_list(plane.database, Wanted(before=found[0]["eventId"], limit=10))
    assert [each["id"] for each in older] == ["e1"]
    with pytest.raises(NotFound, match="event not found: nope"):
        event_view.event_show(plane.database, "nope")


def test_the_record_of_what_was_done_is_whole_until_somebody_edits_it(plane: Operated) -> None:
    plane.apply({"a.yaml": spec("a")})
    plane.apply({"a.yaml": spec("a", version="2.0.0")})
    assert [each["action"] for each in audit_view.entries(plane.database, WantedEntries(), limit=10)] == [
        "apply",
        "apply",
    ]
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
        plane.approvals.approve(action, actor="ada")
    assert plane.approvals.approve(action, actor="bob")["status"] == "queued"
    allowed = {"approval": {"requiresApproval": True, "allowSelf": True}}
    plane.apply({"a.yaml": {**spec("a"), **MANUAL, "actions": [{"id": "one", "actionId": "x.one", **allowed}]}})
    (action,) = plane.start.manual("a", {"ref": "main"}, actor="ada")["actionIds"]
    assert plane.approvals.approve(action, actor="ada")["status"] == "queued"


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


# The audit log and the ends of runs


def ended(plane: Operated, *steps: dict[str, Any]) -> str:
    """A run that is over."""
    plane.apply({"a.yaml": spec("a", actions=list(steps) or [step("one")])})
    run = str(plane.send(f"e{len(plane.told)}").materialized[0]["runId"])
    for row in plane.claim(limit=9):
        plane.done(row)
    assert plane.run(run)["completed_at"] is not None
    return run


def verified(plane: Operated) -> dict[str, Any]:
    return audit_view.verify(plane.database)


def test_the_end_of_a_run_is_written_at_once_and_sealed_in_order_by_a_tick(plane: Operated) -> None:
    ids = [ended(plane)]
    for _ in range(3):
        plane.clock.at += 1
        ids.append(ended(plane))
    assert verified(plane)["unsealed"] == 4
    sealer = Sealer(plane.database, clock=plane.clock)
    assert sealer.tick(plane.clock.at) > plane.clock.at
    whole = verified(plane)
    assert (whole["ok"], whole.get("unsealed"), whole["entries"]) == (True, None, 5)
    entries = audit_view.entries(plane.database, WantedEntries(action="run.end"), limit=9)
    assert [each["subject"] for each in entries] == ids[::-1]
    assert entries[0]["detail"] == {"at": plane.clock.at, "automation": "a", "generation": 1, "status": "succeeded"}


def test_a_run_that_is_over_at_birth_is_told_of_too(plane: Operated) -> None:
    plane.apply({"a.yaml": spec("a", actions=[step("one", when="false")])})
    run = str(plane.send().materialized[0]["runId"])
    assert (plane.run(run)["status"], verified(plane)["unsealed"]) == ("succeeded", 1)
    assert verified(plane)["ok"]


def test_whoever_acts_next_seals_what_was_written_before(plane: Operated) -> None:
    ended(plane)
    plane.apply({})
    entries = audit_view.entries(plane.database, WantedEntries(), limit=9)
    assert [each["action"] for each in entries] == ["apply", "run.end", "apply"]
    assert verified(plane).get("unsealed") is None


@pytest.mark.parametrize(
    "deed",
    [
        "DELETE FROM audit_unsealed",
        "UPDATE audit_unsealed SET detail_json = replace(detail_json, 'succeeded', 'failed')",
        "UPDATE audit_unsealed SET subject = 'another'",
        "UPDATE runs SET status = 'failed'",
        "UPDATE runs SET completed_at = completed_at + 1",
    ],
)
@pytest.mark.parametrize("sealed", [False, True])
def test_an_entry_that_was_tampered_with_before_it_was_sealed_shows_at_its_run(
    plane: Operated, deed: str, sealed: bool
) -> None:
    run = ended(plane)
    with plane.database.write() as tx:
        tx.run(deed)
    if sealed:
        Sealer(plane.database, clock=plane.clock).tick(plane.clock.at)
    found = verified(plane)
    assert not found["ok"]
    assert [each["run"] for each in found["runs"]] == [run]


@pytest.mark.parametrize(
    ("deed", "at"),
    [
        ("UPDATE audit SET actor = 'nobody' WHERE seq = 2", 2),
        ("DELETE FROM audit WHERE seq = 2", 3),
        ("UPDATE audit SET seq = CASE seq WHEN 2 THEN 30 ELSE 2 END WHERE seq IN (2, 3)", 2),
    ],
)
def test_an_entry_that_was_edited_removed_or_moved_breaks_the_chain(plane: Operated, deed: str, at: int) -> None:
    for _ in range(3):
        plane.clock.at += 1
        ended(plane)
    Sealer(plane.database, clock=plane.clock).tick(plane.clock.at)
    assert verified(plane)["ok"]
    with plane.database.write() as tx:
        tx.run(deed)
    assert verified(plane)["brokenAt"] == at


def test_a_run_that_ends_twice_because_it_was_replayed_is_told_of_as_it_ended_last(plane: Operated) -> None:
    plane.apply({"a.yaml": spec("a", actions=[step("one")])})
    run = str(plane.send().materialized[0]["runId"])
    (row,) = plane.claim()
    plane.undone(row, retryable=False)
    plane.replay.action(row["id"], actor="ada")
    assert verified(plane)["ok"]
    plane.done(plane.claim()[0])
    assert verified(plane)["ok"]
    Sealer(plane.database, clock=plane.clock).tick(plane.clock.at)
    entries = audit_view.entries(plane.database, WantedEntries(action="run.end", subject=run), limit=9)
    assert [each["detail"]["status"] for each in entries] == ["succeeded", "failed"]


def test_entries_are_found_by_who_did_what_to_which_thing(plane: Operated) -> None:
    run = ended(plane)
    Sealer(plane.database, clock=plane.clock).tick(plane.clock.at)

    def count(**wanted: Any) -> int:
        return len(audit_view.entries(plane.database, WantedEntries(**wanted), limit=9))

    assert (count(), count(actor="tester"), count(subject=run), count(action="apply")) == (2, 1, 1, 1)
    assert (count(before=2), count(actor="automations", subject="source:default")) == (1, 0)
