"""Requests that two readers could read differently, and clients that hold on to what they get."""

import socket
from typing import Any

import pytest

from automations.web.limits import Limits
from web_server import Serve, Served, eventually, read_all

HEAD = b"POST /webhooks/open HTTP/1.1\r\nHost: x\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
OLD = b"POST /webhooks/open HTTP/1.0\r\n"
LENGTH = b"Content-Length: "
CODING = b"Transfer-Encoding: "
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
QUICK = Limits(head_seconds=0.2, body_seconds=0.2, idle_seconds=0.2, linger_seconds=0.2)


def one(body: bytes, head: bytes = HEAD) -> bytes:
    """A request with a body."""
    return head + LENGTH + str(len(body)).encode() + b"\r\n\r\n" + body


def answers(received: bytes) -> list[tuple[int, bytes]]:
    """Split what came into (status, body)."""
    found = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0] or b"0")
        found.append((int(head[9:12]), rest[:length]))
        received = rest[length:]
    return found


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        pytest.param(HEAD + LENGTH + b"2\r\n" + CODING + b"chunked\r\n\r\n0\r\n\r\n", "invalid_content_length", id="CL+TE"),
        pytest.param(HEAD + CODING + b"chunked\r\n" + LENGTH + b"2\r\n\r\n0\r\n\r\n", "invalid_content_length", id="TE+CL"),
        pytest.param(HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "invalid_content_length", id="two lengths"),
        pytest.param(HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", "invalid_content_length", id="one length twice"),
        *(
            pytest.param(HEAD + LENGTH + value + b"\r\n\r\n{}", "invalid_content_length", id=f"length {value!r}")
            for value in (b"2, 2", b"+2", b"-2", b"0x2", b"2 2", b"", b"\xd9\xa2", b"9" * 30, b"abc")
        ),
        *(
            pytest.param(HEAD + CODING + value + b"\r\n\r\n0\r\n\r\n", "malformed_request", id=f"coding {value!r}")
            for value in (b"xchunked", b"gzip, chunked", b"chunked, gzip", b"identity", b"chunked, chunked", b"\x0bchunked")
        ),
        *(
            pytest.param(CHUNKED + chunk, "malformed_request", id=f"chunk {chunk[:20]!r}")
            for chunk in (
                b"0x2\r\n{}\r\n0\r\n\r\n",
                b"+2\r\n{}\r\n0\r\n\r\n",
                b"2 \r\n{}\r\n0\r\n\r\n",
                b"2\n{}\r\n0\r\n\r\n",
                b"2\r\n{}0\r\n\r\n",
                b"2\r\n{}xx0\r\n\r\n",
                b"2\r\n{}\n0\r\n\r\n",
                b"ffffffffffffffffff\r\n",
                b"-1\r\n",
                b"zz\r\n",
                b"2;a\n\r\n{}\r\n0\r\n\r\n",
            )
        ),
        *(
            pytest.param(HEAD + line + b"\r\nContent-Length: 2\r\n\r\n{}", "malformed_request", id=f"header {line!r}")
            for line in (
                b"X: a\r\n b",
                b"X: a\r\n\tb",
                b" X: a",
                b"X: a\x00b",
                b"X: a\rb",
                b"X: a\nY: b",
                b"X\x00: a",
                b"X Y: a",
                b"X : a",
                b": a",
                b"X",
                b"X: a\x7f",
                b"Host: y",
            )
        ),
        *(
            pytest.param(line + b"\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", "malformed_request", id=f"line {line!r}")
            for line in (
                b"POST /webhooks/open",
                b"POST /webhooks/open HTTP/2.0",
                b"POST /webhooks/open HTTP/0.9",
                b"POST /webhooks/open HTTP/1.1 ",
                b"POST /webhooks/open http/1.1",
                b"POST /webhooks/open\tHTTP/1.1",
                b"POST /webhooks/ open HTTP/1.1",
                b"POST /webhooks/\x00open HTTP/1.1",
                b"POST /webhooks/\xe9 HTTP/1.1",
                b"POST open HTTP/1.1",
                b"POST * HTTP/1.1",
                b"POST http://x/webhooks/open HTTP/1.1",
                b"post /webhooks/open HTTP/1.1",
                b"CONNECT x:1 HTTP/1.1",
                b"PRI * HTTP/2.0",
            )
        ),
        pytest.param(b"POST /webhooks/open HTTP/1.1\nHost: x\n\n", "malformed_request", id="bare line feeds"),
        pytest.param(b"POST /webhooks/open HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", "malformed_request", id="no host"),
        pytest.param(OLD + CODING + b"chunked\r\n\r\n0\r\n\r\n", "malformed_request", id="chunks in 1.0"),
        pytest.param(HEAD + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", "malformed_request", id="upgrade"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "malformed_request", id="TLS"),
    ],
)  # fmt: skip
def test_what_two_readers_could_read_differently_is_refused_and_ends_the_connection(
    served: Served, raw: bytes, error: str
) -> None:
    smuggled = one(b'{"id":"smuggled"}')
    received = served.raw(raw + smuggled)
    assert answers(received) == [(400, b'{"ok":false,"error":"%s"}' % error.encode())]
    assert b"Connection: close" in received
    assert served.rows("events") == []


