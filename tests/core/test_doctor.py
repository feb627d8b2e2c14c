"""What the doctor makes of facts, check by check."""

from typing import Any

import pytest

from automations.core import doctor
from automations.core.doctor import Check, Engine, Grade, Place

NOW = 1_700_000_000_000_000
MINUTE = 60_000_000


def engine(**facts: Any) -> Engine:
    given: dict[str, Any] = {
        "name": "SQLite",
        "version": (3, 54, 1),
        "oldest": (3, 51, 3),
        "durable": True,
        "durability": "FULL",
    }
    return Engine(**given | facts)


def graded(checks: Any) -> dict[str, Grade]:
    return {check.id: check.grade for check in checks}


@pytest.mark.parametrize(
    ("facts", "wrong"),
    [
        ({}, {}),
        ({"version": (3, 51, 2)}, {"store.version": Grade.ERROR}),
        ({"integrity": ("row 7 missing from index",)}, {"store.integrity": Grade.ERROR}),
        ({"durable": False, "durability": "synchronous=OFF"}, {"store.durability": Grade.ERROR}),
        ({"wal": doctor.LARGEST_WAL + 1}, {"store.wal": Grade.WARNING}),
        ({"clock": NOW + 1_999_000}, {}),
        ({"clock": NOW - 2_001_000}, {"clock.skew": Grade.WARNING}),
    ],
)
def test_what_is_wrong_with_a_database_is_named(facts: dict[str, Any], wrong: dict[str, Grade]) -> None:
    found = graded(doctor.engine_checks(engine(**facts), now=NOW))
    assert {name: grade for name, grade in found.items() if grade is not Grade.OK} == wrong


@pytest.mark.parametrize(("free", "grade"), [(1 << 40, Grade.OK), (1 << 29, Grade.WARNING), (1 << 20, Grade.ERROR)])
def test_a_disk_is_full_before_it_is(free: int, grade: Grade) -> None:
    assert graded(doctor.place_checks(Place("/data", free))) == {"disk.free": grade}


def test_what_others_may_read_is_told_with_the_command_that_closes_it() -> None:
    (check,) = doctor.place_checks(Place("/data", None, exposed=("/data/automations.db",)))
    assert (check.id, check.hint) == ("disk.exposed", "chmod go= /data/automations.db")


def lease(**facts: Any) -> dict[str, Any]:
    given = {"holder": "daemon:a:1", "heartbeat_at": NOW - MINUTE, "expires_at": NOW + MINUTE, "services": []}
    return given | facts


@pytest.mark.parametrize(
    ("leases", "needed", "found"),
    [
        ([], False, {"daemon.none": Grade.OK}),
        ([], True, {"daemon.none": Grade.WARNING}),
        ([lease()], True, {"daemon.alive": Grade.OK}),
        ([lease(expires_at=NOW)], True, {"daemon.silent": Grade.ERROR}),
        (
            [lease(expires_at=NOW), lease(holder="daemon:b:1")],
            True,
            {"daemon.silent": Grade.WARNING, "daemon.alive": Grade.OK},
        ),
        ([lease(services=[{"name": "worker", "state": "failing"}])], True, {"daemon.failing": Grade.ERROR}),
        (
            [lease(heartbeat_at=NOW + MINUTE)],
            True,
            {"daemon.alive": Grade.OK, "clock.skew": Grade.WARNING},
        ),
    ],
)
def test_a_daemon_lives_is_silent_fails_or_is_missed(
    leases: list[dict[str, Any]], needed: bool, found: dict[str, Grade]
) -> None:
    assert graded(doctor.daemon_checks(leases, needed=needed, now=NOW)) == found


def test_queued_work_that_nobody_takes_says_who_should() -> None:
    rows = [
        {"action_id": "ci.build", "executor": "external", "n": 3, "since": NOW - 300 * MINUTE, "served": True},
        {"action_id": "text.greet", "executor": "local-shell", "n": 1, "since": NOW - 20 * MINUTE, "served": False},
    ]
    build, greet, _ = doctor.queue_checks([], rows, dead=0, rejected=0, now=NOW)
    assert build.message.endswith("it takes an external runner")
    assert build.hint.endswith("(waited 5 h)")
    assert greet.message.endswith("it takes a worker with the local-shell executor")


def test_the_worst_finding_is_the_verdict() -> None:
    fine, odd, wrong = (Check("x", grade, "") for grade in (Grade.OK, Grade.WARNING, Grade.ERROR))
    assert doctor.worst([]) is Grade.OK
    assert doctor.worst([fine, odd]) is Grade.WARNING
    assert doctor.worst([odd, wrong, fine]) is Grade.ERROR


def test_a_finding_shows_no_empty_words() -> None:
    assert Check("audit.chain", Grade.OK, "whole").document() == {
        "id": "audit.chain",
        "status": "ok",
        "message": "whole",
    }


@pytest.mark.parametrize(
    ("executor", "served", "minutes", "expected"),
    [
        ("external", False, 2, True),
        ("external", True, 2, False),  # its runner may be busy
        ("external", True, 16, True),
        ("local-shell", False, 2, False),  # so may a worker of ours
        ("local-shell", False, 16, True),
    ],
)
def test_how_long_work_may_wait_depends_on_whether_anybody_is_known_to_take_it(
    executor: str, served: bool, minutes: int, expected: bool
) -> None:
    row = {"executor": executor, "served": served, "since": NOW - minutes * MINUTE}
    assert doctor.lies(row, now=NOW) is expected


@pytest.mark.parametrize(
    ("dead", "rejected", "grade", "message"),
    [
        (0, 0, Grade.OK, "no action is dead"),
        (0, 1, Grade.OK, "no action is dead; 1 was rejected, which is no fault"),
        (1, 0, Grade.WARNING, "1 action is dead"),
        (2, 3, Grade.WARNING, "2 actions are dead; 3 were rejected, which is no fault"),
    ],
)
def test_a_rejection_is_told_and_is_no_fault(dead: int, rejected: int, grade: Grade, message: str) -> None:
    found = list(doctor.queue_checks([], [], dead=dead, rejected=rejected, now=NOW))[-1]
    assert (found.id, found.grade, found.message) == ("queue.dead", grade, message)
