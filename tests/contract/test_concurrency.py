"""Concurrency, on every store: a slot a key, five ways to overlap, and no slot lost or given twice whatever happens."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from automations.core.canonical import decode
from automations.core.run.queue import Holder
from automations.core.run.replay import Mode
from automations.services.run import approval, cancel, replay
from automations.services.run.queue import LEASE, Claim, Done
from automations.services.trigger import trigger
from automations.services.trigger.ingest import Delivery, Ingested
from automations.services.trigger.parts import Parts as TriggerParts
from automations.store import actions
from automations.store.database import Database, Row
from control_plane import ControlPlane
from samples import spec, step


class Sharing(ControlPlane):
    """A control plane whose runs share slots."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.approve = approval.Approvals(approval.Parts(database, self.programs, self.clock, self.ids, self.telemetry))
        self.replays = replay.Replay(
            replay.Parts(database, self.bindings, self.programs, self.clock, self.ids, self.telemetry)
        )
        self.cancel = cancel.Cancel(cancel.Parts(database, self.programs, self.clock, self.telemetry))
        self.start = trigger.Start(TriggerParts(database, self.bindings, self.clock, self.ids, self.telemetry))
        self.sent = 0

    def share(self, *steps: Any, automation: dict[str, Any] | None = None, **concurrency: Any) -> None:
        """Apply an automation with this `concurrency`."""
        given = {"actions": list(steps) or [step()], **(automation or {})}
        self.apply({"a.yaml": spec("a", concurrency=concurrency, **given)})

    def arrive(self, number: int = 1, **data: Any) -> list[str]:
        """That many events, one after the other; ids of the runs that they made."""
        made = []
        for _ in range(number):
            self.sent += 1
            made.append(str(self.send(f"event-{self.sent}", data=data).materialized[0]["runId"]))
        return made

    def statuses(self, run_ids: list[str]) -> list[str]:
        return [self.run(run_id)["status"] for run_id in run_ids]

    def finish(self) -> str:
        """Claim one action and complete it; its run."""
        (row,) = self.claim()
        self.done(row)
        return str(row["run_id"])

    def rows(self, run_id: str) -> list[Row]:
        with self.database.read() as tx:
            return actions.of_run(tx, run_id)


@pytest.fixture
def plane(database: Database) -> Sharing:
    return Sharing(database)


def test_runs_of_one_key_go_on_one_after_the_other_in_the_order_in_which_they_came(plane: Sharing) -> None:
    plane.share(key="prod")
    made = plane.arrive(4)
    assert plane.statuses(made) == ["materialized", "pending", "pending", "pending"]
    assert plane.steps(made[1]) == {"work": "blocked"}
    assert [plane.finish() for _ in made] == made
    assert set(plane.statuses(made)) == {"succeeded"}
    assert plane.claim() == []


def test_as_many_go_on_at_once_as_the_limit_says_and_other_keys_do_not_count(plane: Sharing) -> None:
    plane.share(key="${{ event.data.env }}", limit=2)
    prod, test = plane.arrive(3, env="prod"), plane.arrive(1, env="test")
    assert plane.statuses(prod + test) == ["materialized", "materialized", "pending", "materialized"]
    assert plane.run(prod[2])["slot_key"] == "prod"


@pytest.mark.parametrize(
    ("data", "key"), [({"n": 7}, "7"), ({"n": True}, "true"), ({"n": "7"}, "7"), ({"n": 0.5}, "0.5")]
)
def test_a_key_is_a_text_a_number_or_a_boolean(plane: Sharing, data: dict[str, Any], key: str) -> None:
    plane.share(key="${{ event.data.n }}")
    assert plane.run(plane.arrive(1, **data)[0])["slot_key"] == key


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"n": None}, "is null"),
        ({"n": [1]}, "is a list"),
        ({"n": {"a": 1}}, "is an object"),
        ({}, "could not be worked out"),
        ({"n": "x" * 600}, "600 characters"),
        ({"n": "a\0b"}, "NUL"),
    ],
)
def test_a_run_whose_key_is_none_has_failed_and_says_why(plane: Sharing, data: dict[str, Any], said: str) -> None:
    plane.share(key="${{ event.data.n }}", automation={"finally": [step("report")]})
    (run,) = plane.arrive(1, **data)
    row = plane.run(run)
    assert (row["status"], decode(row["error_json"])["code"]) == ("failed", "CONCURRENCY_KEY_INVALID")
    assert said in decode(row["error_json"])["message"]
    assert plane.steps(run) == {"work": "cancelled", "report": "cancelled"}
    assert plane.claim() == []


