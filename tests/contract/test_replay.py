"""Replay in all its modes, on every store: what goes on, what begins anew, what is kept, and that nothing is half done."""

from typing import Any

import pytest

from automations.core.canonical import decode
from automations.core.run.replay import Mode
from automations.errors import Conflict, InvalidInput, NotFound
from automations.services import audit_view
from automations.services.run.approval import Approvals
from automations.services.run.approval import Parts as ApprovalParts
from automations.services.run.dead_letters import Letters, page, replayable
from automations.services.run.queue import pattern
from automations.services.run.replay import Parts, Replay, Wanted
from automations.services.trigger.parts import Parts as TriggerParts
from automations.services.trigger.trigger import Start
from automations.store import actions, runs
from automations.store.audit import Wanted as WantedEntries
from automations.store.database import Database, Row
from control_plane import ControlPlane
from samples import action, event_trigger, spec, step

ENTIRE = Mode.ENTIRE_RUN
CHAIN = [step("one"), step("two", dependsOn=["one"]), step("three", dependsOn=["two"])]


class Replaying(ControlPlane):
    """A control plane where things are tried again."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        parts = (self.clock, self.ids, self.telemetry)
        self.replay = Replay(Parts(database, self.bindings, self.programs, *parts))
        self.approvals = Approvals(ApprovalParts(database, self.programs, *parts))
        self.start = Start(TriggerParts(database, self.bindings, *parts))

    def rows(self, run_id: str) -> dict[str, Row]:
        """A run's actions by step."""
        with self.database.read() as tx:
            return {row["step_id"]: row for row in actions.of_run(tx, run_id)}

    def begun(self, *steps: Any, identity: str = "e1", **keys: Any) -> str:
        """A run of an automation with these steps."""
        self.apply({"a.yaml": spec("a", actions=list(steps), **keys)})
        return str(self.send(identity, data={"n": 1}).materialized[0]["runId"])

    def died(self, *steps: Any, identity: str = "e1", **keys: Any) -> str:
        """A run whose first step is dead."""
        run = self.begun(*steps, identity=identity, **keys)
        self.undone(self.claim()[0], code="E", message="m", retryable=False)
        return run

    def again(self, run_id: str, mode: Mode = Mode.FAILED_ACTIONS, *, dry_run: bool = False, **keys: Any) -> Any:
        return self.replay.run(run_id, Wanted(mode, **keys), actor="ada", dry_run=dry_run)

    def work_off(self) -> list[str]:
        """Finish all that there is; the steps in the order in which they were handed out."""
        done = []
        while rows := self.claim():
            done.append(rows[0]["step_id"])
            self.done(rows[0], {"of": rows[0]["step_id"]})
        return done


@pytest.fixture
def plane(database: Database) -> Replaying:
    return Replaying(database)


@pytest.mark.parametrize("mode", [Mode.FAILED_ACTIONS, Mode.DEAD_ACTIONS])
def test_the_same_run_goes_on_from_where_it_died(plane: Replaying, mode: Mode) -> None:
    run = plane.died(*CHAIN)
    before = plane.rows(run)["one"]
    found = plane.again(run, mode, reason="upstream is back")
    assert (found["runId"], found["status"], found["dryRun"]) == (run, "running", False)
    after = plane.rows(run)["one"]
    assert (after["id"], after["input_json"], after["attempt"], after["fence"]) == (
        before["id"],
        before["input_json"],
        0,
        before["fence"],
    )
    assert plane.work_off() == ["one", "two", "three"]
    assert plane.run(run)["status"] == "succeeded"


def test_a_step_that_failed_before_its_first_attempt_goes_on_with_a_mended_spec(plane: Replaying) -> None:
    broken = [step("one", input={"n": "${{ event.data.nothing }}"}), step("two", dependsOn=["one"])]
    run = plane.begun(*broken)
    assert plane.steps(run) == {"one": "failed", "two": "skipped"}
    plane.again(run)  # as it is pinned: it fails in the same way
    assert plane.steps(run) == {"one": "failed", "two": "skipped"}
    mended = [step("one", input={"n": "${{ event.data.n }}"}), step("two", dependsOn=["one"])]
    plane.apply({"a.yaml": spec("a", actions=mended)})
    found = plane.again(run, current=True)
    assert (found["generation"], plane.run(run)["generation"]) == (2, 2)
    assert decode(plane.rows(run)["one"]["input_json"]) == {"n": 1}
    assert plane.work_off() == ["one", "two"]
    assert plane.run(run)["status"] == "succeeded"


