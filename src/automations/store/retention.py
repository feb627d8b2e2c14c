"""Deleting what is older than its retention, a bounded number of rows at a time, and nothing that is still needed.

Rows are chosen and deleted in one statement each, by primary key, so that a writer is never held up for long.
"""

from collections.abc import Sequence

from automations.store.database import Row, Transaction


def ended_runs(tx: Transaction, /, *, before: int, statuses: Sequence[str], among: bool, limit: int) -> list[str]:
    """Ids of runs that ended before an instant, oldest first: those with one of these statuses, or (not `among`) with none."""
    words = ", ".join(f":s{index}" for index in range(len(statuses)))
    rows = tx.all(
        f"""SELECT id FROM runs WHERE completed_at IS NOT NULL AND completed_at < :before
              AND status {"IN" if among else "NOT IN"} ({words}) ORDER BY completed_at LIMIT :limit""",
        before=before,
        limit=limit,
        **{f"s{index}": status for index, status in enumerate(statuses)},
    )
    return [row["id"] for row in rows]


def delete_runs(tx: Transaction, run_ids: Sequence[str], /) -> None:
    """Runs with their actions and attempts. A run that a replay reopened meanwhile stays whole."""
    rows = [{"run_id": run_id} for run_id in run_ids]
    over = "SELECT id FROM runs WHERE id = :run_id AND completed_at IS NOT NULL"
    tx.many(
        f"DELETE FROM attempts WHERE action_row_id IN (SELECT id FROM actions WHERE run_id IN ({over}))",
        rows,
    )
    tx.many(f"DELETE FROM actions WHERE run_id IN ({over})", rows)
    tx.many("DELETE FROM runs WHERE id = :run_id AND completed_at IS NOT NULL", rows)


def delete_attempts(tx: Transaction, /, *, before: int, limit: int) -> int:
    """Ended attempts, but not those that a dead letter tells of."""
    return tx.run(
        """DELETE FROM attempts WHERE (action_row_id, fence) IN (
             SELECT t.action_row_id, t.fence FROM attempts t JOIN actions a ON a.id = t.action_row_id
             WHERE t.ended_at < :before AND a.status NOT IN ('dead', 'rejected', 'failed') LIMIT :limit)""",
        before=before,
        limit=limit,
    )


_NEEDED = """(SELECT 1 FROM event_outcomes o WHERE o.event_row_id = e.id AND (o.outcome IN ('delayed', 'debounced')
    OR EXISTS (SELECT 1 FROM runs w WHERE w.id = o.run_id)))"""
"""That an event waits for a timer, or is part of a run that is kept."""


def forget_content(tx: Transaction, /, *, before: int, after: int, limit: int) -> int:
    """Blank the envelopes of events between two instants that no run needs; their identities stay."""
    return tx.run(
        f"""UPDATE events SET envelope_json = '{{}}' WHERE id IN (
             SELECT e.id FROM events e WHERE e.received_at < :before AND e.received_at >= :after
               AND e.envelope_json <> '{{}}' AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.event_row_id = e.id)
               AND NOT EXISTS {_NEEDED} ORDER BY e.received_at LIMIT :limit)""",
        before=before,
        after=after,
        limit=limit,
    )


def delete_events(tx: Transaction, /, *, before: int, limit: int) -> int:
    """Events that no run needs any more and that wait for nothing, with what became of them."""
    rows = tx.all(
        f"""SELECT e.id FROM events e WHERE e.received_at < :before
              AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.event_row_id = e.id)
              AND NOT EXISTS {_NEEDED} ORDER BY e.received_at LIMIT :limit""",
        before=before,
        limit=limit,
    )
    tx.many("DELETE FROM event_outcomes WHERE event_row_id = :id", rows)
    tx.many("DELETE FROM events WHERE id = :id", rows)
    return len(rows)


def delete_start_requests(tx: Transaction, /, *, before: int) -> int:
    """Idempotency keys of starts that nobody repeats any more."""
    return tx.run("DELETE FROM start_requests WHERE requested_at < :before", before=before)


def delete_skips(tx: Transaction, /, *, before: int) -> int:
    """Entries of the schedules' ledger."""
    return tx.run("DELETE FROM schedule_skips WHERE recorded_at < :before", before=before)


def delete_replay_requests(tx: Transaction, /, *, before: int) -> int:
    """Requests whose audit entries go as well."""
    return tx.run("DELETE FROM replay_requests WHERE requested_at < :before", before=before)


def superseded_generations(tx: Transaction, /, *, before: int, limit: int) -> list[Row]:
    """`{uid, generation}` of generations bound before an instant that are not the current ones."""
    return tx.all(
        """SELECT g.uid, g.generation FROM generations g JOIN automations a ON a.uid = g.uid
           WHERE g.applied_at < :before AND g.generation <> a.generation ORDER BY g.applied_at LIMIT :limit""",
        before=before,
        limit=limit,
    )


def pinned_generations(tx: Transaction, /) -> set[tuple[str, int]]:
    """The generations that some run is pinned to."""
    rows = tx.all("SELECT DISTINCT automation_uid, generation FROM runs")
    return {(row["automation_uid"], row["generation"]) for row in rows}


def delete_generations(tx: Transaction, rows: Sequence[Row], /) -> None:
    """Generations that nothing is pinned to."""
    tx.many("DELETE FROM generations WHERE uid = :uid AND generation = :generation", rows)