def test_a_full_line_drops_who_comes_and_records_it(plane: Sharing) -> None:
    plane.share(key="k", maxQueued=2)
    made = plane.arrive(5)
    assert plane.statuses(made) == ["materialized", "pending", "pending", "dropped", "dropped"]
    assert plane.run(made[3])["stop_reason"] == "2 runs wait already (maxQueued 2)"
    assert plane.steps(made[3]) == {"work": "cancelled"}
    assert [plane.finish() for _ in range(3)] == made[:3]


def test_skip_drops_whoever_finds_the_slot_taken(plane: Sharing) -> None:
    plane.share(key="k", overlap="skip")
    made = plane.arrive(2)
    assert plane.statuses(made) == ["materialized", "dropped"]
    plane.finish()
    assert plane.statuses(plane.arrive()) == ["materialized"]


def test_latest_lets_one_wait_and_the_newest_wins(plane: Sharing) -> None:
    plane.share(key="docs", overlap="latest")
    made = plane.arrive(8)
    assert plane.statuses(made) == ["materialized", *["superseded"] * 6, "pending"]
    assert plane.run(made[1])["stop_reason"] == f"replaced by the newer run {made[2]}"
    assert plane.run(made[1])["started_at"] is None
    assert [plane.finish(), plane.finish()] == [made[0], made[7]]
    assert plane.claim() == []


def test_parallel_runs_all_at_once(plane: Sharing) -> None:
    plane.share(key="k", overlap="parallel")
    assert set(plane.statuses(plane.arrive(3))) == {"materialized"}


def test_cancel_running_replaces_what_nobody_has_begun_in_one_commit(plane: Sharing) -> None:
    plane.share(key="k", overlap="cancel-running")
    made = plane.arrive(3)
    assert plane.statuses(made) == ["cancelled", "cancelled", "materialized"]
    assert plane.finish() == made[2]


def test_cancel_running_asks_who_works_to_stop_and_begins_when_it_did(plane: Sharing) -> None:
    plane.share(key="k", overlap="cancel-running", automation={"finally": [step("clean")]})
    (old,) = plane.arrive()
    (held,) = plane.claim()
    newer, newest = plane.arrive(2)
    assert plane.statuses([old, newer, newest]) == ["running", "superseded", "pending"]
    assert plane.queue.asked_to_stop("r1") == {held["id"]}
    assert plane.queue.release(held["id"], Holder("r1", held["fence"]))
    assert plane.steps(old) == {"work": "cancelled", "clean": "queued"}
    assert plane.finish() == old
    assert plane.statuses([old, newest]) == ["cancelled", "materialized"]


def test_cancel_running_keeps_the_newest_of_as_many_as_fit(plane: Sharing) -> None:
    plane.share(key="k", limit=2, overlap="cancel-running")
    made = plane.arrive(4)
    assert plane.statuses(made) == ["cancelled", "cancelled", "materialized", "materialized"]


def test_a_run_that_has_nothing_to_do_passes_its_slot_on_at_once(plane: Sharing) -> None:
    plane.share(step(when="event.data.go"), key="k")
    first = plane.arrive(1, go=True)
    idle = plane.arrive(300, go=False)
    last = plane.arrive(1, go=True)
    assert plane.statuses(last) == ["dropped"]
    assert plane.finish() == first[0]
    assert plane.statuses(idle[:100]) == ["succeeded"] * 100
    assert plane.statuses(plane.arrive(1, go=True)) == ["materialized"]


def test_a_slot_is_kept_while_an_approval_is_waited_for(plane: Sharing) -> None:
    plane.share(step(approval={"requiresApproval": True}), key="k")
    assert plane.statuses(plane.arrive(2)) == ["waiting_approval", "pending"]


