"""The verb ingest: events become durable runs, exactly once each, many events in one transaction.

One commit holds the event, its runs and their actions, so a kill at any moment leaves all or nothing. An identity that was
seen is answered with its first result. An event that had matched nothing is looked at again when it comes again.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, NamedTuple

from automations.core.canonical import as_written, decode, encode
from automations.core.expression.activation import Activation
from automations.core.run.materialize import Materialized, Occasion, materialize
from automations.core.spec.model import Route
from automations.core.trigger.bindings import Table, Verdict, match
from automations.core.trigger.cause import too_many_hops
from automations.core.trigger.envelope import Envelope, identity, scope_of, to_document
from automations.errors import AutomationsError, EventRejected, RouteMoved, StoreUnavailable
from automations.services.plan.definitions import Bindings
from automations.services.ports import Clock, Ids, Telemetry, Wake
from automations.services.reconcile.suspend import held_back
from automations.services.run.admit import admit_runs, tell
from automations.services.run.programs import Programs
from automations.services.trigger.admission import Arrival, admit, outcome
from automations.services.trigger.replays import count_repeats, hold_bodies, replayed
from automations.store import events, outcomes
from automations.store.database import Database, Row, Transaction

MOST_ERRORS = 100
"""Automations whose triggers failed over one event that are kept on record with it."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event to take in. `body_digest` is of what was delivered, so that a changed body under one identity shows.

    `once_within` is for how long (microseconds) the same body under another identity of its route is the same event. `route` is
    the one that its request was judged by.
    """

    envelope: Envelope
    body_digest: str
    once_within: int | None = None
    route: Route | None = None


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of a delivery: `{automationId, runId, actionIds}` for every run, the first time's for a duplicate."""

    event_row_id: str
    materialized: tuple[dict[str, Any], ...]
    duplicate: bool = False
    conflict: bool = False
    replay: bool = False
    """Whether it is a duplicate because the same signed body came in under another identity."""
    first_event_id: str | None = None
    """Of a duplicate: the id that its event came in under the first time."""
    stored: Mapping[str, Any] | None = None
    """Of a conflict: the event as it came in the first time."""
    outcomes: tuple[Row, ...] = ()
    """What became of it for the automations that it did not start a run of at once, though it fired them."""
    rejected: str | None = None
    """Why it was recorded and goes no further."""
    suspended: tuple[Row, ...] = ()
    """The suspensions of automations that it would have started a run of."""


