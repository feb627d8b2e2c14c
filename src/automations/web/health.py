"""Health: whether the process lives (`/healthz`), and whether to send it work (`/readyz`)."""

from collections.abc import Callable

from automations.web.answers import ok, refuse
from automations.web.message import Answer, Request, Response
from automations.web.tables import Tables

Ready = Callable[[], str | None]
"""Says why the program is not ready, in one stable word, or None. Called on the event loop's thread: must not block."""


class Health:
    """Answers the two paths; `draining` is set once the server takes no more work."""

    def __init__(self, tables: Tables, ready: Ready) -> None:
        self._tables = tables
        self._ready = ready
        self.draining = False

    def handle(self, request: Request) -> Answer | None:
        """Answer a request if it is one about health."""
        if request.method != "GET":
            return None
        if request.path == "/healthz":
            return ok(service="automations", mode="webhooks")
        return self._readiness() if request.path == "/readyz" else None

    async def _readiness(self) -> Response:
        reason = "draining" if self.draining else self._ready()
        if reason is None and await self._tables.trouble() is not None:
            reason = "store_unavailable"
        return ok(service="automations") if reason is None else refuse("not_ready", reason=reason)
