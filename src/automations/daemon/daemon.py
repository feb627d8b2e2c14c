"""The daemon: takes its lease, starts its services, waits for a signal, drains, and leaves nothing behind.

lease · reconcile (one a source, each with its watcher) · bindings · schedule · timers · expiry · retention · worker ·
recover · approvals · audit · web
"""

from __future__ import annotations

import os
import signal
import socket
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Protocol

from automations.adapters.collector import collector_paused, trim
from automations.adapters.files import rooted
from automations.adapters.watching import Watcher
from automations.core.instant import MILLISECOND, SECOND, iso
from automations.daemon.drain import GRACE, STOPPING, drain
from automations.daemon.ending import Ending
from automations.daemon.pidfile import PidFile
from automations.daemon.supervisor import Service, Supervised, Supervisor
from automations.errors import AutomationsError, LockNotHeld
from automations.services.lease import DaemonLease, Identity
from automations.services.run import in_flight

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

    from automations.runtime import Runtime
    from automations.services.reconcile.reconcile import Reconciler
    from automations.services.run.worker import Worker
    from automations.settings import SourceSettings

REFRESH = SECOND
"""How often the bindings are compared with the store's serial, for changes that other processes applied."""
RECOVER = 5 * SECOND
WEB_GRACE = 10.0
"""Seconds that requests under way get to be answered, while the actions run on."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for. Times in milliseconds."""

    mode: str
    sources: tuple[SourceSettings, ...] = ()
    work: bool = True
    interval_ms: int = 5_000
    ttl_ms: int = 15_000
    once: bool = False


@dataclass(frozen=True, slots=True)
class _Loop:
    """One source: its loop, the service that ticks it, and what wakes that."""

    reconciler: Reconciler
    supervised: Supervised
    watcher: Watcher


class Web(Protocol):
    """The HTTP edge as the daemon drives it."""

    def bind(self) -> None:
        """Take the port. Raises AutomationsError when it cannot be had."""

    def start(self) -> None:
        """Serve."""

    def drain(self, grace: float) -> bool:
        """Stop accepting, finish what is in flight within `grace` seconds; whether all of it did."""

    def stop(self) -> None:
        """End."""


