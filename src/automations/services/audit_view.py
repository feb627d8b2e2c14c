"""Reading what was done: the audit chain and whether it is whole, and an automation's generations. Nothing here writes."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from automations.core.audit import CUT, broken_at
from automations.core.canonical import decode
from automations.core.instant import iso
from automations.services.identity import not_there
from automations.store import audit, automations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from automations.store.database import Database, Row, Transaction

AT_ONCE = 5000
MOST_SHOWN = 20


def entries(database: Database, wanted: audit.Wanted, *, limit: int) -> list[dict[str, Any]]:
    """Sealed entries, newest first."""
    with database.read() as tx:
        return [_entry(row) for row in audit.page(tx, wanted, limit=limit)]


def verify(database: Database) -> dict[str, Any]:
    """`{ok, entries, last?, brokenAt?, unsealed?, runs?}`: whether every entry fits the chain and says what runs say.

    `last` is the hash to keep elsewhere. `runs` are those that are over and of whose end no entry tells, or tells otherwise:
    that shows an edit or a removal among the entries that are not sealed yet as well.
    """
    with database.read() as tx:
        chain = Chain(tx)
        cut = audit.newest(tx, CUT)
        broken = broken_at(chain, cut=decode(cut["detail_json"]) if cut else None)
        found: dict[str, Any] = {"ok": broken is None, "entries": chain.count}
        if broken is not None:
            return {**found, "brokenAt": broken, "entries": audit.count(tx)}
        differing = list(islice(_differing(tx), MOST_SHOWN))
        unsealed = audit.count_unsealed(tx)
    found |= {"last": chain.last} if chain.count else {}
    found |= {"unsealed": unsealed} if unsealed else {}
    return {**found, "ok": False, "runs": differing} if differing else found


class Chain:
    """All sealed entries in order, some thousands at a time: a store keeps them for a year."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self.count = 0
        self.last = ""

    def __iter__(self) -> Iterator[Row]:
        seq = 0
        while rows := audit.after(self._tx, seq, limit=AT_ONCE):
            for row in rows:
                self.count += 1
                self.last = row["hash"]
                yield row
            seq = rows[-1]["seq"]


def _differing(tx: Transaction) -> Iterator[dict[str, str]]:
    since, after = audit.recorded_since(tx), ""
    while rows := audit.runs_to_compare(tx, since=since, after=after, limit=AT_ONCE):
        for row in rows:
            told = row["unsealed"] or row["sealed"]
            if told is None or decode(told) != decode(row["ended"]):
                what = "no entry tells of its end" if told is None else "the entry of its end says otherwise"
                yield {"run": row["id"], "problem": what}
        after = rows[-1]["id"]


def history(database: Database, automation_id: str) -> list[dict[str, Any]]:
    """An automation's generations, newest first: who applied which digest from where. Raises NotFound."""
    with database.read() as tx:
        row = automations.get(tx, automation_id)
        if row is None:
            raise not_there(tx, automation_id, see="history")
        kept = automations.generations(tx, row["uid"])
    return [
        {
            "generation": each["generation"],
            "digest": each["digest"],
            "appliedBy": each["applied_by"],
            "appliedAt": iso(each["applied_at"]),
            **{name: each[name] for name in ("file", "revision") if each[name] is not None},
        }
        for each in kept
    ]


def commits(database: Database, *, limit: int) -> list[dict[str, Any]]:
    """`[{serial, at, actor, action, subject, summary?}]`: every change of definitions, newest first."""
    with database.read() as tx:
        rows = [row for action in _COMMITS for row in audit.page(tx, audit.Wanted(action=action), limit=limit)]
    found = []
    for row in sorted(rows, key=lambda row: -row["seq"])[:limit]:
        detail = decode(row["detail_json"])
        entry = {"serial": detail.get("serial"), "at": iso(row["at"]), "actor": row["actor"]}
        entry |= {"action": row["action"], "subject": row["subject"], "summary": detail.get("summary")}
        found.append({key: value for key, value in entry.items() if value is not None})
    return found


_COMMITS = ("apply", "rollback", "create")


def _entry(row: Row) -> dict[str, Any]:
    return {
        "seq": row["seq"],
        "at": iso(row["at"]),
        "actor": row["actor"],
        "action": row["action"],
        "subject": row["subject"],
        "detail": decode(row["detail_json"]),
        "hash": row["hash"],
    }
