"""What became of events for single automations, where that is more than a run in the event's own commit.

The words: `delayed` (by a rate limit) and `debounced` (in an open window) wait for a timer; `started` is the event that a later
run is for, `coalesced` one that became part of another event's run; `dropped` and `error` started nothing, for a reason.
"""

from collections.abc import Iterable

from automations.store.database import Row, Transaction


def keep(tx: Transaction, rows: Iterable[Row], /) -> None:
    """Write outcomes; an event that is looked at again gets its new one, and keeps when it came."""
    tx.many(
        """INSERT INTO event_outcomes (event_row_id, automation_uid, automation_id, trigger_id, generation, outcome, reason,
             key, timer_id, due_at, run_id, arrived_at, updated_at)
           VALUES (:event_row_id, :automation_uid, :automation_id, :trigger_id, :generation, :outcome, :reason,
             :key, :timer_id, :due_at, :run_id, :now, :now)
           ON CONFLICT (event_row_id, automation_uid) DO UPDATE SET trigger_id = excluded.trigger_id,
             generation = excluded.generation, outcome = excluded.outcome, reason = excluded.reason, key = excluded.key,
             timer_id = excluded.timer_id, due_at = excluded.due_at, run_id = excluded.run_id,
             updated_at = excluded.updated_at""",
        rows,
    )


def forget_errors(tx: Transaction, event_row_id: str, /) -> None:
    """An event that is looked at again fails anew, or no more."""
    tx.run("DELETE FROM event_outcomes WHERE event_row_id = :id AND outcome = 'error'", id=event_row_id)


def close(tx: Transaction, timer_id: str, /, *, outcome: str, reason: str | None, run_id: str | None, now: int) -> int:
    """What waited for this timer waits no more; how many events."""
    return tx.run(
        """UPDATE event_outcomes SET outcome = :outcome, reason = :reason, run_id = :run_id, due_at = NULL,
             updated_at = :now
           WHERE timer_id = :timer_id AND outcome IN ('delayed', 'debounced')""",
        timer_id=timer_id,
        outcome=outcome,
        reason=reason,
        run_id=run_id,
        now=now,
    )


def end(tx: Transaction, row: Row, /) -> None:
    """One event that waited for a timer waits no more."""
    tx.run(
        """UPDATE event_outcomes SET outcome = :outcome, reason = :reason, run_id = :run_id, due_at = NULL,
             updated_at = :now
           WHERE event_row_id = :event_row_id AND automation_uid = :automation_uid
             AND outcome IN ('delayed', 'debounced')""",
        **row,
    )


_WAITING = """SELECT o.event_row_id, o.automation_uid, o.automation_id, o.generation, e.scope, e.identity, e.event_id,
      e.envelope_json, e.received_at
    FROM event_outcomes o JOIN events e ON e.id = o.event_row_id
    WHERE o.timer_id = :timer_id AND o.outcome IN ('delayed', 'debounced')"""


def of_other_generations(tx: Transaction, timer_id: str, /, *, generation: int) -> list[Row]:
    """Events that wait for a timer since the automation was another, with their envelopes."""
    return tx.all(f"{_WAITING} AND o.generation <> :generation", timer_id=timer_id, generation=generation)


def first_waiting(tx: Transaction, timer_id: str, /) -> Row | None:
    """The event that came first of those that wait for a timer, with its envelope."""
    return tx.one(f"{_WAITING} ORDER BY o.arrived_at, o.event_row_id LIMIT 1", timer_id=timer_id)


def last_waiting(tx: Transaction, timer_id: str, /) -> Row | None:
    """The event that came last of those that wait for a timer, with its envelope."""
    return tx.one(f"{_WAITING} ORDER BY o.arrived_at DESC, o.event_row_id DESC LIMIT 1", timer_id=timer_id)


def every_waiting(tx: Transaction, timer_id: str, /) -> list[Row]:
    """All events that wait for a timer in the order in which they came, with their envelopes; bounded by the window."""
    return tx.all(f"{_WAITING} ORDER BY o.arrived_at, o.event_row_id", timer_id=timer_id)


def of_event(tx: Transaction, event_row_id: str, /) -> list[Row]:
    """Every outcome of one event."""
    return tx.all(
        "SELECT * FROM event_outcomes WHERE event_row_id = :id ORDER BY automation_id, automation_uid", id=event_row_id
    )


def of_events(tx: Transaction, event_row_ids: Iterable[str], /) -> list[Row]:
    """Every outcome of these events."""
    wanted = {f"e{place}": each for place, each in enumerate(event_row_ids)}
    if not wanted:
        return []
    named = ", ".join(f":{name}" for name in wanted)
    return tx.all(f"SELECT * FROM event_outcomes WHERE event_row_id IN ({named})", **wanted)


def of_run(tx: Transaction, run_id: str, /) -> list[Row]:
    """The events that a run stands for in the order in which they came, with their envelopes."""
    return tx.all(
        """SELECT o.event_row_id, o.outcome, o.arrived_at, e.event_id, e.envelope_json
           FROM event_outcomes o JOIN events e ON e.id = o.event_row_id
           WHERE o.run_id = :run_id ORDER BY o.arrived_at, o.event_row_id""",
        run_id=run_id,
    )