def test_a_slot_that_is_given_away_while_waiting_is_taken_again_when_its_turn_comes(plane: Sharing) -> None:
    gated = step("ship", dependsOn=["build"], approval={"requiresApproval": True}, input={"n": "${{ event.data.n }}"})
    plane.share(step("build"), gated, key="k", releaseWhileWaiting=True)
    first, second, third = plane.arrive(3, n=1)
    assert plane.finish() == first
    assert plane.statuses([first, second, third]) == ["waiting_approval", "materialized", "pending"]
    ship = plane.rows(first)[1]["id"]
    plane.approve.approve(ship, actor="ada")
    assert plane.statuses([first]) == ["pending"]
    assert plane.steps(first)["ship"] == "blocked"
    assert plane.finish() == second  # which now waits for an approval too
    assert plane.statuses([first, second, third]) == ["running", "waiting_approval", "pending"]
    (row,) = plane.claim()
    assert (row["id"], decode(row["input_json"])) == (ship, {"n": 1})
    plane.done(row)
    assert plane.statuses([first, third]) == ["succeeded", "materialized"]


def test_an_approval_given_to_a_run_in_line_lets_nothing_into_the_queue_before_its_turn(plane: Sharing) -> None:
    gates = [step(name, approval={"requiresApproval": True}) for name in ("one", "two")]
    plane.share(*gates, step("free", when="event.data.free"), key="k", releaseWhileWaiting=True)
    (first,) = plane.arrive(1, free=False)
    (second,) = plane.arrive(1, free=True)
    assert plane.statuses([first, second]) == ["waiting_approval", "materialized"]
    for row in plane.rows(first)[:2]:
        plane.approve.approve(row["id"], actor="ada")
    assert (plane.steps(first), plane.statuses([first])) == (
        {"one": "blocked", "two": "blocked", "free": "skipped"},
        ["pending"],
    )
    assert plane.finish() == second
    assert [plane.finish(), plane.finish()] == [first, first]
    assert plane.statuses([first, second]) == ["succeeded", "waiting_approval"]


def test_a_rejection_ends_a_run_that_gave_its_slot_away(plane: Sharing) -> None:
    plane.share(
        step(approval={"requiresApproval": True}),
        key="k",
        releaseWhileWaiting=True,
        automation={"finally": [step("f")]},
    )
    first, second = plane.arrive(2)
    assert plane.statuses([first, second]) == ["waiting_approval", "waiting_approval"]
    plane.approve.reject(plane.rows(first)[0]["id"], actor="ada")
    assert plane.statuses([first]) == ["running"]
    assert plane.finish() == first
    assert plane.statuses([first, second]) == ["failed", "waiting_approval"]


def test_a_replayed_run_stands_in_line_again(plane: Sharing) -> None:
    plane.share(step(retry={"maxAttempts": 1}), key="k")
    first, second = plane.arrive(2)
    plane.undone(plane.claim()[0])
    assert plane.statuses([first, second]) == ["failed", "materialized"]
    plane.replays.action(plane.rows(first)[0]["id"], actor="ada")
    assert (plane.statuses([first]), plane.steps(first)) == (["pending"], {"work": "blocked"})
    assert [plane.finish(), plane.finish()] == [second, first]
    assert plane.statuses([first, second]) == ["succeeded", "succeeded"]


def test_of_runs_that_are_replayed_with_latest_one_waits_and_the_newest_wins(plane: Sharing) -> None:
    plane.share(step(retry={"maxAttempts": 1}), key="k", overlap="latest")
    made = plane.arrive(3)
    for _ in range(2):
        plane.undone(plane.claim()[0])
    assert plane.statuses(made) == ["failed", "superseded", "failed"]
    first, second, third = made
    for each in (second, third, first):
        plane.replays.run(each, replay.Wanted(Mode.FAILED_ACTIONS), actor="ada")
    assert plane.statuses(made) == ["pending", "running", "superseded"]
    assert plane.run(third)["stop_reason"] == f"replaced by run {first}, which is replayed"
    assert [plane.finish(), plane.finish(), plane.claim()] == [second, first, []]
    assert plane.statuses(made) == ["succeeded", "succeeded", "superseded"]


