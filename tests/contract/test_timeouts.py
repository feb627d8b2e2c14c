"""Timeouts of attempts, steps, runs and `finally`, on every store: kept in rows, so that no clock is lost with a process."""

from typing import Any

import pytest

from automations.core.canonical import decode
from automations.core.instant import SECOND
from automations.core.run.program import STOPPING
from automations.core.run.queue import Failure, Holder
from automations.errors import Conflict
from automations.services.run import approval, cancel, replay
from automations.services.run.queue import Done, Undone
from automations.store import actions
from automations.store.database import Database, Row
from control_plane import START, ControlPlane
from samples import action, spec, step

HOUR = 3600 * SECOND


class Timed(ControlPlane):
    """A control plane with runs that have only so much time."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.approve = approval.Approvals(approval.Parts(database, self.programs, self.clock, self.ids, self.telemetry))
        self.replays = replay.Replay(
            replay.Parts(database, self.bindings, self.programs, self.clock, self.ids, self.telemetry)
        )
        self.cancel = cancel.Cancel(cancel.Parts(database, self.programs, self.clock, self.telemetry))

    def begun(self, *steps: Any, **keys: Any) -> str:
        """A run of an automation with these steps."""
        self.apply({"a.yaml": spec("a", actions=list(steps), **keys)})
        return str(self.send().materialized[0]["runId"])

    def action(self, run_id: str, step_id: str = "work") -> Row:
        with self.database.read() as tx:
            return next(row for row in actions.of_run(tx, run_id) if row["step_id"] == step_id)

    def code(self, run_id: str, step_id: str = "work") -> str:
        return str(decode(self.action(run_id, step_id)["error_json"])["code"])

    def looked_after(self, seconds: int) -> None:
        """Let time pass, and a daemon look."""
        self.clock.at += seconds * SECOND
        self.queue.recover()


@pytest.fixture
def plane(database: Database) -> Timed:
    return Timed(database)


NO_WAIT = {"base": "0s", "jitter": "none", "maxAttempts": 2}


def test_an_attempt_that_takes_too_long_has_failed_and_is_made_again(plane: Timed) -> None:
    run = plane.begun(step(timeout="1m", retry=NO_WAIT))
    (first,) = plane.claim(lease=HOUR)
    assert first["attempt_deadline_at"] == START + 60 * SECOND
    plane.looked_after(59)
    assert plane.steps(run) == {"work": "claimed"}
    plane.looked_after(1)
    assert (plane.steps(run), plane.code(run)) == ({"work": "retrying"}, "TIMEOUT")
    with pytest.raises(Conflict, match="not claimed"):
        plane.done(first, fence=first["fence"])
    plane.claim(lease=HOUR)
    plane.looked_after(60)
    assert (plane.steps(run), plane.run(run)["status"]) == ({"work": "dead"}, "failed")
    outcomes = [each["outcome"] for each in plane.inspect.action(first["id"])["attempts"]]
    assert outcomes == ["timed_out", "timed_out"]


def test_a_completion_after_the_attempt_s_time_is_refused_though_nobody_looked_yet(plane: Timed) -> None:
    plane.begun(step(timeout="1m"))
    (held,) = plane.claim(lease=HOUR)
    plane.clock.at += 60 * SECOND
    with pytest.raises(Conflict, match="ran out of time"):
        plane.queue.complete(Done(held["id"], Holder("r1", held["fence"])))


def test_our_own_executors_get_the_time_to_report_what_they_ended(plane: Timed) -> None:
    plane.apply({"x.yaml": action("todos.create"), "a.yaml": spec("a", actions=[step(timeout="1m")])})
    plane.send()
    (held,) = plane.claim(lease=HOUR)
    assert held["attempt_deadline_at"] == START + 60 * SECOND + STOPPING


def test_a_heartbeat_does_not_prolong_an_attempt(plane: Timed) -> None:
    run = plane.begun(step(timeout="1m"))
    (held,) = plane.claim()
    for _ in range(5):
        plane.clock.at += 11 * SECOND
        assert plane.queue.heartbeat(held["id"], Holder("r1", held["fence"]))
    plane.looked_after(5)
    assert plane.steps(run) == {"work": "retrying"}


def test_a_step_has_one_time_for_all_its_attempts(plane: Timed) -> None:
    retry = {"base": "10s", "cap": "10s", "jitter": "none", "maxAttempts": 100}
    run = plane.begun(step(totalTimeout="1m", retry=retry), step("next", dependsOn=["work"]))
    plane.clock.at += HOUR  # waiting for a runner does not count
    for _ in range(3):
        (held,) = plane.claim()
        plane.clock.at += 10 * SECOND
        plane.undone(held)
        plane.clock.at += 10 * SECOND
    assert plane.claim() == [], "its time is over, and a claim sees it first"
    assert (plane.steps(run), plane.code(run)) == ({"work": "dead", "next": "skipped"}, "STEP_TIMEOUT")
    letter = decode(plane.action(run)["dead_letter_json"])
    assert letter["reason"] == "no time left for another attempt"
    assert letter["lastError"]["metadata"]["lastError"]["code"] == "ACTION_FAILED"
    with plane.database.read() as tx:
        attempts = actions.attempts_of_run(tx, run)
    assert [decode(each["error_json"])["code"] for each in attempts] == ["ACTION_FAILED"] * 3


def test_a_failure_after_which_there_is_no_time_left_may_be_reported_twice(plane: Timed) -> None:
    plane.begun(step(totalTimeout="1m", retry={"base": "90s", "cap": "90s"}))
    (held,) = plane.claim(lease=HOUR)
    report = Undone(held["id"], Holder("r1", held["fence"]), Failure("NO_ROOM", "no room"))
    assert plane.queue.fail(report)["status"] == "dead"
    assert plane.queue.fail(report)["status"] == "dead"
    with pytest.raises(Conflict):
        plane.queue.fail(Undone(held["id"], Holder("r1", held["fence"]), Failure("OTHER", "no room")))


def test_what_is_stopped_for_finally_s_time_says_so_though_the_run_was_out_of_time_before(plane: Timed) -> None:
    run = plane.begun(step(), timeout="2m", finallyTimeout="1m", **{"finally": [step("report"), step("more")]})
    (held,) = plane.claim(lease=HOUR)
    plane.looked_after(120)
    plane.queue.release(held["id"], Holder("r1", held["fence"]))
    assert decode(plane.action(run)["error_json"])["message"] == "cancelled: the run took longer than the timeout of 2m"
    plane.claim(lease=HOUR)
    plane.looked_after(60)
    plane.looked_after(30)
    said = "the finally steps of the run took longer than the finallyTimeout of 1m"
    assert decode(plane.action(run, "report")["error_json"])["message"] == f"cancelled: {said}"
    assert plane.action(run, "more")["cancel_reason"] == said
    assert decode(plane.run(run)["error_json"])["message"] == "the run took longer than the timeout of 2m"


def test_a_step_that_somebody_works_on_is_dead_when_its_time_is_over(plane: Timed) -> None:
    run = plane.begun(step(totalTimeout="1m"))
    (held,) = plane.claim(lease=HOUR)
    plane.looked_after(60)
    assert (plane.steps(run), plane.code(run)) == ({"work": "dead"}, "STEP_TIMEOUT")
    with pytest.raises(Conflict):
        plane.done(held, fence=held["fence"])
    plane.replays.action(held["id"], actor="ada")
    (again,) = plane.claim()
    assert again["step_deadline_at"] == plane.clock.at + 60 * SECOND


def test_a_run_whose_time_is_over_asks_who_works_to_stop_then_runs_finally(plane: Timed) -> None:
    report = step("report", input={"was": "${{ run.status }}"})
    run = plane.begun(step(), step("next", dependsOn=["work"]), timeout="2h", **{"finally": [report]})
    assert plane.run(run)["deadline_at"] == START + 2 * HOUR
    (held,) = plane.claim(lease=9 * HOUR)
    plane.looked_after(7199)
    assert plane.run(run)["stop"] is None
    plane.looked_after(1)
    assert plane.queue.asked_to_stop("r1") == {held["id"]}
    assert plane.steps(run) == {"work": "claimed", "next": "cancelled", "report": "blocked"}
    plane.queue.release(held["id"], Holder("r1", held["fence"]))
    (row,) = plane.claim()
    assert decode(row["input_json"]) == {"was": "timed_out"}
    plane.done(row)
    assert (plane.run(run)["status"], decode(plane.run(run)["error_json"])) == (
        "timed_out",
        {"code": "TIMED_OUT", "message": "the run took longer than the timeout of 2h"},
    )


def test_a_claim_hands_out_nothing_of_a_run_whose_time_is_over(plane: Timed) -> None:
    run = plane.begun(step(), timeout="1m")
    plane.clock.at += 60 * SECOND
    assert plane.claim() == []
    assert (plane.run(run)["status"], plane.run(run)["deadline_at"]) == ("timed_out", None)


@pytest.mark.parametrize("counted", [False, True])
def test_waiting_for_approval_counts_only_where_the_spec_says_so(plane: Timed, counted: bool) -> None:
    keys: dict[str, Any] = {"timeout": "1h", **({"timeoutCountsApprovals": True} if counted else {})}
    run = plane.begun(step("build"), step(dependsOn=["build"], approval={"requiresApproval": True}), **keys)
    plane.clock.at += 600 * SECOND
    plane.done(plane.claim()[0])
    assert plane.run(run)["status"] == "waiting_approval"
    plane.looked_after(3600)
    if counted:
        assert plane.run(run)["status"] == "timed_out"
        return
    plane.approve.approve(plane.action(run)["id"], actor="ada")
    assert plane.run(run)["deadline_at"] == plane.clock.at + 3000 * SECOND
    plane.looked_after(2999)
    assert plane.run(run)["status"] == "running"
    plane.looked_after(1)
    assert plane.run(run)["status"] == "timed_out"


def test_a_run_that_waits_for_an_approval_from_its_start_has_all_its_time_left(plane: Timed) -> None:
    run = plane.begun(step(approval={"requiresApproval": True}), timeout="1h")
    plane.looked_after(9999)
    plane.approve.approve(plane.action(run)["id"], actor="ada")
    assert plane.run(run)["deadline_at"] == plane.clock.at + HOUR


def test_standing_in_line_does_not_count(plane: Timed) -> None:
    plane.apply({"a.yaml": spec("a", timeout="1h", concurrency={"key": "k"})})
    runs = [plane.send(name).materialized[0]["runId"] for name in ("e1", "e2")]
    plane.looked_after(1800)
    plane.done(plane.claim()[0])
    assert plane.run(runs[1])["deadline_at"] == START + 1800 * SECOND + HOUR


@pytest.mark.parametrize(
    ("main", "ends"), [("succeeded", "timed_out"), ("failed", "failed"), ("cancelled", "cancelled")]
)
def test_finally_has_a_time_of_its_own(plane: Timed, main: str, ends: str) -> None:
    final = [step("report"), step("more", dependsOn=["report"])]
    run = plane.begun(step(retry={"maxAttempts": 1}), timeout="1h", finallyTimeout="1m", **{"finally": final})
    (held,) = plane.claim()
    if main == "cancelled":
        plane.cancel.run(run, actor="ada")
        plane.queue.release(held["id"], Holder("r1", held["fence"]))
    elif main == "failed":
        plane.undone(held)
    else:
        plane.done(held)
    assert plane.run(run)["deadline_at"] == plane.clock.at + 60 * SECOND
    (report,) = plane.claim(lease=HOUR)
    plane.looked_after(60)
    assert plane.queue.asked_to_stop("r1") == {report["id"]}
    plane.looked_after(30)
    assert (plane.run(run)["status"], plane.run(run)["deadline_at"]) == (ends, None)
    assert plane.steps(run) | {"work": ""} == {"work": "", "report": "cancelled", "more": "cancelled"}


def test_the_run_s_time_is_not_finally_s(plane: Timed) -> None:
    run = plane.begun(step(), timeout="1m", **{"finally": [step("report")]})
    plane.done(plane.claim()[0])
    plane.looked_after(600)
    plane.done(plane.claim()[0])
    assert plane.run(run)["status"] == "succeeded"


def test_a_replayed_run_has_its_time_again(plane: Timed) -> None:
    run = plane.begun(step(retry={"maxAttempts": 1}), step("next", dependsOn=["work"]), timeout="1h")
    plane.undone(plane.claim()[0])
    plane.clock.at += 9 * HOUR
    plane.replays.action(plane.action(run)["id"], actor="ada")
    assert plane.run(run)["deadline_at"] == plane.clock.at + HOUR


def test_the_next_deadline_is_the_earliest_of_all(plane: Timed) -> None:
    assert plane.queue.next_deadline() is None
    plane.begun(step(timeout="20s", totalTimeout="40s"), timeout="2h")
    assert plane.queue.next_deadline() == START + 2 * HOUR
    (held,) = plane.claim(lease=10 * SECOND)
    assert plane.queue.next_deadline() == START + 10 * SECOND
    plane.queue.heartbeat(held["id"], Holder("r1", held["fence"]), lease=HOUR)
    assert plane.queue.next_deadline() == START + 20 * SECOND