class Ingest:
    """Takes events in."""

    def __init__(self, database: Database, bindings: Bindings, *, clock: Clock, ids: Ids, telemetry: Telemetry) -> None:
        self._database = database
        self._bindings = bindings
        self._clock = clock
        self._ids = ids
        self._telemetry = telemetry
        self._programs = Programs()
        """Of runs that new ones replace."""
        self.wake: Wake = lambda: None
        """Called after a commit that queued work here."""
        self.timer_set: Wake = lambda: None
        """Called after a commit that set a timer here."""

    def one(self, delivery: Delivery) -> Ingested:
        """Take one event in.

        Raises StoreUnavailable when it could not be committed; then nothing is remembered. Raises EventRejected when it was
        recorded as rejected: it came around too often.
        """
        result = self._commit([delivery])[0]
        if result.rejected:
            raise _rejection(result)
        return result

    def many(self, deliveries: Sequence[Delivery]) -> list[Ingested | AutomationsError]:
        """Take a group in with one commit. If any member spoils it, each is retried alone and fails alone."""
        try:
            return [_rejection(each) if each.rejected else each for each in self._commit(deliveries)]
        except StoreUnavailable as unavailable:
            return [unavailable] * len(deliveries)
        except Exception as problem:  # noqa: BLE001  # one bad member must not fail the others; alone, it shows again
            self._telemetry.emit("ingest.group_retried", size=len(deliveries), error=type(problem).__name__)
        results: list[Ingested | AutomationsError] = []
        for delivery in deliveries:
            try:
                results.append(self.one(delivery))
            except AutomationsError as problem:
                results.append(problem)
            except Exception as problem:  # noqa: BLE001  # a bug for this member alone; the sender is told to try again
                self._telemetry.emit("ingest.failed", event_id=delivery.envelope.id, error=repr(problem))
                results.append(AutomationsError("the event could not be materialized", code="materialization_failed"))
        return results

    def _commit(self, deliveries: Sequence[Delivery]) -> list[Ingested]:
        now = self._clock.now()
        with self._database.write() as tx:
            hold_bodies(tx, deliveries)
            by = _By(self._bindings.within(tx), now, self._ids)
            taken = {at: _take(tx, deliveries[at], by) for at in self._order(deliveries)}
            _count(tx, [each.result for each in taken.values()], now=now)
            timed = _admit(tx, taken.values(), now=now, ids=self._ids)
            started = [made for at in range(len(deliveries)) for made in taken[at].made]
            admit_runs(tx, started, programs=self._programs, now=now)
        tell(self._telemetry, started)
        results = [taken[at].ingested() for at in range(len(deliveries))]
        for delivery, result in zip(deliveries, results, strict=True):
            self._tell(delivery.envelope, result)
        if any(result.materialized and not result.duplicate for result in results):
            self.wake()
        if timed:
            self.timer_set()
        return results

    def _order(self, deliveries: Sequence[Delivery]) -> Sequence[int]:
        """In what order to take a group in: as it came, but where other daemons write too all of them go by identity.

        A sender that delivers the same events to two daemons would else have each wait for what the other holds.
        """
        if self._database.dialect == "sqlite":
            return range(len(deliveries))
        names = [(scope_of(each.envelope), identity(each.envelope)) for each in deliveries]
        return sorted(range(len(deliveries)), key=names.__getitem__)

    def _tell(self, envelope: Envelope, result: Ingested) -> None:
        told = {"event_id": envelope.id, "source": envelope.source, "type": envelope.type}
        self._telemetry.emit(f"event.{_word(result)}", **told, runs=len(result.materialized))
        if result.conflict:
            self._telemetry.emit("event.conflict", event_id=envelope.id, source=envelope.source)
        if result.replay:
            first = result.event_row_id
            self._telemetry.emit("event.replayed", event_id=envelope.id, source=envelope.source, first=first)
        for row in () if result.duplicate else result.outcomes:
            about = {"automation": row["automation_id"], "reason": row["reason"]}
            self._telemetry.emit(f"trigger.{row['outcome']}", event_id=envelope.id, **about)


@dataclass(slots=True)
class _Taken:
    """A delivery on its way through one commit: its row, the runs that it started, and what has yet to be admitted."""

    delivery: Delivery
    result: Ingested
    document: Mapping[str, Any] = field(default_factory=dict)
    admitting: tuple[Verdict, ...] = ()
    made: list[Materialized] = field(default_factory=list)

    def ingested(self) -> Ingested:
        """What to answer."""
        return replace(self.result, materialized=_references(self.made)) if self.made else self.result


class _By(NamedTuple):
    """What one commit takes everything in by: the definitions, and one instant (microseconds)."""

    table: Table
    now: int
    ids: Ids


def _count(tx: Transaction, results: Iterable[Ingested], *, now: int) -> None:
    """Record which events came again otherwise than as what they were."""
    repeats = [each for each in results if each.replay or each.conflict]
    if repeats:
        replays = [each.event_row_id for each in repeats if each.replay]
        conflicts = [each.event_row_id for each in repeats if each.conflict]
        count_repeats(tx, replays=replays, conflicts=conflicts, now=now)


def _still_there(delivery: Delivery, table: Table) -> bool:
    """Whether the route that a delivery came by is the one that there is now."""
    if delivery.route is not None:
        return table.serves(delivery.route)
    identity = delivery.envelope.route_id
    return identity is None or identity in table.live_routes


