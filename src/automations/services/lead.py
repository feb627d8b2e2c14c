"""Who leads a source: of several daemons that follow it, one brings the state to its tree, the others stand by.

The lead is a lease that lives as long as its daemon's: kept with the same heartbeat, free at once when the daemon ends in order,
and with its time when it was killed. It counts the trees that leaders bound, and says who bound the last: that is how
a daemon knows that its own tree is older than what is bound, without comparing clocks or asking git.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from automations.core.canonical import decode_words
from automations.core.instant import iso
from automations.errors import LockNotHeld
from automations.store import leases, state

if TYPE_CHECKING:
    from automations.services.ports import Clock
    from automations.store.database import Database, Row, Transaction


class Term(NamedTuple):
    """A daemon's time as leader of a source. `epoch` rises with every new leader; `tree` marks what it brings the state to."""

    source: str
    holder: str
    epoch: int
    tree: str = ""


class Led(NamedTuple):
    """How the lead of a source stands: who has it (None: nobody), how many trees leaders bound, the last and whose it was."""

    term: Term | None = None
    bound: int = 0
    by: str = ""
    tree: str = ""
    serial: int = 0


class Lead:
    """The lead of one source, as one daemon sees it. `ttl` in microseconds."""

    def __init__(self, database: Database, source: str, *, me: str, clock: Clock, ttl: int) -> None:
        self.me = me
        self._database = database
        self._source = source
        self._clock = clock
        self._ttl = ttl

    def stands(self) -> Led:
        """How it stands now. Raises StoreUnavailable."""
        now = self._clock.now()
        with self._database.read() as tx:
            row, serial = leases.get(tx, _name(self._source)), state.read(tx)["serial"]
        if row is None:
            return Led(serial=serial)
        metadata = decode_words(row["metadata_json"])
        term = _term(row, self._source) if row["expires_at"] > now else None
        return Led(term, metadata["bound"], metadata["by"], metadata["tree"], serial)

    def take(self) -> Term | None:
        """Take it where nobody has it; None when another was faster. Raises StoreUnavailable."""
        now = self._clock.now()
        with self._database.write() as tx:
            before = leases.get(tx, _name(self._source))
            metadata = before["metadata_json"] if before else json.dumps({"bound": 0, "by": "", "tree": ""})
            until = now + self._ttl
            row = leases.take(tx, _name(self._source), holder=self.me, now=now, until=until, metadata_json=metadata)
        return _term(row, self._source) if row else None

    def follow(self, term: Term) -> None:
        """Count the tree of a term of ours that binds nothing new. Raises LockNotHeld, StoreUnavailable."""
        with self._database.write() as tx:
            bind(tx, term)

    def give_up(self) -> None:
        """Let another have it. Raises StoreUnavailable."""
        with self._database.write() as tx:
            leases.expire(tx, _name(self._source), holder=self.me, now=self._clock.now())

    def others(self) -> bool:
        """Whether another daemon lives that could take it. Raises StoreUnavailable."""
        now = self._clock.now()
        with self._database.read() as tx:
            return any(row["holder"] != self.me and row["expires_at"] > now for row in leases.daemons(tx))


def bind(tx: Transaction, term: Term | None) -> None:
    """Within the commit of what a leader binds: count its tree, once. Raises LockNotHeld when another leads by now."""
    if term is None:
        return
    row = leases.get(tx, _name(term.source))
    if row is None or (row["holder"], row["epoch"]) != (term.holder, term.epoch):
        holder = row["holder"] if row else "nobody"
        raise LockNotHeld(f"source {term.source} is followed by {holder} now", hint="this daemon stands by")
    metadata = decode_words(row["metadata_json"])
    if (metadata["by"], metadata["tree"]) != (term.holder, term.tree):
        counted = {"bound": metadata["bound"] + 1, "by": term.holder, "tree": term.tree}
        leases.note(tx, row["name"], metadata_json=json.dumps(counted))


def leaders(tx: Transaction, *, now: int) -> dict[str, dict[str, str]]:
    """`{leaseId, since}` of who leads, by source."""
    return {
        row["name"].removeprefix(_name("")): {"leaseId": row["holder"], "since": iso(row["acquired_at"])}
        for row in leases.of_sources(tx)
        if row["expires_at"] > now
    }


def _name(source: str) -> str:
    return f"{leases.SOURCE}{source}"


def _term(row: Row, source: str) -> Term:
    return Term(source, row["holder"], row["epoch"])
