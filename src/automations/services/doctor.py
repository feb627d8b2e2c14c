"""The verb doctor: look at a store and its surroundings, and say what is wrong and what to do. Nothing here writes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automations.core import doctor
from automations.core.canonical import decode_words
from automations.core.plan.health import QUIET, sync
from automations.core.run.needs import by_name, needs
from automations.core.run.states import ActionStatus
from automations.core.spec.model import AutomationStatus, TriggerKind
from automations.errors import StoreDamaged
from automations.services.audit_view import verify
from automations.services.damage import unreadable
from automations.store import actions, health, leases, manifests, schedules, sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from automations.core.spec.model import Route
    from automations.core.trigger.bindings import Table
    from automations.services.plan.definitions import Bindings
    from automations.services.ports import Clock
    from automations.store.database import Database, Transaction

MOST_NAMED = 20
"""Of a kind of trouble this many are named; the queue's and the runs' own lists have the rest."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What only adapters know: what nothing here meets, as `{subject, message, hint?}`.

    `missing` looks at the secrets of routes, `lacking` at what actions need (a kind and a name, and the steps that need it).
    """

    place: doctor.Place | None
    wal: int | None
    missing: Callable[[Iterable[Route]], Iterable[Mapping[str, str]]]
    lacking: Callable[[Mapping[tuple[str, str], list[str]]], Iterable[Mapping[str, str]]]


class Doctor:
    """Examines one store."""

    def __init__(self, database: Database, bindings: Bindings, *, clock: Clock, around: Surroundings) -> None:
        self._database = database
        self._bindings = bindings
        self._clock = clock
        self._around = around

    def examine(self) -> list[doctor.Check]:
        """Every check's findings, in one snapshot of the store. Raises StoreError when the store cannot be read at all."""
        found: list[doctor.Check] = []
        with self._database.read() as tx:
            found += doctor.document_checks(unreadable(tx, self._database.dialect, most=MOST_NAMED))
        for look in (self._look, lambda: doctor.audit_checks(verify(self._database))):
            with suppress(StoreDamaged):  # it is told above; what needs that row cannot be looked at
                found.extend(look())
        return found

    def _look(self) -> Iterator[doctor.Check]:
        table = self._bindings.current()
        with self._database.read() as tx:
            yield from self._checks(tx, table, now=self._clock.now())

    def _checks(self, tx: Transaction, table: Table, *, now: int) -> Iterator[doctor.Check]:
        yield from doctor.engine_checks(self._engine(tx), now=now)
        if self._around.place is not None:
            yield from doctor.place_checks(self._around.place)
        standing = sources.every(tx)
        needed = bool(standing) or any(_waits_for_a_daemon(bound.automation) for bound in table.bound.values())
        yield from doctor.daemon_checks(_leases(tx), needed=needed, now=now)
        late = health.late_leases(tx, before=now - doctor.LATE_LEASE, limit=MOST_NAMED)
        served = health.served(tx)
        waiting_work = health.unclaimed(tx, before=now - doctor.UNSERVED)
        unclaimed = [row | {"served": row["action_id"] in served} for row in waiting_work]
        unclaimed = [row for row in unclaimed if doctor.lies(row, now=now)]
        ended = actions.counts(tx)
        dead, rejected = ended.get(ActionStatus.DEAD, 0), ended.get(ActionStatus.REJECTED, 0)
        yield from doctor.queue_checks(late, unclaimed[:MOST_NAMED], dead=dead, rejected=rejected, now=now)
        yield from doctor.manifest_checks(_lost(tx, table, served=served))
        waiting = health.forgotten_approvals(tx, before=now - doctor.WAITING_LONG, limit=MOST_NAMED)
        yield from doctor.run_checks(health.stuck_runs(tx, limit=MOST_NAMED), waiting)
        yield from doctor.schedule_checks(list(_overdue(tx, table, now=now))[:MOST_NAMED], now=now)
        yield from doctor.source_checks(_source(row) for row in standing)
        lacking = self._around.lacking(by_name(needs(table.bound.values())))
        yield from doctor.secret_checks(self._around.missing(_live_routes(table)), lacking, daemon=_live(tx, now=now))

    def _engine(self, tx: Transaction) -> doctor.Engine:
        facts = health.engine(tx, self._database.dialect)
        return doctor.Engine(**facts, wal=self._around.wal)


def _leases(tx: Transaction) -> list[dict[str, Any]]:
    rows = sorted(leases.daemons(tx), key=lambda row: str(row["name"]))
    return [{**row, "services": decode_words(row["metadata_json"]).get("services", [])} for row in rows]


def _live(tx: Transaction, *, now: int) -> str:
    """The daemon that lives on this store; empty where none does."""
    return next((str(row["holder"]) for row in leases.daemons(tx) if row["expires_at"] > now), "")


def _waits_for_a_daemon(automation: Any) -> bool:
    needs = (TriggerKind.SCHEDULE, TriggerKind.WEBHOOK)
    active = automation.status is AutomationStatus.ACTIVE
    return active and any(trigger.kind in needs for trigger in automation.triggers)


def _overdue(tx: Transaction, table: Table, *, now: int) -> Iterator[dict[str, Any]]:
    """Schedules whose cursor lies further back than their next slot allows."""
    from automations.core.trigger.schedule import next_due, schedule_of  # noqa: PLC0415  # time zones, for few stores
    from automations.core.trigger.schedule_cursor import marked  # noqa: PLC0415  # as above

    bound = {each.uid: each for each in table.bound.values()}
    for row in schedules.every(tx):
        owner = bound.get(row["automation_uid"])
        if owner is None or not owner.active or marked(row["cursor_at"], row["digest"]).asleep:
            continue
        for trigger in owner.automation.triggers:
            if trigger.id != row["trigger_id"] or trigger.kind is not TriggerKind.SCHEDULE:
                continue
            due_at = next_due(schedule_of(trigger.raw), cursor=row["cursor_at"], key=f"{owner.uid}/{trigger.id}")
            if due_at is not None and due_at < now - doctor.LATE_SCHEDULE:
                yield {"id": f"{owner.automation.id} (trigger {trigger.id})", "due_at": due_at}


def _lost(tx: Transaction, table: Table, *, served: frozenset[str]) -> dict[str, list[str]]:
    """By action, the steps of active automations whose manifest is gone, where no runner from outside is known to take them."""
    gone = manifests.gone(tx)
    if not gone:
        return {}
    actions_gone = {action for action, _ in gone}
    found: dict[str, list[str]] = {}
    for bound in table.bound.values():
        if bound.automation.status is not AutomationStatus.ACTIVE:
            continue
        for step in bound.automation.steps:
            version = step.manifest_version
            was = (step.action_id, version) in gone if version else step.action_id in actions_gone
            if was and step.id not in bound.manifests and step.action_id not in served:
                name = f"{step.action_id}@{version}" if version else step.action_id
                found.setdefault(name, []).append(f"{bound.automation.id}/{step.id}")
    return dict(sorted(found.items())[:MOST_NAMED])


def _source(row: Mapping[str, Any]) -> dict[str, Any]:
    conditions = decode_words(row["conditions_json"])
    wrong = [
        (name, condition)
        for name, condition in conditions.items()
        if condition["status"] != ("False" if name in QUIET else "True")
    ]
    return {"name": row["name"], "root": row["root"], "sync": sync(conditions), "wrong": wrong}


def _live_routes(table: Table) -> list[Route]:
    return [bound.route for bound in table.routes.values() if not bound.gone]