def _take(tx: Transaction, delivery: Delivery, by: _By) -> _Taken:
    envelope = delivery.envelope
    known = events.known(tx, scope_of(envelope), identity(envelope))
    if known is not None and (known["outcome"] != "unmatched" or known["body_digest"] != delivery.body_digest):
        return _Taken(delivery, _duplicate(known, delivery))
    if not _still_there(delivery, by.table):
        # The request was judged by an older table: under another path, signature or mapping than holds now. Acknowledging it
        # could start nothing and lose it for good, or start what it was not sent to.
        raise RouteMoved(f"webhook route {envelope.route_id} was changed meanwhile", hint="send the request again")
    if known is None and (first := replayed(tx, delivery, now=by.now)) is not None:
        return _Taken(delivery, replace(_duplicate(first, delivery), replay=True))
    look = _look(tx, envelope, known["id"] if known else by.ids.new(), by)
    if known is not None and not look.fired:
        return _Taken(delivery, replace(_duplicate(known, delivery), suspended=look.suspended))
    if not _write(tx, delivery, look, anew=known is None, now=by.now):  # another delivery of it was faster
        standing = events.known(tx, scope_of(envelope), identity(envelope))
        assert standing is not None  # noqa: S101  # the write found it
        return _Taken(delivery, _duplicate(standing, delivery))
    if known is not None:
        outcomes.forget_errors(tx, look.row_id)  # of the look before
    failed = [outcome(Arrival(look.row_id, each, 0), "error", now=by.now, reason=each.reason) for each in look.errors]
    outcomes.keep(tx, failed)
    result = Ingested(look.row_id, (), outcomes=tuple(failed), rejected=look.rejected, suspended=look.suspended)
    return _Taken(delivery, result, look.document, look.admitting, look.made)


class _Look(NamedTuple):
    """What an event comes to: whom it fires and fails, whom it only would, and the runs that it starts at once."""

    row_id: str
    document: dict[str, Any]
    rejected: str | None
    fired: Sequence[Verdict]
    errors: Sequence[Verdict]
    suspended: tuple[Row, ...]
    made: list[Materialized]

    @property
    def admitting(self) -> tuple[Verdict, ...]:
        """Those of what it fires that a rate limit or a debounce has a say in; there may be several of one automation."""
        return tuple(each for each in self.fired if each.limited)


def _look(tx: Transaction, envelope: Envelope, row_id: str, by: _By, /) -> _Look:
    document = to_document(envelope)
    rejected = too_many_hops(envelope)
    verdicts = () if rejected else match(by.table, envelope)
    matched = [each for each in verdicts if each.outcome == "match"]
    paused = {uid for each in matched if by.table.suspended(uid := each.candidate.bound.uid, now=by.now)}
    fired = [each for each in matched if each.candidate.bound.uid not in paused]
    suspended = held_back(tx, [by.table.by_uid[uid] for uid in paused]) if paused else ()
    shared = Activation({"event": document}) if len(fired) > 1 else None
    name = identity(envelope)
    made = [
        materialize(
            each.candidate.bound, _occasion(each, name, document, row_id, shared), now=by.now, new_id=by.ids.new
        )
        for each in fired
        if not each.limited
    ]
    errors = _errors(_awake(verdicts, by.table, now=by.now))
    return _Look(row_id, document, rejected, fired, errors, suspended, made)


def _write(tx: Transaction, delivery: Delivery, look: _Look, *, anew: bool, now: int) -> bool:
    """Record an event with what it came to; False when another delivery of it was faster."""
    envelope = delivery.envelope
    at_once = "materialized" if look.made else "waiting" if look.admitting else "unmatched"
    word = "rejected" if look.rejected else at_once
    references = encode(_references(look.made))
    if not anew:
        return events.rematerialize(tx, look.row_id, outcome=word, materialized_json=references)
    names = {"id": look.row_id, "scope": scope_of(envelope), "identity": identity(envelope), "received_at": now}
    became = {"outcome": word, "reason": look.rejected, "materialized_json": references}
    return events.insert(tx, _event_row(delivery, look.document) | names | became)


def _awake(verdicts: Iterable[Verdict], table: Table, *, now: int) -> Sequence[Verdict]:
    """The verdicts on what is not suspended by hand: that neither fires nor fails."""
    return [each for each in verdicts if not table.suspended(each.candidate.bound.uid, now=now)]


