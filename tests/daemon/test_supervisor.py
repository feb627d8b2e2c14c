"""The supervisor: a failing service is restarted with growing pauses and says so; a fatal one ends the daemon."""

from collections.abc import Callable
from threading import Event
from typing import Any

import pytest

from automations.adapters.clock import SystemClock
from automations.adapters.telemetry import Telemetry
from automations.core.instant import SECOND
from automations.daemon.supervisor import Service, Supervised, Supervisor
from automations.errors import AutomationsError, LockNotHeld

PATIENCE = 20.0
LATER = 3600 * SECOND


class Ticks:
    """A service whose next tick does what the test says, and tells when it was called."""

    def __init__(self) -> None:
        self.called = Event()
        self.problem: Exception | None = None

    def __call__(self, now: int) -> int:
        self.called.set()
        if self.problem:
            raise self.problem
        return now + LATER


class Supervision:
    """One supervised service."""

    def __init__(self, *, fatal: tuple[type[AutomationsError], ...] = ()) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.ended: list[AutomationsError] = []
        self.ticks = Ticks()
        telemetry = Telemetry(lambda event, fields: self.told.append((event, dict(fields))))
        self.supervisor = Supervisor(clock=SystemClock(), telemetry=telemetry, fatal=self.ended.append)
        self.service: Supervised = self.supervisor.add(Service("work", self.ticks, fatal=fatal))

    def tick(self, problem: Exception | None = None) -> None:
        """Make it tick once more and wait until it has."""
        self.ticks.problem = problem
        self.ticks.called.clear()
        self.service.ticked.clear()
        self.service.wake()
        assert self.service.ticked.wait(PATIENCE)


@pytest.fixture
def supervision() -> Any:
    made: list[Supervision] = []

    def make(**keys: Any) -> Supervision:
        made.append(Supervision(**keys))
        made[-1].supervisor.start()
        assert made[-1].service.ticked.wait(PATIENCE)
        return made[-1]

    yield make
    for each in made:
        each.supervisor.stop(seconds=PATIENCE)
        assert not each.service.thread.is_alive()


Make = Callable[..., Supervision]


def test_a_service_that_works_is_running(supervision: Make) -> None:
    assert supervision().supervisor.status() == [{"name": "work", "state": "running"}]


def test_a_failing_service_is_called_again_with_growing_pauses_and_says_so(supervision: Make) -> None:
    made = supervision()
    for count in (1, 2, 3):
        made.tick(RuntimeError("disk on fire"))
        assert made.supervisor.status() == [
            {"name": "work", "state": "failing", "error": "disk on fire", "failures": count}
        ]
    pauses = [fields["pause_ms"] for event, fields in made.told if event == "service.failed"]
    assert pauses == [1000, 2000, 4000]


def test_a_service_that_recovers_is_running_again(supervision: Make) -> None:
    made = supervision()
    made.tick(RuntimeError("disk on fire"))
    made.tick()
    assert made.supervisor.status() == [{"name": "work", "state": "running"}]
    assert [event for event, _ in made.told] == ["service.failed", "service.recovered"]


def test_one_failing_service_leaves_the_others_alone(supervision: Make) -> None:
    made = supervision()
    other = Ticks()
    second = made.supervisor.add(Service("other", other))
    second.thread.start()
    made.tick(RuntimeError("disk on fire"))
    second.ticked.clear()
    second.wake()
    assert second.ticked.wait(PATIENCE)
    assert [each["state"] for each in made.supervisor.status()] == ["failing", "running"]


def test_a_fatal_problem_ends_the_daemon_instead_of_a_restart(supervision: Make) -> None:
    made = supervision(fatal=(LockNotHeld,))
    problem = LockNotHeld("another daemon runs on this store")
    made.tick(problem)
    made.service.thread.join(PATIENCE)
    assert made.ended == [problem]
    assert not made.service.thread.is_alive()
