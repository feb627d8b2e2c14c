"""The verb retain: delete what is older than the policy keeps it, in small transactions, and never what is still needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automations.core.audit import cut_off
from automations.core.instant import SECOND
from automations.core.retention import KEPT_ON_SUCCESS, cutoffs
from automations.services import audit
from automations.store import audit as audit_rows
from automations.store import retention, state

if TYPE_CHECKING:
    from automations.core.retention import Cutoffs, Policy
    from automations.services.ports import Clock, Telemetry
    from automations.store.database import Database

EVERY = 3600 * SECOND
RUNS_AT_ONCE = 200
"""Runs in one transaction: webhooks wait for the writer meanwhile."""
ROWS_AT_ONCE = 1000
PAUSE = SECOND // 10
"""Between two transactions of a long clean-up others get their turn."""


class Janitor:
    """Keeps the store as small as the policy allows."""

    def __init__(self, database: Database, policy: Policy, *, clock: Clock, telemetry: Telemetry) -> None:
        self._database = database
        self._policy = policy
        self._clock = clock
        self._telemetry = telemetry

    def tick(self, now: int) -> int:
        """One bounded round of each kind; when to come back (microseconds). Raises StoreUnavailable."""
        limits = cutoffs(self._policy, now=now)
        removed = {
            "succeeded": self._runs(before=limits.succeeded, among=True),
            "dead": self._runs(before=limits.dead, among=False),
            "attempts": self._attempts(limits),
            "events": self._events(limits),
            "requests": self._records(limits),
            "generations": self._generations(limits),
            "audit": self._audit(limits, now=now),
        }
        if not any(removed.values()):
            return now + EVERY
        self._telemetry.emit("retention.removed", **removed)
        return now + PAUSE

    def _runs(self, *, before: int, among: bool) -> int:
        with self._database.write() as tx:
            found = retention.ended_runs(tx, before=before, statuses=KEPT_ON_SUCCESS, among=among, limit=RUNS_AT_ONCE)
            retention.delete_runs(tx, found)
        return len(found)

    def _attempts(self, limits: Cutoffs) -> int:
        with self._database.write() as tx:
            return retention.delete_attempts(tx, before=limits.attempts, limit=ROWS_AT_ONCE)

    def _events(self, limits: Cutoffs) -> int:
        with self._database.write() as tx:
            between = {"before": limits.events, "after": limits.identities}
            blanked = retention.forget_content(tx, **between, limit=ROWS_AT_ONCE)
            return blanked + retention.delete_events(tx, before=limits.identities, limit=ROWS_AT_ONCE)

    def _records(self, limits: Cutoffs) -> int:
        with self._database.write() as tx:
            skips = retention.delete_skips(tx, before=limits.dead)
            skips += retention.delete_start_requests(tx, before=limits.identities)
            return skips + retention.delete_replay_requests(tx, before=limits.audit)

    def _audit(self, limits: Cutoffs, *, now: int) -> int:
        """The oldest entries go, and one says so and where the chain begins now. Looked at first: most stores are young."""
        with self._database.read() as tx:
            if audit_rows.old(tx, before=limits.audit, limit=ROWS_AT_ONCE) is None:
                return 0
        with self._database.write() as tx:
            state.hold(tx)
            last = audit_rows.old(tx, before=limits.audit, limit=ROWS_AT_ONCE)
            if last is None:
                return 0
            before = audit_rows.count(tx)
            audit_rows.cut(tx, through=last["seq"])
            gone = before - audit_rows.count(tx)
            audit.append(tx, cut_off(last, now=now))
        return gone

    def _generations(self, limits: Cutoffs) -> int:
        """Old generations that no run is pinned to; looking who is costs a scan, so only when there are any."""
        with self._database.write() as tx:
            old = retention.superseded_generations(tx, before=limits.audit, limit=ROWS_AT_ONCE)
            pinned = retention.pinned_generations(tx) if old else set()
            gone = [row for row in old if (row["uid"], row["generation"]) not in pinned]
            retention.delete_generations(tx, gone)
        return len(gone)
