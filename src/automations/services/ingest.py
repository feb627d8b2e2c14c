"""The verb ingest: events become durable runs, exactly once each, many events in one transaction.

One commit holds the event, its runs and their actions, so a kill at any moment leaves all or nothing. An identity that was
seen is answered with its first result. An event that had matched nothing is looked at again when it comes again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from automations.core.canonical import as_written, decode, encode
from automations.core.run.materialize import Occasion, materialize
from automations.core.trigger.bindings import Table, fired
from automations.core.trigger.envelope import Envelope, identity, scope_of, to_document
from automations.errors import AutomationsError, RouteMoved, StoreUnavailable
from automations.services.definitions import Bindings
from automations.services.ports import Clock, Ids, Telemetry, Wake
from automations.store import actions, events, runs
from automations.store.database import Database, Row, Transaction


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event to take in. `body_digest` is of what was delivered, so that a changed body under one identity shows."""

    envelope: Envelope
    body_digest: str


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of a delivery: `{automationId, runId, actionIds}` for every run, the first time's for a duplicate."""

    event_row_id: str
    materialized: tuple[dict[str, Any], ...]
    duplicate: bool = False
    conflict: bool = False
    first_event_id: str | None = None
    """Of a duplicate: the id that its event came in under the first time."""


class Ingest:
    """Takes events in."""

    def __init__(self, database: Database, bindings: Bindings, *, clock: Clock, ids: Ids, telemetry: Telemetry) -> None:
        self._database = database
        self._bindings = bindings
        self._clock = clock
        self._ids = ids
        self._telemetry = telemetry
        self.wake: Wake = lambda: None
        """Called after a commit that queued work here."""

    def one(self, delivery: Delivery) -> Ingested:
        """Take one event in. Raises StoreUnavailable when it could not be committed; then nothing is remembered."""
        return self._commit([delivery])[0]

    def many(self, deliveries: Sequence[Delivery]) -> list[Ingested | AutomationsError]:
        """Take a group in with one commit. If any member spoils it, each is retried alone and fails alone."""
        try:
            return list(self._commit(deliveries))
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
            table = self._bindings.within(tx)
            taken = {
                at: _take(tx, deliveries[at], table=table, now=now, ids=self._ids) for at in self._order(deliveries)
            }
        results = [taken[at] for at in range(len(deliveries))]
        for delivery, result in zip(deliveries, results, strict=True):
            self._tell(delivery.envelope, result)
        if any(result.materialized and not result.duplicate for result in results):
            self.wake()
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
        outcome = "duplicate" if result.duplicate else "materialized" if result.materialized else "unmatched"
        self._telemetry.emit(
            f"event.{outcome}",
            event_id=envelope.id,
            source=envelope.source,
            type=envelope.type,
            runs=len(result.materialized),
        )
        if result.conflict:
            self._telemetry.emit("event.conflict", event_id=envelope.id, source=envelope.source)


def _take(tx: Transaction, delivery: Delivery, *, table: Table, now: int, ids: Ids) -> Ingested:
    envelope = delivery.envelope
    scope, name = scope_of(envelope), identity(envelope)
    known = events.known(tx, scope, name)
    if known is not None and (known["outcome"] != "unmatched" or known["body_digest"] != delivery.body_digest):
        return _duplicate(known, delivery)
    if envelope.route_id is not None and envelope.route_id not in table.live_routes:
        # The request was judged by an older table. Acknowledging it now could start nothing and lose it for good.
        raise RouteMoved(f"webhook route {envelope.route_id} was changed meanwhile", hint="send the request again")
    row_id = known["id"] if known else ids.new()
    document = to_document(envelope)
    made = [
        materialize(
            candidate.bound,
            Occasion(identity=name, trigger=candidate.trigger, event=document, event_row_id=row_id),
            now=now,
            new_id=ids.new,
        )
        for candidate in fired(table, envelope)
    ]
    references = tuple(each.reference() for each in made)
    if known is not None and not made:
        return _duplicate(known, delivery)
    if known is not None:
        recorded = events.rematerialize(tx, row_id, materialized_json=encode(references))
    else:
        names = {"id": row_id, "scope": scope, "identity": name, "received_at": now}
        recorded = events.insert(tx, _event_row(delivery, document, references) | names)
    if not recorded:  # another delivery of it was faster
        standing = events.known(tx, scope, name)
        assert standing is not None  # noqa: S101  # the write found it
        return _duplicate(standing, delivery)
    if made:
        runs.insert(tx, [each.run for each in made])
        actions.insert(tx, [action for each in made for action in each.actions])
    return Ingested(row_id, references)


def _duplicate(row: Row, delivery: Delivery) -> Ingested:
    # An event that was imported has no digest: the original kept none, so nothing can be said against its repeat.
    conflict = row["body_digest"] not in ("", delivery.body_digest)
    materialized = tuple(decode(row["materialized_json"]))
    return Ingested(row["id"], materialized, duplicate=True, conflict=conflict, first_event_id=row["event_id"])


def _event_row(delivery: Delivery, document: dict[str, Any], references: tuple[dict[str, Any], ...]) -> Row:
    envelope = delivery.envelope
    return {
        "event_id": envelope.id,
        "source": envelope.source,
        "type": envelope.type,
        "envelope_json": as_written(document),
        "body_digest": delivery.body_digest,
        "outcome": "materialized" if references else "unmatched",
        "materialized_json": encode(references),
    }