@pytest.mark.parametrize("piece", [1, 2, 7, 10_000])
def test_a_request_may_come_in_pieces_of_any_size(served: Served, piece: int) -> None:
    raw = HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    raw += b'8;ext=1\r\n{"id":"i\r\n8\r\nn-pieces\r\n2\r\n"}\r\n0\r\nX-Trailer: 1\r\n\r\n'
    dialled = served.dial()
    dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for at in range(0, len(raw), piece):
        dialled.sendall(raw[at : at + piece])
    [(status, body)] = answers(read_all(dialled))
    assert (status, b'"eventId":"in-pieces"' in body) == (202, True)


def test_pipelined_requests_are_answered_in_their_order(served: Served) -> None:
    raw = b"".join(one(b'{"id":"p%d"}' % number) + GET + b"\r\n" + one(b"{bad") for number in range(40))
    received = served.raw(raw + one(b'{"id":"last"}', HEAD + b"Connection: close\r\n"))
    found = answers(received)
    assert [status for status, _ in found] == [202, 200, 400] * 40 + [202]
    assert [body.partition(b'"eventId":"')[2].partition(b'"')[0] for status, body in found if status == 202] == [
        *(b"p%d" % number for number in range(40)),
        b"last",
    ]
    assert len(served.rows("runs")) == 41


def test_a_bad_request_after_good_ones_is_refused_in_its_turn(served: Served) -> None:
    assert [status for status, _ in answers(served.raw(one(b'{"id":"a"}') + one(b'{"id":"b"}') + b"junk\r\n\r\n"))] == [
        202,
        202,
        400,
    ]


def test_nothing_after_a_request_that_asks_to_close_is_read(served: Served) -> None:
    received = served.raw(one(b'{"id":"a"}', HEAD + b"Connection: close\r\n") + one(b'{"id":"b"}'))
    assert [status for status, _ in answers(received)] == [202]
    assert [row["event_id"] for row in served.rows("events")] == ["a"]


def test_a_request_of_1_0_is_answered_once_and_closed(served: Served) -> None:
    received = served.raw(one(b'{"id":"a"}', OLD + b"Connection: keep-alive\r\n"))
    assert [status for status, _ in answers(received)] == [202]
    assert b"Connection: close" in received


def test_a_client_that_half_closes_still_gets_its_answer(served: Served) -> None:
    dialled = served.dial()
    dialled.sendall(one(b'{"id":"a"}'))
    dialled.shutdown(socket.SHUT_WR)
    assert [status for status, _ in answers(read_all(dialled))] == [202]


def test_an_oversized_length_is_refused_before_any_of_the_body_is_sent(served: Served) -> None:
    for more in (b"", b"Expect: 100-continue\r\n"):
        received = served.raw(HEAD + more + b"Content-Length: 1048577\r\n\r\n")
        assert answers(received) == [(413, b'{"ok":false,"error":"webhook_payload_too_large","maxBodyBytes":1048576}')]
        assert b"100 Continue" not in received


def test_an_oversized_chunked_body_is_refused_in_the_middle(serve: Serve) -> None:
    served = serve(limits=Limits(body_bytes=4096))
    received = served.raw(CHUNKED + (b"800\r\n" + b"x" * 0x800 + b"\r\n") * 100)
    assert answers(received) == [(413, b'{"ok":false,"error":"webhook_payload_too_large","maxBodyBytes":4096}')]


def test_a_client_that_expects_it_is_told_to_continue(served: Served) -> None:
    dialled = served.dial()
    dialled.sendall(HEAD + b"Connection: close\r\nExpect: 100-Continue\r\nContent-Length: 10\r\n\r\n")
    assert dialled.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    dialled.sendall(b'{"id":"a"}')
    assert [status for status, _ in answers(read_all(dialled))] == [202]


@pytest.mark.parametrize(
    "raw",
    [
        HEAD + b"X: " + b"a" * 20_000 + b"\r\n\r\n",
        HEAD + b"X: a\r\n" * 101 + b"\r\n",
        HEAD + b"".join(b"X-%d: %s\r\n" % (number, b"a" * 400) for number in range(50)) + b"\r\n",
        b"POST /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
        HEAD + b"X: " + b"a" * 200_000,
        b"\r\n" * 100_000,
        CHUNKED + b"1;" + b"a" * 200_000,
        CHUNKED + b"0\r\nX: " + b"a" * 200_000,
        CHUNKED + b"0\r\n" + b"X: a\r\n" * 20_000,
    ],
)  # fmt: skip
def test_endless_heads_are_refused(served: Served, raw: bytes) -> None:
    dialled = served.dial()
    for at in range(0, len(raw), 8192):
        dialled.sendall(raw[at : at + 8192])
    assert [status for status, _ in answers(read_all(dialled))] == [431]


