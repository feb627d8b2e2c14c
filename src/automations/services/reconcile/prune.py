"""What of a plan the loop may carry out: the memory of absences, in the store, around the pure verdict of `core.plan.prune`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automations.core.plan.prune import Absence, Policy, observed
from automations.core.plan.superseded import replaced, superseded
from automations.store import absences
from automations.store import state as state_row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from automations.core.plan.plan import Plan
    from automations.core.plan.prune import Policy
    from automations.core.plan.state import State
    from automations.core.spec.catalogue import Catalogue
    from automations.services.plan.definitions import Bindings
    from automations.store.database import Database

Absences = dict[str, Absence]


def counted(database: Database, plan: Plan, *, now: int, count: bool) -> Absences:
    """What is missing, by id; `count` counts this look as one more trusted snapshot that says so.

    Other daemons that look at the same source count one after the other.
    """
    gone = [change.id for change in plan.withheld]
    with database.read() as tx:
        if not gone and not absences.of_source(tx, plan.source):
            return {}
    with database.write() as tx:
        state_row.hold(tx)
        held = {row["id"]: Absence(row["first_at"], row["snapshots"]) for row in absences.of_source(tx, plan.source)}
        seen = observed(held, gone, now=now) if count else {each: held[each] for each in gone if each in held}
        absences.forget(tx, plan.source, [each for each in held if each not in seen])
        changed = {each: at for each, at in seen.items() if held.get(each) != at}
        rows = [{"id": each, "first_at": at.first_at, "snapshots": at.snapshots} for each, at in changed.items()]
        absences.put(tx, plan.source, rows)
    return seen


def nothing_takes(plan: Plan, catalogue: Catalogue, *, state: State, bindings: Bindings) -> frozenset[str]:
    """Manifests that went by another version's coming, and that nothing takes any more.

    The table is only asked for where there may be any; of another serial than the state's it says nothing.
    """
    if not replaced(plan, catalogue, state):
        return frozenset()
    table = bindings.current()
    if table.serial != state.serial:
        return frozenset()
    return superseded(plan, catalogue, state=state, bound=[each.automation for each in table.by_uid.values()])


def ripens(seen: Mapping[str, Absence], policy: Policy, *, now: int) -> int | None:
    """When to look again because the next absence is old enough then (microseconds); None where nothing is deleted."""
    if policy.prune != "auto":
        return None
    ends = [each.first_at + policy.gone_after for each in seen.values()]
    return min((at for at in ends if at > now), default=None)