def _admit(tx: Transaction, group: Collection[_Taken], *, now: int, ids: Ids) -> bool:
    """Let events through rate limits and debounces, or keep what holds them up; whether a timer was set.

    All of a group go by bucket and window, so that two daemons never wait for what the other one holds. What one trigger of
    an automation drops is tried by its next one, and only what all of them drop is dropped.
    """
    arrivals = [
        (taken, Arrival(taken.result.event_row_id, verdict, len(as_written(taken.document))))
        for taken in group
        for verdict in taken.admitting
    ]
    arrivals.sort(key=lambda each: each[1].turn)
    held_up: dict[str, dict[str, Row]] = {each.event_row_id: {} for _, each in arrivals}
    through: set[tuple[str, str]] = set()
    for taken, arrival in arrivals:
        uid, held = arrival.verdict.candidate.bound.uid, held_up[arrival.event_row_id]
        if (arrival.event_row_id, uid) in through or (uid in held and held[uid]["outcome"] != "dropped"):
            continue
        row = admit(tx, arrival, now=now, ids=ids)
        if row is not None:
            held[uid] = held[uid] if uid in held and row["outcome"] == "dropped" else row
            continue
        held.pop(uid, None)
        through.add((arrival.event_row_id, uid))
        occasion = _occasion(arrival.verdict, identity(taken.delivery.envelope), taken.document, arrival.event_row_id)
        taken.made.append(materialize(arrival.verdict.candidate.bound, occasion, now=now, new_id=ids.new))
    admitted = {taken.result.event_row_id: taken for taken, _ in arrivals}
    for row_id, taken in admitted.items():
        _record(tx, taken, tuple(held_up[row_id].values()))
    for taken in group:
        if taken.result.duplicate and (first := admitted.get(taken.result.event_row_id)):  # of one in the same group
            taken.result = replace(taken.result, materialized=_references(first.made))
    return any(row["timer_id"] for rows in held_up.values() for row in rows.values())


def _record(tx: Transaction, taken: _Taken, held_up: Sequence[Row]) -> None:
    """Write what became of an event that had to be admitted."""
    row_id = taken.result.event_row_id
    outcomes.keep(tx, held_up)
    taken.result = replace(taken.result, outcomes=(*taken.result.outcomes, *held_up))
    if taken.made:
        events.answered(tx, row_id, materialized_json=encode(_references(taken.made)))
    else:
        events.settle(tx, row_id)


def _occasion(
    verdict: Verdict, name: str, document: Mapping[str, Any], row_id: str, shared: Activation | None = None
) -> Occasion:
    trigger = verdict.candidate.trigger
    return Occasion(identity=name, trigger=trigger, event=document, event_row_id=row_id, shared=shared)


def _references(made: Iterable[Materialized]) -> tuple[dict[str, Any], ...]:
    return tuple(each.reference() for each in made)


def _errors(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The first error for each automation that the event did not fire; bounded, because a sender decides how many."""
    over = {each.candidate.bound.uid for each in verdicts if each.outcome == "match"}
    found: dict[str, Verdict] = {}
    for each in verdicts:
        if each.outcome == "error" and each.candidate.bound.uid not in over:
            found.setdefault(each.candidate.bound.uid, each)
    return list(islice(found.values(), MOST_ERRORS))


def _word(result: Ingested) -> str:
    """What became of a delivery at once, for telemetry."""
    if result.duplicate or result.rejected:
        return "duplicate" if result.duplicate else "rejected"
    waits = any(row["timer_id"] for row in result.outcomes)
    dropped = any(row["outcome"] == "dropped" for row in result.outcomes)
    return "materialized" if result.materialized else "waiting" if waits else "dropped" if dropped else "unmatched"


def _rejection(result: Ingested) -> EventRejected:
    return EventRejected(
        f"the event was rejected: {result.rejected}", hint=f"see: automations events show {result.event_row_id}"
    )


def _duplicate(row: Row, delivery: Delivery) -> Ingested:
    # An event that was imported has no digest: the original kept none, so nothing can be said against its repeat.
    conflict = row["body_digest"] not in ("", delivery.body_digest)
    materialized = tuple(decode(row["materialized_json"]))
    first = row["event_id"]
    rejected = row["reason"] if row["outcome"] == "rejected" else None
    found = Ingested(
        row["id"], materialized, duplicate=True, conflict=conflict, first_event_id=first, rejected=rejected
    )
    if not conflict:
        return found
    names = {
        "id": first,
        "source": row["source"],
        "type": row["type"],
    }  # all that is left of an event whose content is not kept
    return replace(found, stored=decode(row["envelope_json"]) or names)


def _event_row(delivery: Delivery, document: dict[str, Any]) -> Row:
    envelope = delivery.envelope
    return {
        "event_id": envelope.id,
        "source": envelope.source,
        "type": envelope.type,
        "envelope_json": as_written(document),
        "body_digest": delivery.body_digest,
        "guarded": int(delivery.once_within is not None),
    }
