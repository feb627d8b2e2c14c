"""The worker: what it claimed is begun once, and one action that goes wrong harms no other."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from automations.core.run.execution import Invocation, Outcome, Succeeded
from automations.errors import StoreUnavailable
from automations.services.run.queue import LEASE
from automations.services.run.worker import Worker
from automations.store.migrate import migrate
from automations.store.sqlite import SqliteDatabase
from control_plane import ControlPlane
from samples import action, event_trigger, spec, step

if TYPE_CHECKING:
    from collections.abc import Callable


class Attempt:
    """An attempt that ends when the test says so."""

    def __init__(self, invocation: Invocation) -> None:
        self.invocation = invocation
        self.ended: Outcome | None = None

    def outcome(self) -> Outcome | None:
        return self.ended

    def cancel(self, reason: str) -> None:
        """Nothing here needs stopping."""


class Attempts:
    """A launcher that keeps what it launched, after doing what the test wants to happen then."""

    def __init__(self) -> None:
        self.all: list[Attempt] = []
        self.first: Callable[[], None] = lambda: None

    def launch(self, invocation: Invocation) -> Attempt:
        self.first()
        self.all.append(Attempt(invocation))
        return self.all[-1]


class Working(ControlPlane):
    """A control plane with a worker on a file that can be taken away."""

    def __init__(self, path: Path) -> None:
        self.path = path
        database = SqliteDatabase.open(str(path))
        migrate(database, now=1, lineage="l")
        super().__init__(database)
        self.attempts = Attempts()
        self.worker = Worker(database, self.queue, self.programs, launcher=self.attempts, clock=self.clock)
        self.worker.telemetry = self.telemetry
        self.apply({"a.yaml": spec("a", actions=[step(retry={"maxAttempts": 3})]), "b.yaml": action()})

    def tick(self) -> None:
        self.worker.tick(self.clock.at)

    def taken_away(self) -> None:
        self.path.rename(self.path.with_name("aside"))

    def given_back(self) -> None:
        self.path.with_name("aside").rename(self.path)

    def status(self, row_id: str) -> tuple[str, int, int]:
        """Status, attempts spent and crashes of an action."""
        with self.database.read() as tx:
            row = tx.one("SELECT status, attempt, crashes FROM actions WHERE id = :id", id=row_id)
        assert row is not None
        return row["status"], row["attempt"], row["crashes"]


@pytest.fixture
def plane(tmp_path: Path) -> Working:
    return Working(tmp_path / "automations.db")


def sent(plane: Working, count: int) -> list[str]:
    """Action row ids of as many runs."""
    return [plane.send(f"e{number}").materialized[0]["actionIds"][0] for number in range(count)]


def away_once_claimed(plane: Working) -> None:
    def told(event: str, _: object) -> None:
        if event == "action.claimed" and plane.path.exists():
            plane.taken_away()

    plane.telemetry.subscribe(told)


def test_claims_whose_store_went_away_are_begun_when_it_is_back(plane: Working) -> None:
    rows = sent(plane, 3)
    away_once_claimed(plane)
    with pytest.raises(StoreUnavailable):
        plane.tick()
    assert plane.attempts.all == []
    plane.given_back()
    plane.clock.at += LEASE // 2
    assert plane.worker.tick(plane.clock.at) <= plane.clock.at, (
        "a third of the lease has passed: it wants to prolong it"
    )
    assert [each.invocation.action_row_id for each in plane.attempts.all] == rows
    plane.tick()
    plane.clock.at += LEASE // 2 + 1
    plane.tick()
    assert [plane.status(row) for row in rows] == [("claimed", 0, 0)] * 3


def test_a_claim_that_ran_out_before_it_could_begin_is_left_to_the_queue(plane: Working) -> None:
    sent(plane, 1)
    away_once_claimed(plane)
    with pytest.raises(StoreUnavailable):
        plane.tick()
    plane.given_back()
    plane.clock.at += LEASE
    plane.worker.drain()
    plane.tick()
    assert plane.attempts.all == []
    assert plane.worker.busy == 0


def test_a_claim_that_could_not_begin_goes_back_when_the_worker_drains(plane: Working) -> None:
    (row,) = sent(plane, 1)
    away_once_claimed(plane)
    with pytest.raises(StoreUnavailable):
        plane.tick()
    assert plane.worker.busy == 1
    plane.given_back()
    plane.worker.drain()
    plane.tick()
    assert plane.status(row) == ("queued", 0, 0)
    assert plane.worker.busy == 0


def test_an_attempt_that_cannot_be_started_fails_and_the_others_start(plane: Working) -> None:
    first, second = sent(plane, 2)

    def no_more_threads() -> None:
        plane.attempts.first = lambda: None
        raise RuntimeError("can't start new thread")

    plane.attempts.first = no_more_threads
    plane.tick()
    assert plane.status(first) == ("retrying", 1, 0)
    assert [each.invocation.action_row_id for each in plane.attempts.all] == [second]


def test_a_report_that_can_never_be_taken_does_not_stop_the_worker(plane: Working) -> None:
    first, second = sent(plane, 2)
    plane.tick()
    odd, fine = plane.attempts.all
    odd.ended, fine.ended = Succeeded("\ud800"), Succeeded("fine")  # no text of Unicode
    plane.tick()
    assert ("action.report_failed", first) in [(event, fields.get("action")) for event, fields in plane.told]
    assert plane.status(second) == ("succeeded", 0, 0)
    assert plane.worker.busy == 0
    plane.clock.at += LEASE
    plane.queue.recover()
    assert plane.status(first) == ("retrying", 1, 1)


def test_runs_of_events_with_one_id_from_two_sources_do_their_work_under_keys_of_their_own(plane: Working) -> None:
    plane.apply({"a.yaml": spec("a", triggers=[event_trigger(source="m*")], actions=[step()]), "b.yaml": action()})
    for source in ("m1", "m2"):
        plane.send("42", source=source)
    plane.tick()
    first, second = (each.invocation for each in plane.attempts.all)
    assert first.idempotency_key != second.idempotency_key
    assert first.run_id in first.idempotency_key
