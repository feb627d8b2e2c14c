"""The daemon's lease: on the embedded store there is one daemon, and everybody can see who. What it leads is kept with it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from automations.core.canonical import decode_words
from automations.core.instant import iso
from automations.errors import LockNotHeld
from automations.services.lead import Lead
from automations.services.ports import Clock
from automations.store import leases
from automations.store.database import Database, Row

DAEMON = "daemon"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who holds: `lease_id` is `daemon:<hostname>:<pid>`. `lock` names the pid file that the process keeps locked."""

    hostname: str
    pid: int
    mode: str
    lock: str = ""

    @property
    def lease_id(self) -> str:
        """The holder's name in the lease row."""
        return f"daemon:{self.hostname}:{self.pid}"


class DaemonLease:
    """Takes, keeps and gives up the daemon lease. `ttl` in microseconds.

    On PostgreSQL several daemons share a store, each with a lease of its own; on the embedded store there is one.
    """

    def __init__(self, database: Database, identity: Identity, *, clock: Clock, ttl: int) -> None:
        self._database = database
        self._identity = identity
        self._clock = clock
        self._ttl = ttl
        self._name = DAEMON if database.dialect == "sqlite" else f"{DAEMON}/{identity.lease_id}"
        self._metadata: Mapping[str, Any] = {}

    def beat(self, metadata: Mapping[str, Any] | None = None) -> int:
        """Take or keep the lease; the instant of this heartbeat. Raises LockNotHeld naming who has it."""
        if metadata is not None:
            self._metadata = metadata
        now = self._clock.now()
        body = {
            "pid": self._identity.pid,
            "hostname": self._identity.hostname,
            "mode": self._identity.mode,
            "pidFile": self._identity.lock,
            **self._metadata,
        }
        with self._database.write() as tx:
            row = leases.take(
                tx,
                self._name,
                holder=self._identity.lease_id,
                now=now,
                until=now + self._ttl,
                metadata_json=json.dumps(body),
            )
            if row is not None:
                leases.prolong(tx, self._identity.lease_id, now=now, until=now + self._ttl)
            other = None if row else leases.get(tx, self._name)
        if row is None:
            holder = other["holder"] if other else "another daemon"
            until = iso(other["expires_at"]) if other else "soon"
            raise LockNotHeld(
                f"another daemon runs on this store: {holder}",
                hint=f"stop it first (its lease ends at {until} if it is dead); several machines need a postgresql store",
            )
        return now

    def clear_dead(self) -> None:
        """Drop leases whose holders are known to be dead, and what they led.

        Only for a caller that holds the lock on its pid file: a holder of this host that kept the same file locked is
        gone then. One with another pid file (a daemon of another data root that shares the store) may well live.
        """
        with self._database.read() as tx:
            dead = [row for row in leases.daemons(tx) if self._is_dead(row)]
        if not dead:
            return
        with self._database.write() as tx:
            for row in dead:
                leases.drop(tx, row["name"], holder=row["holder"])
                leases.release(tx, row["holder"], now=self._clock.now())

    def _is_dead(self, row: Row) -> bool:
        holder = decode_words(row["metadata_json"])
        return (holder.get("hostname"), holder.get("pidFile")) == (self._identity.hostname, self._identity.lock)

    def lead(self, source: str) -> Lead:
        """The lead of a source, for this daemon."""
        return Lead(self._database, source, me=self._identity.lease_id, clock=self._clock, ttl=self._ttl)

    def drop(self) -> None:
        """Give the lease up, and what this daemon leads, so that the next one need not wait for it to expire."""
        with self._database.write() as tx:
            leases.drop(tx, self._name, holder=self._identity.lease_id)
            leases.release(tx, self._identity.lease_id, now=self._clock.now())
