"""The verb plan: read the state in one snapshot and decide, writing nothing."""

from dataclasses import replace

from automations.core.canonical import decode
from automations.core.plan.pins import touched_actions
from automations.core.plan.plan import Plan, Request, changed_ids, make_plan, with_specs
from automations.core.plan.plan import touched as touched_automations
from automations.core.plan.standing import Pause
from automations.core.plan.state import InFlight, State
from automations.core.spec.catalogue import Catalogue
from automations.services.plan.definitions import in_flight, load_actions, load_specs, load_state, load_users
from automations.store import manifests, suspensions, texts, timers
from automations.store.database import Database, Transaction


def plan(database: Database, catalogue: Catalogue, request: Request, *, prefix: str = "") -> Plan:
    """What applying the catalogue would do to the state as it is now. `prefix` as in the snapshot."""
    with database.read() as tx:
        state = load_state(tx, prefix=prefix, now=request.now)
        state = with_old(tx, state, catalogue, request)
        state = replace(_with_waiting(tx, state), source_suspended=_suspended(tx, request))
    return make_plan(catalogue, state, request)


def _suspended(tx: Transaction, request: Request) -> str:
    """Who suspended the source, why and until when; empty when it is not suspended."""
    row = suspensions.get(tx, request.owner)
    if row is None:
        return ""
    pause = Pause(row["owner"], row["reason"], row["since"], row["until_at"])
    return pause.words() if request.now is None or pause.holds(request.now) else ""


def _with_waiting(tx: Transaction, state: State) -> State:
    """The state, counting also the events that wait for a timer: these start nothing once their automation is gone."""
    events = {row["automation_uid"]: int(row["n"]) for row in timers.waiting_counts(tx)}
    if not events:
        return state
    counts = {
        identity: replace(state.in_flight.get(identity, InFlight()), waiting_events=events[held.uid])
        for identity, held in state.automations.items()
        if held.uid in events
    }
    return replace(state, in_flight={**state.in_flight, **counts})


def with_old(tx: Transaction, state: State, catalogue: Catalogue, request: Request) -> State:
    """The state with old specs, texts and work in flight of what this catalogue changes, and who uses which manifest of it."""
    ids = changed_ids(catalogue, state, owner=request.owner)
    touched = touched_actions(catalogue, state, request) | load_actions(tx, request.adopt)
    kept = {each: texts.get(tx, state.automations[each].uid, state.automations[each].generation) for each in ids}
    held = {key: manifests.body(tx, each.digest) for key, each in state.manifests.items() if key[0] in touched}
    work = in_flight(tx, touched_automations(catalogue, state, owner=request.owner))
    return with_specs(
        replace(state, in_flight=work),
        load_specs(tx, ids),
        texts={identity: text for identity, text in kept.items() if text is not None},
        manifests={key: decode(text) for key, text in held.items() if text is not None},
        using=load_users(tx, touched),
    )
