"""Requests and responses as values: the seam between the protocol and whoever answers.

Whoever answers is a `Site`; it never sees a socket, and a request reaches it only when all of it is here and fits the
limits. Responses carry the same few security headers whoever made them.
"""

from collections.abc import Awaitable, Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import NamedTuple, Protocol

from automations.core.instant import SECOND

RawHeaders = tuple[tuple[bytes, bytes], ...]
"""Lower-case names and values without the space around them, in the order in which they came."""


class Request(NamedTuple):
    """One whole request. `path` is the target up to its first `?`, byte for byte: nothing is decoded or folded."""

    method: str
    path: str
    query: str
    headers: RawHeaders
    body: bytes
    peer: str

    def values(self) -> dict[str, tuple[str, ...]]:
        """Give all values of every header by its lower-case name, decoded as Latin-1 (RFC 9110 §5.5)."""
        found: dict[str, tuple[str, ...]] = {}
        for raw_name, raw_value in self.headers:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            found[name] = (*found[name], value) if name in found else (value,)
        return found


class Response(NamedTuple):
    """One answer; `body` is JSON. With `close` it is the last one of its connection."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    close: bool = False


Answer = Response | Awaitable[Response]
Handler = Callable[[Request], Answer]


class Site(Protocol):
    """Whoever answers requests. Called on the event loop's thread, so it must not block."""

    def handle(self, request: Request) -> Answer:
        """Answer a request now or later."""
        ...

    def oversized(self, request: Request) -> Answer:
        """Answer a request whose body is too large; `request.body` is empty, and the body is not read."""
        ...


class Encoder:
    """Writes responses as bytes. `now` gives microseconds UTC; the date is made once a second."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._second = -1
        self._date = b""
        self._heads: dict[int, bytes] = {}

    def encode(self, response: Response, *, close: bool, bare: bool) -> bytes:
        """Encode a response for HTTP/1.1. A `bare` one answers HEAD: the length of its body without the body."""
        second = self._now() // SECOND
        if second != self._second:
            self._second = second
            self._date = b"Date: %s\r\n" % formatdate(second, usegmt=True).encode()
        head = self._heads.get(response.status) or self._head(response.status)
        more = b"Connection: close\r\n" if close else b""
        for name, value in response.headers:
            more += f"{name}: {value}\r\n".encode("latin-1")
        body = b"" if bare else response.body
        return b"%s%s%sContent-Length: %d\r\n\r\n%s" % (head, self._date, more, len(response.body), body)

    def _head(self, status: int) -> bytes:
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
            "Content-Type: application/json\r\n"
            "X-Content-Type-Options: nosniff\r\n"
            "Cache-Control: no-store\r\n"
        ).encode()
        self._heads[status] = head
        return head
