"""The verb what-if: recorded events through the triggers of a plan. Reads a page at a time, writes nothing."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from automations.core.plan.plan import Plan
from automations.core.plan.replay import Replay
from automations.core.trigger.envelope import Envelope, from_document
from automations.services.plan.definitions import load_specs
from automations.services.trigger.event_view import envelope_of
from automations.store import events, routes
from automations.store.database import Database

PAGE = 500


def stored(database: Database, *, since: int) -> Iterator[Envelope]:
    """Every event that came in since an instant (microseconds), oldest first."""
    at, after = since, ""
    while True:
        with database.read() as tx:
            rows = events.later(tx, at=at, after=after, limit=PAGE)
        yield from map(envelope_of, rows)
        if len(rows) < PAGE:
            return
        at, after = rows[-1]["received_at"], rows[-1]["id"]


def recorded(document: Any, *, now: int) -> Envelope:
    """An event of a file. One that says that a webhook route delivered it is taken as delivered by that route.

    Raises InvalidInput for what is no event.
    """
    envelope = from_document(document, received_at=now, new_id="unnamed")
    webhook = envelope.metadata.get("webhook")
    if not isinstance(webhook, dict) or not isinstance(webhook.get("routeId"), str):
        return envelope
    owner = webhook.get("automationId")
    return replace(
        envelope,
        origin="webhook",
        route_id=webhook["routeId"],
        route_automation_id=owner if isinstance(owner, str) else None,
    )


def what_if(database: Database, plan: Plan, envelopes: Iterable[Envelope]) -> dict[str, Any]:
    """`{events, automations: [{id, onlyBefore, both, onlyAfter}]}`: which events start what, before and after the plan."""
    ids = {each.previous_id or each.id for each in plan.changes if each.action != "create"}
    with database.read() as tx:
        specs = load_specs(tx, ids)
        live = [row for row in routes.every(tx) if row["deleted_at"] is None]
    paths = {row["id"]: row["path"] for row in live}
    owners = {
        row["id"]: row["automation_id"] for row in live
    }  # who was renamed since an event came has its routes still
    replay = Replay(plan.changes, specs, paths)
    for envelope in envelopes:
        owner = owners.get(envelope.route_id or "", envelope.route_automation_id)
        replay.take(replace(envelope, route_automation_id=owner))
    return replay.document()