def test_today_s_spec_renders_a_dead_action_s_input_anew_and_asks_again(plane: Replaying) -> None:
    run = plane.died(step("one", input={"n": 1}))
    gated = step("one", input={"n": 2}, approval={"mode": "manual"}, retry={"maxAttempts": 7})
    plane.apply({"a.yaml": spec("a", actions=[gated]), "m.yaml": action()})
    plane.again(run, current=True)
    row = plane.rows(run)["one"]
    assert (row["status"], decode(row["input_json"]), row["max_attempts"]) == ("waiting_approval", {"n": 2}, 7)
    assert (row["executor"], row["manifest_version"]) == ("local-shell", "1.0.0")
    plane.approvals.approve(row["id"], actor="bob")
    assert plane.work_off() == ["one"]


def test_a_spec_with_other_steps_wants_a_new_run(plane: Replaying) -> None:
    run = plane.died(step("one"))
    plane.apply({"a.yaml": spec("a", actions=[step("one"), step("more")])})
    with pytest.raises(Conflict, match="generation 2 of a has other steps than run"):
        plane.again(run, current=True)
    assert plane.steps(run) == {"one": "dead"}
    made = plane.again(run, ENTIRE, current=True)
    assert plane.steps(made["runId"]) == {"one": "queued", "more": "queued"}


def test_an_entire_run_is_a_new_one_on_the_spec_of_the_old(plane: Replaying) -> None:
    run = plane.died(*CHAIN)
    plane.apply({"a.yaml": spec("a", actions=[step("one", input={"v": 2}), *CHAIN[1:]])})
    made = plane.again(run, ENTIRE)["runId"]
    assert plane.again(run, ENTIRE)["runId"] not in (run, made)
    fresh, old = plane.run(made), plane.run(run)
    assert (fresh["replay_of"], fresh["generation"], fresh["event_row_id"]) == (run, 1, old["event_row_id"])
    assert fresh["idempotency_key"] != old["idempotency_key"]
    assert decode(fresh["metadata_json"])["startedBy"] == "ada"
    assert plane.run(run) == old
    assert decode(plane.rows(made)["one"]["input_json"]) == {}
    todays = plane.again(run, ENTIRE, current=True)["runId"]
    assert decode(plane.rows(todays)["one"]["input_json"]) == {"v": 2}


def test_a_run_that_is_not_over_is_not_made_twice_nor_moved_to_another_spec(plane: Replaying) -> None:
    run = plane.begun(step("one"))
    refused: tuple[dict[str, Any], ...] = ({"mode": ENTIRE}, {"current": True})
    for wanted in refused:
        with pytest.raises(Conflict, match="is materialized, not over"):
            plane.again(run, **wanted)


def test_nothing_is_tried_again_beside_the_finally_steps_but_when_they_are_over(plane: Replaying) -> None:
    """Found by seed 153: a main step was handed out in a run whose `finally` was under way."""
    keys: dict[str, Any] = {"finally": [step("report")]}
    run = plane.died(step("one"), **keys)
    dead = plane.rows(run)["one"]["id"]
    for replay in (lambda: plane.again(run), lambda: plane.replay.action(dead, actor="ada")):
        with pytest.raises(Conflict, match="only its finally steps go on"):
            replay()
    found = plane.replay.actions([dead], actor="ada", reason="try")
    assert [each["id"] for each in found["skipped"]] == [dead]
    assert plane.work_off() == ["report"]
    plane.replay.action(dead, actor="ada")
    assert plane.work_off() == ["one"]
    assert plane.run(run)["status"] == "succeeded"


def test_a_new_run_may_begin_at_a_step_and_keep_what_succeeded_before_it(plane: Replaying) -> None:
    reads = step("two", dependsOn=["one"], input={"of": "${{ steps.one.output.of }}"})
    steps = [step("one"), step("beside"), reads, step("three", dependsOn=["two"])]
    at_the_end: Any = {"finally": [step("report")]}
    run = plane.begun(*steps, **at_the_end)
    assert sorted(plane.work_off()) == ["beside", "one", "report", "three", "two"]
    made = plane.again(run, ENTIRE, from_step="two")["runId"]
    rows = plane.rows(made)
    assert {name: row["status"] for name, row in rows.items()} == {
        "one": "succeeded",
        "beside": "succeeded",
        "two": "queued",
        "three": "blocked",
        "report": "blocked",
    }
    assert decode(rows["two"]["input_json"]) == {"of": "one"}
    assert plane.work_off() == ["two", "three", "report"]
    assert plane.run(made)["status"] == "succeeded"


