"""The doctor on stores in which something is really wrong."""

from typing import Any

import pytest

from automations.core.doctor import Check, Grade
from automations.services.doctor import Doctor, Surroundings
from automations.services.reconcile.suspend import Suspend
from automations.services.trigger import schedule
from automations.services.trigger.parts import Parts
from automations.store import leases
from automations.store.database import Database
from control_plane import ControlPlane
from samples import action, spec, step

MINUTE = 60_000_000


class Examined(ControlPlane):
    """A control plane that can be examined."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.missing: list[dict[str, str]] = []
        around = Surroundings(None, None, lambda _: self.missing, lambda _: ())
        self.doctor = Doctor(database, self.bindings, clock=self.clock, around=around)

    def wrong(self) -> dict[str, Check]:
        # The tests' clock stands in the past; a server's own does not.
        found = [check for check in self.doctor.examine() if check.id != "clock.skew"]
        return {check.id: check for check in found if check.grade is not Grade.OK}


@pytest.fixture
def plane(database: Database) -> Examined:
    made = Examined(database)
    made.apply({"a.yaml": spec("a", actions=[step("one"), step("two", dependsOn=["one"])])})
    return made


def test_a_fresh_store_is_well(database: Database) -> None:
    assert Examined(database).wrong() == {}


def test_work_that_nobody_takes_is_found(plane: Examined) -> None:
    plane.send()
    assert plane.wrong() == {}
    plane.clock.at += 16 * MINUTE
    found = plane.wrong()
    assert set(found) == {"queue.unclaimed"}
    assert found["queue.unclaimed"].subject == "todos.create"


def test_work_that_no_runner_ever_took_is_found_sooner_than_work_of_one_that_may_be_busy(plane: Examined) -> None:
    plane.send()
    plane.clock.at += 2 * MINUTE
    found = plane.wrong()
    assert set(found) == {"queue.unclaimed"}
    assert found["queue.unclaimed"].message.endswith("it takes an external runner, and none ever claimed it")
    (claimed,) = plane.claim()
    plane.done(claimed)
    plane.send("e2", body="b2")
    plane.clock.at += 2 * MINUTE
    assert plane.wrong() == {}


def test_a_step_whose_manifest_was_taken_away_is_found_before_a_run_waits_for_nobody(plane: Examined) -> None:
    versions = {"one.yaml": action(), "two.yaml": action(version="2.0.0")}
    pinned = [step("pinned", manifestVersion="1.0.0"), step("free")]
    plane.apply(versions, source="shared")
    plane.apply(
        {"b.yaml": spec("b", actions=pinned), "c.yaml": spec("c", actions=pinned, status="paused")}, source="ops"
    )
    assert plane.wrong() == {}
    plane.apply({"two.yaml": versions["two.yaml"]}, source="shared")
    lost = plane.wrong()["actions.manifest"]
    assert (lost.grade, lost.subject) == (Grade.WARNING, "todos.create@1.0.0")
    assert lost.message == "its manifest was removed, and b/pinned still uses it: runs wait for an external runner"
    plane.apply({}, source="shared")
    both = [each for each in plane.doctor.examine() if each.id == "actions.manifest"]
    assert [each.subject for each in both] == ["todos.create", "todos.create@1.0.0"]
    assert "a/one, a/two, b/free still use it" in both[0].message
    plane.send()
    plane.done(plane.claim()[0])
    assert plane.wrong() == {}
    plane.apply(versions, source="shared")
    assert plane.wrong() == {}


def test_a_lease_that_nobody_takes_back_is_found(plane: Examined) -> None:
    plane.send()
    (claimed,) = plane.claim()
    plane.clock.at += 2 * MINUTE
    found = plane.wrong()
    assert found["queue.lease"].subject == claimed["id"]
    assert "r1" in found["queue.lease"].message


def test_a_run_that_nothing_moves_is_found(plane: Examined, database: Database) -> None:
    run = plane.send().materialized[0]["runId"]
    with database.write() as tx:
        tx.run("UPDATE actions SET status = 'succeeded' WHERE run_id = :run AND step_id = 'one'", run=run)
    assert plane.wrong()["runs.stuck"].subject == run


def test_a_daemon_that_fell_silent_is_found(plane: Examined, database: Database) -> None:
    with database.write() as tx:
        named: dict[str, Any] = {"holder": "daemon:there:7", "metadata_json": "{}"}
        leases.take(tx, "daemon", now=plane.clock.at, until=plane.clock.at + MINUTE, **named)
    assert plane.wrong() == {}
    plane.clock.at += 2 * MINUTE
    assert plane.wrong()["daemon.silent"].subject == "daemon:there:7"


def test_an_audit_entry_that_was_edited_is_found(plane: Examined, database: Database) -> None:
    with database.write() as tx:
        tx.run("UPDATE audit SET actor = 'nobody' WHERE seq = 1")
    assert "entry 1 of 1" in plane.wrong()["audit.chain"].message


def test_a_secret_that_is_missing_is_named_and_never_shown(plane: Examined) -> None:
    plane.missing.append({"subject": "github", "message": "the signature of /webhooks/github has no secret"})
    found = plane.wrong()["secrets.missing"]
    assert (found.grade, found.subject) == (Grade.ERROR, "github")


def test_a_schedule_that_nobody_fires_is_found(plane: Examined, database: Database) -> None:
    scheduler = schedule.Scheduler(Parts(database, plane.bindings, plane.clock, plane.ids, plane.telemetry))
    files = {"b.yaml": spec("b", triggers=[{"kind": "schedule", "every": "10m"}], actions=[step("one")])}
    plane.apply(files, source="other")
    scheduler.tick(plane.clock.at)
    assert "schedules.overdue" not in plane.wrong()
    plane.clock.at += 15 * MINUTE
    assert plane.wrong()["schedules.overdue"].subject == "b (trigger 0)"
    Suspend(database, plane.clock, plane.telemetry).suspend("b", reason="quiet", until=None, actor="ops")
    plane.clock.at += 15 * MINUTE
    assert "schedules.overdue" not in plane.wrong()
