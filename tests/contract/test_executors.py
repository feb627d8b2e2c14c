"""One suite for every executor, with real processes and a real server: what an outcome means is the same for all.

Each rig knows how its kind is told to behave in some way; the tests know nothing of kinds.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, Protocol

import pytest

import samples
from automations.adapters.clock import SystemClock
from automations.adapters.executors import http, process
from automations.adapters.executors.http import Http
from automations.adapters.executors.local_shell import LocalShell
from automations.adapters.executors.python import Python
from automations.core.run.execution import Cancelled, Failed, Invocation, Outcome, Succeeded
from automations.services.ports import Executor

SECRET = b"canary-0123456789"
LIMIT = 4096
PATIENCE = 10.0

BEHAVIOURS = {
    "echo": 'print(json.dumps({"got": json.load(sys.stdin)}))',
    "identity": 'print(json.dumps({n: os.environ["AUTOMATIONS_" + n] for n in ("IDEMPOTENCY_KEY", "FENCE")}))',
    "nothing": "pass",
    "garbage": 'print("{not json")',
    "huge": 'print(json.dumps("x" * 100_000))',
    "leak": 'print(json.dumps({"text": sys.argv[1]})); print(sys.argv[1], file=sys.stderr)',
    "leak-and-fail": "print(sys.argv[1], sys.argv[1].encode().hex(), file=sys.stderr); sys.exit(1)",
    "slow": 'open(sys.argv[1], "w").close(); time.sleep(60)',
    "transient": "sys.exit(75)",
    "permanent": "sys.exit(65)",
}


class Rig(Protocol):
    """An executor and the way to make it do things."""

    @property
    def executor(self) -> Executor: ...

    def binding(self, behaviour: str) -> Mapping[str, Any]: ...

    def unusable(self) -> Mapping[str, Any]: ...

    def started(self) -> bool: ...


class ShellRig:
    def __init__(self, root: Path) -> None:
        self._marker = root / "started"
        self.executor = LocalShell(
            root,
            {"PATH": "/usr/bin:/bin"},
            known_secrets=lambda: (SECRET,),
            limits=process.Limits(grace=0.2, drain=1.0, output=LIMIT),
        )

    def binding(self, behaviour: str) -> Mapping[str, Any]:
        argument = str(self._marker) if behaviour == "slow" else SECRET.decode()
        code = "import json, os, sys, time\n" + BEHAVIOURS[behaviour]
        return {"command": sys.executable, "args": ["-S", "-E", "-c", code, argument]}

    def unusable(self) -> Mapping[str, Any]:
        return {"args": []}

    def started(self) -> bool:
        return self._marker.exists()


FUNCTIONS = """
import json, os, sys, time

def echo(given):
    return {"got": given}

async def identity(given):
    return {name: os.environ["AUTOMATIONS_" + name] for name in ("IDEMPOTENCY_KEY", "FENCE")}

def nothing(given):
    print("a word that is no output")

def garbage(given):
    print("{not json")
    return {1, 2}

def huge(given):
    return "x" * 100_000

def leak(given):
    print(SECRET, file=sys.stderr)
    return {"text": SECRET}

def leak_and_fail(given):
    print(SECRET, SECRET.encode().hex())
    raise ValueError(SECRET)

def slow(given):
    open(MARKER, "w").close()
    time.sleep(60)

def transient(given):
    raise ConnectionError("gone away")

def permanent(given):
    sys.exit(65)
