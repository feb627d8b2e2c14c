"""Drift: where the rows of an automation that a source owns are no longer what its applied spec made of them.

Files and definitions may be in step while somebody changed a row by hand: a status, a route's path or signature. The plan does
not see that, because it compares digests.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from automations.core.spec.model import Automation

ROUTE_FIELDS = ("automation_id", "trigger_id", "path", "status", "owner", "signature_json", "mapping_json")
WORDS = {
    "automation_id": "automation",
    "trigger_id": "trigger",
    "signature_json": "signature",
    "mapping_json": "mapping",
}

Row = Mapping[str, Any]


def drift_of(
    automation: Automation, held: Row, *, wanted: Mapping[str, Row], routes: Mapping[str, Row]
) -> tuple[str, ...]:
    """What differs, in words. `wanted` are the routes that the spec makes and `routes` those in the store, both by id."""
    return tuple(_differences(automation, held, wanted, routes))


def _differences(
    automation: Automation, held: Row, wanted: Mapping[str, Row], routes: Mapping[str, Row]
) -> Iterator[str]:
    if held["status"] != automation.status:
        yield f"its status is {held['status']}, its spec says {automation.status}"
    for identity, want in wanted.items():
        route = routes.get(identity)
        if route is None or route["deleted_at"] is not None:
            yield f"its route {want['path']} is gone"
            continue
        changed = [WORDS.get(name, name) for name in ROUTE_FIELDS if route[name] != want[name]]
        if changed:
            yield f"the {' and '.join(changed)} of its route {want['path']} is not what its spec says"