def test_a_new_run_takes_the_place_of_a_replayed_one_that_waits(plane: Sharing) -> None:
    plane.share(step("a"), step("b", dependsOn=["a"], retry={"maxAttempts": 1}), key="k", overlap="latest")
    (first,) = plane.arrive()
    plane.finish()
    plane.undone(plane.claim()[0])
    (running,) = plane.arrive()
    plane.replays.run(first, replay.Wanted(Mode.DEAD_ACTIONS), actor="ada")
    assert (plane.statuses([first]), plane.steps(first)) == (["pending"], {"a": "succeeded", "b": "blocked"})
    (newest,) = plane.arrive()
    assert plane.statuses([first, running, newest]) == ["superseded", "materialized", "pending"]
    assert plane.steps(first) == {"a": "succeeded", "b": "cancelled"}


def test_a_replayed_run_replaces_what_runs_where_the_newest_run_does(plane: Sharing) -> None:
    plane.share(step(retry={"maxAttempts": 1}), key="k", overlap="cancel-running")
    (first,) = plane.arrive()
    plane.undone(plane.claim()[0])
    (second,) = plane.arrive()
    plane.replays.run(first, replay.Wanted(Mode.DEAD_ACTIONS), actor="ada")
    assert plane.statuses([first, second]) == ["running", "cancelled"]


def test_a_run_that_is_replayed_is_never_dropped(plane: Sharing) -> None:
    plane.share(step(retry={"maxAttempts": 1}), key="k", overlap="skip")
    (first,) = plane.arrive()
    plane.undone(plane.claim()[0])
    (second,) = plane.arrive()
    plane.replays.run(first, replay.Wanted(Mode.DEAD_ACTIONS), actor="ada")
    assert [plane.finish(), plane.finish()] == [second, first]


def test_a_cancelled_run_leaves_the_line_and_a_cancelled_holder_hands_its_slot_on(plane: Sharing) -> None:
    plane.share(key="k", automation={"finally": [step("clean")]})
    first, second, third = plane.arrive(3)
    plane.cancel.run(second, actor="ada")
    assert plane.steps(second) == {"work": "cancelled", "clean": "cancelled"}
    plane.cancel.run(first, actor="ada")
    assert plane.statuses([first, second, third]) == ["materialized", "cancelled", "pending"]
    assert plane.finish() == first  # its finally step
    assert plane.statuses([first, third]) == ["cancelled", "materialized"]


def test_a_run_that_is_set_aside_hands_its_slot_on_in_the_same_commit_past_those_that_cannot_begin(
    plane: Sharing,
) -> None:
    plane.share(step(retry={"maxAttempts": 1}), step("after", dependsOn=["work"]), key="k")
    made = plane.arrive(4)
    for healthy in (True, False):
        (row,) = plane.claim()
        with plane.database.write() as tx:
            for sick in (row["run_id"], *(() if healthy else made[2:3])):
                tx.run("UPDATE runs SET generation = 99 WHERE id = :id", id=sick)
        plane.clock.at += LEASE
        plane.queue.recover()
        if healthy:
            assert plane.statuses(made) == ["failed", "materialized", "pending", "pending"]
    assert plane.statuses(made) == ["failed", "failed", "failed", "materialized"]
    assert [fields["run"] for event, fields in plane.told if event == "run.set_aside"] == made[:3]


def test_replays_that_leave_each_for_the_other_s_key_do_not_wait_for_each_other(
    shared_database: Database, open_store: Callable[[], Database]
) -> None:
    doors = [Sharing(shared_database), Sharing(open_store())]
    doors[1].ids.begin(1_000_000)
    doors[0].share(key="${{ event.data.was }}")
    made = [doors[0].arrive(was=was, now=now)[0] for was, now in (("x", "y"), ("y", "x"))]
    for _ in made:
        doors[0].finish()
    doors[0].share(key="${{ event.data.now }}")

    def again(number: int) -> None:
        wanted = replay.Wanted(Mode.ENTIRE_RUN, current=True)
        for _ in range(40):
            assert (
                doors[number].replays.run(made[number], wanted, actor="ada", dry_run=True)["replayOf"] == made[number]
            )

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(again, range(2)))


