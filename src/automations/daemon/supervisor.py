"""The supervisor: runs each service on a thread of its own, restarts one that fails with growing pauses, and says so.

A service is anything with a `tick(now)` that does what is due and returns when it wants to be called again; a wake makes that
at once. Nothing else in the daemon loops.
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any, Protocol

from automations.core.instant import SECOND
from automations.errors import AutomationsError
from automations.services.ports import Clock, Telemetry

FIRST_PAUSE, LONGEST_PAUSE = SECOND, 10 * SECOND
"""Short beside a lease: when the store is back after an outage, what still runs must be able to say so in time."""
LONGEST_WAIT = 3600.0
"""Seconds a service sleeps at most, whatever it returned."""

Tick = Callable[[int], int]
"""Takes now, returns when it is next due (both microseconds)."""


class Fatal(Protocol):
    """Told when a service failed in a way that ends the daemon."""

    def __call__(self, problem: AutomationsError, /) -> None:
        """End the daemon because of this."""


@dataclass(frozen=True, slots=True)
class Service:
    """A named tick. An error of a `fatal` kind ends the daemon instead of a restart."""

    name: str
    tick: Tick
    fatal: tuple[type[AutomationsError], ...] = ()


class Supervised:
    """One service on its thread."""

    def __init__(self, service: Service, *, clock: Clock, telemetry: Telemetry, fatal: Fatal) -> None:
        self.service = service
        self._clock = clock
        self._telemetry = telemetry
        self._fatal = fatal
        self._wake = Event()
        self._stopping = False
        self._failures = 0
        self._error = ""
        self.ticked = Event()
        self.thread = Thread(target=self._run, name=service.name, daemon=True)

    def wake(self) -> None:
        """Make it tick soon."""
        self._wake.set()

    def stop(self) -> None:
        """Let the tick under way end, then no more."""
        self._stopping = True
        self._wake.set()

    def status(self) -> dict[str, Any]:
        """`{name, state, error?, failures?}`; the state is `running` or `failing`."""
        if not self._failures:
            return {"name": self.service.name, "state": "running"}
        return {"name": self.service.name, "state": "failing", "error": self._error, "failures": self._failures}

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            due = self._tick()
            self.ticked.set()
            seconds = max(0.0, (due - self._clock.now()) / SECOND)
            if not self._stopping:
                self._wake.wait(min(seconds, LONGEST_WAIT))

    def _tick(self) -> int:
        now = self._clock.now()
        try:
            due = self.service.tick(now)
        except self.service.fatal as problem:
            self._fatal(problem)
            self._stopping = True
            return now
        except Exception as problem:  # noqa: BLE001  # this is what supervision means: any failure is a restart
            self._failures += 1
            self._error = str(problem) or type(problem).__name__
            pause = min(LONGEST_PAUSE, FIRST_PAUSE << min(self._failures - 1, 4))
            self._telemetry.emit(
                "service.failed",
                service=self.service.name,
                error=self._error,
                failures=self._failures,
                pause_ms=pause // 1000,
            )
            return now + pause
        if self._failures:
            self._telemetry.emit("service.recovered", service=self.service.name, failures=self._failures)
            self._failures = 0
        return due


class Supervisor:
    """All services of a daemon."""

    def __init__(self, *, clock: Clock, telemetry: Telemetry, fatal: Fatal) -> None:
        self._clock = clock
        self._telemetry = telemetry
        self._fatal = fatal
        self.services: dict[str, Supervised] = {}

    def add(self, service: Service) -> Supervised:
        """Take a service on; `start` starts it."""
        supervised = Supervised(service, clock=self._clock, telemetry=self._telemetry, fatal=self._fatal)
        self.services[service.name] = supervised
        return supervised

    def start(self) -> None:
        """Start every thread."""
        for supervised in self.services.values():
            supervised.thread.start()

    def stop(self, *, seconds: float) -> None:
        """Stop every service and wait for their ticks, this long for each."""
        for supervised in self.services.values():
            supervised.stop()
        for supervised in self.services.values():
            if supervised.thread.is_alive():
                supervised.thread.join(seconds)

    def status(self) -> list[dict[str, Any]]:
        """How each service stands."""
        return [supervised.status() for supervised in self.services.values()]
