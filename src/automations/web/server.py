"""The server: one thread with an event loop, one writer thread, and what they share.

The listening socket is bound on the caller's thread, so that a busy port is an error of `start`. After that, other
threads only ever ask for `drain` and `stop`.
"""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Thread
from time import monotonic

import uvloop

from automations.errors import AutomationsError
from automations.services.plan.definitions import Bindings
from automations.services.ports import Clock, Secrets, Telemetry
from automations.services.trigger.ingest import Delivery, Ingest
from automations.web.answers import STATUSES, refuse
from automations.web.api import PREFIX, Api, Verbs
from automations.web.commit import GroupCommit, Result
from automations.web.connections import Connections
from automations.web.health import Health, Ready
from automations.web.limits import Limits
from automations.web.listening import listen
from automations.web.message import Answer, Encoder, Request
from automations.web.outcomes import Outcomes
from automations.web.protocol import Connection
from automations.web.route_secrets import RouteSecrets
from automations.web.tables import Tables
from automations.web.webhooks import Webhooks

_START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class WebConfig:
    """Where to listen, and the limits; `limits.body_bytes` is `--max-body-bytes`."""

    host: str = "127.0.0.1"
    port: int = 7391
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the server works with. `ready` says why the rest of the program is not ready, or None."""

    ingest: Ingest
    bindings: Bindings
    secrets: Secrets
    clock: Clock
    telemetry: Telemetry
    ready: Ready = lambda: None
    verbs: Verbs | None = None
    """What the API offers; without it there is none."""


class WebServer:
    """A server on its own threads: `start`, then `drain` and `stop` from any thread."""

    def __init__(self, parts: Parts, config: WebConfig) -> None:
        self._parts = parts
        self._config = config
        self._thread: Thread | None = None
        self._listener: socket.socket | None = None
        self._running: Future[_Running] = Future()
        self.port = config.port
        """The port listened on; the one that was found free if 0 was asked for."""

    def bind(self) -> None:
        """Take the port; who connects from now on waits until `start`. Raises what `listen` raises."""
        verbs = self._parts.verbs
        self._listener = listen(self._config.host, self._config.port, guarded=verbs is not None and verbs.guarded())
        self.port = int(self._listener.getsockname()[1])

    def start(self) -> None:
        """Listen and serve. Raises what `listen` raises, and AutomationsError when the loop does not come up."""
        if self._listener is None:
            self.bind()
        self._thread = Thread(target=self._run, args=(self._listener,), name="web", daemon=True)
        self._thread.start()
        self._running.result(_START_SECONDS)

    def drain(self, grace: float) -> bool:
        """Take no more connections and let requests under way end within `grace` seconds; whether all of them did.

        `/readyz` fails from now on. Blocks.
        """
        running = self._running.result(0)
        return asyncio.run_coroutine_threadsafe(running.drain(grace), running.loop).result()

    def stop(self) -> None:
        """End: commits under way are finished, connections closed. Blocks; any number of times."""
        if self._thread is not None and self._thread.is_alive():
            running = self._running.result(0)
            running.loop.call_soon_threadsafe(running.stopping.set)
            self._thread.join()
        elif self._thread is None and self._listener is not None:  # bound, and never served
            self._listener.close()

    def _run(self, listener: socket.socket) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve(listener))

    async def _serve(self, listener: socket.socket) -> None:
        try:
            running = _Running(self._parts, self._config)
            await running.open(listener)
        except Exception as problem:  # noqa: BLE001  # `start` raises it
            listener.close()
            self._running.set_exception(problem)
            return
        self._running.set_result(running)
        await running.stopping.wait()
        await running.close()


class _Running:
    """Everything that lives on the loop's thread."""

    def __init__(self, parts: Parts, config: WebConfig) -> None:
        self.loop = asyncio.get_running_loop()
        self.stopping = asyncio.Event()
        self._ingest = parts.ingest
        self._outcomes = Outcomes(parts.telemetry, parts.clock.now)
        self._tables = Tables(parts.bindings)
        self._commit = GroupCommit(self._commit_group, self.loop)
        self._health = Health(self._tables, parts.ready)
        self._api = Api(parts.verbs) if parts.verbs is not None else None
        self._webhooks = Webhooks(
            self._tables,
            RouteSecrets(parts.secrets),
            commit=self._commit,
            clock=parts.clock,
            outcomes=self._outcomes,
        )
        self._max_body_bytes = config.limits.body_bytes
        self._connections = Connections(self, config.limits, encoder=Encoder(parts.clock.now), told=self._told)
        self._server: asyncio.Server

    def handle(self, request: Request) -> Answer:
        """See `message.Site`."""
        found = self._health.handle(request) or (self._api.handle(request) if self._api else None)
        return found or self._webhooks.handle(request)

    def oversized(self, request: Request) -> Answer:
        """See `message.Site`."""
        if self._api and request.path.startswith(PREFIX):
            return refuse("payload_too_large", maxBodyBytes=self._max_body_bytes)
        return self._webhooks.oversized(request, self._max_body_bytes)

    async def open(self, listener: socket.socket) -> None:
        """Serve on a bound socket."""
        self._commit.start()
        await self._tables.trouble()
        self._server = await self.loop.create_server(lambda: Connection(self._connections), sock=listener)

    async def drain(self, grace: float) -> bool:
        """See `WebServer`."""
        self._health.draining = True
        self._server.close()
        return await self._connections.drain(grace)

    async def close(self) -> None:
        """End the writer thread after its last commit, and the connections after their last answers."""
        self._commit.finish()
        await self.loop.run_in_executor(None, self._commit.join)
        if self._api:
            await self.loop.run_in_executor(None, self._api.close)
        await self.drain(grace=_LAST_WORDS)
        self._tables.close()

    def _commit_group(self, deliveries: Sequence[Delivery]) -> Sequence[Result]:
        since = monotonic()
        results = self._ingest.many(deliveries)
        if not all(isinstance(result, AutomationsError) for result in results):
            self._tables.confirm(since)  # a commit reads the serial in passing
        return results

    def _told(self, code: str, kind: str | None) -> None:
        self._outcomes.refused(STATUSES[code], code, kind=kind)


_LAST_WORDS = 1.0
"""Seconds that answers to finished commits have to get out at a stop."""
