"""The queue, on every store: work is handed out, finished, lost and retried, and its run moves in the same commit."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from automations.core.canonical import decode
from automations.core.instant import SECOND
from automations.core.record import action_record
from automations.core.run.queue import Failure, Holder
from automations.errors import Conflict, NotFound
from automations.services.run.queue import LEASE, Done, Undone
from automations.store import actions, runs
from automations.store.actions import Only, Which
from automations.store.database import Database, Row
from control_plane import START, ControlPlane
from samples import action, spec, step
from web_server import eventually

NO_JITTER = {"jitter": "none"}


@pytest.fixture
def plane(database: Database) -> ControlPlane:
    return ControlPlane(database)


def begun(plane: ControlPlane, *steps: Any, **keys: Any) -> str:
    """A run of an automation with these steps."""
    plane.apply({"a.yaml": spec("a", actions=list(steps) or [step(retry=NO_JITTER)], **keys)})
    return str(plane.send().materialized[0]["runId"])


def row_of(plane: ControlPlane, action_id: str) -> Row:
    with plane.database.read() as tx:
        row = actions.get(tx, action_id)
    assert row is not None
    return row


def attempts(plane: ControlPlane, run_id: str) -> list[tuple[int, str, str]]:
    with plane.database.read() as tx:
        return [(each["attempt"], each["runner"], each["outcome"]) for each in actions.attempts_of_run(tx, run_id)]


# Claim


def test_a_claim_leases_the_action_and_starts_its_run(plane: ControlPlane) -> None:
    run = begun(plane)
    (row,) = plane.claim()
    assert (row["status"], row["claimed_by"], row["fence"]) == ("claimed", "r1", 1)
    assert (row["claimed_at"], row["lease_expires_at"]) == (START, START + LEASE)
    assert (plane.run(run)["status"], plane.run(run)["started_at"]) == ("running", START)


def test_nothing_to_do_is_an_empty_answer(plane: ControlPlane) -> None:
    assert plane.claim() == []
    begun(plane)
    plane.claim()
    assert plane.claim("r2") == []


def test_older_work_is_handed_out_first_and_never_more_than_was_asked_for(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": spec("a")})
    for number in range(5):
        plane.clock.at += 1
        plane.send(f"e{number}")
    keys = [row["idempotency_key"] for row in plane.claim(limit=3)]
    assert keys == ["a:e0:work", "a:e1:work", "a:e2:work"]
    assert [row["idempotency_key"] for row in plane.claim(limit=9)] == ["a:e3:work", "a:e4:work"]


def test_work_that_only_others_can_do_is_not_handed_to_our_own_worker(plane: ControlPlane) -> None:
    files = {"a.yaml": spec("a", actions=[step("own"), step("foreign", actionId="elsewhere")]), "m.yaml": action()}
    plane.apply(files)
    plane.send()
    assert [row["step_id"] for row in plane.claim(limit=9, which=Which(("local-shell",)))] == ["own"]
    assert [row["step_id"] for row in plane.claim(limit=9)] == ["foreign"]


def test_a_worker_with_several_patterns_gets_what_any_of_them_names_and_no_other_kind(plane: ControlPlane) -> None:
    names = ["ci.build", "ci.test", "chat.post", "todos.create"]
    files = {f"{at}.yaml": action(name) for at, name in enumerate(names[:3])}
    steps = [step(name.replace(".", "_"), actionId=name) for name in names]
    plane.apply({"a.yaml": spec("a", actions=steps), **files})
    plane.send()
    which = Which(("local-shell",), (Only("ci."), Only("", ".create"), Only("chat.post", whole=True)))
    assert plane.queue.next_available(Which(("python",), which.only)) is None
    assert plane.queue.next_available(Which((), which.only)) is None
    assert plane.queue.next_available(which) == START
    assert [row["action_id"] for row in plane.claim(limit=9, which=which)] == ["ci.build", "ci.test", "chat.post"]
    assert plane.queue.next_available(which) is None
    assert plane.queue.next_available() == START


def test_a_blocked_or_waiting_step_is_never_handed_out(plane: ControlPlane) -> None:
    run = begun(plane, step("asks", approval={"mode": "manual"}), step("after", dependsOn=["asks"]))
    assert plane.claim(limit=9) == []
    assert plane.steps(run) == {"asks": "waiting_approval", "after": "blocked"}
    assert plane.run(run)["status"] == "waiting_approval"


def test_many_claimers_at_once_share_the_work_and_nothing_is_handed_out_twice(shared_database: Database) -> None:
    planes = [ControlPlane(shared_database) for _ in range(4)]
    planes[0].apply({"a.yaml": spec("a")})
    for number in range(40):
        planes[0].send(f"e{number}")

    def work(plane: ControlPlane) -> list[str]:
        found = []
        while rows := plane.claim(limit=3):
            for row in rows:
                found.append(row["id"])
                plane.done(row, fence=row["fence"])
        return found

    with ThreadPoolExecutor(len(planes)) as pool:
        handed = [each for found in pool.map(work, planes) for each in found]
    assert Counter(handed) == dict.fromkeys(handed, 1)
    assert len(handed) == 40


# Finish


def test_the_log_counts_attempts_from_one_as_a_run_s_story_does(plane: ControlPlane) -> None:
    begun(plane, step(retry={**NO_JITTER, "maxAttempts": 2}))
    plane.undone(*plane.claim(), code="X", message="x", retryable=True)
    plane.clock.at += 3600 * SECOND
    plane.done(*plane.claim())
    plane.send("e2")
    plane.undone(*plane.claim(), code="X", message="x", retryable=False)
    told = [(event, fields["attempt"]) for event, fields in plane.told if "attempt" in fields]
    assert told == [("action.retrying", 1), ("action.succeeded", 2), ("action.dead", 1)]


def test_success_is_kept_and_the_run_ends_in_the_same_commit(plane: ControlPlane) -> None:
    run = begun(plane)
    (row,) = plane.claim()
    plane.clock.at += SECOND
    done = plane.done(row, {"n": 1})
    assert (done["status"], decode(done["result_json"])) == ("succeeded", {"output": {"n": 1}})
    assert row_of(plane, row["id"]) == done
    standing = plane.run(run)
    assert (standing["status"], standing["completed_at"]) == ("succeeded", START + SECOND)


def test_an_output_reaches_the_steps_that_read_it(plane: ControlPlane) -> None:
    begun(plane, step("one"), step("two", dependsOn=["one"], input={"n": "${{ steps.one.output.n + 1 }}"}))
    plane.done(plane.claim()[0], {"n": 41})
    (row,) = plane.claim()
    assert decode(row["input_json"]) == {"n": 42}


def test_an_output_that_breaks_its_schema_is_a_failure_that_is_not_retried(plane: ControlPlane) -> None:
    manifest = action(outputSchema={"type": "object", "required": ["n"]})
    plane.apply({"a.yaml": spec("a"), "m.yaml": manifest})
    run = plane.send().materialized[0]["runId"]
    done = plane.done(plane.claim()[0], {"m": 1})
    assert (done["status"], done["result_json"]) == ("dead", None)
    assert decode(done["error_json"])["code"] == "OUTPUT_INVALID"
    assert plane.run(run)["status"] == "failed"


def test_a_failure_is_retried_after_its_wait_and_not_before(plane: ControlPlane) -> None:
    run = begun(plane)
    failed = plane.undone(plane.claim()[0], code="E", message="m")
    assert (failed["status"], failed["available_at"], failed["attempt"]) == ("retrying", START + SECOND, 1)
    assert (failed["claimed_by"], failed["lease_expires_at"]) == ("r1", None)  # who had it is told until the next claim
    assert plane.claim() == []
    assert plane.queue.next_available() == START + SECOND
    plane.clock.at += SECOND
    (again,) = plane.claim("r2")
    assert (again["fence"], again["claimed_by"]) == (2, "r2")
    plane.done(again, runner="r2")
    assert plane.run(run)["status"] == "succeeded"
    assert attempts(plane, run) == [(1, "r1", "failed")]


def test_attempts_that_are_spent_are_a_dead_letter_and_fail_the_run(plane: ControlPlane) -> None:
    run = begun(plane, step(retry={"maxAttempts": 2, **NO_JITTER}), step("after", dependsOn=["work"]))
    for _ in range(2):
        plane.clock.at += 60 * SECOND
        dead = plane.undone(plane.claim()[0], code="E", message="m")
    assert dead["status"] == "dead"
    letter = decode(dead["dead_letter_json"])
    assert (letter["reason"], letter["attempts"], letter["lastError"]["code"]) == ("max attempts exceeded", 2, "E")
    assert plane.steps(run) == {"work": "dead", "after": "skipped"}
    assert decode(plane.run(run)["error_json"]) == {"code": "E", "message": "step work: m", "stepId": "work"}
    assert attempts(plane, run) == [(1, "r1", "failed"), (2, "r1", "failed")]


@pytest.mark.parametrize("backoff", [-(2**62), 2**62])
def test_no_backoff_of_a_runner_leaves_the_calendar(plane: ControlPlane, backoff: int) -> None:
    begun(plane)
    failed = plane.undone(plane.claim()[0], backoff=backoff)
    assert action_record(row_of(plane, failed["id"]))["availableAt"].endswith("Z")


def test_no_policy_of_an_author_leaves_the_calendar(plane: ControlPlane) -> None:
    begun(plane, step(retry={"base": "999999d", "cap": "999999d999999d999999d", **NO_JITTER}))
    failed = plane.undone(plane.claim()[0])
    assert action_record(row_of(plane, failed["id"]))["availableAt"].endswith("Z")


@pytest.mark.parametrize("verb", ["complete", "fail"])
def test_a_stale_runner_changes_nothing_however_it_asks(plane: ControlPlane, verb: str) -> None:
    begun(plane)
    (stale,) = plane.claim("r1")
    plane.clock.at += LEASE
    (fresh,) = plane.claim("r2")
    before = row_of(plane, fresh["id"])

    def report(holder: Holder) -> None:
        plane.queue.settle(
            [Done(stale["id"], holder) if verb == "complete" else Undone(stale["id"], holder, Failure())]
        )

    for holder in (Holder("r1"), Holder("r1", 1), Holder("r2", 1), Holder("r1", 2)):
        with pytest.raises(Conflict):
            report(holder)
        assert row_of(plane, fresh["id"]) == before
    plane.queue.complete(Done(fresh["id"], Holder("r2", fresh["fence"])))


def test_an_expired_lease_refuses_its_own_holder_even_before_anybody_else_claims(plane: ControlPlane) -> None:
    begun(plane)
    (row,) = plane.claim()
    plane.clock.at += LEASE
    with pytest.raises(Conflict, match="lease expired"):
        plane.done(row)


def test_reports_in_one_commit_are_all_taken_or_none(plane: ControlPlane) -> None:
    begun(plane, step("one"), step("two"))
    one, two = plane.claim(limit=2)
    with pytest.raises(Conflict):
        plane.queue.settle([Done(one["id"], Holder("r1")), Done(two["id"], Holder("r9"))])
    assert {row_of(plane, each["id"])["status"] for each in (one, two)} == {"claimed"}
    plane.queue.settle([Done(one["id"], Holder("r1")), Undone(two["id"], Holder("r1"), Failure())])
    assert [row_of(plane, each["id"])["status"] for each in (one, two)] == ["succeeded", "retrying"]


def test_an_action_that_nobody_knows_is_not_found(plane: ControlPlane) -> None:
    with pytest.raises(NotFound, match="queued action not found: ghost"):
        plane.queue.complete(Done("ghost", Holder("r1")))


def test_a_run_has_started_once_an_action_is_claimed_though_somebody_held_it(shared_database: Database) -> None:
    plane = ControlPlane(shared_database)
    plane.apply({"a.yaml": spec("a")})
    run_id = plane.send().materialized[0]["runId"]

    def claimed() -> bool:
        with shared_database.read() as tx:
            return bool(tx.all("SELECT id FROM actions WHERE status = 'claimed'"))

    with ThreadPoolExecutor(2) as pool:
        with shared_database.write() as tx:
            runs.hold_one(tx, run_id)
            claim = pool.submit(plane.claim)
            if shared_database.dialect != "sqlite":  # there, whoever writes is alone
                eventually(lambda: pool.submit(claimed).result())
        (row,) = claim.result(timeout=20)
    assert (row["run_id"], plane.run(run_id)["status"]) == (run_id, "running")
    assert plane.run(run_id)["started_at"] == plane.clock.at


def test_two_reports_at_once_of_steps_that_one_step_waits_for_free_it_exactly_once(shared_database: Database) -> None:
    planes = [ControlPlane(shared_database) for _ in range(2)]
    planes[0].apply({"a.yaml": spec("a", actions=[step("l"), step("r"), step("last", dependsOn=["l", "r"])])})
    for number in range(10):
        run = str(planes[0].send(f"e{number}").materialized[0]["runId"])
        left, right = planes[0].claim(limit=2)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda pair: pair[0].done(pair[1]), zip(planes, (left, right), strict=True)))
        assert planes[0].steps(run) == {"l": "succeeded", "r": "succeeded", "last": "queued"}
        planes[0].done(planes[0].claim()[0])
        assert planes[0].run(run)["status"] == "succeeded"


# Leases


def test_a_heartbeat_prolongs_a_live_lease_only_for_its_holder(plane: ControlPlane) -> None:
    begun(plane)
    (row,) = plane.claim()
    plane.clock.at += LEASE - 1
    assert not plane.queue.heartbeat(row["id"], Holder("r2", 1))
    assert not plane.queue.heartbeat(row["id"], Holder("r1", 2))
    assert plane.queue.heartbeat(row["id"], Holder("r1", 1))
    assert row_of(plane, row["id"])["lease_expires_at"] == plane.clock.at + LEASE
    plane.clock.at += LEASE
    assert not plane.queue.heartbeat(row["id"], Holder("r1", 1))


def test_a_runner_that_was_told_no_fence_keeps_its_lease_by_its_name(plane: ControlPlane) -> None:
    begun(plane)
    (row,) = plane.claim()
    assert plane.queue.heartbeat(row["id"], Holder("r1"))
    assert plane.queue.release(row["id"], Holder("r1"))


def test_a_release_spends_no_attempt_and_the_action_is_there_for_the_next(plane: ControlPlane) -> None:
    run = begun(plane)
    (row,) = plane.claim()
    assert not plane.queue.release(row["id"], Holder("r2", 1))
    assert plane.queue.release(row["id"], Holder("r1", 1))
    assert not plane.queue.release(row["id"], Holder("r1", 1))
    (again,) = plane.claim("r2")
    assert (again["attempt"], again["fence"]) == (0, 2)
    assert attempts(plane, run) == []


def test_an_expired_lease_is_taken_back_spends_an_attempt_and_is_in_the_history(plane: ControlPlane) -> None:
    run = begun(plane)
    plane.claim()
    plane.clock.at += LEASE - 1
    assert plane.queue.recover() == 0
    plane.clock.at += 1
    assert plane.queue.recover() == 1
    assert plane.queue.recover() == 0
    assert attempts(plane, run) == [(1, "r1", "lease_expired")]
    (row,) = plane.claim("r2")
    assert (row["attempt"], row["crashes"]) == (1, 1)


def test_three_crashes_are_poison_even_with_attempts_left(plane: ControlPlane) -> None:
    run = begun(plane, step(retry={"maxAttempts": 50}))
    for _ in range(3):
        plane.claim()
        plane.clock.at += LEASE
    assert plane.claim() == []
    assert plane.run(run)["status"] == "failed"
    (row,) = [row_of(plane, each["id"]) for each in _actions(plane, run)]
    assert decode(row["dead_letter_json"])["reason"] == "poison"


def _actions(plane: ControlPlane, run: str) -> list[Row]:
    with plane.database.read() as tx:
        return actions.of_run(tx, run)


def test_whoever_waits_for_work_is_woken_by_reports_and_recoveries(plane: ControlPlane) -> None:
    woken: list[int] = []
    plane.queue.wake = lambda: woken.append(1)
    begun(plane)
    plane.claim()
    plane.queue.recover()
    assert woken == []
    plane.clock.at += LEASE
    plane.queue.recover()
    assert woken == [1]
    plane.done(plane.claim()[0])
    assert woken == [1, 1]


def test_finally_runs_after_a_failure_and_the_run_still_fails(plane: ControlPlane) -> None:
    run = begun(plane, step(), **{"finally": [step("report", input={"was": "${{ run.status }}"})]})
    plane.undone(plane.claim()[0], retryable=False)
    (row,) = plane.claim()
    assert decode(row["input_json"]) == {"was": "failed"}
    plane.done(row)
    assert plane.run(run)["status"] == "failed"
    assert plane.run(run)["completed_at"] is not None
