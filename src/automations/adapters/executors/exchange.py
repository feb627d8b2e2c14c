"""One HTTP exchange on a thread of its own, over httpx: look up, judge, connect to what was judged, send, read a bound.

Imported only when an action needs it: httpx costs a tenth of a second at every start.
"""

import socket
import time
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from ssl import SSLContext
from threading import Lock, Thread
from typing import Any

import httpx

from automations.adapters.executors import addresses
from automations.adapters.executors.bounded import EXCERPT_LIMIT, Capture
from automations.adapters.executors.http_answer import Answer
from automations.adapters.executors.http_request import Outgoing
from automations.adapters.redaction import Redactor
from automations.core.run.execution import Failed

_CONNECT_SECONDS = 10.0
"""Seconds for one address, so that a dead first one leaves time for the next."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """`seconds` for the whole attempt, `output` in bytes of body; how to look hosts up, what to trust, what to hide."""

    seconds: float
    output: int
    resolve: addresses.Resolve
    tls: SSLContext | None
    hide: Redactor


class _StoppedError(Exception):
    """The waiting side went on; whatever this thread still finds out is of no use."""


class Exchange:
    """Sends one request when started, and can be stopped from another thread at any point."""

    def __init__(self, outgoing: Outgoing, bounds: Bounds) -> None:
        self._outgoing = outgoing
        self._bounds = bounds
        self._deadline = time.monotonic() + bounds.seconds
        self._lock = Lock()
        self._stopped = False
        self._connection: socket.socket | None = None
        self.result: Future[Answer | Failed] = Future()

    @property
    def host(self) -> str:
        """The host that is called, as the URL names it."""
        return self._outgoing.host

    def start(self) -> None:
        """Begin; `result` gets the answer, or the failure to have one."""
        # A daemon thread: a name lookup cannot be interrupted, and must not hold up the end of the program.
        Thread(target=self._run, name="http-exchange", daemon=True).start()

    def stop(self) -> None:
        """Shut the connection down, or see to it that none is made."""
        with self._lock:
            self._stopped = True
            if self._connection is not None:
                with suppress(OSError):  # it may be closed already
                    self._connection.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        try:
            self.result.set_result(self._exchange())
        except BaseException as error:  # noqa: BLE001  # a thread has no caller: whatever it is goes to who waits
            self.result.set_exception(error)
        finally:
            with self._lock:
                if self._connection is not None:
                    self._connection.close()
                    self._connection = None

    def _exchange(self) -> Answer | Failed:
        found = self._addresses()
        if isinstance(found, Failed):
            return found
        try:
            with httpx.Client(verify=self._bounds.tls or _default_tls(), trust_env=False) as client:
                return self._first_that_connects(client, found)
        except httpx.TimeoutException:
            return self._failed("TIMEOUT", "took too long", retryable=True)
        except (httpx.LocalProtocolError, httpx.InvalidURL) as error:
            return self._failed("REQUEST_INVALID", f"the request cannot be sent: {error}", retryable=False)
        except httpx.HTTPError as error:
            return self._failed("NETWORK_ERROR", str(error) or type(error).__name__, retryable=True)
        except OSError as error:  # out of file descriptors, for one
            return self._failed("NETWORK_ERROR", error.strerror or type(error).__name__, retryable=True)

    def _addresses(self) -> tuple[str, ...] | Failed:
        host, port = self._outgoing.host, self._outgoing.port
        try:
            found = self._bounds.resolve(host, port)
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "not a name that can be looked up"
            return self._failed("NAME_NOT_RESOLVED", reason, retryable=isinstance(error, OSError))
        if not addresses.listed(host, port, allowed=self._outgoing.allowed):
            for address in found:
                if why := addresses.denied(address):
                    hint = f"is {address} ({why}). If that is meant, add it to the binding's allowHosts"
                    return self._failed("ADDRESS_DENIED", hint, retryable=False)
        return found or self._failed("NAME_NOT_RESOLVED", "has no address", retryable=True)

    def _first_that_connects(self, client: httpx.Client, found: tuple[str, ...]) -> Answer:
        for address in found[:-1]:
            with suppress(httpx.ConnectError, httpx.ConnectTimeout):  # nothing was sent: the next may do
                return self._send(client, address)
        return self._send(client, found[-1])

    def _send(self, client: httpx.Client, address: str) -> Answer:
        outgoing = self._outgoing
        left = max(0.001, self._deadline - time.monotonic())
        request = client.build_request(
            outgoing.method,
            outgoing.url.copy_with(host=address),
            headers={"host": outgoing.authority, **outgoing.headers},
            content=outgoing.body,
            timeout=httpx.Timeout(left, connect=min(left, _CONNECT_SECONDS)),
            extensions={"sni_hostname": outgoing.host, "trace": self._watch},
        )
        response = client.send(request, stream=True, follow_redirects=False)
        try:
            return self._read(response)
        finally:
            response.close()

    def _read(self, response: httpx.Response) -> Answer:
        limit = self._bounds.output if response.is_success else EXCERPT_LIMIT
        body = Capture(limit, self._bounds.hide)
        for chunk in response.iter_raw():
            body.feed(chunk)
            if body.cut:
                break
        body.finish()
        return Answer(self._outgoing.host, response.status_code, dict(response.headers), body)

    def _watch(self, event: str, info: dict[str, Any]) -> None:
        """Take hold of the connection when it is made; called by httpx at every step, on this thread."""
        with self._lock:
            if self._stopped:
                raise _StoppedError
            if event == "connection.connect_tcp.complete":
                if self._connection is not None:
                    self._connection.close()
                # A duplicate stays valid when TLS takes the first one over.
                self._connection = info["return_value"].get_extra_info("socket").dup()

    def _failed(self, code: str, why: str, *, retryable: bool) -> Failed:
        text = self._bounds.hide.text(f"{self._outgoing.host}: {why}.")
        return Failed(code, text, retryable=retryable)


@cache
def _default_tls() -> SSLContext:
    """Read the trusted roots once: that takes longer than most requests."""
    return httpx.create_ssl_context(trust_env=False)
