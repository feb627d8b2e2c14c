"""A worker as a process of its own: it claims from a store what its executors carry out, and does nothing else.

Any number may share a store with each other and with daemons. It needs no lease of its own: the claims are leases, and the
store hands each action to one of them. What a killed worker held is taken back by whoever looks first, another worker or a
daemon.
"""

from __future__ import annotations

import os
import signal
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automations.core.instant import MILLISECOND, SECOND
from automations.daemon.drain import GRACE, STOPPING, drain
from automations.daemon.ending import Ending
from automations.daemon.supervisor import Service, Supervised, Supervisor
from automations.errors import StoreIncompatible

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType

    from automations.errors import AutomationsError
    from automations.runtime import Runtime
    from automations.store.actions import Only

RECOVER = 5 * SECOND
"""How often claims of others that ran out are looked for, in case no daemon does."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for. Actions run below `workdir`; `only` of these ids, where there are any."""

    workdir: Path
    runner: str | None = None
    only: tuple[Only, ...] = ()
    concurrency: int = 8
    lease_ms: int = 30_000
    until_idle: bool = False


class Working:
    """One worker process."""

    def __init__(self, runtime: Runtime, options: Options) -> None:
        self._runtime = runtime
        self._options = options
        self._ended = Ending()
        self._problem: AutomationsError | None = None
        self._supervisor = Supervisor(clock=runtime.clock, telemetry=runtime.telemetry, fatal=self._fatal)
        runner = options.runner or f"worker:{socket.gethostname()}:{os.getpid()}"
        waker: list[Supervised] = []

        def wake() -> None:
            for supervised in waker:
                supervised.wake()

        self.worker = runtime.worker(runner, workdir=options.workdir, ended=wake)
        self.worker.concurrency = options.concurrency
        self.worker.lease = options.lease_ms * MILLISECOND
        self.worker.which = self.worker.which._replace(only=options.only)
        runtime.queue.wake = wake
        waker.append(self._supervisor.add(Service("worker", self._tick, fatal=(StoreIncompatible,))))
        self._supervisor.add(Service("recover", self._recover))

    def announcement(self) -> dict[str, Any]:
        """Who works here and on what: `{runner, pid, concurrency, executors}`."""
        return {
            "runner": self.worker.runner,
            "pid": os.getpid(),
            "concurrency": self.worker.concurrency,
            "executors": list(self.worker.which.kinds or ()),
        }

    def hear_signals(self) -> None:
        """From here on the first signal drains, and the second ends at once."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._signalled)

    def run(self) -> int:
        """Work until a signal, or until nothing is left to do; the exit status. Raises what made it impossible to go on."""
        telemetry = self._runtime.telemetry
        self._supervisor.start()
        telemetry.emit("worker.started", runner=self.worker.runner, concurrency=self.worker.concurrency)
        self._ended.wait()
        telemetry.emit("worker.draining", runner=self.worker.runner, running=self.worker.busy)
        deadline = self._runtime.clock.now() + int(GRACE * SECOND)
        drain(self.worker, self._runtime.clock, deadline=deadline, hopeless=lambda: self._problem is not None)
        self._supervisor.stop(seconds=STOPPING)
        if self._problem is not None:
            raise self._problem
        telemetry.emit("worker.stopped", runner=self.worker.runner)
        return 0

    def _tick(self, now: int) -> int:
        due = self.worker.tick(now)
        if self._options.until_idle and not self.worker.busy and self._nothing_left():
            self._ended.tell()
        return due

    def _nothing_left(self) -> bool:
        """Whether nothing is claimable, now or at its next try; what may still come of others' doing is not waited for."""
        return self._runtime.queue.next_available(self.worker.which) is None

    def _recover(self, now: int) -> int:
        self._runtime.queue.recover()
        return now + RECOVER

    def _fatal(self, problem: AutomationsError, /) -> None:
        self._problem = problem
        self._ended.tell()

    def _signalled(self, _: int, __: FrameType | None) -> None:
        if self._ended.told:
            os._exit(1)  # the second signal: at once; what runs is taken back when its lease has run out
        self._ended.tell()
