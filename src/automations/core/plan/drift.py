"""Drift: where the rows of an automation that a source owns are no longer what its applied spec made of them.

Files and definitions may be in step while somebody changed a row by hand: a status, a route, which generation is bound, a
stored spec. The plan does not see that, because it compares the digests that the rows say. What it does see is no matter of this
module: an owner, a file's name, a digest, a tombstone, a row that is gone. Nor is what has no spec to compare with, such as
how far a schedule was judged.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from automations.core.spec.model import Automation

ROUTE_FIELDS = ("automation_id", "trigger_id", "path", "status", "owner", "signature_json", "mapping_json")
WORDS = {
    "automation_id": "automation",
    "trigger_id": "trigger",
    "signature_json": "signature",
    "mapping_json": "mapping",
}

Row = Mapping[str, Any]


class Kept(NamedTuple):
    """What the store keeps of an automation's generations: the newest one's number, and the digest of the bound one.

    `digest` is None where the bound one is gone. `meant` is the digest of its stored spec, None where nobody looked at it.
    """

    newest: int | None
    digest: str | None
    meant: str | None = None


def generation_drift(held: Row, kept: Kept) -> tuple[str, ...]:
    """Whether what is bound is what was bound last, in words."""
    return tuple(_of_generation(held, kept))


def _of_generation(held: Row, kept: Kept) -> Iterator[str]:
    number = held["generation"]
    if kept.digest is None:
        yield f"generation {number}, which is bound, is gone"
    elif kept.newest != number:
        yield f"generation {number} is bound, the last that was applied is {kept.newest}"
    elif kept.digest != held["digest"]:
        yield f"the digest of generation {number} is not that of what is bound"
    if kept.meant is not None and kept.meant != held["digest"] and kept.newest == number:
        yield "the stored spec is not what was applied"


class Routes(NamedTuple):
    """The routes of the store: all by id, and by automation the live ones that specs of an owner are said to declare."""

    by_id: Mapping[str, Row]
    declared: Mapping[str, Sequence[Row]]


def routes_of(owner: str, routes: Iterable[Row]) -> Routes:
    """Sorted for `drift_of`. Those that people made have no trigger."""
    by_id, declared = {}, defaultdict(list)
    for route in routes:
        by_id[route["id"]] = route
        if route["owner"] == owner and route["trigger_id"] is not None and route["deleted_at"] is None:
            declared[route["automation_id"]].append(route)
    return Routes(by_id, declared)


def drift_of(automation: Automation, held: Row, *, wanted: Mapping[str, Row], routes: Routes) -> tuple[str, ...]:
    """What else differs, in words. `wanted` are the routes that the spec makes, by id."""
    return tuple(_differences(automation, held, wanted, routes))


def _differences(automation: Automation, held: Row, wanted: Mapping[str, Row], routes: Routes) -> Iterator[str]:
    if held["status"] != automation.status:
        yield f"its status is {held['status']}, its spec says {automation.status}"
    for identity, want in wanted.items():
        route = routes.by_id.get(identity)
        if route is None or route["deleted_at"] is not None:
            yield f"its route {want['path']} is gone"
            continue
        changed = [WORDS.get(name, name) for name in ROUTE_FIELDS if route[name] != want[name]]
        if changed:
            yield f"the {' and '.join(changed)} of its route {want['path']} is not what its spec says"
    for route in routes.declared.get(held["id"], ()):
        if route["id"] not in wanted:
            yield f"its route {route['path']} is not one of its spec's"
