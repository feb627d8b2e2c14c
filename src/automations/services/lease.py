"""The daemon's lease: on the embedded store there is one daemon, and everybody can see who."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from automations.core.instant import iso
from automations.errors import LockNotHeld
from automations.services.ports import Clock
from automations.store import leases
from automations.store.database import Database

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
            other = None if row else leases.get(tx, self._name)
        if row is None:
            holder = other["holder"] if other else "another daemon"
            until = iso(other["expires_at"]) if other else "soon"
            raise LockNotHeld(
                f"another daemon runs on this store: {holder}",
                hint=f"stop it first (its lease ends at {until} if it is dead); several machines need a postgresql store",
            )
        return now

    def clear_dead(self) -> bool:
        """Drop a lease whose holder is known to be dead; whether there was one.

        Only for a caller that holds the lock on its pid file: a holder of this host that kept the same file locked is
        gone then. One with another pid file (a daemon of another data root that shares the store) may well live.
        """
        with self._database.write() as tx:
            row = leases.get(tx, self._name)
            if row is None:
                return False
            holder = json.loads(row["metadata_json"])
            if (holder.get("hostname"), holder.get("pidFile")) != (self._identity.hostname, self._identity.lock):
                return False
            return leases.drop(tx, self._name, holder=row["holder"])

    def drop(self) -> None:
        """Give the lease up, so that the next daemon need not wait for it to expire."""
        with self._database.write() as tx:
            leases.drop(tx, self._name, holder=self._identity.lease_id)
