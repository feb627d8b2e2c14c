"""Materialization: the rows of a run are complete, pinned, and the same whoever makes them."""

from itertools import count
from typing import Any

from automations.core.canonical import decode
from automations.core.run.machine import ActionChange
from automations.core.run.materialize import Materialized, Occasion, changed, materialize
from automations.core.run.states import ActionStatus
from automations.core.trigger.bindings import Bound
from samples import action, automation, manifest, program, step

EVENT = {"id": "e1", "source": "tickets", "type": "ticket.created", "data": {"n": 1}, "dedupeKey": "k"}
NOW = 1_700_000_000_000_000


def made(*steps: Any, manifests: Any = None, event: Any = EVENT, inputs: Any = None, **keys: Any) -> Materialized:
    numbers = count(1)
    one = automation("a", actions=list(steps) or [step()], **keys)
    bound = Bound("uid-a", 7, one, manifests or {})
    occasion = Occasion("k", one.triggers[0], event=event, event_row_id="row-1", inputs=inputs)
    return materialize(bound, occasion, now=NOW, new_id=lambda: f"id-{next(numbers)}")


def test_a_run_is_pinned_to_generation_digest_and_the_manifests_of_its_steps() -> None:
    pinned = manifest()
    run = made(step("one"), step("two", actionId="other"), manifests={"one": pinned}).run
    assert (run["automation_uid"], run["generation"], run["digest"]) == (
        "uid-a",
        7,
        automation("a", actions=[step("one"), step("two", actionId="other")]).digest,
    )
    assert decode(run["manifests_json"]) == {"one": pinned.digest}


def test_keys_are_those_of_the_contract() -> None:
    found = made(step("one"), step("two"))
    assert found.run["idempotency_key"] == "a:k"
    assert [row["idempotency_key"] for row in found.actions] == ["a:k:one", "a:k:two"]
    assert found.reference() == {"automationId": "a", "runId": "id-1", "actionIds": ["id-2", "id-3"]}


def test_first_steps_are_queued_with_their_input_and_the_others_blocked_without_one() -> None:
    found = made(step("one", input={"n": "${{ event.data.n }}"}), step("two", dependsOn=["one"]))
    assert [(row["status"], row["input_json"]) for row in found.actions] == [("queued", '{"n":1}'), ("blocked", None)]
    assert (found.run["status"], found.run["completed_at"]) == ("materialized", None)


def test_actions_stand_in_the_author_s_order_finally_last() -> None:
    found = made(step("z"), step("a"), **{"finally": [step("end")]})
    assert [(row["position"], row["step_id"]) for row in found.actions] == [(0, "z"), (1, "a"), (2, "end")]


def test_a_null_input_is_frozen_as_null_and_not_as_nothing() -> None:
    (row,) = made(step(input=None)).actions
    assert (row["input_json"], row["input_digest"] is not None) == ("null", True)


def test_a_run_that_cannot_begin_is_born_over_with_its_reason() -> None:
    found = made(step(input="${{ event.data.missing }}"))
    assert (found.run["status"], found.run["completed_at"]) == ("failed", NOW)
    assert decode(found.run["error_json"])["code"] == "EXPRESSION_ERROR"
    (row,) = found.actions
    assert (row["status"], row["completed_at"]) == ("failed", NOW)


def test_a_step_that_asks_for_approval_is_born_waiting_with_a_pending_decision() -> None:
    found = made(step(approval={"mode": "manual", "count": 2, "reason": "prod"}))
    (row,) = found.actions
    gate = decode(row["approval_json"])
    assert (row["status"], found.run["status"]) == ("waiting_approval", "waiting_approval")
    assert gate["requirement"] == {"requiresApproval": True, "count": 2, "reason": "prod"}
    assert (gate["blockedUntilApproved"], gate["decision"]["status"], gate["decision"]["id"]) == (
        True,
        "pending",
        row["id"],
    )


def test_a_run_without_an_event_reads_its_inputs() -> None:
    found = made(step(input="${{ inputs.ref }}"), event=None, inputs={"ref": "v1"})
    assert found.actions[0]["input_json"] == '"v1"'
    assert (found.run["trigger_event_id"], found.run["inputs_json"]) == (None, '{"ref":"v1"}')


def test_who_carries_a_step_out_is_the_first_binding_that_this_program_knows() -> None:
    bindings = [{"kind": "mcp", "server": "s", "tool": "t"}, {"kind": "http", "method": "POST", "url": "https://x"}]
    pinned = manifest(executorBindings=[*bindings, *action()["executorBindings"]])
    foreign = manifest(executorBindings=[{"kind": "teleport"}])
    found = made(step("one"), step("two"), step("three"), manifests={"one": pinned, "two": foreign})
    assert [row["executor"] for row in found.actions] == ["http", "external", "external"]
    assert [row["manifest_version"] for row in found.actions] == ["1.0.0", "1.0.0", "1.0.0"]


def test_every_action_has_the_same_columns_however_it_was_born() -> None:
    found = made(
        step("q"),
        step("b", dependsOn=["q"]),
        step("s", when="false"),
        step("f", when="event.nope"),
        step("w", approval={"mode": "manual"}),
    )
    assert [row["status"] for row in found.actions] == ["queued", "blocked", "skipped", "failed", "waiting_approval"]
    assert len({frozenset(row) for row in found.actions}) == 1


def test_a_change_s_columns_say_when_the_action_is_over() -> None:
    only = program(step()).step("work")
    skip = ActionChange("id", "work", ActionStatus.SKIPPED, reason="when")
    queue = ActionChange("id", "work", ActionStatus.QUEUED, input={}, input_digest="d")
    skipped, queued = (changed(each, program=only, spec="sha256:s", now=NOW) for each in (skip, queue))
    assert (skipped["completed_at"], skipped["reason"], skipped["input_json"]) == (NOW, "when", None)
    assert (queued["completed_at"], queued["reason"], queued["input_json"]) == (None, None, "{}")
