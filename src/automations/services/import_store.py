"""The verb import-store: what the original program stored is brought into our store, without loss, and twice without harm.

Definitions are one transaction; runs follow in bounded batches, each run whole with its actions; replay requests come last.
Whatever was brought over or made here before is left as it is, so an import that was cut off is simply made again. What
cannot be brought over is named with its reason, and the original's file, which nobody writes to, still has it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Protocol, TypeVar

from automations.core.audit import Entry
from automations.core.canonical import as_written, decode, digest, encode
from automations.core.original import definitions as convert
from automations.core.original.definitions import (
    ACTIONS,
    AUTOMATIONS,
    REPLAYS,
    ROUTES,
    RUNS,
    Found,
    Group,
    Item,
    Offered,
    Unreadable,
)
from automations.core.original.runs import Around, BroughtRun, Event
from automations.core.original.runs import run as convert_run
from automations.core.plan.state import API_OWNER
from automations.core.spec import build
from automations.core.spec.manifests import Shelf, shelve
from automations.core.trigger.bindings import Bound
from automations.errors import InvalidInput
from automations.services import audit
from automations.services.ports import Clock, Ids
from automations.services.trigger import schedule_cursor
from automations.store import actions, automations, events, manifests, original, routes, runs, state
from automations.store.database import Database, Row, Transaction

T = TypeVar("T")

BATCH = 200
"""Runs that are committed together."""

_ORDERLESS = "its automation is not in the original's store, so its open steps run one after another"

COUNTED = {
    AUTOMATIONS: "automations",
    RUNS: "runs",
    ACTIONS: "actions",
    REPLAYS: "replayRequests",
    ROUTES: "webhookRoutes",
}
"""The original's tables and how a report calls what they hold."""


class Original(Protocol):
    """The original's store, read only."""

    name: str
    """Where it lies, for the audit."""

    def rows(self, table: str) -> Iterator[Item]:
        """The records of a table in the order in which they were made."""
        ...

    def groups(self) -> Iterator[Group]:
        """Every run with its actions."""
        ...


@dataclass(slots=True)
class Report:
    """What an import did. `notes` are about records that were brought over otherwise than they stood."""

    imported: Counter[str] = field(default_factory=Counter)
    already: Counter[str] = field(default_factory=Counter)
    skipped: list[dict[str, str]] = field(default_factory=list)
    notes: list[dict[str, str]] = field(default_factory=list)

    def skip(self, item: Item, reason: str) -> None:
        """Name a record that was not brought over."""
        self.skipped.append({"table": item.table, "id": item.id, "reason": reason})

    def note(self, item: Item, reason: str) -> None:
        """Name a record that was changed on its way."""
        self.notes.append({"table": item.table, "id": item.id, "reason": reason})

    def took(self, table: str, *, new: bool, count: int = 1) -> None:
        """Count records that were brought over now, or that were here."""
        (self.imported if new else self.already)[COUNTED[table]] += count

    def document(self) -> dict[str, Any]:
        """The report as JSON shows it: every kind is counted, also with 0."""
        kinds = COUNTED.values()
        return {
            "imported": {kind: self.imported[kind] for kind in kinds},
            "skipped": self.skipped,
            "already": {kind: self.already[kind] for kind in kinds},
            "notes": self.notes,
        }