def test_a_slot_outlives_the_loss_of_a_runner(plane: Sharing) -> None:
    plane.share(step(retry={"maxAttempts": 1}), key="k")
    first, second = plane.arrive(2)
    plane.claim()
    plane.clock.at += LEASE - 1
    assert plane.claim() == []
    plane.clock.at += 1
    (row,) = plane.claim()
    assert (row["run_id"], plane.run(first)["status"]) == (second, "failed")


def test_runs_that_are_started_by_hand_share_the_slots_too(plane: Sharing) -> None:
    plane.share(key="${{ inputs.env }}", automation={"triggers": [{"kind": "manual"}]})
    made = [plane.start.manual("a", {"env": env}, actor="ada")["runId"] for env in ("x", "x", "y")]
    assert plane.statuses(made) == ["materialized", "pending", "materialized"]


def test_a_new_generation_takes_part_in_the_same_slots(plane: Sharing) -> None:
    plane.share(key="k")
    (old,) = plane.arrive()
    plane.share(key="k", limit=2)
    wide = plane.arrive(2)
    assert plane.statuses([old, *wide]) == ["materialized", "materialized", "pending"]


def test_a_wider_limit_is_used_by_the_first_run_that_has_it(plane: Sharing) -> None:
    plane.share(key="k", overlap="cancel-running")
    plane.arrive(1)
    plane.claim()
    plane.share(key="k", limit=3, overlap="cancel-running")
    assert plane.statuses(plane.arrive(2)) == ["materialized", "materialized"]


def test_a_line_may_be_as_long_as_a_number_can_say(plane: Sharing) -> None:
    plane.share(key="k", maxQueued=2**63 - 1, limit=2**63 - 1)
    assert plane.statuses(plane.arrive(2)) == ["materialized", "materialized"]


def test_a_group_of_events_is_admitted_in_its_order(plane: Sharing) -> None:
    plane.share(key="k", maxQueued=1)
    results = plane.ingest.many([plane.delivery(identity) for identity in ("z", "a", "m")])
    made = [each.materialized[0]["runId"] for each in results if isinstance(each, Ingested)]
    assert plane.statuses(made) == ["materialized", "pending", "dropped"]


def test_a_burst_through_many_doors_never_takes_more_slots_than_there_are(
    shared_database: Database, open_store: Callable[[], Database]
) -> None:
    plane = Sharing(shared_database)
    plane.share(step(input={"n": 1}), key="${{ event.data.env }}", limit=2, maxQueued=1000)
    doors = [Sharing(open_store()) for _ in range(3)]
    for number, door in enumerate(doors):
        door.ids.begin(1_000_000 * (number + 2))

    def deliver(index: int) -> None:
        door = doors[index]
        for group in range(8):
            deliveries: list[Delivery] = []
            for number in range(6):
                env = "abc"[(number * (index + 1) + group) % 3]
                deliveries.append(door.delivery(f"e-{index}-{group}-{number}", data={"env": env}))
            assert all(isinstance(each, Ingested) for each in door.ingest.many(deliveries))
            for row in door.queue.claim(Claim(f"r{index}", limit=4)):
                door.queue.complete(Done(row["id"], Holder(f"r{index}", row["fence"]), {"ok": True}))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(deliver, range(3)))
    _judge(shared_database)
    while rows := plane.queue.claim(Claim("last", limit=100)):
        _judge(shared_database)
        for row in rows:
            plane.queue.complete(Done(row["id"], Holder("last", row["fence"]), {"ok": True}))
    with shared_database.read() as tx:
        left = tx.all("SELECT status, count(*) AS n FROM runs GROUP BY status")
    assert left == [{"status": "succeeded", "n": 144}]


def _judge(database: Database) -> None:
    with database.read() as tx:
        held = tx.all("SELECT slot_key, count(*) AS n FROM runs WHERE slot = 'held' GROUP BY slot_key")
        waiting = {row["slot_key"] for row in tx.all("SELECT DISTINCT slot_key FROM runs WHERE slot = 'waiting'")}
    assert all(row["n"] <= 2 for row in held)
    assert waiting <= {row["slot_key"] for row in held if row["n"] == 2}
