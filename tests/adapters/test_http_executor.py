"""The http executor with a real server on loopback: which address is called, what is sent, what an answer means."""

import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

import samples
from automations.adapters.executors.http import Http, Limits
from automations.core.instant import SECOND, parse_iso
from automations.core.run.execution import Cancelled, Failed, Invocation, Outcome, Succeeded

PATIENCE = 10.0
NOW = parse_iso("2026-11-23T12:00:00Z")
LOOPBACK = ("127.0.0.1",)
Seen = list[tuple[str, str, dict[str, str], bytes]]


class Handler(BaseHTTPRequestHandler):
    """Records every request and answers with what the test laid down for its path."""

    protocol_version = "HTTP/1.1"
    timeout = PATIENCE
    seen: Seen
    answers: dict[str, tuple[int, dict[str, str], bytes]]
    entered: Event
    closed: Event
    names: list[str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.seen.append((self.command, self.path, headers, body))
        if self.path in {"/hang", "/drip", "/endless"}:
            self.misbehave()
            return
        status, extra, answer = self.answers.get(self.path.partition("?")[0], (200, {}, b""))
        self.send_response(status)
        for name, value in {"Content-Length": str(len(answer)), **extra}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815  # the server's own names

    def misbehave(self) -> None:
        self.entered.set()
        self.close_connection = True
        try:
            if self.path != "/hang":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
            chunk = b"x" * (65536 if self.path == "/endless" else 1)
            self.connection.settimeout(0.02)
            while True:
                try:
                    if self.connection.recv(1) == b"":
                        return
                except TimeoutError:
                    if self.path != "/hang":
                        self.wfile.write(chunk)
        except OSError:
            pass
        finally:
            self.closed.set()

    def log_message(self, *args: Any) -> None:
        """Keep quiet."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *args: Any) -> None:
        """Take a connection that the other side breaks off for what it is here: wanted."""


@pytest.fixture
def handler() -> type[Handler]:
    return type(
        "OwnHandler", (Handler,), {"seen": [], "answers": {}, "entered": Event(), "closed": Event(), "names": []}
    )


def serving(server: Server) -> Iterator[int]:
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def port(handler: type[Handler]) -> Iterator[int]:
    yield from serving(Server(("127.0.0.1", 0), handler))


def invocation(config: Mapping[str, Any], **data: Any) -> Invocation:
    return samples.invocation("http", config, **data)


def executor(**change: Any) -> Http:
    return Http(lambda: NOW, **{"limits": Limits(seconds=PATIENCE, output=4096), **change})


def call(port: int, path: str, *, method: str = "POST", **data: Any) -> Outcome:
    config = {"method": method, "url": f"http://127.0.0.1:{port}{path}", "allowHosts": ["127.0.0.1"]}
    return executor().execute(invocation(config, **data), Event())


def failure(result: Outcome) -> Failed:
    assert isinstance(result, Failed), result
    return result


def output(result: Outcome) -> Any:
    assert isinstance(result, Succeeded), result
    return result.output


# Which address is called


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "127.1",
        "localhost",
        "localhost.",
        "LOCALHOST",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "0.0.0.0",  # noqa: S104  # an address that is refused, not listened on
        "[::]",
    ],
)
def test_an_address_inside_is_refused_however_it_is_spelled(port: int, handler: type[Handler], host: str) -> None:
    result = failure(executor().execute(invocation({"url": f"http://{host}:{port}/"}), Event()))
    assert (result.code, result.retryable) == ("ADDRESS_DENIED", False)
    assert "allowHosts" in result.message
    assert handler.seen == []


def test_a_listed_host_does_not_open_another_spelling_or_port(port: int, handler: type[Handler]) -> None:
    for host, allowed in [
        ("2130706433", "127.0.0.1"),
        ("127.0.0.1", f"127.0.0.1:{port + 1}"),
        ("localhost", "127.0.0.1"),
    ]:
        config = {"url": f"http://{host}:{port}/", "allowHosts": [allowed]}
        assert failure(executor().execute(invocation(config), Event())).code == "ADDRESS_DENIED"
    assert handler.seen == []


def test_one_inside_address_among_public_ones_refuses_the_name(handler: type[Handler]) -> None:
    mixed = executor(resolve=lambda host, port: ("93.184.215.14", "10.0.0.1"))
    result = failure(mixed.execute(invocation({"url": "http://rebind.example/"}), Event()))
    assert (result.code, result.message.count("10.0.0.1")) == ("ADDRESS_DENIED", 1)


def test_a_name_is_resolved_once_and_its_checked_address_is_called_under_its_name(
    port: int, handler: type[Handler]
) -> None:
    asked: list[tuple[str, int]] = []

    def resolve(host: str, number: int) -> tuple[str, ...]:
        asked.append((host, number))
        return LOOPBACK if len(asked) == 1 else ("10.0.0.1",)

    config = {"url": f"http://Api.Example.:{port}/x", "allowHosts": ["api.example"]}
    output(executor(resolve=resolve).execute(invocation(config), Event()))
    assert asked == [("api.example", port)]
    assert handler.seen[0][2]["host"] == f"api.example:{port}"


def test_the_next_address_is_tried_when_one_cannot_be_reached(port: int, handler: type[Handler]) -> None:
    config = {"url": f"http://api.example:{port}/", "allowHosts": ["api.example"]}
    two = executor(resolve=lambda host, number: ("127.9.9.9", "127.0.0.1"))
    output(two.execute(invocation(config), Event()))
    assert len(handler.seen) == 1


def test_a_proxy_in_the_environment_is_not_used(
    port: int, handler: type[Handler], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    output(call(port, "/"))
    assert len(handler.seen) == 1


def test_a_redirect_is_not_followed(port: int, handler: type[Handler]) -> None:
    handler.answers["/moved"] = (302, {"Location": "http://169.254.169.254/"}, b"")
    result = failure(call(port, "/moved"))
    assert (result.code, result.retryable, result.metadata["httpStatus"]) == ("HTTP_REDIRECT", False, 302)
    assert len(handler.seen) == 1


# What is sent


def test_the_input_goes_as_body_or_as_query(port: int, handler: type[Handler]) -> None:
    for method in ("POST", "PUT", "PATCH", "GET", "DELETE"):
        output(call(port, "/x?fixed=1", method=method, fixed="2", a="b"))
    assert [(method, path, body) for method, path, _, body in handler.seen] == [
        ("POST", "/x?fixed=1", b'{"a":"b","fixed":"2"}'),
        ("PUT", "/x?fixed=1", b'{"a":"b","fixed":"2"}'),
        ("PATCH", "/x?fixed=1", b'{"a":"b","fixed":"2"}'),
        ("GET", "/x?fixed=1&a=b", b""),
        ("DELETE", "/x?fixed=1&a=b", b""),
    ]


def test_headers_carry_the_key_the_fence_and_the_manifest_s_own(port: int, handler: type[Handler]) -> None:
    config = {
        "url": f"http://127.0.0.1:{port}/",
        "allowHosts": ["127.0.0.1"],
        "headers": {"Authorization": "Bearer t", "Accept": "text/plain"},
    }
    output(executor().execute(invocation(config), Event()))
    headers = handler.seen[0][2]
    assert headers["idempotency-key"] == "deploys:event-1:ship"
    assert headers["x-automation-fence"] == "5"
    assert headers["authorization"] == "Bearer t"
    assert headers["accept"] == "text/plain"
    assert headers["accept-encoding"] == "identity"


def test_a_dry_run_sends_nothing(port: int, handler: type[Handler]) -> None:
    config = {"url": f"http://127.0.0.1:{port}/", "allowHosts": ["127.0.0.1"]}
    result = executor().execute(replace(invocation(config), dry_run=True), Event())
    assert isinstance(result, Succeeded)
    assert result.metadata == {"dryRun": True}
    assert handler.seen == []


def test_a_header_that_no_request_can_hold_fails_for_good(port: int, handler: type[Handler]) -> None:
    config = {"url": f"http://127.0.0.1:{port}/", "allowHosts": ["127.0.0.1"], "headers": {"bad name": "x"}}
    result = failure(executor().execute(invocation(config), Event()))
    assert (result.code, result.retryable) == ("REQUEST_INVALID", False)
    assert handler.seen == []


# What an answer means


@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        *((status, False) for status in (400, 401, 404, 409, 422)),
        *((status, True) for status in (408, 425, 429, 500, 501, 502, 503, 504, 599)),
    ],
)
def test_a_status_says_whether_trying_again_can_help(
    port: int, handler: type[Handler], status: int, retryable: bool
) -> None:
    handler.answers["/s"] = (status, {}, b"because")
    result = failure(call(port, "/s"))
    assert (result.code, result.retryable) == ("HTTP_STATUS", retryable)
    assert result.metadata == {"httpStatus": status, "body": "because"}


@pytest.mark.parametrize(
    ("status", "header", "wait"),
    [
        (429, "7", 7 * SECOND),
        (503, "Mon, 23 Nov 2026 12:00:30 GMT", 30 * SECOND),
        (503, "86400", 3600 * SECOND),
        (503, "soon", None),
        (400, "7", None),
    ],
)
def test_retry_after_lengthens_the_wait_of_what_may_be_tried_again(
    port: int, handler: type[Handler], status: int, header: str, wait: int | None
) -> None:
    handler.answers["/s"] = (status, {"Retry-After": header}, b"")
    assert failure(call(port, "/s")).retry_after == wait


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("application/json", b'{"a": 1}', {"a": 1}),
        ("application/problem+json; charset=utf-8", b"[1]", [1]),
        ("text/plain", b'{"a": 1}', '{"a": 1}'),
        ("", b"plain", "plain"),
        ("application/json", b"", None),
        ("application/json", b" \n", None),
    ],
)
def test_a_body_is_json_where_it_says_so_and_text_otherwise(
    port: int, handler: type[Handler], kind: str, body: bytes, expected: Any
) -> None:
    handler.answers["/b"] = (200, {"Content-Type": kind} if kind else {}, body)
    result = call(port, "/b")
    assert output(result) == expected
    assert isinstance(result, Succeeded)
    assert result.metadata == {"httpStatus": 200}


def test_a_compressed_body_that_was_not_asked_for_is_refused(port: int, handler: type[Handler]) -> None:
    handler.answers["/z"] = (200, {"Content-Encoding": "gzip"}, b"\x1f\x8b")
    result = failure(call(port, "/z"))
    assert (result.code, result.retryable) == ("OUTPUT_INVALID", False)


def test_an_endless_body_is_broken_off_at_the_bound(port: int, handler: type[Handler]) -> None:
    result = failure(call(port, "/endless"))
    assert (result.code, result.retryable) == ("OUTPUT_TOO_LARGE", False)
    assert handler.closed.wait(PATIENCE)


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"])
def test_an_answer_that_breaks_off_may_be_tried_again(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def once() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(PATIENCE)
                connection.recv(65536)
                connection.sendall(answer)

        thread = Thread(target=once, daemon=True)
        thread.start()
        result = failure(call(listener.getsockname()[1], "/"))
        thread.join(PATIENCE)
    assert (result.code, result.retryable) == ("NETWORK_ERROR", True)


def test_a_closed_port_may_be_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.getsockname()[1]
    result = failure(call(number, "/"))
    assert (result.code, result.retryable) == ("NETWORK_ERROR", True)


def test_a_name_that_is_not_found_may_be_tried_again_and_an_impossible_one_may_not() -> None:
    def unknown(host: str, port: int) -> tuple[str, ...]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    result = failure(executor(resolve=unknown).execute(invocation({"url": "http://missing.example/"}), Event()))
    assert (result.code, result.retryable) == ("NAME_NOT_RESOLVED", True)
    assert "missing.example" in result.message
    result = failure(executor().execute(invocation({"url": f"http://{'a' * 70}.example/"}), Event()))
    assert result.retryable is False


# That time is kept


@pytest.mark.parametrize("path", ["/hang", "/drip"])
def test_a_deadline_covers_the_whole_attempt(port: int, handler: type[Handler], path: str) -> None:
    config = {"url": f"http://127.0.0.1:{port}{path}", "allowHosts": ["127.0.0.1"]}
    begun = time.monotonic()
    result = failure(executor(limits=Limits(seconds=0.3, output=1 << 20)).execute(invocation(config), Event()))
    assert (result.code, result.retryable) == ("TIMEOUT", True)
    assert 0.2 < time.monotonic() - begun < PATIENCE / 2
    assert handler.closed.wait(PATIENCE)


def interrupted(work: Callable[[Event], Outcome], *, once: Event) -> Outcome:
    """Cancel `work` as soon as `once` is set, and give what it came to."""
    cancelled = Event()
    results: list[Outcome] = []
    thread = Thread(target=lambda: results.append(work(cancelled)), daemon=True)
    thread.start()
    assert once.wait(PATIENCE)
    cancelled.set()
    thread.join(PATIENCE)
    return results[0]


@pytest.mark.parametrize("path", ["/hang", "/drip"])
def test_cancelling_closes_the_connection(port: int, handler: type[Handler], path: str) -> None:
    config = {"url": f"http://127.0.0.1:{port}{path}", "allowHosts": ["127.0.0.1"]}
    result = interrupted(lambda cancelled: executor().execute(invocation(config), cancelled), once=handler.entered)
    assert isinstance(result, Cancelled)
    assert handler.closed.wait(PATIENCE)


def test_cancelling_during_a_slow_lookup_returns_and_nothing_is_sent(port: int, handler: type[Handler]) -> None:
    asked, go_on, answered = Event(), Event(), Event()

    def slow(host: str, number: int) -> tuple[str, ...]:
        asked.set()
        go_on.wait(PATIENCE)
        answered.set()
        return LOOPBACK

    config = {"url": f"http://api.example:{port}/", "allowHosts": ["api.example"]}
    waiting = executor(resolve=slow)
    result = interrupted(lambda cancelled: waiting.execute(invocation(config), cancelled), once=asked)
    assert isinstance(result, Cancelled)
    go_on.set()
    assert answered.wait(PATIENCE)
    output(call(port, "/after"))
    assert [path for _, path, _, _ in handler.seen] == ["/after"]


# TLS


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("needs the openssl program to make a certificate")
    path = tmp_path / "both.pem"
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    name = ["-subj", "/CN=api.example", "-addext", "subjectAltName=DNS:api.example"]
    made = subprocess.run(
        [program, "req", "-x509", *kind, *name, "-keyout", "-", "-out", "-"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    path.write_bytes(made.stdout)
    return path


@pytest.fixture
def tls_port(handler: type[Handler], certificate: Path) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _socket, name, _context: handler.names.append(name)
    server = Server(("127.0.0.1", 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    yield from serving(server)


@pytest.mark.parametrize(("host", "works"), [("api.example", True), ("api.example.", True), ("other.example", False)])
def test_the_certificate_is_checked_against_the_name_though_the_address_is_called(
    tls_port: int, handler: type[Handler], certificate: Path, host: str, works: bool
) -> None:
    trust = ssl.create_default_context(cafile=str(certificate))
    config = {"url": f"https://{host}:{tls_port}/", "allowHosts": [host]}
    result = executor(tls=trust, resolve=lambda name, number: LOOPBACK).execute(invocation(config), Event())
    assert isinstance(result, Succeeded) is works
    assert handler.names == [host.rstrip(".")]
    assert len(handler.seen) == works


def test_an_unknown_issuer_is_refused(tls_port: int, handler: type[Handler]) -> None:
    config = {"url": f"https://api.example:{tls_port}/", "allowHosts": ["api.example"]}
    result = failure(executor(resolve=lambda name, number: LOOPBACK).execute(invocation(config), Event()))
    assert (result.code, result.retryable) == ("NETWORK_ERROR", True)
    assert "certificate" in result.message.lower()
    assert handler.seen == []


def test_the_executors_are_imported_without_the_client() -> None:
    code = "import sys, automations.adapters.executors as e; assert e.local_executors; sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
