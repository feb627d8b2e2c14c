"""The verbs diff and drift: what is bound against what files declare, and against what was bound before. Nothing here writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automations.core.canonical import decode
from automations.core.plan.diff import Field, diff
from automations.core.plan.state import API_OWNER
from automations.errors import NotFound
from automations.services.identity import not_there
from automations.services.reconcile.heal import Scope
from automations.services.reconcile.heal import drift as edited
from automations.store import automations, holds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from automations.core.plan.plan import Plan
    from automations.core.spec.catalogue import Catalogue
    from automations.services.plan.definitions import Bindings
    from automations.store.database import Database, Row


@dataclass(frozen=True, slots=True)
class Difference:
    """Two versions of one automation, by the words for them, and what differs from the first to the second."""

    id: str
    before: str
    after: str
    fields: tuple[Field, ...]


def against_file(database: Database, automation_id: str, catalogue: Catalogue) -> Difference:
    """What is bound against what a file declares. Raises NotFound for an id that only one of them has."""
    declared = catalogue.automations.get(automation_id)
    try:
        row = _live(database, automation_id)
    except NotFound:
        if declared is None:
            raise
        where = f"is declared in {declared.document.file} and bound nowhere yet"
        raise NotFound(
            f"automation {automation_id} {where}", hint="see what would be bound: automations plan"
        ) from None
    if declared is None and automation_id in catalogue.claimed:
        file = min(catalogue.claimed[automation_id])
        raise NotFound(f"automation {automation_id} is not valid in {file}", hint=f"see: automations validate {file}")
    if declared is None and catalogue.unidentified:
        file = min(catalogue.unidentified)
        message = f"automation {automation_id} is declared in none of these files, as far as they are valid"
        raise NotFound(f"{message}; {file} is not", hint=f"see: automations validate {file}")
    if declared is None:
        hint = "give the file or the directory that declares it"
        raise NotFound(f"automation {automation_id} is declared in none of these files", hint=hint)
    spec: Mapping[str, Any] = declared.value.spec
    return Difference(
        automation_id, _generation(row["generation"]), declared.document.file, diff(decode(row["spec_json"]), spec)
    )


def against_generation(database: Database, automation_id: str, generation: int) -> Difference:
    """An earlier generation against what is bound. Raises NotFound when there is none."""
    row = _live(database, automation_id)
    with database.read() as tx:
        kept = automations.generation(tx, row["uid"], generation)
    if kept is None or generation < 1:
        raise NotFound(
            f"automation {automation_id} has no generation {generation}",
            hint=f"see: automations history {automation_id}",
        )
    found = diff(decode(kept["spec_json"]), decode(row["spec_json"]))
    return Difference(automation_id, _generation(generation), _generation(row["generation"]), found)


def drift(database: Database, bindings: Bindings, plan: Plan) -> list[dict[str, Any]]:
    """`[{id, drift, reason, owner?, file?}]`: where the state and a source's files part, and what no file declares.

    `drift` is `undeclared` (bound, and in no file), `missing` (in a file, and not bound), `differs`, `held` (rolled back from
    what the file declares), `edited` (the store's own rows do not say what was applied) or `by-hand` (no source's at all).
    """
    with database.read() as tx:
        rows = automations.live(tx)
        rejected = {row["id"]: row for row in holds.every(tx)}
    found: list[dict[str, Any]] = []
    words = {"create": "missing", "delete": "undeclared"}
    for change in (*plan.changes, *plan.withheld):
        word = "held" if change.id in rejected and change.action == "update" else words.get(change.action, "differs")
        entry = {"id": change.id, "kind": change.resource, "drift": word, "reason": change.reason}
        found.append(entry | ({"file": change.file} if change.file else {}))
    by_hand = "made by hand; a source can take it over with: automations adopt"
    found += [_entry(row, "by-hand", by_hand) for row in rows if row["owner"] == API_OWNER]
    for owner in (plan.owner, API_OWNER):
        for name, reason in edited(database, bindings, Scope(owner, deep=True)).items():
            kind, _, identity = name.rpartition(" ")
            found.append(
                {"id": identity, "kind": kind or "automation", "drift": "edited", "reason": reason, "owner": owner}
            )
    return sorted(found, key=lambda each: (each["id"], each["drift"]))


def _entry(row: Row, word: str, reason: str) -> dict[str, Any]:
    return {"id": row["id"], "kind": "automation", "drift": word, "reason": reason, "owner": row["owner"]}


def _live(database: Database, automation_id: str) -> Row:
    with database.read() as tx:
        row = automations.get(tx, automation_id)
        if row is None or row["deleted_at"] is not None:
            raise not_there(tx, automation_id, see="diff")
    return row


def _generation(number: int) -> str:
    return f"generation {number}"