def test_what_failed_beside_the_step_is_tried_again_too(plane: Replaying) -> None:
    run = plane.begun(step("bad"), step("one"), step("two", dependsOn=["one"]))
    plane.undone(plane.claim()[0], retryable=False)
    plane.work_off()
    made = plane.again(run, ENTIRE, from_step="two")["runId"]
    assert plane.steps(made) == {"bad": "queued", "one": "succeeded", "two": "queued"}


def test_only_steps_that_there_are_and_only_an_entire_run_can_begin_anywhere(plane: Replaying) -> None:
    run = plane.died(*CHAIN)
    with pytest.raises(Conflict, match="a has no step four"):
        plane.again(run, ENTIRE, from_step="four")
    with pytest.raises(Conflict, match="only an entire run begins at a step"):
        plane.again(run, from_step="one")
    with pytest.raises(NotFound, match="run not found: ghost"):
        plane.again("ghost")


def test_a_run_without_failures_has_nothing_to_replay_in_place(plane: Replaying) -> None:
    run = plane.begun(step("one"))
    plane.work_off()
    with pytest.raises(Conflict, match="has no failed actions to replay"):
        plane.again(run)


def test_what_a_person_rejected_stays_rejected_and_what_nobody_answered_is_asked_again(plane: Replaying) -> None:
    gated = step("one", approval={"mode": "manual", "expires": "1s"})
    run = plane.begun(gated)
    plane.approvals.reject(plane.rows(run)["one"]["id"], actor="bob")
    with pytest.raises(Conflict, match="has no failed actions"):
        plane.again(run)
    other = str(plane.send("e2").materialized[0]["runId"])
    plane.clock.at += 1_000_000
    plane.approvals.tick(plane.clock.at)
    asked = plane.rows(other)["one"]
    assert asked["status"] == "rejected"
    plane.replay.action(asked["id"], actor="ada", reason="holiday")
    assert plane.rows(other)["one"]["status"] == "waiting_approval"
    assert plane.rows(other)["one"]["approval_expires_at"] == plane.clock.at + 1_000_000


def test_an_approval_stands_for_the_same_input_on_the_same_spec(plane: Replaying) -> None:
    run = plane.begun(step("one", approval={"mode": "manual"}))
    plane.approvals.approve(plane.rows(run)["one"]["id"], actor="bob")
    plane.undone(plane.claim()[0], retryable=False)
    plane.again(run)
    assert plane.steps(run) == {"one": "queued"}


def test_a_dry_run_tells_what_would_happen_and_changes_nothing(plane: Replaying) -> None:
    run = plane.died(*CHAIN)
    before = (plane.run(run), plane.rows(run), audit_view.verify(plane.database))
    for keys in ({}, {"mode": ENTIRE}, {"current": True}):
        found = plane.again(run, **keys, dry_run=True)
        assert found["dryRun"]
        assert found["steps"][0]["status"] == "queued"
    assert (plane.run(run), plane.rows(run), audit_view.verify(plane.database)) == before
    with plane.database.read() as tx:
        assert runs.count(tx) == 1
    assert plane.inspect.run(run).get("replays") is None


def test_inputs_that_today_s_spec_does_not_take_start_nothing(plane: Replaying) -> None:
    manual = {"triggers": [{"kind": "manual"}], "inputs": {"type": "object", "properties": {"n": {"type": "integer"}}}}
    plane.apply({"a.yaml": spec("a", **manual)})
    run = plane.start.manual("a", {"n": 1}, actor="ada")["runId"]
    plane.work_off()
    plane.apply({"a.yaml": spec("a", **{**manual, "inputs": {"type": "object", "required": ["m"]}})})
    with pytest.raises(InvalidInput, match="do not conform to a"):
        plane.again(run, ENTIRE, current=True)
    made = plane.again(run, ENTIRE)["runId"]
    assert decode(plane.run(made)["inputs_json"]) == {"n": 1}