@dataclass(slots=True)
class _Known:
    """What the runs of an import are converted and written against."""

    waits: dict[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    routes: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    uids: dict[str, str] = field(default_factory=dict)
    pins: dict[tuple[str, str], int] = field(default_factory=dict)


class ImportStore:
    """Brings the original's store over."""

    def __init__(self, database: Database, *, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids

    def bring(self, source: Original, *, actor: str, tell: Callable[[int], None] = lambda _: None) -> Report:
        """Import everything; `tell` hears after each full batch how many runs were looked at.

        Raises StoreUnavailable, and whatever the source raises when it cannot be read on; all earlier batches stay.
        """
        report, known = Report(), _Known()
        self._commit(source, report, partial(self._definitions, source=source, report=report, known=known), actor=actor)
        groups = source.groups()
        looked = 0
        while batch := list(islice(groups, BATCH)):
            self._commit(source, report, partial(self._runs, batch=batch, report=report, known=known), actor=actor)
            looked += len(batch)
            if len(batch) == BATCH:
                tell(looked)
        self._commit(source, report, partial(_replays, source=source, report=report), actor=actor)
        return report

    def _commit(self, source: Original, report: Report, write: Callable[[Transaction], None], *, actor: str) -> None:
        """One transaction that holds the state's row from its start, with an audit entry if it brought anything."""
        before = Counter(report.imported)
        with self._database.write() as tx:
            state.hold(tx)
            write(tx)
            brought = report.imported - before
            if brought:
                entry = Entry(self._clock.now(), actor, "import-store", source.name, dict(brought))
                audit.append(tx, entry)

    def _definitions(self, tx: Transaction, *, source: Original, report: Report, known: _Known) -> None:
        now = self._clock.now()
        unbound: set[str] = set()
        for item, offered in _converted(source.rows(AUTOMATIONS), convert.automation, report=report):
            known.waits[offered.id] = offered.waits
            if not self._automation(tx, item, offered, report=report, now=now):
                unbound.add(offered.id)
        for item, row in _converted(source.rows(ROUTES), convert.route, report=report):
            mapping = decode(row["mapping_json"])
            known.routes.setdefault(row["automation_id"], []).append((row["id"], mapping["source"]))
            missing = row["automation_id"] in unbound or row["automation_id"] not in known.waits
            _route(tx, item, row, report=report, missing=missing)
        if report.imported:
            state.bump(tx, serial=state.read(tx)["serial"])

    def _automation(self, tx: Transaction, item: Found, offered: Offered, *, report: Report, now: int) -> bool:
        """Bring one automation over; whether something is bound under its id then."""
        held = automations.get(tx, offered.id)
        if held is None:
            self._insert(tx, offered, now=now)
        live = offered.automation is not None if held is None else held["deleted_at"] is None
        if held is not None and live and held["owner"] != API_OWNER:
            report.skip(item, f"the automation is owned by {held['owner']}, whose spec stays")
        elif live:
            report.took(AUTOMATIONS, new=held is None)
        elif offered.automation is None:
            report.skip(item, f"its spec is refused: {offered.refusal}; mend it, then: automations create FILE")
        else:
            report.skip(item, "the automation was deleted here; to have it again: automations create FILE")
        return live

    def _insert(self, tx: Transaction, offered: Offered, *, now: int) -> str:
        """An automation with its first generation. One whose spec is refused is born deleted: kept, and never bound."""
        uid = self._ids.new()
        row = {"uid": uid, "generation": 1, "digest": digest(offered.spec), "file": None}
        bound = offered.automation is not None
        original.insert(
            tx,
            "automations",
            row
            | {"id": offered.id, "owner": API_OWNER, "status": offered.status, "conditions_json": "{}"}
            | {
                "created_at": offered.created_at,
                "updated_at": offered.updated_at,
                "deleted_at": None if bound else now,
            },
        )
        _generation(tx, row | {"spec_json": as_written(offered.spec), "applied_at": now})
        if offered.automation is not None:
            made = Bound(uid, 1, offered.automation, {})
            moment = schedule_cursor.moment(tx, made, now=now)
            schedule_cursor.take_in(tx, made, {}, moment=moment, before=lambda _: None)
        return uid

    def _runs(self, tx: Transaction, *, batch: Iterable[Group], report: Report, known: _Known) -> None:
        shelf = shelve(build.manifest(decode(row["manifest_json"])) for row in manifests.live(tx))
        for group in batch:
            problem = _problem(tx, group)
            if isinstance(group.run, Found) and runs.get(tx, group.run_id):
                report.took(RUNS, new=False)
                report.took(ACTIONS, new=False, count=len(group.actions))
            elif problem:
                _skip(group, problem, report=report)
            else:
                self._run(tx, group, report=report, known=known, shelf=shelf)

    def _run(self, tx: Transaction, group: Group, *, report: Report, known: _Known, shelf: Shelf) -> None:
        found = group.run
        assert isinstance(found, Found)  # noqa: S101  # _problem told the others apart
        waits = known.waits.get(str(found.fields.get("automationId")))
        try:
            steps = [each for each in group.actions if isinstance(each, Found)]
            brought = convert_run(found, steps, around=Around(waits, shelf, self._clock.now()))
        except InvalidInput as problem:
            _skip(group, problem.message, report=report)
            return
        event_row_id = self._events(tx, brought, known=known) if brought.event else None
        row = brought.run | self._pin(tx, brought, known=known) | {"event_row_id": event_row_id}
        original.insert(tx, "runs", row)
        for action in brought.actions:
            original.insert(tx, "actions", action)
        for attempt in brought.attempts:
            original.insert(tx, "attempts", attempt)
        report.took(RUNS, new=True)
        report.took(ACTIONS, new=True, count=len(brought.actions))
        for note in brought.notes if waits is not None else (*brought.notes, _ORDERLESS):
            report.note(found, note)

    def _pin(self, tx: Transaction, brought: BroughtRun, *, known: _Known) -> Row:
        """The automation and the generation that a run is held to: one before the automation's first generation."""
        automation_id, spec = brought.run["automation_id"], brought.pin.spec
        now = self._clock.now()
        uid = known.uids.get(automation_id)
        if uid is None:
            held = automations.get(tx, automation_id)
            born = Offered(automation_id, spec, "archived", brought.run["created_at"], brought.run["created_at"])
            uid = known.uids[automation_id] = held["uid"] if held else self._insert(tx, born, now=now)
        key = (uid, brought.pin.digest)
        number = known.pins.get(key)
        if number is None:
            number = original.pin(tx, *key)
        if number is None:
            number = original.next_pin(tx, uid)
            row = {"uid": uid, "generation": number, "digest": brought.pin.digest, "file": None}
            _generation(tx, row | {"spec_json": as_written(dict(spec)), "applied_at": now})
        known.pins[key] = number
        return {"automation_uid": uid, "generation": number}

    def _events(self, tx: Transaction, brought: BroughtRun, *, known: _Known) -> str | None:
        """Remember the event behind every door by which it could come again; the row id of the first."""
        event = brought.event
        assert event is not None  # noqa: S101  # the caller asked
        doors = [] if event.webhook else [f"source:{event.source}"]
        doors += [
            f"route:{name}" for name, source in known.routes.get(event.automation_id, ()) if source == event.source
        ]
        reference = {
            "automationId": event.automation_id,
            "runId": brought.run["id"],
            "actionIds": [action["id"] for action in brought.actions],
        }
        rows = [self._event(tx, event, door, reference=reference, at=brought.run["created_at"]) for door in doors]
        return rows[0] if rows else None

    def _event(self, tx: Transaction, event: Event, door: str, *, reference: dict[str, Any], at: int) -> str:
        held = events.known(tx, door, event.identity)
        if held is None:
            row = _event_row(event, row_id=self._ids.new(), reference=reference)
            row |= {"scope": door, "received_at": at, "reason": None, "guarded": 0}
            events.insert(tx, row)
            return str(row["id"])
        if held["outcome"] == "unmatched":  # it came here too, before anything that it starts was here
            events.rematerialize(tx, held["id"], outcome="materialized", materialized_json=encode([reference]))
        elif not held["body_digest"]:
            standing = decode(held["materialized_json"])
            original.add_to_event(tx, held["id"], materialized_json=encode([*standing, reference]))
        return str(held["id"])


def _converted(items: Iterable[Item], conversion: Callable[[Found], T], *, report: Report) -> Iterator[tuple[Found, T]]:
    for item in items:
        if isinstance(item, Unreadable):
            report.skip(item, item.reason)
            continue
        try:
            yield item, conversion(item)
        except InvalidInput as problem:
            report.skip(item, problem.message)


def _route(tx: Transaction, item: Found, row: Row, *, report: Report, missing: bool) -> None:
    """Bring a route over; one that would answer 202 for an automation that is not bound is kept shut."""
    for held in routes.every(tx):
        if held["id"] == row["id"]:
            report.took(ROUTES, new=False)
            return
        if held["path"] == row["path"] and held["deleted_at"] is None:
            report.skip(item, f"its path {row['path']} is in use by webhook route {held['id']}")
            return
    if missing and row["status"] == "active":
        row["status"] = "disabled"
        report.note(item, f"disabled until its automation {row['automation_id']} is here: automations webhooks enable")
    original.insert(tx, "routes", row)
    report.took(ROUTES, new=True)


def _problem(tx: Transaction, group: Group) -> str | None:
    """Why a group cannot be a run: it comes over whole or not at all."""
    if group.run is None:
        return f"its run {group.run_id} is not there" if group.run_id else "it names no run"
    for item in (group.run, *group.actions):
        if isinstance(item, Unreadable):
            return item.reason if item is group.run else f"its action {item.id} cannot be read: {item.reason}"
        if item.table == ACTIONS and actions.get(tx, item.id):
            return f"another run here has an action of the id {item.id}"
    return None


def _skip(group: Group, reason: str, *, report: Report) -> None:
    if group.run is not None:
        report.skip(group.run, reason)
    for action in group.actions:
        left = reason if group.run is None else f"its run {group.run_id} was left out"
        report.skip(action, action.reason if isinstance(action, Unreadable) else left)


def _replays(tx: Transaction, *, source: Original, report: Report) -> None:
    for _, row in _converted(source.rows(REPLAYS), convert.replay, report=report):
        report.took(REPLAYS, new=original.insert(tx, "replay_requests", row))


def _generation(tx: Transaction, row: Row) -> None:
    original.insert(tx, "generations", row | {"revision": None, "applied_by": "import-store"})


def _event_row(event: Event, *, row_id: str, reference: dict[str, Any]) -> Row:
    """What the original still knew of an event. It kept no data and no digest, so no repeat of it is a conflict."""
    known = {"id": event.id, "source": event.source, "type": event.type, "data": {}}
    key = {} if event.identity == event.id else {"dedupeKey": event.identity}
    return {
        "id": row_id,
        "identity": event.identity,
        "event_id": event.id,
        "source": event.source,
        "type": event.type,
        "envelope_json": encode({**known, **key}),
        "body_digest": "",
        "outcome": "materialized",
        "materialized_json": encode([reference]),
    }
