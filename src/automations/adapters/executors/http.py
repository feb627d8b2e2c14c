"""The `http` binding: one request to a checked address, bounded in time and size, without redirects.

The host is resolved once; the addresses that were judged are the ones connected to, while Host header, SNI and
certificate check keep the name; no proxy is used. The exchange runs on a thread of its own, so that a deadline or a
cancellation is kept even while a name is being looked up: the waiting side shuts the socket down and goes on.
"""

import time
from collections.abc import Callable
from concurrent.futures import wait
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING

from automations.adapters.executors import addresses, binding
from automations.adapters.executors.bounded import OUTPUT_LIMIT
from automations.adapters.executors.http_answer import outcome
from automations.adapters.redaction import redactor
from automations.core.run.execution import Cancelled, Failed, Invocation, Outcome, Succeeded
from automations.errors import InvalidInput

if TYPE_CHECKING:
    from ssl import SSLContext

    from automations.adapters.executors.exchange import Exchange

_TICK = 0.05
"""Seconds between looks at the cancel event."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one attempt: `seconds` where neither step nor binding says how long, `output` in bytes of body."""

    seconds: float = 30.0
    output: int = OUTPUT_LIMIT


class Http:
    """Executes `http` bindings.

    `now` gives microseconds UTC, for dates in `Retry-After`. `known_secrets` gives the values to redact from answers.
    `tls` is the context for https, by default one that trusts the certifi roots. `resolve` looks hosts up.
    """

    kind = "http"

    def __init__(
        self,
        now: Callable[[], int],
        *,
        known_secrets: binding.KnownSecrets = binding.no_secrets,
        limits: Limits | None = None,
        tls: "SSLContext | None" = None,
        resolve: addresses.Resolve = addresses.resolve,
    ) -> None:
        self._now = now
        self._known_secrets = known_secrets
        self._limits = limits or Limits()
        self._tls = tls
        self._resolve = resolve

    def execute(self, invocation: Invocation, cancelled: Event) -> Outcome:
        """Send the request and judge the answer; `Cancelled` soon after `cancelled` is set, the connection closed.

        A dry run makes the request and does not send it. Never raises for what the other side did.
        """
        if cancelled.is_set():
            return Cancelled("cancelled before it started")
        from automations.adapters.executors import exchange, http_request  # noqa: PLC0415  # they import httpx: 0.1 s

        hide = redactor(tuple(self._known_secrets()))
        try:
            outgoing = http_request.build(invocation)
            seconds = binding.timeout_seconds(invocation, default=self._limits.seconds)
        except InvalidInput as error:
            return binding.invalid(error)
        if invocation.dry_run:
            return Succeeded(None, {"dryRun": True})
        bounds = exchange.Bounds(seconds, self._limits.output, self._resolve, self._tls, hide)
        running = exchange.Exchange(outgoing, bounds)
        running.start()
        stopped = _wait(running, cancelled, seconds=seconds)
        if stopped is not None:
            return stopped
        answer = running.result.result()
        return answer if isinstance(answer, Failed) else outcome(answer, now=self._now(), hide=hide)


def _wait(running: "Exchange", cancelled: Event, *, seconds: float) -> Outcome | None:
    """Wait until the exchange is over; stop it, and say how, when it is cancelled or its time is up."""
    deadline = time.monotonic() + seconds
    while not wait((running.result,), timeout=max(0.0, min(_TICK, deadline - time.monotonic()))).done:
        if cancelled.is_set():
            running.stop()
            return Cancelled("the connection was closed")
        if time.monotonic() >= deadline:
            running.stop()
            return Failed("TIMEOUT", f"{running.host}: no whole answer after {seconds:g} s.", retryable=True)
    return None