def test_an_automation_that_is_gone_is_replayed_as_it_was_and_not_as_it_is(plane: Replaying) -> None:
    run = plane.died(step("one"))
    plane.apply({})
    with pytest.raises(Conflict, match="automation a is no longer there"):
        plane.again(run, ENTIRE, current=True)
    plane.again(run, ENTIRE)
    assert plane.work_off() == ["one"]


def test_every_request_is_recorded_and_audited_and_shown_with_the_attempts(plane: Replaying) -> None:
    run = plane.died(step("one"))
    plane.again(run, reason="try")
    plane.undone(plane.claim("r2")[0], runner="r2", retryable=False)
    made = plane.again(run, ENTIRE, reason="anew")["runId"]
    shown = plane.inspect.run(run)
    assert [(each["mode"], each["reason"], each.get("madeRunId")) for each in shown["replays"]] == [
        ("failed-actions", "try", None),
        ("entire-run", "anew", made),
    ]
    told = plane.inspect.action(shown["actions"][0]["id"])
    assert [(each["attempt"], each["runner"]) for each in told["attempts"]] == [(1, "r1"), (1, "r2")]
    assert len(told["replays"]) == 2
    entries = audit_view.entries(plane.database, WantedEntries(), limit=9)
    assert [(each["action"], each["detail"]["mode"]) for each in entries if each["action"] == "run.replay"] == [
        ("run.replay", "entire-run"),
        ("run.replay", "failed-actions"),
    ]
    assert audit_view.verify(plane.database)["ok"]


# Many


def test_dead_letters_are_found_by_what_is_known_of_them_and_read_in_pages(plane: Replaying) -> None:
    files = {f"{name}.yaml": spec(name, triggers=[event_trigger(type=f"{name}.*")]) for name in ("a", "b")}
    plane.apply(files)
    for number in range(4):
        plane.clock.at += 1000
        plane.send(f"e{number}", type="a.x" if number % 2 else "b.x")
        code = "TIMEOUT" if number < 2 else "OTHER"
        plane.undone(plane.claim()[0], code=code, message=f"no {number}", retryable=False)
    everything = page(plane.database, Letters(), after=None, limit=9)
    assert len(everything) == 4
    assert page(plane.database, Letters(), after=everything[1]["id"], limit=1) == everything[2:3]

    def count(**wanted: Any) -> int:
        return len(page(plane.database, Letters(**wanted), after=None, limit=9))

    assert count(automation_id="a") == 2
    assert count(code="TIMEOUT") == 2
    assert count(reason="no 3") == 1
    assert count(reason="non-retryable") == 4
    assert count(since=plane.clock.at - 1000) == 2
    assert count(action=pattern("todos.*")) == 4
    assert count(action=pattern("slack.*")) == 0
    assert count(automation_id="a", code="OTHER") == 1
    assert len(replayable(plane.database, Letters(code="OTHER"))) == 2


def test_many_are_put_back_at_once_and_those_that_others_put_back_meanwhile_are_named(plane: Replaying) -> None:
    plane.apply({"a.yaml": spec("a")})
    for number in range(120):
        plane.send(f"e{number}")
    for row in plane.claim(limit=200):
        plane.undone(row, retryable=False)
    ids = [row["id"] for row in replayable(plane.database, Letters())]
    plane.replay.action(ids[7], actor="bob")
    found = plane.replay.actions(ids, actor="ada", reason="upstream is back")
    assert (len(found["replayed"]), [each["id"] for each in found["skipped"]]) == (119, [ids[7]])
    assert len(plane.claim(limit=200)) == 120
    shown = plane.inspect.action(ids[0])["replays"][0]
    assert (shown["batchId"], shown["reason"]) == (found["batchId"], "upstream is back")


def test_many_runs_are_tried_again_each_for_itself(plane: Replaying) -> None:
    ids = [plane.died(step("one"), identity=f"e{number}") for number in range(3)]
    plane.again(ids[1])
    plane.work_off()
    found = plane.replay.runs(ids, Wanted(reason="r"), actor="ada")
    assert [each["runId"] for each in found["replayed"]] == [ids[0], ids[2]]
    assert [each["id"] for each in found["skipped"]] == [ids[1]]
