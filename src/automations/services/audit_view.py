"""Reading what was done: the audit chain and whether it is whole, and an automation's generations. Nothing here writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from automations.core.audit import broken_at
from automations.core.canonical import decode
from automations.core.instant import iso
from automations.errors import NotFound
from automations.store import audit, automations

if TYPE_CHECKING:
    from automations.store.database import Database, Row


def entries(database: Database, *, before: int | None, limit: int) -> list[dict[str, Any]]:
    """Entries, newest first, below the sequence number `before`."""
    with database.read() as tx:
        return [_entry(row) for row in audit.page(tx, before=before, limit=limit)]


def verify(database: Database) -> dict[str, Any]:
    """`{ok, entries, last?, brokenAt?}`: whether every entry fits the chain; `last` is the hash to keep elsewhere."""
    with database.read() as tx:
        rows = audit.every(tx)
    broken = broken_at(rows)
    found: dict[str, Any] = {"ok": broken is None, "entries": len(rows)}
    if broken is not None:
        return {**found, "brokenAt": broken}
    return {**found, "last": rows[-1]["hash"]} if rows else found


def history(database: Database, automation_id: str) -> list[dict[str, Any]]:
    """An automation's generations, newest first: who applied which digest from where. Raises NotFound."""
    with database.read() as tx:
        row = automations.get(tx, automation_id)
        if row is None:
            raise NotFound(f"automation not found: {automation_id}", hint="see: automations list")
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
        rows = [row for row in audit.page(tx, before=None, limit=limit * 10) if row["action"] in _COMMITS]
    found = []
    for row in rows[:limit]:
        detail = decode(row["detail_json"])
        entry = {"serial": detail.get("serial"), "at": iso(row["at"]), "actor": row["actor"]}
        entry |= {"action": row["action"], "subject": row["subject"], "summary": detail.get("summary")}
        found.append({key: value for key, value in entry.items() if value is not None})
    return found


_COMMITS = frozenset({"apply", "rollback", "create"})


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
