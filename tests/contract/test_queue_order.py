"""Who is served next, on every store: priority, turns, what waits for its time; and that one sick run holds nobody up."""

from collections import Counter
from typing import Any

import pytest

from automations.core.canonical import decode
from automations.core.instant import SECOND
from automations.core.run.queue import Holder
from automations.services import audit_view
from automations.services.run.approval import Approvals
from automations.services.run.approval import Parts as ApprovalParts
from automations.services.run.queue import LEASE, Done, pattern
from automations.services.run.replay import Parts, Replay, Wanted
from automations.store import actions
from automations.store.actions import Which
from automations.store.database import Database, Row
from control_plane import ControlPlane
from samples import event_trigger, spec, step

NO_JITTER = {"jitter": "none"}


@pytest.fixture
def plane(database: Database) -> ControlPlane:
    return ControlPlane(database)


def of(name: str, **keys: Any) -> dict[str, Any]:
    """An automation that events of its own type start."""
    return spec(name, triggers=[event_trigger(type=f"{name}.made")], **keys)


def queue_up(plane: ControlPlane, name: str, count: int) -> None:
    """So many actions of one automation, each of a later instant."""
    for _ in range(count):
        plane.clock.at += 1
        plane.send(f"{name}-{plane.clock.at}", type=f"{name}.made")


def served(plane: ControlPlane, count: int, **keys: Any) -> list[str]:
    """The automations of the next so many actions, claimed one by one."""
    return [row["automation_id"] for _ in range(count) for row in plane.claim(**keys)]


def test_an_automation_with_one_action_does_not_wait_for_one_with_many(plane: ControlPlane) -> None:
    plane.apply({f"{name}.yaml": of(name) for name in ("many", "few")})
    queue_up(plane, "many", 40)
    assert served(plane, 10) == ["many"] * 10
    queue_up(plane, "few", 1)
    assert served(plane, 3) == ["many", "few", "many"]


def test_automations_share_a_batch_evenly_and_each_keeps_its_own_order(plane: ControlPlane) -> None:
    plane.apply({f"{name}.yaml": of(name) for name in ("a", "b", "c")})
    for name, count in (("a", 30), ("b", 20), ("c", 3)):
        queue_up(plane, name, count)
    rows = plane.claim(limit=15)
    assert Counter(row["automation_id"] for row in rows) == {"a": 6, "b": 6, "c": 3}
    for name in "abc":
        mine = [row["available_at"] for row in rows if row["automation_id"] == name]
        assert mine == sorted(mine)


def test_who_had_nothing_queued_has_no_credit(plane: ControlPlane) -> None:
    plane.apply({f"{name}.yaml": of(name) for name in ("a", "b")})
    queue_up(plane, "a", 20)
    served(plane, 10)
    queue_up(plane, "b", 10)
    assert Counter(served(plane, 10)) == {"a": 5, "b": 5}


def test_higher_priority_goes_first_whoever_has_it(plane: ControlPlane) -> None:
    steps = [step("low", priority=-5), step("mine"), step("high", priority=9)]
    plane.apply({"a.yaml": of("a", actions=steps, priority=1), "b.yaml": of("b")})
    queue_up(plane, "b", 2)
    queue_up(plane, "a", 1)
    rows = [plane.claim()[0] for _ in range(5)]
    assert [(row["automation_id"], row["step_id"], row["priority"]) for row in rows] == [
        ("a", "high", 9),
        ("a", "mine", 1),
        ("b", "work", 0),
        ("b", "work", 0),
        ("a", "low", -5),
    ]


