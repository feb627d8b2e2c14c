"""The verb expire: what was meant to last for a while ends when its time has come.

Suspensions end at their `until`. A deleted automation is a tombstone for thirty days: its id coming back finds its history, and
its routes answer 410. After that the rows go, the routes answer 404, and the same id begins anew. Runs and the generations that
they are pinned to are kept as long as retention says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from automations.core.actor import DAEMON
from automations.core.audit import Entry
from automations.core.instant import SECOND
from automations.errors import Conflict
from automations.services import audit
from automations.store import automations, routes, state

if TYPE_CHECKING:
    from automations.services.ports import Clock, Telemetry
    from automations.services.reconcile.suspend import Suspend
    from automations.store.database import Database

TOMBSTONE = 30 * 86_400 * SECOND
"""Microseconds for which what was deleted can come back as it was."""
LONGEST_SLEEP = 3600 * SECOND
MOST = 500
"""Tombstones that one commit takes away."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """Ends what is due."""

    database: Database
    clock: Clock
    telemetry: Telemetry
    suspend: Suspend
    tombstone: int = TOMBSTONE

    def tick(self, now: int) -> int:
        """End what is due; when to come again (microseconds). Raises StoreUnavailable."""
        due = self.suspend.end_due(now)
        more = self._bury(now)
        return now if more else min(now + LONGEST_SLEEP, due or now + LONGEST_SLEEP)

    def _bury(self, now: int) -> bool:
        """Take tombstones away whose time is over; whether more are left."""
        before = now - self.tombstone
        with self.database.read() as tx:
            expired = automations.expired(tx, before=before, limit=MOST)
            stale = routes.expired(tx, before=before, limit=MOST)
            left = routes.left_before(tx, before=before)
        if not expired and not stale and not left:
            return False
        with self.database.write() as tx:
            serial = state.read(tx)["serial"]
            if not state.bump(tx, serial=serial):
                raise Conflict("another definition was committed at the same moment", hint="it is tried again")
            buried = [row["id"] for row in expired if automations.bury(tx, row["uid"], before=before)]
            routes.bury(tx, [row["id"] for row in stale], before=before)
            routes.forget_left(tx, before=before)
            detail = {"automations": buried, "routes": [row["id"] for row in stale]}
            audit.append(tx, Entry(now, DAEMON, "expire", "tombstones", detail))
        self.telemetry.emit("tombstones.expired", automations=len(buried), routes=len(stale))
        return MOST in (len(expired), len(stale))
