"""The verb heal: find where the rows of what a source owns drifted from its applied specs, and put them right again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automations.core.audit import Entry
from automations.core.plan.drift import drift_of
from automations.errors import StalePlan
from automations.services import audit
from automations.services.plan.apply import route_columns
from automations.store import automations, routes, state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from automations.core.spec.model import Automation
    from automations.core.trigger.bindings import Table
    from automations.services.plan.definitions import Bindings
    from automations.store.database import Database, Row, Transaction

Drift = dict[str, str]
"""By automation id, what differs, in words."""


def drift(database: Database, bindings: Bindings, *, owner: str) -> Drift:
    """Where rows of this owner are not what the generation that is bound made of them."""
    with database.read() as tx:
        return {row["id"]: "; ".join(found) for row, _, found in _drifted(tx, bindings.within(tx), owner)}


def heal(database: Database, bindings: Bindings, *, owner: str, actor: str, now: int) -> Drift:
    """Put right what drifted, in one transaction; what that was. Raises StalePlan when definitions change meanwhile."""
    with database.write() as tx:
        serial = state.read(tx)["serial"]
        found = _drifted(tx, bindings.within(tx), owner)
        if not found:
            return {}
        if not state.bump(tx, serial=serial):
            raise StalePlan("another definition was committed at the same moment", hint="it is looked at again")
        for row, automation, _ in found:
            automations.set_status(tx, row["uid"], str(automation.status), now=now)
            routes.delete_of(tx, automation.id, owner=owner, now=now)
            for columns in _wanted(automation, owner).values():
                routes.put(tx, {**columns, "now": now})
        healed = {row["id"]: "; ".join(words) for row, _, words in found}
        entry = Entry(now, actor, "heal", owner, {"serial": serial + 1, "healed": healed})
        audit.append(tx, entry)
    return healed


def _drifted(tx: Transaction, table: Table, owner: str) -> list[tuple[Row, Automation, tuple[str, ...]]]:
    held = {route["id"]: route for route in routes.every(tx)}
    found = []
    for row in automations.every(tx):
        bound = table.bound.get(row["id"])
        if bound is None or row["owner"] != owner or row["deleted_at"] is not None:
            continue
        automation = bound.automation
        words = drift_of(automation, row, wanted=_wanted(automation, owner), routes=held)
        if words:
            found.append((row, automation, words))
    return found


def _wanted(automation: Automation, owner: str) -> Mapping[str, Row]:
    return {
        trigger.route.id: {**route_columns(trigger.route, trigger_id=trigger.id, raw=trigger.raw), "owner": owner}
        for trigger in automation.triggers
        if trigger.route is not None
    }
