"""Events: each identity once, with what became of it. Raw bodies and headers never come here."""

from automations.store.database import Row, Transaction


def insert(tx: Transaction, row: Row, /) -> bool:
    """Record an event; False when its identity is known already (then nothing changed)."""
    changed = tx.run(
        """INSERT INTO events (id, scope, identity, event_id, source, type, envelope_json, body_digest, outcome,
             materialized_json, received_at)
           VALUES (:id, :scope, :identity, :event_id, :source, :type, :envelope_json, :body_digest, :outcome,
             :materialized_json, :received_at)
           ON CONFLICT (scope, identity) DO NOTHING""",
        **row,
    )
    return changed == 1


def known(tx: Transaction, scope: str, identity: str, /) -> Row | None:
    """The event of this identity, if it was seen."""
    return tx.one("SELECT * FROM events WHERE scope = :scope AND identity = :identity", scope=scope, identity=identity)


def rematerialize(tx: Transaction, row_id: str, /, *, materialized_json: str) -> bool:
    """An event that had matched nothing matched when it came again; False when another delivery was faster."""
    changed = tx.run(
        """UPDATE events SET outcome = 'materialized', materialized_json = :materialized_json
           WHERE id = :id AND outcome = 'unmatched'""",
        id=row_id,
        materialized_json=materialized_json,
    )
    return changed == 1


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


def page(tx: Transaction, /, *, outcome: str | None, before: str | None, limit: int) -> list[Row]:
    """Events, newest first, below the cursor `before` (a row id)."""
    conditions = ["1 = 1"]
    if outcome is not None:
        conditions.append("outcome = :outcome")
    if before is not None:
        conditions.append("id < :before")
    return tx.all(
        f"SELECT * FROM events WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT :limit",
        outcome=outcome,
        before=before,
        limit=limit,
    )
