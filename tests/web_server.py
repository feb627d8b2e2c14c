"""A real server on loopback over a real store, and two ways to talk to it: http.client, and bytes on a socket."""

import hmac
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from automations.adapters.files import DirectoryTree
from automations.adapters.secrets import EnvironmentSecrets
from automations.adapters.telemetry import Telemetry
from automations.core.plan.plan import Request
from automations.core.plan.state import source_owner
from automations.core.spec.snapshot import Snapshot
from automations.runtime import Runtime, open_runtime
from automations.services.plan.apply import Authority
from automations.services.plan.plan import plan
from automations.services.spec.catalogue import catalogue_of
from automations.settings import load
from automations.store.database import Database, Row
from automations.store.sqlite import SqliteDatabase
from automations.web.api import Verbs
from automations.web.limits import Limits
from automations.web.server import Parts, WebConfig, WebServer

SECRET = "canary-5f0e8d1c-webhook-secret"
BODY = b'{"data":{"p":1}}'

Sent = tuple[int, dict[str, str], Any]


def sign(body: bytes, secret: str = SECRET) -> str:
    """The generic form's signature: hex of the HMAC-SHA256."""
    return hmac.digest(secret.encode(), body, "sha256").hex()


def automation(identity: str, route: str = "", filter_: str = "{}") -> str:
    """One automation whose webhook route takes `data` as the event's data. `route` holds more of the route's keys."""
    return f"""
schemaVersion: "1.0"
id: {identity}
name: {identity}
version: "1.0.0"
triggers:
  - kind: webhook
    source: gh
    type: push
    filter: {filter_}
    route: {{id: {identity}, path: /webhooks/{identity}{route}}}
actions:
  - {{id: go, actionId: noop.run}}
"""


MAPPED = ", mapping: {dataPath: data, idPath: id, timePath: time, dedupeKeyPath: meta.key, subjectPath: sub}"
KEYED = ", mapping: {dataPath: data, dedupeKeyHeader: X-Event-Id}"
SIGNED = ", signature: {secretRef: 'secret://hooks/signed'}"

SPECS = {
    "open": automation("open", MAPPED),
    "signed": automation("signed", SIGNED + KEYED),
    "base64": automation("base64", ", signature: {secretRef: 'secret://hooks/signed', encoding: base64}" + MAPPED),
    "nosecret": automation("nosecret", ", signature: {secretRef: 'secret://nowhere'}" + MAPPED),
    "filtered": automation("filtered", MAPPED, "{p: 1}"),
    "typed": automation("typed", ", mapping: {dataPath: data, typeTemplate: 'push.${{ body.kind }}'}"),
}


class Recorder(Telemetry):
    """A telemetry that keeps what it is told, as a log would."""

    def __init__(self) -> None:
        super().__init__(lambda event, fields: self.events.append((event, dict(fields))))
        self.events: list[tuple[str, dict[str, Any]]] = []

    def named(self, name: str) -> list[dict[str, Any]]:
        return [fields for event, fields in self.events if event == name]


@dataclass
class Served:
    """A running server and everything under it."""

    root: Path
    runtime: Runtime
    server: WebServer
    telemetry: Recorder
    _sockets: list[socket.socket] = field(default_factory=list)

    def declare(self, specs: dict[str, str]) -> None:
        """Make these specs the whole of what is declared."""
        directory = self.root / "specs"
        directory.mkdir(exist_ok=True)
        for old in directory.iterdir():
            old.unlink()
        for name, text in specs.items():
            (directory / f"{name}.yaml").write_text(text)
        snapshot = DirectoryTree(directory, shown="specs").take({})
        assert isinstance(snapshot, Snapshot), snapshot
        catalogue = catalogue_of(self.runtime.database, snapshot, owner=source_owner("default"))
        made = plan(self.runtime.database, catalogue, Request("default"), prefix=snapshot.prefix)
        self.runtime.apply.commit(made, Authority("tester"), prefix=snapshot.prefix)

    def send(self, method: str, target: str, body: bytes | None = None, **headers: str) -> Sent:
        """One request on a connection of its own: status, lower-case headers, decoded body."""
        connection = HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        try:
            connection.request(method, target, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            raw = response.read()
            named = {name.lower(): value for name, value in response.getheaders()}
            return response.status, named, json.loads(raw) if raw else None
        finally:
            connection.close()

    def post(self, target: str, body: bytes = BODY, **headers: str) -> Sent:
        """POST, see `send`."""
        return self.send("POST", target, body, **headers)

    def dial(self) -> socket.socket:
        """A connection that is closed at the end of the test."""
        dialled = socket.create_connection(("127.0.0.1", self.server.port), timeout=20)
        self._sockets.append(dialled)
        return dialled

    def raw(self, data: bytes) -> bytes:
        """Send bytes and read until the server closes."""
        dialled = self.dial()
        dialled.sendall(data)
        return read_all(dialled)

    def rows(self, table: str) -> list[Row]:
        """Everything in a table."""
        with self.runtime.database.read() as tx:
            return tx.all(f"SELECT * FROM {table}")  # noqa: S608  # names of our own tables

    def artefacts(self) -> bytes:
        """All bytes that were written below the root and all that was told to telemetry."""
        files = b"".join(path.read_bytes() for path in sorted((self.root / "data").rglob("*")) if path.is_file())
        return files + repr(self.telemetry.events).encode()

    def close(self) -> None:
        """Stop everything."""
        for each in self._sockets:
            each.close()
        self.server.stop()
        self.runtime.close()


def read_all(dialled: socket.socket) -> bytes:
    """Read until the other side closes."""
    received = b""
    while piece := dialled.recv(65536):
        received += piece
    return received


def eventually(holds: Callable[[], Any], within: float = 20.0) -> None:
    """Wait for a condition."""
    until = monotonic() + within
    while not holds():
        assert monotonic() < until, "the condition never held"
        sleep(0.002)  # polls what another process or thread does; nothing depends on how long


Serve = Callable[..., Served]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts servers: `serve(limits=…, secrets_dir=…)`; on a store of their own unless one is given."""
    with ExitStack() as stack:

        def started(
            *,
            limits: Limits | None = None,
            secrets_dir: str | None = None,
            ready: Callable[[], str | None] | None = None,
            database: Database | None = None,
            specs: dict[str, str] | None = SPECS,
        ) -> Served:
            environment = {
                "HASNA_AUTOMATIONS_DIR": str(tmp_path / "data"),
                "HASNA_AUTOMATIONS_SECRET_HOOKS_SIGNED": SECRET,
            }
            opened = open_runtime(load(environment))
            opened.close()
            telemetry = Recorder()
            own = database or SqliteDatabase.open(str(opened.settings.database_path), busy_timeout_ms=200)
            runtime = Runtime(opened.settings, own, clock=opened.clock, ids=opened.ids, telemetry=telemetry)
            secrets = EnvironmentSecrets(environment, secrets_dir)
            verbs = Verbs(runtime.tokens.bearer, runtime.tokens.any_live, runtime.send, runtime.start)
            at_ease = ready or (lambda: None)
            parts = Parts(runtime.ingest, runtime.bindings, secrets, runtime.clock, telemetry, at_ease, verbs)
            server = WebServer(parts, WebConfig(port=0, limits=limits or Limits()))
            served = Served(tmp_path, runtime, server, telemetry)
            stack.callback(served.close)
            if specs is not None:
                served.declare(specs)
            server.start()
            return served

        yield started


@pytest.fixture
def served(serve: Serve) -> Served:
    """A server with default limits."""
    return serve()
