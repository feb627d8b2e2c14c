"""The verb plan: read the state in one snapshot and decide, writing nothing."""

from automations.core.canonical import decode
from automations.core.plan.plan import Plan, Request, changed_ids, changed_manifests, make_plan, with_specs
from automations.core.plan.state import State
from automations.core.spec.catalogue import Catalogue
from automations.services.plan.definitions import load_specs, load_state
from automations.store import manifests, texts
from automations.store.database import Database, Transaction


def plan(database: Database, catalogue: Catalogue, request: Request, *, prefix: str = "") -> Plan:
    """What applying the catalogue would do to the state as it is now. `prefix` as in the snapshot."""
    with database.read() as tx:
        state = load_state(tx, prefix=prefix, now=request.now)
        state = with_old(tx, state, catalogue, owner=request.owner)
    return make_plan(catalogue, state, request)


def with_old(tx: Transaction, state: State, catalogue: Catalogue, *, owner: str) -> State:
    """The state with the old specs, texts and manifests of what this catalogue changes."""
    ids = changed_ids(catalogue, state, owner=owner)
    kept = {each: texts.get(tx, state.automations[each].uid, state.automations[each].generation) for each in ids}
    old = {key: manifests.body(tx, digest) for key, digest in changed_manifests(catalogue, state).items()}
    return with_specs(
        state,
        load_specs(tx, ids),
        texts={identity: text for identity, text in kept.items() if text is not None},
        manifests={key: decode(text) for key, text in old.items() if text is not None},
    )