"""


class PythonRig:
    def __init__(self, root: Path) -> None:
        self._marker = root / "started"
        told = f"SECRET = {SECRET.decode()!r}\nMARKER = {str(self._marker)!r}\n"
        (root / "functions.py").write_text(told + FUNCTIONS)
        self.executor = Python(
            root,
            {"PATH": "/usr/bin:/bin"},
            interpreter=sys.executable,
            known_secrets=lambda: (SECRET,),
            limits=process.Limits(grace=0.2, drain=1.0, output=LIMIT),
        )

    def binding(self, behaviour: str) -> Mapping[str, Any]:
        return {"ref": f"functions:{behaviour.replace('-', '_')}"}

    def unusable(self) -> Mapping[str, Any]:
        return {"ref": 7}

    def started(self) -> bool:
        return self._marker.exists()


class Handler(BaseHTTPRequestHandler):
    """Does what the path says; one daemon thread for each connection."""

    protocol_version = "HTTP/1.1"
    timeout = PATIENCE
    slow_started: Event
    slow_ended: Event

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/slow":
            self.slow_started.set()
            self.rfile.read(1)  # comes back when the other side closes
            self.slow_ended.set()
            self.close_connection = True
            return
        status, answer = {
            "/echo": (200, json.dumps({"got": json.loads(body)})),
            "/identity": (
                200,
                json.dumps(
                    {"IDEMPOTENCY_KEY": self.headers["Idempotency-Key"], "FENCE": self.headers["X-Automation-Fence"]}
                ),
            ),
            "/nothing": (204, ""),
            "/garbage": (200, "{not json"),
            "/huge": (200, json.dumps("x" * 100_000)),
            "/leak": (200, json.dumps({"text": SECRET.decode()})),
            "/leak-and-fail": (500, SECRET.decode() + SECRET.hex()),
            "/transient": (503, "later"),
            "/permanent": (400, "never"),
        }[self.path]
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *args: Any) -> None:
        """Keep quiet."""


class Server(ThreadingHTTPServer):
    """Takes a connection that the other side breaks off for what it is here: wanted."""

    daemon_threads = True

    def handle_error(self, *args: Any) -> None:
        """Keep quiet."""


class HttpRig:
    def __init__(self, port: int, handler: type[Handler]) -> None:
        self._port = port
        self._handler = handler
        self.executor = Http(
            SystemClock().now, known_secrets=lambda: (SECRET,), limits=http.Limits(seconds=PATIENCE, output=LIMIT)
        )

    def binding(self, behaviour: str) -> Mapping[str, Any]:
        return {"url": f"http://127.0.0.1:{self._port}/{behaviour}", "allowHosts": [f"127.0.0.1:{self._port}"]}

    def unusable(self) -> Mapping[str, Any]:
        return {"url": "not a url"}

    def started(self) -> bool:
        return self._handler.slow_started.is_set()


@pytest.fixture
def handler() -> type[Handler]:
    return type("OwnHandler", (Handler,), {"slow_started": Event(), "slow_ended": Event()})


@pytest.fixture
def port(handler: type[Handler]) -> Iterator[int]:
    server = Server(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["local-shell", "http", "python"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    if request.param == "local-shell":
        return ShellRig(tmp_path)
    if request.param == "python":
        return PythonRig(tmp_path)
    return HttpRig(request.getfixturevalue("port"), request.getfixturevalue("handler"))


def invocation(rig: Rig, config: Mapping[str, Any], **data: Any) -> Invocation:
    return samples.invocation(rig.executor.kind, config, **data)


def outcome(rig: Rig, behaviour: str, **data: Any) -> Outcome:
    return rig.executor.execute(invocation(rig, rig.binding(behaviour), **data), Event())


def until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def test_the_input_arrives_and_json_comes_back(rig: Rig) -> None:
    data = {"text": "ü \u2028 '$(touch x)`", "n": 3, "deep": {"list": [None, True, 1.5]}}
    result = outcome(rig, "echo", **data)
    assert isinstance(result, Succeeded)
    assert result.output == {"got": data}


def test_the_key_and_the_fence_reach_the_other_side(rig: Rig) -> None:
    result = outcome(rig, "identity")
    assert isinstance(result, Succeeded)
    assert result.output == {"IDEMPOTENCY_KEY": "deploys:event-1:ship", "FENCE": "5"}


def test_no_output_is_a_success(rig: Rig) -> None:
    assert isinstance(outcome(rig, "nothing"), Succeeded)


def test_output_that_is_not_json_fails_for_good(rig: Rig) -> None:
    result = outcome(rig, "garbage")
    assert isinstance(result, Failed)
    assert (result.code, result.retryable) == ("OUTPUT_INVALID", False)
    assert "{not json" in result.metadata.get("stdout", "") + result.metadata.get("body", "")


def test_json_larger_than_the_bound_fails_for_good(rig: Rig) -> None:
    result = outcome(rig, "huge")
    assert isinstance(result, Failed)
    assert (result.code, result.retryable) == ("OUTPUT_TOO_LARGE", False)
    assert len(repr(result)) < 10_000


def test_a_secret_is_redacted_from_output(rig: Rig) -> None:
    result = outcome(rig, "leak")
    assert isinstance(result, Succeeded)
    assert result.output == {"text": "[redacted]"}
    assert "canary" not in repr(result)


def test_a_secret_is_redacted_from_what_a_failure_tells(rig: Rig) -> None:
    result = outcome(rig, "leak-and-fail")
    assert isinstance(result, Failed)
    assert "[redacted]" in repr(result.metadata)
    assert "canary" not in repr(result)
    assert SECRET.hex() not in repr(result)


def test_a_passing_trouble_may_be_tried_again_and_a_lasting_one_may_not(rig: Rig) -> None:
    passing, lasting = outcome(rig, "transient"), outcome(rig, "permanent")
    assert isinstance(passing, Failed)
    assert isinstance(lasting, Failed)
    assert (passing.retryable, lasting.retryable) == (True, False)


def test_an_attempt_that_takes_too_long_is_stopped_and_may_be_tried_again(rig: Rig) -> None:
    slow = replace(invocation(rig, rig.binding("slow")), timeout=1_000_000)
    begun = time.monotonic()
    result = rig.executor.execute(slow, Event())
    assert isinstance(result, Failed)
    assert (result.code, result.retryable) == ("TIMEOUT", True)
    assert 0.9 < time.monotonic() - begun < PATIENCE


def test_the_shorter_of_step_and_binding_timeout_counts(rig: Rig) -> None:
    slow = replace(invocation(rig, {**rig.binding("slow"), "timeoutMs": 100}), timeout=60_000_000)
    result = rig.executor.execute(slow, Event())
    assert isinstance(result, Failed)
    assert result.code == "TIMEOUT"


def test_a_cancelled_attempt_ends_soon(rig: Rig) -> None:
    cancelled = Event()
    results: list[Outcome] = []
    work = Thread(
        target=lambda: results.append(rig.executor.execute(invocation(rig, rig.binding("slow")), cancelled)),
        daemon=True,
    )
    work.start()
    assert until(rig.started)
    cancelled.set()
    work.join(PATIENCE)
    assert isinstance(results[0], Cancelled)


def test_an_attempt_cancelled_beforehand_never_starts(rig: Rig) -> None:
    cancelled = Event()
    cancelled.set()
    assert isinstance(rig.executor.execute(invocation(rig, rig.binding("slow")), cancelled), Cancelled)
    assert not rig.started()


@pytest.mark.parametrize("change", [{}, {"timeoutMs": 0}, {"timeoutMs": "1s"}, {"timeoutMs": True}])
def test_a_binding_that_cannot_be_carried_out_fails_for_good(rig: Rig, change: Mapping[str, Any]) -> None:
    config = {**rig.binding("echo"), **change} if change else rig.unusable()
    result = rig.executor.execute(invocation(rig, config), Event())
    assert isinstance(result, Failed)
    assert (result.code, result.retryable) == ("BINDING_INVALID", False)
