"""The lock on definitions: one apply at a time, and everybody can see who has it and what for.

A lease row with holder, purpose, end and epoch. It keeps people from preparing what another is about to change; the serial
keeps two commits apart even without it. It is checked again within the commit that it is for.
"""

import json
from dataclasses import dataclass
from typing import Any

from automations.core.canonical import decode_words
from automations.core.instant import SECOND, iso
from automations.errors import LockNotHeld
from automations.services.ports import Clock
from automations.store import leases
from automations.store.database import Database, Row, Transaction

NAME = "definitions"
TTL = 120 * SECOND
"""How long it is held without a word from its holder (microseconds)."""


@dataclass(frozen=True, slots=True)
class Lock:
    """The lock as one process holds it. `epoch` rises with every new holder."""

    holder: str
    epoch: int


class DefinitionsLock:
    """Takes, keeps and gives up the lock on definitions."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def take(self, holder: str, *, purpose: str) -> Lock:
        """Take it, or keep what this holder has. Raises LockNotHeld naming who has it, since when and what for."""
        now = self._clock.now()
        metadata = json.dumps({"purpose": purpose})
        with self._database.write() as tx:
            row = leases.take(tx, NAME, holder=holder, now=now, until=now + TTL, metadata_json=metadata)
            other = None if row else leases.get(tx, NAME)
        if row is None:
            raise held_by(other)
        return Lock(holder, row["epoch"])

    def drop(self, lock: Lock) -> None:
        """Give it up; nothing happens when it is another's by now."""
        with self._database.write() as tx:
            leases.drop(tx, NAME, holder=lock.holder)


def check_lock(tx: Transaction, lock: Lock | None, *, now: int) -> None:
    """Raises LockNotHeld when another has the lock, or when ours was lost to another in between."""
    row = leases.get(tx, NAME)
    live = row is not None and row["expires_at"] > now
    if lock is None:
        if live:
            raise held_by(row)
    elif row is None or (row["holder"], row["epoch"]) != (lock.holder, lock.epoch):
        raise held_by(row)


def held_by(row: Row | None) -> LockNotHeld:
    """The error that names a holder."""
    if row is None:
        return LockNotHeld("the lock on definitions was given up meanwhile", hint="try again")
    metadata: dict[str, Any] = decode_words(row["metadata_json"])
    purpose = f" to {metadata['purpose']}" if metadata.get("purpose") else ""
    return LockNotHeld(
        f"definitions are locked by {row['holder']}{purpose} since {iso(row['acquired_at'])}",
        hint=f"wait with --lock-timeout; if that process is gone the lock ends at {iso(row['expires_at'])}",
    )