class Daemon:
    """One daemon process."""

    def __init__(self, runtime: Runtime, options: Options, *, web: Web | None = None) -> None:
        self._runtime = runtime
        self._options = options
        self._web = web
        self._ended = Ending()
        self._problem: AutomationsError | None = None
        self._pid_file = PidFile(runtime.settings.pid_file)
        lock = str(runtime.settings.pid_file.resolve())
        self._identity = Identity(socket.gethostname(), os.getpid(), options.mode, lock)
        self._lease = DaemonLease(
            runtime.database, self._identity, clock=runtime.clock, ttl=options.ttl_ms * MILLISECOND
        )
        self._supervisor = Supervisor(clock=runtime.clock, telemetry=runtime.telemetry, fatal=self._fatal)
        self._worker: Worker | None = None
        self._loops: list[_Loop] = []
        self._previous: dict[int, Any] = {}
        self._taken_in = -1
        """The serial of the definitions that the services last heard of."""
        self.heartbeat_at = 0
        self.describe: Callable[[], Mapping[str, Any]] = dict

    def start(self) -> dict[str, Any]:
        """Take the lease, bind, start; `{leaseId, pid, heartbeatAt}`. Raises LockNotHeld, and what binding raises.

        From here on a signal ends the daemon in order: whoever started it may stop it as soon as it is announced.
        """
        self._pid_file.take()
        try:
            if not self._options.once:
                self._hear_signals()
            if self._web:
                self._web.bind()  # before anything is committed: a daemon without its port leaves everything as it was
            self._take_lease()
            for source in self._options.sources:
                self._loops.append(self._add_loop(source))
            self._add_services()
            with collector_paused():
                for loop in self._loops:
                    loop.reconciler.tick(self._runtime.clock.now())
                self._runtime.bindings.current()
            trim()
            if self._web:
                self._web.start()
            self._beat(self._runtime.clock.now())
        except BaseException:
            self._leave()
            raise
        return {"leaseId": self._identity.lease_id, "pid": self._identity.pid, "heartbeatAt": iso(self.heartbeat_at)}

    def trouble(self) -> str | None:
        """Why this daemon is not ready, in one word: its first failing service, or None."""
        for service in self._supervisor.status():
            if service["state"] != "running":
                return f"{service['name']}_failing"
        return None

    def run(self) -> int:
        """Serve until a signal, then drain; the exit status."""
        try:
            self._supervisor.start()
            for loop in self._loops:
                loop.watcher.start()
            self._runtime.telemetry.emit("daemon.started", lease=self._identity.lease_id, mode=self._options.mode)
            self._ended.wait()
            self._drain()
        finally:
            self._leave()
        if self._problem is not None:
            raise self._problem
        self._runtime.telemetry.emit("daemon.stopped", lease=self._identity.lease_id)
        return 0

    def once(self) -> None:
        """One tick of everything, for smoke checks."""
        for supervised in self._supervisor.services.values():
            supervised.service.tick(self._runtime.clock.now())
        waiting = Event()
        while self._worker and self._worker.busy:
            waiting.wait(0.01)
            self._worker.tick(self._runtime.clock.now())
        self._leave()

    def _take_lease(self) -> None:
        """The pid file's lock is ours, so a lease of whoever had locked that file belongs to a dead process."""
        self._lease.clear_dead()
        self.heartbeat_at = self._lease.beat()

    def _add_loop(self, source: SourceSettings) -> _Loop:
        reconciler = self._runtime.reconciler(source, lead=self._lease.lead(source.name))

        def tick(now: int) -> int:
            due = reconciler.tick(now)
            self._refresh(now)
            return due

        name = "reconcile" if len(self._options.sources) == 1 else f"reconcile {source.name}"
        supervised = self._supervisor.add(Service(name, tick))

        def watched(*, healthy: bool) -> None:
            if reconciler.watch_healthy != healthy:
                reconciler.watch_healthy = healthy
                supervised.wake()

        watcher = Watcher(
            rooted(Path(source.path)),
            changed=supervised.wake,
            healthy=partial(watched, healthy=True),
            broken=partial(watched, healthy=False),
        )
        return _Loop(reconciler, supervised, watcher)

    def _add_services(self) -> None:
        runtime = self._runtime
        self._supervisor.add(Service("lease", self._beat, fatal=(LockNotHeld,)))
        self._supervisor.add(Service("bindings", self._refresh))
        self._supervisor.add(Service("recover", self._recover))
        self._supervisor.add(Service("approvals", runtime.approvals.tick))
        self._supervisor.add(Service("audit", runtime.sealer.tick))
        self._supervisor.add(Service("retention", runtime.janitor.tick))
        self._timed = [
            self._supervisor.add(Service("schedule", runtime.scheduler.tick)),
            self._supervisor.add(Service("expiry", runtime.expiry.tick)),
        ]
        runtime.ingest.timer_set = self._supervisor.add(Service("timers", runtime.timers.tick)).wake
        if self._options.work:
            waker: list[Supervised] = []

            def wake() -> None:
                for supervised in waker:
                    supervised.wake()

            sources = self._options.sources
            workdir = Path(sources[0].path).absolute() if sources else Path.cwd()
            self._worker = runtime.worker(self._identity.lease_id, workdir=workdir, ended=wake)
            waker.append(self._supervisor.add(Service("worker", self._worker.tick)))
            runtime.ingest.wake = wake
            runtime.scheduler.wake = wake
            runtime.timers.wake = wake
            runtime.queue.wake = wake
            runtime.approvals.wake = wake

    def _beat(self, now: int) -> int:
        metadata = {**self.describe(), "services": self._supervisor.status()}
        self.heartbeat_at = self._lease.beat(metadata)
        return now + self._options.interval_ms * MILLISECOND

    def _refresh(self, now: int) -> int:
        """Take in what was applied, here or elsewhere; a schedule, or the end of something, may be due sooner than it was.

        A source is looked at now unless its own loop made it so: what another process took back, applied or suspended would
        else not show in how the source stands before its next resync. A look that commits nothing moves no serial, so it
        wakes nobody.
        """
        serial = self._runtime.bindings.current().serial  # who looks elsewhere may have made the table of it already
        if serial != self._taken_in:
            self._taken_in = serial
            for supervised in self._timed:
                supervised.wake()
            for loop in self._loops:
                if not loop.reconciler.knows(serial):
                    loop.supervised.wake()
        return now + REFRESH

    def _recover(self, now: int) -> int:
        self._runtime.queue.recover()
        for stalled in in_flight.tell_stalled(self._runtime.database, now=now):
            self._runtime.telemetry.emit("automation.drain_stalled", automation=stalled)
        due = self._runtime.queue.next_deadline()
        return now + RECOVER if due is None else min(now + RECOVER, max(due, now + REFRESH // 10))

    def _fatal(self, problem: AutomationsError, /) -> None:
        self._problem = problem
        self._ended.tell()

    def _hear_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._previous[number] = signal.signal(number, self._signalled)

    def _signalled(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGHUP:
            for loop in self._loops:
                loop.reconciler.resync()
                loop.supervised.wake()
            return
        if self._ended.told:
            os._exit(1)  # the second signal: at once; everything that was acknowledged is committed
        self._ended.tell()

    def _drain(self) -> None:
        self._runtime.telemetry.emit("daemon.draining", running=self._worker.busy if self._worker else 0)
        deadline = self._runtime.clock.now() + int(GRACE * SECOND)
        if self._worker:
            self._worker.drain()
        if self._web:
            self._web.drain(WEB_GRACE)
        if self._worker:
            drain(self._worker, self._runtime.clock, deadline=deadline, hopeless=lambda: self._problem is not None)

    def _leave(self) -> None:
        for loop in self._loops:
            loop.watcher.stop()
        self._supervisor.stop(seconds=STOPPING)
        if self._web:
            self._web.stop()
        try:
            self._lease.drop()
        except AutomationsError as problem:
            self._runtime.telemetry.emit("daemon.lease_left", error=problem.message)
        self._pid_file.drop()
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()
