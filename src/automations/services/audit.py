"""Writing the audit log: control-plane actions are sealed into the chain in their own commit, everything else soon after.

A chain has one end, so whoever seals waits for whoever else does. What people do is rare and worth that; runs end by the
thousand and must not queue up for it. Their entries are written unsealed in the commit that they tell about, and sealed in order
and in batches by the daemon's tick, or by the next control-plane action.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from automations.core.audit import Entry, seal
from automations.core.canonical import decode
from automations.store import audit, state

if TYPE_CHECKING:
    from automations.services.ports import Clock
    from automations.store.database import Database, Transaction

AT_ONCE = 500
"""How many unsealed entries one transaction seals."""
TICK = 5_000_000
"""How often the daemon seals (microseconds); at once again while there is more."""


def append(tx: Transaction, entry: Entry) -> None:
    """Seal an entry into the chain, after those that were written before it; the state's row is held until commit."""
    state.hold(tx)
    _seal_waiting(tx)
    audit.append(tx, seal(entry, last=audit.last(tx)))


class Sealer:
    """Seals what was written unsealed."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def tick(self, now: int) -> int:
        """Seal one batch; when to come again (microseconds). Raises StoreUnavailable."""
        with self._database.read() as tx:
            if not audit.any_unsealed(tx):
                return now + TICK
        with self._database.write() as tx:
            state.hold(tx)
            sealed = _seal_waiting(tx)
        return self._clock.now() if sealed == AT_ONCE else now + TICK


def _seal_waiting(tx: Transaction) -> int:
    waiting = audit.unsealed(tx, limit=AT_ONCE)
    if not waiting:
        return 0
    last = audit.last(tx)
    rows = []
    for each in waiting:
        entry = Entry(each["at"], each["actor"], each["action"], each["subject"], decode(each["detail_json"]))
        last = seal(entry, last=last)
        rows.append(last)
    audit.append_many(tx, rows)
    audit.forget_unsealed(tx, [each["id"] for each in waiting])
    return len(rows)
