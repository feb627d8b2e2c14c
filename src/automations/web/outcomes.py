"""What requests came to, told to telemetry: one event a request, without any of its content.

Refusals cost a sender nothing, so they must not fill a disk with log lines: beyond a few a second they are counted, and
the count is told.
"""

from collections.abc import Callable

from automations.core.instant import SECOND
from automations.services.ports import Telemetry

TOLD_PER_SECOND = 50
"""Refusals that are told one by one in each second."""


class Outcomes:
    """Tells outcomes. `now` gives microseconds UTC."""

    __slots__ = ("_now", "_second", "_told", "_untold", "telemetry")

    def __init__(self, telemetry: Telemetry, now: Callable[[], int]) -> None:
        self.telemetry = telemetry
        self._now = now
        self._second = -1
        self._told = 0
        self._untold = 0

    def accepted(self, route_id: str, *, runs: int, duplicate: bool) -> None:
        """A delivery was committed, now or before."""
        self.telemetry.emit("webhook.accepted", status=202, route_id=route_id, runs=runs, duplicate=duplicate)

    def rejected(self, status: int, code: str, *, route_id: str | None, detail: str | None = None) -> None:
        """A webhook request was refused; `detail` is for the operator and holds nothing of the request."""
        if self._worth_telling():
            self.telemetry.emit("webhook.rejected", status=status, code=code, route_id=route_id, detail=detail)

    def refused(self, status: int, code: str, *, kind: str | None = None) -> None:
        """The protocol refused a connection's bytes; `kind` names the exception when that was a bug."""
        if self._worth_telling():
            self.telemetry.emit("web.refused", status=status, code=code, error=kind)

    def _worth_telling(self) -> bool:
        second = self._now() // SECOND
        if second != self._second:
            if self._untold:
                self.telemetry.emit("web.refusals_untold", count=self._untold)
            self._second, self._told, self._untold = second, 0, 0
        self._told += 1
        if self._told <= TOLD_PER_SECOND:
            return True
        self._untold += 1
        return False
