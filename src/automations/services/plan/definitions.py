"""Definitions as they stand in the store: the state that plans are made against, and the table that events are matched with."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from threading import Lock
from typing import Any

from automations.core.canonical import decode
from automations.core.plan.hazards import WINDOW, Destroyed
from automations.core.plan.standing import Pause
from automations.core.plan.state import Held, HeldManifest, HeldRoute, InFlight, State, source_owner
from automations.core.record import route_record
from automations.core.spec import build
from automations.core.spec.manifests import Shelf, Shelves, resolve_all
from automations.core.spec.model import Automation, Manifest
from automations.core.trigger.bindings import Bound, BoundRoute, Table, build_table
from automations.errors import StoreDamaged
from automations.store import (
    actions,
    automations,
    destructions,
    holds,
    manifests,
    routes,
    runs,
    sources,
    state,
    suspensions,
)
from automations.store.database import Database, Row, Transaction


def load_state(
    tx: Transaction, *, prefix: str = "", now: int | None = None, known: tuple[int, Mapping[str, Held]] | None = None
) -> State:
    """The state without old specs and work in flight. File names get `prefix`, so that they read like those of the catalogue.

    With `now` (microseconds) it knows what was destroyed of late. `known` are a serial and the automations as of then, with this
    prefix: while the serial is the same, they are not read again.
    """
    standing = state.read(tx)
    serial = standing["serial"]
    bound, parked = _routes(tx)
    held = known[1] if known is not None and known[0] == serial else _held(automations.heads(tx), prefix)
    return State(
        lineage=standing["lineage"],
        serial=serial,
        automations=held,
        manifests={
            (row["action_id"], row["version"]): HeldManifest(
                row["action_id"], row["version"], row["owner"], row["digest"], _shown(row["file"], prefix)
            )
            for row in manifests.live(tx)
        },
        routes=bound,
        parked=parked,
        rejected={row["id"]: row["digest"] for row in holds.every(tx)},
        suspended=_suspended(tx, held.values(), now=now),
        destroyed={} if now is None else destroyed_of_late(tx, now=now),
        roots={source_owner(row["name"]): row["root"] for row in sources.roots(tx)},
    )


def _routes(tx: Transaction) -> tuple[dict[str, HeldRoute], dict[str, tuple[HeldRoute, ...]]]:
    """By path those that are bound, and by automation id those made by hand that went with it."""
    bound: dict[str, HeldRoute] = {}
    parked: dict[str, list[HeldRoute]] = {}
    for row in routes.every(tx):
        by_hand = row["trigger_id"] is None
        signed = row["signature_json"] is not None
        route = HeldRoute(
            row["id"], row["automation_id"], row["path"], row["owner"], declared=not by_hand, signed=signed
        )
        if row["deleted_at"] is None:
            bound[route.path] = route
        elif by_hand:
            parked.setdefault(route.automation_id, []).append(route)
    return bound, {identity: tuple(sorted(mine, key=lambda each: each.id)) for identity, mine in parked.items()}


def _suspended(tx: Transaction, held: Iterable[Held], *, now: int | None) -> dict[str, str]:
    """By id, who paused an automation by hand, why, and until when; one that is deleted is as it was when it comes back."""
    rows = {row["subject"]: row for row in suspensions.every(tx)}
    named = {each.uid: each.id for each in held if each.uid in rows} if rows else {}
    found = {}
    for uid, identity in named.items():
        row = rows[uid]
        pause = Pause(row["owner"], row["reason"], row["since"], row["until_at"])
        if now is None or pause.holds(now):
            found[identity] = pause.words()
    return found


def held_anew(tx: Transaction, held: Mapping[str, Held], ids: Collection[str], *, prefix: str) -> dict[str, Held]:
    """What is held, with these read again."""
    standing = {identity: each for identity, each in held.items() if identity not in ids}
    return standing | _held(automations.some(tx, ids), prefix)


def _held(rows: Iterable[Row], prefix: str) -> dict[str, Held]:
    return {
        row["id"]: Held(
            uid=row["uid"],
            id=row["id"],
            owner=row["owner"],
            status=row["status"],
            generation=row["generation"],
            digest=row["digest"],
            file=_shown(row["file"], prefix),
            deleted=row["deleted_at"] is not None,
            deleted_at=row["deleted_at"],
            origin=row["file"],
        )
        for row in rows
    }


def destroyed_of_late(tx: Transaction, *, now: int) -> dict[str, Destroyed]:
    """By owner, what was destroyed within the window that the safety rule looks at."""
    rows = destructions.since(tx, now - WINDOW)
    return {row["owner"]: Destroyed(int(row["count"]), int(row["deletes"])) for row in rows}


def load_specs(tx: Transaction, ids: Iterable[str]) -> dict[str, Any]:
    """Current specs of these automations."""
    found = {identity: automations.get(tx, identity) for identity in ids}
    return {identity: decode(row["spec_json"]) for identity, row in found.items() if row}


_NAMED = re.compile(r'"actionId":\s*"([^"]*)"')
"""Finds what a spec's text may use without reading all of it; ids of actions need no escapes."""


def load_actions(tx: Transaction, ids: Iterable[str]) -> frozenset[str]:
    """Ids of the actions that these automations use as they are bound."""
    rows = [automations.get(tx, identity) for identity in ids]
    read = [sound_spec(row["spec_json"]) for row in rows if row]
    return frozenset(step.action_id for automation in read if automation for step in automation.steps)