@pytest.mark.parametrize(
    ("begun", "statuses"),
    [
        (b"", []),
        (b"POST", [408]),
        (HEAD, [408]),
        (HEAD + b"Content-Length: 10\r\n\r\n", [408]),
        (HEAD + b"Content-Length: 10\r\n\r\n{", [408]),
        (CHUNKED + b"2\r\n{", [408]),
        (GET + b"\r\n", [200]),
        (GET + b"\r\n" + b"POST", [200, 408]),
        (b"junk\r\n\r\n", [400]),
    ],
)
def test_a_client_that_stops_sending_is_closed(serve: Serve, begun: bytes, statuses: list[int]) -> None:
    served = serve(limits=QUICK)
    assert [status for status, _ in answers(served.raw(begun))] == statuses


def test_a_client_that_drips_is_closed_however_busy_it_looks(serve: Serve) -> None:
    served = serve(limits=QUICK)
    for begun in (HEAD + b"X: ", HEAD + b"Content-Length: 100000\r\n\r\n"):
        dialled = served.dial()
        dialled.sendall(begun)
        dialled.settimeout(0.01)
        received = b""

        def closed(dialled: socket.socket = dialled) -> bool:
            nonlocal received
            try:
                dialled.sendall(b"a")
                received += dialled.recv(4096)
            except TimeoutError:
                return False
            except OSError:
                return True
            return bool(received)

        eventually(closed, within=5)
        assert received.startswith(b"HTTP/1.1 408 ")


def test_a_body_that_keeps_the_least_rate_outlives_the_deadline(serve: Serve) -> None:
    served = serve(limits=Limits(body_seconds=0.1, body_rate=100))
    dialled = served.dial()
    body = b'{"id":"slow"}'.ljust(400)
    dialled.sendall(HEAD + b"Connection: close\r\nContent-Length: 400\r\n\r\n" + body[:100])
    dialled.settimeout(0.5)  # longer than the deadline, shorter than what a hundred bytes buy
    with pytest.raises(TimeoutError):
        dialled.recv(1)
    dialled.settimeout(20)
    dialled.sendall(body[100:])
    assert [status for status, _ in answers(read_all(dialled))] == [202]


def test_an_idle_or_slow_client_makes_room_for_a_new_one(serve: Serve) -> None:
    served = serve(limits=Limits(connections=8))
    slow = [served.dial() for _ in range(40)]
    for each in slow:
        each.sendall(b"POST /webh")
    assert served.post("/webhooks/open", b'{"id":"honest"}')[0] == 202
    assert gone(slow[0])


def gone(dialled: socket.socket) -> bool:
    """Whether the other side closed or reset the connection."""
    try:
        return dialled.recv(1) == b""
    except ConnectionResetError:
        return True


def test_bodies_share_a_bounded_buffer_and_small_ones_always_fit(serve: Serve) -> None:
    served = serve(limits=Limits(buffered_bytes=100_000))
    big = HEAD + b"Content-Length: 90000\r\n\r\n" + b"x" * 80_000
    first, second = served.dial(), served.dial()
    first.sendall(big)
    eventually(lambda: answers(served.raw(big))[0][0] == 503)
    second.sendall(big)
    received = read_all(second)
    assert answers(received) == [(503, b'{"ok":false,"error":"overloaded"}')]
    assert b"Retry-After: " in received
    assert served.post("/webhooks/open", b'{"id":"small"}')[0] == 202
    first.close()
    eventually(lambda: served.post("/webhooks/open", b'{"id":"big"}'.ljust(90_000))[0] == 202)


def test_a_client_that_reads_no_answers_is_not_read_from_for_ever(serve: Serve) -> None:
    served = serve(limits=QUICK)
    dialled = served.dial()
    dialled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    dialled.settimeout(0.05)
    many = (GET + b"\r\n") * 1000

    def dropped() -> Any:
        try:
            dialled.sendall(many)
        except TimeoutError:
            return False
        except OSError:
            return True
        return False

    eventually(dropped)
    assert served.send("GET", "/healthz")[0] == 200


def test_refusals_beyond_a_few_a_second_are_counted_instead_of_told(served: Served) -> None:
    raw = (b"POST /nope HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n") * 400
    received = served.raw(raw + b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert len(answers(received)) == 401
    eventually(lambda: served.post("/nope")[0] == 404 and served.telemetry.named("web.refusals_untold"))
    told = len(served.telemetry.named("webhook.rejected"))
    assert told < 400
