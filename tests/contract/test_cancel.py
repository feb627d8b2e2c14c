"""Cancel, on every store: what waits ends at once, who works is asked to stop, and nothing that comes late counts."""

import pytest

from automations.core.canonical import decode
from automations.core.instant import SECOND
from automations.core.record import action_record, run_record
from automations.core.run.queue import Failure, Holder
from automations.core.run.stop import GRACE
from automations.errors import Conflict, NotFound
from automations.services.run import approval, cancel, replay
from automations.services.run.queue import LEASE, Done, Undone
from automations.store import actions
from automations.store.database import Database, Row
from control_plane import ControlPlane
from samples import spec, step


class Cancelling(ControlPlane):
    """A control plane where work can be cancelled."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.cancel = cancel.Cancel(cancel.Parts(database, self.programs, self.clock, self.telemetry))
        self.approve = approval.Approvals(approval.Parts(database, self.programs, self.clock, self.ids, self.telemetry))
        self.replays = replay.Replay(
            replay.Parts(database, self.bindings, self.programs, self.clock, self.ids, self.telemetry)
        )

    def begun(self, *steps: object, **keys: object) -> str:
        """A run of an automation with these steps."""
        self.apply({"a.yaml": spec("a", actions=list(steps), **keys)})
        return str(self.send().materialized[0]["runId"])

    def action(self, run_id: str, step_id: str = "work") -> Row:
        with self.database.read() as tx:
            return next(row for row in actions.of_run(tx, run_id) if row["step_id"] == step_id)


@pytest.fixture
def plane(database: Database) -> Cancelling:
    return Cancelling(database)


FINAL = {"finally": [step("report", input={"was": "${{ run.status }}"})]}


def test_what_waits_is_cancelled_at_once_and_finally_runs_and_sees_it(plane: Cancelling) -> None:
    gate = step("ask", approval={"requiresApproval": True})
    run = plane.begun(step("work"), gate, step("next", dependsOn=["work"]), **FINAL)
    row = plane.cancel.run(run, actor="ada", reason="wrong branch")
    assert (row["status"], row["stop"], row["stop_by"]) == ("materialized", "cancelled", "ada")
    assert plane.steps(run) == {"work": "cancelled", "ask": "cancelled", "next": "cancelled", "report": "queued"}
    (report,) = plane.claim()
    assert decode(report["input_json"]) == {"was": "cancelled"}
    plane.done(report)
    assert plane.run(run)["status"] == "cancelled"
    assert run_record(plane.run(run))["stop"]["reason"] == "wrong branch"
    assert plane.action(run)["reason"] == "run_cancelled"
    assert (plane.action(run)["cancel_by"], plane.action(run)["cancel_reason"]) == ("ada", "wrong branch")


def test_an_action_between_two_attempts_is_cancelled_at_once(plane: Cancelling) -> None:
    run = plane.begun(step())
    plane.undone(plane.claim()[0])
    plane.cancel.run(run, actor="ada")
    assert plane.run(run)["status"] == "cancelled"
    plane.clock.at += 3600 * SECOND
    assert plane.claim() == []


def test_who_works_is_asked_to_stop_and_its_release_ends_the_action(plane: Cancelling) -> None:
    run = plane.begun(step(), **FINAL)
    (held,) = plane.claim()
    plane.cancel.run(run, actor="ada")
    assert plane.steps(run) == {"work": "claimed", "report": "blocked"}
    holder = Holder("r1", held["fence"])
    answer = action_record(plane.queue.keep(held["id"], holder))
    assert (answer["status"], answer["cancelRequested"], answer["cancel"]["by"]) == ("claimed", True, "ada")
    given = plane.queue.give_back(held["id"], holder)
    assert given["status"] == "cancelled"
    assert plane.steps(run) == {"work": "cancelled", "report": "queued"}
    ended = plane.inspect.action(held["id"])
    assert [each["outcome"] for each in ended["attempts"]] == ["cancelled"]
    assert ended["error"] == {"code": "CANCELLED", "message": "cancelled by ada", "retryable": False}
    assert (ended["attempt"], "cancelRequested" in ended) == (0, False)


@pytest.mark.parametrize("retryable", [True, False])
def test_a_failure_of_who_was_asked_to_stop_ends_the_action_too(plane: Cancelling, retryable: bool) -> None:
    run = plane.begun(step())
    (held,) = plane.claim()
    plane.cancel.run(run, actor="ada")
    report = Undone(held["id"], Holder("r1", held["fence"]), Failure(retryable=retryable))
    assert plane.queue.fail(report)["status"] == "cancelled"
    assert plane.queue.fail(report)["status"] == "cancelled", "the same report again is answered the same"
    assert plane.run(run)["status"] == "cancelled"


def test_a_completion_that_comes_late_is_refused_and_changes_nothing(plane: Cancelling) -> None:
    run = plane.begun(step())
    (held,) = plane.claim()
    done = Done(held["id"], Holder("r1", held["fence"]), {"output": 1})
    plane.cancel.run(run, actor="ada")
    with pytest.raises(Conflict, match="cannot complete cancelled queued action"):
        plane.queue.complete(done)
    assert plane.steps(run) == {"work": "claimed"}
    plane.queue.release(held["id"], Holder("r1", held["fence"]))
    with pytest.raises(Conflict, match="cannot complete terminal queued action"):
        plane.queue.complete(done)
    assert plane.run(run)["status"] == "cancelled"


def test_a_runner_that_never_answers_is_waited_for_only_so_long(plane: Cancelling) -> None:
    run = plane.begun(step())
    (held,) = plane.claim(lease=24 * 3600 * SECOND)
    plane.cancel.run(run, actor="ada")
    holder = Holder("r1", held["fence"])
    for _ in range(2):
        plane.clock.at += GRACE // 2 - 1
        assert plane.queue.heartbeat(held["id"], holder), "it holds the action, and is told so"
    plane.clock.at += 2
    assert not plane.queue.heartbeat(held["id"], holder)
    assert plane.queue.recover() == 1
    assert (plane.run(run)["status"], plane.action(run)["crashes"]) == ("cancelled", 0)


def test_a_runner_that_died_is_waited_for_until_its_lease_is_over(plane: Cancelling) -> None:
    run = plane.begun(step())
    plane.claim()
    plane.clock.at += LEASE - SECOND
    plane.cancel.run(run, actor="ada")
    plane.clock.at += SECOND
    plane.queue.recover()
    assert plane.steps(run) == {"work": "cancelled"}


def test_cancelling_twice_is_cancelling_once_and_is_audited_once(plane: Cancelling) -> None:
    run = plane.begun(step(), **FINAL)
    plane.claim()
    for actor in ("ada", "bob"):
        assert plane.cancel.run(run, actor=actor)["stop_by"] == "ada"
    with plane.database.read() as tx:
        entries = [row for row in tx.all("SELECT * FROM audit ORDER BY seq") if row["action"] == "run.cancel"]
    assert [(each["actor"], each["subject"]) for each in entries] == [("ada", run)]


def test_what_is_over_cannot_be_cancelled(plane: Cancelling) -> None:
    run = plane.begun(step())
    plane.done(plane.claim()[0])
    with pytest.raises(Conflict, match="is over: succeeded"):
        plane.cancel.run(run, actor="ada")
    with pytest.raises(Conflict, match="cannot cancel terminal queued action"):
        plane.cancel.action(plane.action(run)["id"], actor="ada")
    with pytest.raises(NotFound, match="run not found"):
        plane.cancel.run("nothing", actor="ada")
    with pytest.raises(NotFound, match="queued action not found"):
        plane.cancel.action("nothing", actor="ada")


def test_a_run_whose_finally_steps_run_already_is_left_to_them(plane: Cancelling) -> None:
    run = plane.begun(step(), **FINAL)
    plane.done(plane.claim()[0])
    with pytest.raises(Conflict, match="about to end"):
        plane.cancel.run(run, actor="ada")
    plane.cancel.action(plane.action(run, "report")["id"], actor="ada")
    assert plane.run(run)["status"] == "failed"


def test_an_action_that_is_cancelled_alone_fails_its_run_and_skips_what_waits_for_it(plane: Cancelling) -> None:
    run = plane.begun(step(), step("next", dependsOn=["work"]), step("other"))
    row = plane.cancel.action(plane.action(run)["id"], actor="ada", reason="not this one")
    assert (row["status"], row["reason"]) == ("cancelled", "cancelled")
    assert plane.steps(run) == {"work": "cancelled", "next": "skipped", "other": "queued"}
    plane.done(plane.claim()[0])
    assert plane.run(run)["status"] == "failed"
    assert decode(plane.run(run)["error_json"])["code"] == "CANCELLED"


def test_an_action_that_is_cancelled_alone_while_somebody_has_it_is_over_when_they_let_go(plane: Cancelling) -> None:
    run = plane.begun(step(onFailure="continue"), step("next", dependsOn=["work"]))
    (held,) = plane.claim()
    assert plane.cancel.action(held["id"], actor="ada")["status"] == "claimed"
    plane.queue.release(held["id"], Holder("r1", held["fence"]))
    assert plane.steps(run) == {"work": "cancelled", "next": "queued"}
    plane.done(plane.claim()[0])
    assert plane.run(run)["status"] == "succeeded"


def test_no_approval_counts_for_what_was_cancelled(plane: Cancelling) -> None:
    run = plane.begun(step(approval={"requiresApproval": True}))
    plane.cancel.run(run, actor="ada")
    with pytest.raises(Conflict, match="cannot approve terminal queued action"):
        plane.approve.approve(plane.action(run)["id"], actor="bob")
    assert plane.run(run)["status"] == "cancelled"


def test_nothing_is_replayed_in_a_run_that_is_about_to_end_and_all_of_it_can_be_afterwards(plane: Cancelling) -> None:
    run = plane.begun(step(retry={"maxAttempts": 1}), step("other"))
    first, other = plane.claim(limit=2)
    plane.undone(first)
    plane.cancel.run(run, actor="ada")
    for attempt in (lambda: plane.replays.action(first["id"], actor="bob"), lambda: replayed(plane, run)):
        with pytest.raises(Conflict, match="is about to end: cancelled"):
            attempt()
    assert plane.steps(run) == {"work": "dead", "other": "claimed"}
    plane.queue.release(other["id"], Holder("r1", other["fence"]))
    assert plane.run(run)["status"] == "cancelled"
    replayed(plane, run)
    assert (plane.run(run)["status"], plane.run(run)["stop"]) == ("running", None)
    assert plane.steps(run) == {"work": "queued", "other": "queued"}
    for row in plane.claim(limit=2):
        plane.done(row)
    assert plane.run(run)["status"] == "succeeded"


def replayed(plane: Cancelling, run: str) -> None:
    plane.replays.run(run, replay.Wanted(), actor="bob")