def load_users(tx: Transaction, touched: frozenset[str]) -> dict[str, Automation]:
    """By id, as they are bound, the automations that use one of these actions. What is no spec any more is not bound either."""
    if not touched:
        return {}
    found = {}
    for row in automations.specs(tx):
        if touched.isdisjoint(_NAMED.findall(row["spec_json"])):
            continue
        automation = sound_spec(row["spec_json"])
        if automation is not None and any(step.action_id in touched for step in automation.steps):
            found[row["id"]] = automation
    return found


def in_flight(tx: Transaction, held: Iterable[Held]) -> dict[str, InFlight]:
    """Work of these automations that is not over, by their ids: what has their uids, whatever they were called when it began."""
    names = {each.uid: each.id for each in held}
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in runs.live_counts(tx, sorted(names)):
        mine = counts[row["automation_uid"]]
        mine["ending" if row["ending"] else "begun" if row["begun"] else "not_begun"] += row["n"]
        if row["status"] in ("running", "pending"):
            mine[row["status"]] += row["n"]
    for row in actions.live_counts(tx, sorted(names)):
        counts[row["automation_uid"]][row["status"]] += row["n"]
    return {names[uid]: InFlight(**found) for uid, found in counts.items()}


def _shown(file: str | None, prefix: str) -> str | None:
    return None if file is None else prefix + file


class Bindings:
    """The current binding table, rebuilt only when the serial moved, and then only for what changed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = Lock()
        self._table = build_table(-1, ())
        self._kept: dict[str, Bound] = {}
        self._manifests: dict[str, Manifest] = {}
        self._owners: dict[str, str] = {}
        self._shelved: list[tuple[str, str]] = []
        self._foreseen: dict[str, Automation] = {}

    def foresee(self, automations: Iterable[Automation]) -> None:
        """What is about to be committed: the next table takes these models where digests are the same, and builds none anew."""
        self._foreseen = {each.digest: each for each in automations}

    def current(self) -> Table:
        """The table of the store's serial now. Raises StoreUnavailable."""
        with self._database.read() as tx:
            return self.within(tx)

    def last(self) -> Table:
        """The table that was current when somebody last asked the store."""
        return self._table

    def within(self, tx: Transaction) -> Table:
        """The table of the serial that this transaction sees."""
        serial = state.read(tx)["serial"]
        table = self._table
        if serial != table.serial:
            with self._lock:
                table = self._table = self._build(tx, serial)
        return table

    def _build(self, tx: Transaction, serial: int) -> Table:
        standing = manifests.live(tx)
        owned = [(row["owner"], self._manifest(row)) for row in standing]
        digests = [(owner, manifest.digest) for owner, manifest in owned]
        same = digests == self._shelved  # then whatever is of the same generation and owner is pinned to the same
        shelves = Shelves(owned)
        kept: dict[str, Bound] = {}
        owners: dict[str, str] = {}
        for row in automations.bound(tx):
            uid, owner = row["uid"], row["owner"]
            before = self._kept.get(uid)
            stays = same and _is(before, row) and self._owners.get(uid) == owner
            bound = before if stays else self._bound(tx, row, shelves.of(owner))
            if bound is not None:
                kept[uid], owners[uid] = bound, owner
        self._kept, self._owners, self._shelved, self._foreseen = kept, owners, digests, {}
        bound_routes = [
            BoundRoute(build.route(route_record(row)), gone=row["deleted_at"] is not None)
            for row in (*routes.left(tx), *routes.every(tx))
        ]
        pauses = {row["subject"]: row["until_at"] for row in suspensions.every(tx)}
        return replace(build_table(serial, kept.values(), routes=bound_routes, before=self._table), pauses=pauses)

    def _manifest(self, row: Row) -> Manifest:
        known = self._manifests.get(row["digest"])
        if known is None:
            known = build.manifest(decode(row["manifest_json"]))
            if known.digest == row["digest"]:  # else somebody edited it, and it is read again until it is put right
                self._manifests[row["digest"]] = known
        return known

    def _bound(self, tx: Transaction, row: Row, shelf: Shelf) -> Bound | None:
        """The same object as before where generation and manifests are the same: what it compiled stays compiled.

        None where the generation is gone from the store, or is no spec any more, which only an edit by hand can bring about:
        then it fires nothing, and everything else goes on.
        """
        standing = self._kept.get(row["uid"])
        if standing is not None and _is(standing, row):
            automation = standing.automation
        else:
            standing = None
            read = self._foreseen.get(row["digest"]) or _stored(tx, row)
            if read is None:
                return None
            automation = read
        pinned = resolve_all(automation.steps, shelf)
        if standing is not None and _pins(pinned) == _pins(standing.manifests):
            return standing
        return Bound(row["uid"], row["generation"], automation, pinned)


def _stored(tx: Transaction, row: Row) -> Automation | None:
    """The generation that is bound, as it is stored; None where it is gone, or is no spec."""
    kept = automations.generation(tx, row["uid"], row["generation"])
    return None if kept is None else sound_spec(kept["spec_json"])


def sound_spec(text: str) -> Automation | None:
    """A stored spec; None for what is none."""
    try:
        return build.automation(decode(text))
    except (StoreDamaged, ValueError, TypeError, LookupError, AttributeError):
        return None


def _is(before: Bound | None, row: Row) -> bool:
    """Whether it is what the row says is bound."""
    return before is not None and before.generation == row["generation"] and before.automation.digest == row["digest"]


def _pins(pinned: Mapping[str, Manifest]) -> dict[str, str]:
    return {step: manifest.digest for step, manifest in pinned.items()}