def test_a_retry_waits_for_its_time_and_then_for_nobody_s_long_queue(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": of("a", actions=[step(retry=NO_JITTER)])})
    queue_up(plane, "a", 30)
    (first,) = plane.claim()
    plane.undone(first)
    assert first["id"] not in [row["id"] for row in plane.claim(limit=5)]
    plane.clock.at += SECOND
    assert first["id"] in [row["id"] for row in plane.claim(limit=2)]


def test_what_was_released_or_lost_comes_again_before_what_never_waited(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": of("a")})
    queue_up(plane, "a", 20)
    (first,) = plane.claim()
    plane.queue.release(first["id"], Holder("r1"))
    assert first["id"] in [row["id"] for row in plane.claim(limit=2)]


def test_many_delayed_actions_are_all_ready_in_time(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": of("a", actions=[step(retry=NO_JITTER)])})
    queue_up(plane, "a", 600)
    for row in plane.claim(limit=600):
        plane.undone(row)
    plane.clock.at += SECOND
    found: list[str] = []
    for _ in range(4):
        found += [row["id"] for row in plane.claim(limit=600)]
    assert len(set(found)) == 600


def test_a_claimer_gets_its_own_kind_and_ids_in_the_same_order(plane: ControlPlane) -> None:
    steps = [step("x", actionId="x.one"), step("y", actionId="y.one"), step("z", actionId="x.two", priority=3)]
    plane.apply({"a.yaml": of("a", actions=steps)})
    queue_up(plane, "a", 3)
    whole = (pattern("x.one"), pattern("x.two"))
    assert [row["step_id"] for row in plane.claim(limit=4, which=Which(only=whole))] == ["z", "z", "z", "x"]
    assert [row["step_id"] for row in plane.claim(limit=9, which=Which(only=(pattern("x.*"),)))] == ["x", "x"]
    assert plane.claim(limit=9, which=Which(kinds=("local-shell", "http"))) == []
    assert [row["step_id"] for row in plane.claim(limit=9, which=Which(kinds=("http", "external")))] == ["y"] * 3


# Settled together


def test_many_completions_in_one_commit_end_their_runs_as_one_by_one(plane: ControlPlane) -> None:
    chain = [step("one"), step("two", dependsOn=["one"])]
    plane.apply(
        {"a.yaml": of("a"), "b.yaml": of("b", actions=chain), "c.yaml": of("c", actions=[step("l"), step("r")])}
    )
    for name in "abc":
        queue_up(plane, name, 40)
    rows = plane.claim(limit=200)
    reports = [Done(row["id"], Holder("r1", row["fence"]), {"output": {"n": at}}) for at, row in enumerate(rows)]
    done = plane.queue.settle(reports)
    assert [row["id"] for row in done] == [row["id"] for row in rows]
    for at, row in enumerate(done):
        assert row == stored(plane, row["id"])
        assert decode(row["result_json"]) == {"output": {"n": at}}
    standing = Counter((row["automation_id"], plane.run(row["run_id"])["status"]) for row in done)
    assert standing == {("a", "succeeded"): 40, ("b", "running"): 40, ("c", "succeeded"): 80}
    assert {row["step_id"] for row in plane.claim(limit=200)} == {"two"}
    assert audit_view.verify(plane.database)["ok"]


def test_the_same_completions_again_are_answered_again(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": of("a")})
    queue_up(plane, "a", 20)
    reports = [Done(row["id"], Holder("r1", row["fence"])) for row in plane.claim(limit=20)]
    first = plane.queue.settle(reports)
    assert plane.queue.settle(reports) == first


def stored(plane: ControlPlane, action_id: str) -> Row:
    with plane.database.read() as tx:
        row = actions.get(tx, action_id)
    assert row is not None
    return row


# One sick run


def sicken(plane: ControlPlane, run_id: str) -> None:
    """Take away the generation that a run is pinned to: it cannot be moved any more."""
    with plane.database.write() as tx:
        tx.run("UPDATE runs SET generation = 99 WHERE id = :id", id=run_id)


def test_a_run_that_cannot_be_moved_is_set_aside_and_holds_nobody_up(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": of("a", actions=[step(retry={"maxAttempts": 1}), step("after", dependsOn=["work"])])})
    queue_up(plane, "a", 3)
    sick, *well = plane.claim(limit=3)
    sicken(plane, sick["run_id"])
    plane.clock.at += LEASE
    plane.claim()
    assert {plane.run(row["run_id"])["status"] for row in well} == {"failed"}  # their only attempt was lost
    run = plane.run(sick["run_id"])
    assert (run["status"], decode(run["error_json"])["code"]) == ("failed", "RUN_SET_ASIDE")
    assert plane.steps(sick["run_id"]) == {"work": "dead", "after": "failed"}
    assert [fields["run"] for event, fields in plane.told if event == "run.set_aside"] == [sick["run_id"]]
    assert audit_view.verify(plane.database)["ok"]


def test_a_run_that_was_set_aside_goes_on_when_the_cause_is_mended(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": of("a", actions=[step(retry={"maxAttempts": 1}), step("after", dependsOn=["work"])])})
    queue_up(plane, "a", 1)
    (sick,) = plane.claim()
    sicken(plane, sick["run_id"])
    plane.clock.at += LEASE
    assert plane.queue.recover() == 0
    with plane.database.write() as tx:
        tx.run("UPDATE runs SET generation = 1 WHERE id = :id", id=sick["run_id"])
    parts = (plane.clock, plane.ids, plane.telemetry)
    replay = Replay(Parts(plane.database, plane.bindings, plane.programs, *parts))
    replay.run(sick["run_id"], Wanted(), actor="ada")
    for name in ("work", "after"):
        (row,) = plane.claim()
        assert row["step_id"] == name
        plane.done(row)
    assert plane.run(sick["run_id"])["status"] == "succeeded"


# What was approved


def test_an_input_that_was_changed_after_its_approval_is_not_handed_out_but_asked_about_again(
    plane: ControlPlane,
) -> None:
    plane.apply({"a.yaml": of("a", actions=[step("pay", approval={"mode": "manual"})]), "b.yaml": of("b")})
    queue_up(plane, "a", 1)
    approvals = Approvals(ApprovalParts(plane.database, plane.programs, plane.clock, plane.ids, plane.telemetry))
    action = approvals.waiting()[0]["id"]
    approvals.approve(action, actor="ada")
    with plane.database.write() as tx:
        tx.run("""UPDATE actions SET input_json = '{"amount":1000}' WHERE id = :id""", id=action)
    queue_up(plane, "b", 1)
    assert [row["automation_id"] for row in plane.claim(limit=9)] == ["b"]
    assert stored(plane, action)["status"] == "waiting_approval"
    approvals.approve(action, actor="ada")
    assert [row["id"] for row in plane.claim(limit=9)] == [action]
