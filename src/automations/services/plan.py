"""The verb plan: read the state in one snapshot and decide, writing nothing."""

from automations.core.plan.plan import Plan, Request, changed_ids, make_plan, with_specs
from automations.core.spec.catalogue import Catalogue
from automations.services.definitions import load_specs, load_state
from automations.store.database import Database


def plan(database: Database, catalogue: Catalogue, request: Request, *, prefix: str = "") -> Plan:
    """What applying the catalogue would do to the state as it is now. `prefix` as in the snapshot."""
    with database.read() as tx:
        state = load_state(tx, prefix=prefix)
        state = with_specs(state, load_specs(tx, changed_ids(catalogue, state)))
    return make_plan(catalogue, state, request)
