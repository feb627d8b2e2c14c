"""HTTP/1.1 over one connection: bytes in, whole requests out, answers back in order.

The grammar is llhttp's, in its strict mode; what it leaves to its user is refused here. Limits come before everything:
nobody has proven anything yet while these lines run. Whatever is odd ends the connection, because two readers could
disagree about where the next request begins. Sources: RFC 9112 (framing), RFC 9110 §10.1.1 (100-continue).
"""

import asyncio
from collections import deque
from functools import partial
from typing import NoReturn, cast

from httptools import HttpParserCallbackError, HttpParserError, HttpRequestParser

from automations.web.answers import refuse
from automations.web.connections import Connections
from automations.web.exchange import Exchange
from automations.web.message import Answer, Request, Response

_BETWEEN, _HEAD, _BODY, _DEAF = range(4)
"""Before a request, inside its head, inside its body; deaf: what still comes is thrown away."""

_SLICE = 16 * 1024
"""Bytes that are parsed at once: what a client can make of one read before its answers are looked at."""
_NEVER = float("inf")
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class _Stop(Exception):  # ends the parser's work from inside its callbacks; no error of the program
    pass


class Connection(asyncio.Protocol):
    """One client. The parser calls the `on_` methods from inside `feed_data`."""

    def __init__(self, shared: Connections) -> None:
        self._shared = shared
        self._limits = shared.limits
        self._parser = HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._peer = ""
        self._exchanges: deque[Exchange] = deque()
        self._phase = _BETWEEN
        self._now = 0.0
        self.deadline = _NEVER
        self._stash = b""
        self._silent = 0
        self._clean = True
        self._half_closed = False
        self._old = False
        self._stuck = False
        self._expects = False
        self._held = 0
        self._piece = 0
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._since = 0.0
        self._received = 0
        self._first = b""
        self._rest: bytearray | None = None

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a new client in, or tell it that there is no room."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._peer = peer[0] if isinstance(peer, tuple) else ""
        self._now = self._shared.loop.time()
        self.deadline = self._now + self._limits.head_seconds
        if not self._shared.add(self):
            self._phase = _DEAF
            self._shared.told("overloaded", None)
            self._transport.write(self._shared.encoder.encode(refuse("overloaded"), close=True, bare=False))
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Parse what came, as far as answers keep up."""
        if self._phase == _DEAF:
            self._clean = False
        elif self._stash:  # reading was paused, and this was on its way already
            self._stash += data
        else:
            self._take(data)

    def eof_received(self) -> bool:
        """Note that the client sends no more; whether the connection stays for the answers it still waits for."""
        self._half_closed = True
        if self._phase in (_HEAD, _BODY):
            return False
        return bool(self._exchanges)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give back everything. What is being committed goes on; its answer has nowhere to go."""
        del exc
        self._forget()
        self._phase = _DEAF
        self._stash = b""
        self.deadline = _NEVER
        self._shared.remove(self)

    def pause_writing(self) -> None:
        """Stop reading from a client that does not take its answers; it has as long as for a body."""
        self._stuck = True
        self._pause()
        self.deadline = self._shared.loop.time() + self._limits.body_seconds

    def resume_writing(self) -> None:
        """Go on with a client that took its answers."""
        self._stuck = False
        self.deadline = _NEVER if self._exchanges else self._shared.loop.time() + self._limits.idle_seconds
        if not self._stash and not self._transport.is_closing():
            self._transport.resume_reading()

    # What the registry calls.

    def expire(self) -> None:
        """Close an idle client, refuse a slow one, drop one that does not even take its refusal."""
        if self._phase in (_HEAD, _BODY) and not self._stuck:
            self.deadline = _NEVER
            self._refuse("request_timeout")
        elif self._phase == _BETWEEN and not self._stuck:
            self._transport.close()
        else:
            self.abort()

    def evict(self) -> None:
        """Make room: whatever was begun here was not a request yet."""
        self.abort()

    def wind_down(self) -> None:
        """Close an idle connection; a busy one closes with its last answer."""
        if self._phase == _BETWEEN and not self._exchanges:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    # Reading.

    def _take(self, data: bytes) -> None:
        self._now = self._shared.loop.time()
        for at in range(0, len(data), _SLICE):
            if len(self._exchanges) >= self._limits.pipelined:
                self._stash = data[at:]
                self._pause()
                self.deadline = _NEVER
                return
            self._parse(data if len(data) <= _SLICE else data[at : at + _SLICE])
            if self._phase == _DEAF:
                self._clean = self._clean and at + _SLICE >= len(data)
                return
        if self._phase == _HEAD:
            self.deadline = self._since + self._limits.head_seconds
        elif self._phase == _BODY:
            self.deadline = self._since + self._limits.body_seconds + self._received / self._limits.body_rate

    def _parse(self, piece: bytes) -> None:
        if self._phase == _BETWEEN:
            self._phase = _HEAD
            self._since = self._now
        self._piece = len(piece)
        self._silent += self._piece
        try:
            self._parser.feed_data(piece)
        except HttpParserCallbackError as problem:
            if self._phase != _DEAF:
                self._refuse("internal_error", kind=type(problem.__context__).__name__)
        except HttpParserError as problem:
            if self._phase == _DEAF:  # bytes after a request that asked to close
                self._clean = False
            else:
                named = "Content-Length" in str(problem)
                self._refuse("invalid_content_length" if named else "malformed_request")
        if self._silent > self._limits.header_bytes + _SLICE and self._phase != _DEAF:  # what no callback showed
            self._refuse("headers_too_large")

    def on_message_begin(self) -> None:
        """Begin a request. At most all of this piece is its head's."""
        self._phase = _HEAD
        self._since = self._now
        self._silent = self._piece
        self._target = b""
        self._headers = []
        self._received = 0

    def on_url(self, url: bytes) -> None:
        """Take the target, or the next piece of it."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a trailer field after a chunked body is passed over."""
        if self._phase == _HEAD:
            self._headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """Judge the head, before anything of the body is looked at."""
        headers = self._headers
        if len(headers) > self._limits.header_count or (
            self._silent > self._limits.header_bytes and self._head_size() > self._limits.header_bytes
        ):
            self._stop("headers_too_large")
        hosts = length = 0
        coding = expectation = b""
        for name, value in headers:
            if name == b"host":
                hosts += 1
            elif name == b"content-length":
                length = int(value)  # llhttp let it through: one, digits only, 64 bits
            elif name == b"transfer-encoding":
                coding = value.lower()
            elif name == b"expect":
                expectation = value.lower()
        version = self._parser.get_http_version()
        self._old = version == "1.0"
        # RFC 9112 §3.2: a request of 1.1 names one host. §6.1: codings are 1.1's, and chunked is the one known here.
        fine = version == "1.1" and hosts == 1 and coding in (b"", b"chunked")
        if not fine and (version != "1.0" or hosts > 1 or coding):
            self._stop("malformed_request")
        # After an upgrade the parser would not say where the body ends; none is offered, so nobody needs to ask.
        if self._parser.should_upgrade() or not self._target.startswith(b"/"):
            self._stop("malformed_request")
        if length > self._limits.body_bytes:
            self._oversized()
        if expectation not in (b"", b"100-continue"):
            self._stop("expectation_failed")
        self._phase = _BODY
        self._since = self._now
        self._silent = 0
        if expectation and version == "1.1" and (length or coding):
            self._expects = True
            self._flush()

    def _head_size(self) -> int:
        return len(self._target) + sum(len(name) + len(value) + 4 for name, value in self._headers)

    def on_chunk_header(self) -> None:
        """Note that a chunk's head ended, so that an endless one is noticed."""
        self._silent = 0

    def on_body(self, body: bytes) -> None:
        """Collect the body within what one request, and all together, may hold."""
        self._silent = 0
        self._expects = False
        self._received += len(body)
        if self._received > self._limits.body_bytes:
            self._oversized()
        beyond = self._received - self._limits.free_bytes - self._held
        if beyond > 0:
            if not self._shared.reserve(beyond):
                self._stop("overloaded")
            self._held += beyond
        if self._rest is not None:
            self._rest += body
        elif self._first:
            self._rest = bytearray(self._first)
            self._rest += body
        else:
            self._first = body

    def on_message_complete(self) -> None:
        """Hand a whole request over."""
        if self._phase == _DEAF:
            return
        close = self._old or not self._parser.should_keep_alive()
        request = self._request(self._first if self._rest is None else bytes(self._rest))
        exchange = Exchange(close=close, bare=request.method == "HEAD", held=self._held)
        self._held = 0
        self._first, self._rest = b"", None
        self._exchanges.append(exchange)
        self._phase = _DEAF if close else _BETWEEN
        self._expects = False
        self.deadline = _NEVER
        self._shared.busy(self)
        self._settle(exchange, self._handled(request))
        if self._phase == _DEAF and not close:
            raise _Stop

    def _request(self, body: bytes) -> Request:
        path, _, query = self._target.decode("latin-1").partition("?")
        method = self._parser.get_method().decode("latin-1")
        return Request(method, path, query, tuple(self._headers), body, self._peer)

    # Answering.

    def _handled(self, request: Request) -> Answer:
        try:
            return self._shared.site.handle(request)
        except Exception as bug:  # noqa: BLE001  # the server's boundary: a bug in one answer is that answer's alone
            self._shared.told("internal_error", type(bug).__name__)
            return refuse("internal_error", close=True)

    def _settle(self, exchange: Exchange, answer: Answer) -> None:
        if isinstance(answer, Response):
            exchange.response = answer
            self._flush()
        else:
            future = answer if isinstance(answer, asyncio.Future) else asyncio.ensure_future(answer)
            future.add_done_callback(partial(self._arrived, exchange))

    def _arrived(self, exchange: Exchange, answer: "asyncio.Future[Response]") -> None:
        bug = asyncio.CancelledError() if answer.cancelled() else answer.exception()
        if bug is None:
            exchange.response = answer.result()
        else:
            self._shared.told("internal_error", type(bug).__name__)
            exchange.response = refuse("internal_error", close=True)
        self._flush()

    def _flush(self) -> None:
        """Write every answer whose turn it is."""
        exchanges = self._exchanges
        written: list[bytes] = []
        last = False
        while exchanges and not last and (response := exchanges[0].response) is not None:
            exchange = exchanges.popleft()
            self._shared.release(exchange.held)
            idle = not exchanges and not self._stash and self._phase == _BETWEEN
            last = exchange.close or response.close or (idle and self._shared.draining)
            written.append(self._shared.encoder.encode(response, close=last, bare=exchange.bare))
        if self._expects and not exchanges and not last:
            self._expects = False
            written.append(_CONTINUE)
        if written and not self._transport.is_closing():
            self._transport.write(written[0] if len(written) == 1 else b"".join(written))
        if last:
            self._finish()
        elif not exchanges:
            self._rests()

    def _rests(self) -> None:
        """Nothing is under way: go on with what was put aside, or wait for the client."""
        self._shared.waits(self)
        if self._stash:
            data, self._stash = self._stash, b""
            self._take(data)
            if not self._stash and not self._stuck and not self._transport.is_closing():
                self._transport.resume_reading()
        elif self._phase == _BETWEEN:
            self.deadline = self._shared.loop.time() + self._limits.idle_seconds
        if self._half_closed and not self._exchanges:
            self._transport.close()

    def _finish(self) -> None:
        """End after the last answer; where the client may still be sending, so that it can read that answer first."""
        clean = self._clean and self._phase in (_BETWEEN, _DEAF) and not self._stash and not self._exchanges
        self._forget()
        self._phase = _DEAF
        self._stash = b""
        if clean or self._half_closed or self._transport.is_closing():
            self._transport.close()
            return
        # A close with bytes unread becomes a reset, which can take the answer away from the client (RFC 9112 §9.6).
        self._transport.write_eof()
        self._transport.resume_reading()
        self.deadline = self._shared.loop.time() + self._limits.linger_seconds
        self._shared.waits(self)

    def _refuse(self, code: str, *, kind: str | None = None) -> None:
        self._shared.told(code, kind)
        self._end(refuse(code))

    def _end(self, answer: Answer) -> None:
        """Answer for the last time, after the answers that are still owed."""
        self._release_body()
        self._phase = _DEAF
        self._clean = False
        self._expects = False
        self.deadline = _NEVER
        self._shared.busy(self)
        exchange = Exchange(close=True)
        self._exchanges.append(exchange)
        self._settle(exchange, answer)

    def _stop(self, code: str) -> NoReturn:
        self._refuse(code)
        raise _Stop

    def _oversized(self) -> NoReturn:
        self._end(self._shared.site.oversized(self._request(b"")))
        raise _Stop

    def _pause(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def _release_body(self) -> None:
        self._shared.release(self._held)
        self._held = 0
        self._first, self._rest = b"", None

    def _forget(self) -> None:
        self._release_body()
        for exchange in self._exchanges:
            self._shared.release(exchange.held)
        self._exchanges.clear()
