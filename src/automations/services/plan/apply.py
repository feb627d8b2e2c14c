"""The verb apply: one plan, one transaction. Anything fails, and nothing happened.

The first statement bumps the serial that the plan was made against; if another change was faster the plan is stale and nothing
is written. The serial's row is held from then on, so definition changes and audit entries queue up behind each other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from automations.core.audit import Entry
from automations.core.canonical import as_written, encode
from automations.core.instant import iso
from automations.core.plan.hazards import WINDOW
from automations.core.plan.parked import comes_back
from automations.core.plan.plan import Change, Plan
from automations.core.spec.build import own_route_id
from automations.core.spec.model import Automation, Route, TriggerKind
from automations.core.trigger.bindings import Bound
from automations.core.trigger.envelope import route_scope
from automations.errors import Conflict, Refused, SpecInvalid, StalePlan
from automations.services import audit
from automations.services.lead import Term, bind
from automations.services.plan.lock import Lock, check_lock
from automations.services.ports import Clock, Ids, Telemetry
from automations.services.run import in_flight
from automations.services.run.programs import Programs
from automations.services.trigger import schedule_cursor
from automations.store import (
    applied_plans,
    automations,
    destructions,
    events,
    holds,
    manifests,
    routes,
    state,
    texts,
)
from automations.store.database import Database, Row, Transaction


@dataclass(frozen=True, slots=True)
class Authority:
    """Who applies, what they explicitly allowed, and the lock that they hold. `allow_deletes` is an exact count.

    `term` is the loop's: what it commits counts only while its daemon leads the source.
    """

    actor: str
    allow_deletes: int | None = None
    lock: Lock | None = None
    term: Term | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """What a rollback takes back: this digest of the automation `uid` is not to come back by itself."""

    uid: str
    digest: str
    reason: str


@dataclass(frozen=True, slots=True)
class Alongside:
    """What is recorded in the same transaction: the digest of a plan file that is used up, a rejection."""

    plan_file: str | None = None
    rejection: Rejection | None = None


_NOTHING = Alongside()


@dataclass(frozen=True, slots=True)
class Applied:
    """What was committed: the serial that it made (unchanged when the plan was empty)."""

    serial: int
    changes: int


class Apply:
    """Commits plans."""

    def __init__(self, database: Database, *, clock: Clock, ids: Ids, telemetry: Telemetry) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._telemetry = telemetry
        self._programs = Programs()
        """Of runs that an apply ends."""

    def strict(self, plan: Plan, authority: Authority, *, prefix: str = "", alongside: Alongside = _NOTHING) -> Applied:
        """Apply a whole plan or nothing.

        Raises SpecInvalid when anything declared is an error, Refused when a safety rule says no, StalePlan when the state
        moved on, LockNotHeld when another has the lock, StoreUnavailable when it cannot be written.
        """
        if not plan.sound:
            raise SpecInvalid(
                "the specs have errors; nothing was applied",
                plan.diagnostics,
                hint="mend what is listed here, then again",
            )
        check_hazards(plan, authority, command="automations apply")
        return self.commit(plan, authority, prefix=prefix, alongside=alongside)

    def commit(self, plan: Plan, authority: Authority, *, prefix: str = "", alongside: Alongside = _NOTHING) -> Applied:
        """Apply the changes of a plan as they are. The loop uses this for the sound part of an unsound tree."""
        if not plan.changes:
            self._let_go(plan)
            return Applied(plan.serial, 0)
        kept = _texts(plan)  # files are read before the transaction begins
        now = self._clock.now()
        with self._database.write() as tx:
            check_unused(tx, alongside.plan_file)
            cursors = schedule_cursor.hold(tx, (change.uid for change in plan.changes))
            ending = in_flight.doomed(tx, plan.changes)
            if not state.bump(tx, serial=plan.serial):
                standing = state.read(tx)
                raise StalePlan(
                    f"the plan was made at serial {plan.serial}, the state is at {standing['serial']}",
                    hint="plan again and look at what changed in between",
                )
            check_lock(tx, authority.lock, now=now)
            bind(tx, authority.term)
            writer = Writer(
                tx,
                owner=plan.owner,
                actor=authority.actor,
                prefix=prefix,
                now=now,
                ids=self._ids,
                texts=kept,
                cursors=cursors,
            )
            for change in plan.changes:
                writer.unbind(change)
            for change in sorted(plan.changes, key=_order):
                writer.write(change, revision=plan.source_revision)
            writer.restore_routes(plan.changes)
            in_flight.end(tx, ending, actor=authority.actor, programs=self._programs, now=now)
            _record(tx, plan, alongside, authority=authority, now=now)
        self._telemetry.emit("apply.committed", source=plan.source, serial=plan.serial + 1, **plan.summary())
        return Applied(plan.serial + 1, len(plan.changes))

    def _let_go(self, plan: Plan) -> None:
        """A rejection is over when the source declares something else, also when nothing else is to do."""
        if plan.moved_on:
            with self._database.write() as tx:
                holds.drop(tx, plan.moved_on)


def check_hazards(plan: Plan, authority: Authority, *, command: str) -> None:
    """Raises Refused when the plan destroys more than a safety rule allows and the exact count was not given.

    `command` is what the person said, for a hint that can be pasted.
    """
    refused = [hazard for hazard in plan.hazards if hazard.refused]
    count = plan.destroys
    if authority.allow_deletes is not None and authority.allow_deletes != count:
        done = "deleted" if count == plan.deletes else "deleted or switched off"
        raise Refused(
            f"--allow-deletes={authority.allow_deletes} does not match: {count} would be {done}",
            hint="look at the plan again, then give the exact number",
        )
    if refused and authority.allow_deletes is None:
        raise Refused(refused[0].message, hint=f"if that is meant: {command} --allow-deletes={count}")


def check_unused(tx: Transaction, digest: str | None) -> None:
    """Raises StalePlan (code `plan_used`) when a plan file of this digest was applied."""
    used = applied_plans.get(tx, digest) if digest else None
    if used is not None:
        raise StalePlan(
            f"this plan was applied already, by {used['applied_by']} at {iso(used['applied_at'])}",
            hint="plan again; each plan file is good for one use",
            code="plan_used",
        )


def _record(tx: Transaction, plan: Plan, alongside: Alongside, *, authority: Authority, now: int) -> None:
    """What a commit leaves beside the definitions themselves."""
    owner, serial, actor = plan.owner, plan.serial + 1, authority.actor
    if alongside.plan_file is not None:
        row = {"digest": alongside.plan_file, "applied_by": actor, "now": now, "serial": serial}
        applied_plans.insert(tx, row)
    holds.drop(tx, plan.moved_on)
    rejected = alongside.rejection
    if rejected is not None:
        row = {"automation_uid": rejected.uid, "digest": rejected.digest, "reason": rejected.reason}
        holds.put(tx, row | {"actor": actor, "now": now})
    if plan.destroys:
        counted = {"count": plan.destroys, "deletes": plan.deletes, "now": now, "before": now - WINDOW}
        destructions.insert(tx, {"owner": owner, "serial": serial, **counted})
    entry = Entry(now, actor, "rollback" if rejected else "apply", owner, {"serial": serial, "summary": plan.summary()})
    audit.append(tx, entry)


def _texts(plan: Plan) -> dict[str, str]:
    """By automation id, the files as they stand, where they are still what was read."""
    found = {}
    for change in plan.changes:
        raw = change.source() if change.source and change.resource == "automation" else None
        if raw is not None:
            found[change.id] = raw.decode(errors="replace")
    return found


def _order(change: Change) -> tuple[int, str]:
    """Deletes first, then by id."""
    return (0 if change.action == "delete" else 1, change.id)


@dataclass(frozen=True, slots=True)
class Writer:
    """Turns changes into rows, within the transaction of whoever holds the serial."""

    tx: Transaction
    owner: str
    actor: str
    prefix: str
    now: int
    ids: Ids
    texts: Mapping[str, str] = field(default_factory=dict)
    """By automation id, what its file says, to be kept with its generation."""
    cursors: Mapping[str, Mapping[str, Row]] = field(default_factory=dict)
    """By uid and trigger, the cursors of what changes, as `schedule_cursor.hold` holds them."""

    def unbind(self, change: Change) -> None:
        """Let go of a change's routes: of all changes before any is bound again, so that two can swap their paths."""
        if change.resource != "automation" or change.action == "move" or change.uid is None:
            return
        if change.action == "delete":
            routes.delete_all_of(self.tx, change.id, now=self.now)
        else:
            for owner in {self.owner, change.previous_owner or self.owner}:
                routes.delete_of(self.tx, change.previous_id or change.id, owner=owner, now=self.now)

    def write(self, change: Change, *, revision: str | None) -> None:
        """Persist one change. Raises Conflict when the automation is not what the plan was made against."""
        if change.resource == "action":
            self._manifest(change)
        elif change.action == "delete":
            self._delete(change)
        else:
            self._bind(change, revision=revision)

    def restore_routes(self, changes: Iterable[Change]) -> None:
        """Routes made by hand come back with their automations, once everything that is declared has its path.

        `core.plan.parked` predicts which.
        """
        for change in sorted(filter(comes_back, changes), key=_order):
            routes.restore(self.tx, change.id, now=self.now)

    def _manifest(self, change: Change) -> None:
        if change.action == "delete":
            action_id, _, version = change.id.partition("@")  # ids hold no @, versions may
            manifests.delete(self.tx, action_id, version, now=self.now)
            return
        assert change.manifest is not None  # noqa: S101  # every other change of an action carries its manifest
        manifests.put(
            self.tx,
            {
                "action_id": change.manifest.id,
                "version": change.manifest.version,
                "owner": self.owner,
                "digest": change.manifest.digest,
                "manifest_json": encode(change.manifest.document),
                "file": self._file(change),
                "now": self.now,
            },
        )

    def _delete(self, change: Change) -> None:
        assert change.uid is not None  # noqa: S101  # only what is held can be deleted
        if not automations.delete(self.tx, change.uid, generation=change.based_on, now=self.now):
            raise Conflict(f"automation {change.id} changed while it was being deleted")
        before = schedule_cursor.schedules_of(self.tx, change.uid, change.based_on)
        schedule_cursor.forget(self.tx, self.cursors.get(change.uid, {}).values(), before=before, now=self.now)

    def _bind(self, change: Change, *, revision: str | None) -> None:
        automation = change.automation
        assert automation is not None  # noqa: S101  # every change but a delete carries its automation
        same = change.action in ("move", "adopt") and not change.fields
        row: dict[str, Any] = {
            "uid": change.uid or self.ids.new(),
            "id": automation.id,
            "owner": self.owner,
            "status": str(automation.status),
            "generation": change.based_on if same else change.based_on + 1,
            "digest": automation.digest,
            "file": self._file(change),
            "now": self.now,
        }
        if change.uid is None:
            automations.insert(self.tx, row | {"conditions_json": "{}"})
        elif not automations.update(self.tx, row | {"based_on": change.based_on}):
            raise Conflict(f"automation {change.id} changed while it was being applied")
        if not same:
            kept = {key: row[key] for key in ("uid", "generation", "digest", "file", "now")}
            kept |= {"spec_json": as_written(automation.spec), "revision": revision, "applied_by": self.actor}
            automations.insert_generation(self.tx, kept)
            if automation.id in self.texts:
                text = {"uid": row["uid"], "generation": row["generation"], "text": self.texts[automation.id]}
                texts.put(self.tx, [text])
        if change.previous_id is not None:
            self._follow(change.previous_id, automation)
        if change.action != "move":
            for trigger in automation.triggers:
                if trigger.route is not None:
                    self._route(trigger.route, trigger_id=trigger.id, raw=trigger.raw)
            self._schedules(Bound(row["uid"], row["generation"], automation, {}), change)

    def _schedules(self, bound: Bound, change: Change) -> None:
        """What is scheduled begins with this commit, and not with the first look of a daemon."""
        held = self.cursors.get(bound.uid, {})
        if held or any(trigger.kind is TriggerKind.SCHEDULE for trigger in bound.automation.triggers):
            moment = schedule_cursor.moment(self.tx, bound, now=self.now)
            before = schedule_cursor.schedules_of(self.tx, bound.uid, change.based_on)
            schedule_cursor.take_in(self.tx, bound, held, moment=moment, before=before)

    def _follow(self, previous: str, automation: Automation) -> None:
        """A renamed automation keeps its dedupe keys also where its routes are named after it, and routes made by hand.

        A route with an id of its own keeps its keys whoever has it, see `docs/decisions/0005`.
        """
        named = {row["id"] for row in routes.of(self.tx, previous)}
        for trigger in automation.triggers:
            before = own_route_id(previous, trigger.id)
            if trigger.route is not None and before in named and before != trigger.route.id:
                events.rescope(self.tx, route_scope(before), route_scope(trigger.route.id))
        routes.follow(self.tx, previous, automation.id, now=self.now)

    def _route(self, route: Route, *, trigger_id: str, raw: Any) -> None:
        columns = route_columns(route, trigger_id=trigger_id, raw=raw)
        routes.put(self.tx, {**columns, "owner": self.owner, "now": self.now})

    def _file(self, change: Change) -> str | None:
        return change.file.removeprefix(self.prefix) if change.file else None


def route_columns(route: Route, *, trigger_id: str, raw: Any) -> dict[str, Any]:
    """The row that a spec's route becomes, but for its owner and its times."""
    signature = raw["route"].get("signature")
    mapping = {"source": route.mapping.source, "type": route.mapping.type, **raw["route"].get("mapping", {})}
    return {
        "id": route.id,
        "automation_id": route.automation_id,
        "trigger_id": trigger_id,
        "path": route.path,
        "status": route.status,
        "signature_json": encode(signature) if signature else None,
        "mapping_json": as_written(mapping),
    }
