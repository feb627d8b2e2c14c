"""Starting, draining and stopping a server."""

import os
import socket
import sys
import threading
from contextlib import suppress
from dataclasses import replace

import pytest

from automations.errors import AutomationsError, InvalidInput, Refused
from automations.web.limits import Limits
from automations.web.listening import authority, listen
from automations.web.protocol import _BODY, Connection
from automations.web.server import WebConfig, WebServer
from web_server import Serve, Served, eventually, read_all

POST = b'POST /webhooks/open HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"id":"a"}'


def test_a_busy_port_is_one_clear_error() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AutomationsError, match=f"port {port} on 127.0.0.1 is in use") as raised:
            listen("127.0.0.1", port)
    assert raised.value.stable_code == "port_in_use"
    if sys.platform == "linux":  # elsewhere nobody can say
        assert f"it is held by process {os.getpid()}: " in raised.value.message
    assert "--port" in raised.value.hint


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "8.8.8.8"])  # noqa: S104  # that it is refused is the point
def test_an_address_that_others_can_reach_is_refused(host: str) -> None:
    with pytest.raises(Refused, match="no API tokens") as raised:
        listen(host, 0)
    assert "127.0.0.1" in raised.value.hint


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2"])
def test_loopback_is_listened_on(host: str) -> None:
    with listen(host, 0) as listener:
        assert listener.getsockname()[1] > 0


@pytest.mark.parametrize(
    ("host", "port"), [("", 0), ("no such host.invalid", 0), ("127.0.0.1", 70_000), ("127.0.0.1", -1)]
)
def test_a_host_or_port_that_cannot_be_is_refused(host: str, port: int) -> None:
    with pytest.raises(InvalidInput):
        listen(host, port)


@pytest.mark.parametrize("name", ["body_bytes", "connections", "head_seconds"])
def test_a_limit_that_lets_nothing_through_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match=name):
        replace(Limits(), **{name: 0})


def test_a_server_that_cannot_listen_leaves_nothing_running(served: Served) -> None:
    before = threading.active_count()
    second = WebServer(served.server._parts, WebConfig(port=served.server.port))
    with pytest.raises(AutomationsError, match="in use"):
        second.start()
    second.stop()
    assert threading.active_count() == before


def test_readiness_says_why_not(serve: Serve) -> None:
    reasons: list[str | None] = ["watcher_stopped"]
    served = serve(ready=lambda: reasons[0])
    assert served.send("GET", "/readyz")[::2] == (503, {"ok": False, "error": "not_ready", "reason": "watcher_stopped"})
    reasons[0] = None
    assert served.send("GET", "/readyz")[0] == 200


def test_draining_finishes_what_is_under_way_and_closes_the_rest(served: Served) -> None:
    idle, half = served.dial(), served.dial()
    idle.sendall(POST)
    assert idle.recv(4096).startswith(b"HTTP/1.1 202 ")
    half.sendall(POST[:-3])
    eventually(lambda: _begun(served))
    drained = threading.Thread(target=lambda: outcome.append(served.server.drain(20)))
    outcome: list[bool] = []
    drained.start()
    assert read_all(idle) == b""
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", served.server.port))
    half.sendall(POST[-3:])
    answer = read_all(half)
    assert answer.startswith(b"HTTP/1.1 202 ")
    assert b"Connection: close" in answer
    drained.join(20)
    assert outcome == [True]


def _begun(served: Served) -> bool:
    connections = served.server._running.result(0)._connections
    return any(each._phase == _BODY for each in tuple(connections._open) if isinstance(each, Connection))


def test_draining_cuts_off_what_outlasts_the_grace(served: Served) -> None:
    half = served.dial()
    half.sendall(POST[:-3])
    eventually(lambda: _begun(served))
    assert not served.server.drain(0.05)
    with suppress(ConnectionResetError):
        assert read_all(half) == b""


def test_readiness_fails_while_draining(served: Served) -> None:
    kept = served.dial()
    kept.sendall(POST[:-3])
    eventually(lambda: _begun(served))
    draining = threading.Thread(target=lambda: served.server.drain(20))
    draining.start()
    eventually(lambda: served.server._running.result(0)._health.draining)
    kept.sendall(POST[-3:] + b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
    received = read_all(kept)
    draining.join(20)
    assert b'"reason":"draining"' in received


def test_stopping_twice_is_stopping_once(served: Served) -> None:
    served.server.stop()
    served.server.stop()


def test_a_stop_answers_what_was_being_committed(served: Served) -> None:
    clients = [served.dial() for _ in range(16)]
    for number, each in enumerate(clients):
        each.sendall(POST.replace(b'"a"', b'"%x"' % number))
    eventually(lambda: len(served.rows("events")) > 0)
    served.server.stop()
    answers = []
    for each in clients:
        try:
            answers.append(read_all(each)[:12])
        except ConnectionResetError:
            answers.append(b"")
    assert answers.count(b"HTTP/1.1 202") == len(served.rows("events"))


@pytest.mark.parametrize(("host", "told"), [("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80"), ("host", "host:80")])
def test_an_address_is_told_as_a_url_has_it(host: str, told: str) -> None:
    assert authority(host, 80) == told
