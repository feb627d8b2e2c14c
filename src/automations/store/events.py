"""Events: each identity once, with what became of it. Raw bodies and headers never come here."""

from collections.abc import Iterable
from typing import NamedTuple

from automations.store.database import Row, Transaction


def insert(tx: Transaction, row: Row, /) -> bool:
    """Record an event; False when its identity is known already (then nothing changed)."""
    changed = tx.run(
        """INSERT INTO events (id, scope, identity, event_id, source, type, envelope_json, body_digest, outcome,
             materialized_json, received_at, reason, guarded)
           VALUES (:id, :scope, :identity, :event_id, :source, :type, :envelope_json, :body_digest, :outcome,
             :materialized_json, :received_at, :reason, :guarded)
           ON CONFLICT (scope, identity) DO NOTHING""",
        **row,
    )
    return changed == 1


def known(tx: Transaction, scope: str, identity: str, /) -> Row | None:
    """The event of this identity, if it was seen."""
    return tx.one("SELECT * FROM events WHERE scope = :scope AND identity = :identity", scope=scope, identity=identity)


def of_body(tx: Transaction, scope: str, body_digest: str, /, *, since: int) -> Row | None:
    """An event with this body that came in after an instant, of those that guard against being repeated.

    There are several only where the window was made longer; then any will do, and none is sorted for.
    """
    return tx.one(
        """SELECT * FROM events WHERE scope = :scope AND body_digest = :body_digest AND guarded = 1
             AND received_at > :since LIMIT 1""",
        scope=scope,
        body_digest=body_digest,
        since=since,
    )


def add_repeats(tx: Transaction, repeats: Iterable[Row], /) -> None:
    """These events came again, so often: `{id, replays, conflicts, now}`, under other identities or with other bodies."""
    tx.many(
        """UPDATE events SET replays = replays + :replays, conflicts = conflicts + :conflicts,
             conflict_at = CASE WHEN :conflicts > 0 THEN :now ELSE conflict_at END
           WHERE id = :id""",
        repeats,
    )


def rematerialize(tx: Transaction, row_id: str, /, *, outcome: str, materialized_json: str) -> bool:
    """An event that had matched nothing matched when it came again; False when another delivery was faster."""
    changed = tx.run(
        """UPDATE events SET outcome = :outcome, materialized_json = :materialized_json
           WHERE id = :id AND outcome = 'unmatched'""",
        id=row_id,
        outcome=outcome,
        materialized_json=materialized_json,
    )
    return changed == 1


def answered(tx: Transaction, row_id: str, /, *, materialized_json: str) -> None:
    """Write what a new event's sender is told, and every repeat of it."""
    tx.run(
        "UPDATE events SET materialized_json = :materialized_json, outcome = 'materialized' WHERE id = :id",
        id=row_id,
        materialized_json=materialized_json,
    )


_SETTLED = """UPDATE events SET outcome = (
      SELECT CASE min(CASE o.outcome WHEN 'started' THEN 1 WHEN 'delayed' THEN 2 WHEN 'debounced' THEN 2
          WHEN 'coalesced' THEN 3 WHEN 'dropped' THEN 4 ELSE 5 END)
        WHEN 1 THEN 'materialized' WHEN 2 THEN 'waiting' WHEN 3 THEN 'coalesced' WHEN 4 THEN 'dropped'
        ELSE 'unmatched' END
      FROM event_outcomes o WHERE o.event_row_id = events.id)
    WHERE outcome <> 'materialized'"""
"""An event's own outcome, from those for single automations: the best of them, as long as it has not started a run."""


def settle(tx: Transaction, row_id: str, /) -> None:
    """Make one event's outcome what its outcomes for single automations say."""
    tx.run(f"{_SETTLED} AND id = :id", id=row_id)


def settle_all(tx: Transaction, timer_id: str, /) -> None:
    """The same for every event that waited for a timer, held in one order: two timers may have held up the same events."""
    waited = "SELECT w.event_row_id FROM event_outcomes w WHERE w.timer_id = :timer_id"
    if tx.for_update:
        tx.all(f"SELECT id FROM events WHERE id IN ({waited}) ORDER BY id{tx.for_update}", timer_id=timer_id)
    tx.run(f"{_SETTLED} AND id IN ({waited})", timer_id=timer_id)


def called(tx: Transaction, event_id: str, /, *, most: int) -> list[Row]:
    """`{id, about}` of the events that call themselves so, the newest first."""
    return tx.all(
        """SELECT id, source || ' ' || type || ' ' || event_id AS about FROM events WHERE event_id = :event_id
           ORDER BY id DESC LIMIT :most""",
        event_id=event_id,
        most=most,
    )


def rescope(tx: Transaction, old: str, new: str, /) -> int:
    """Carry identities over to another scope, as when a rename gives a route another id; those known there stay."""
    return tx.run(
        """UPDATE events SET scope = :new WHERE scope = :old AND NOT EXISTS
             (SELECT 1 FROM events AS there WHERE there.scope = :new AND there.identity = events.identity)""",
        old=old,
        new=new,
    )


def get(tx: Transaction, row_id: str, /) -> Row | None:
    """One event by its row id."""
    return tx.one("SELECT * FROM events WHERE id = :id", id=row_id)


def latest_of(tx: Transaction, event_id: str, /) -> Row | None:
    """The newest event that calls itself so; two senders may use one id.

    No index: every event would pay for a question that people ask now and then.
    """
    return tx.one("SELECT * FROM events WHERE event_id = :event_id ORDER BY id DESC LIMIT 1", event_id=event_id)


def later(tx: Transaction, /, *, at: int, after: str, limit: int) -> list[Row]:
    """Events in the order in which they came in, later than an instant and the row id `after` of that instant."""
    return tx.all(
        "SELECT * FROM events WHERE (received_at, id) > (:at, :after) ORDER BY received_at, id LIMIT :limit",
        at=at,
        after=after,
        limit=limit,
    )


class Wanted(NamedTuple):
    """Which events to list. `kind` is their type, `before` the cursor (an event's row id), `since` in microseconds."""

    outcome: str | None = None
    source: str | None = None
    kind: str | None = None
    since: int | None = None
    before: str | None = None
    limit: int = 50


def page(tx: Transaction, wanted: Wanted, /) -> list[Row]:
    """Events, newest first, below the cursor, received at `since` or later."""
    conditions = {
        "outcome": "outcome = :outcome",
        "source": "source = :source",
        "kind": "type = :kind",
        "since": "received_at >= :since",
        "before": "id < :before",
    }
    given = {name: value for name, value in wanted._asdict().items() if value is not None}
    chosen = " AND ".join(["1 = 1", *(text for name, text in conditions.items() if name in given)])
    return tx.all(f"SELECT * FROM events WHERE {chosen} ORDER BY id DESC LIMIT :limit", **given)


def newest(tx: Transaction, /, *, limit: int) -> list[Row]:
    """The newest events, the newest first."""
    return tx.all("SELECT * FROM events ORDER BY id DESC LIMIT :limit", limit=limit)
