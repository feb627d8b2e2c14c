"""Timers: debounce windows that are open and delayed events, as rows, so that no kill loses what waits."""

from automations.store.database import Row, Transaction


def hold_window(tx: Transaction, row: Row, /) -> Row:
    """The open window of a key, held until commit; `row` is the one to begin where there is none (its `events` are 0)."""
    names = {name: row[name] for name in ("automation_uid", "trigger_id", "key")}
    while True:  # a window that closes between the two statements is begun anew
        begin(tx, row)
        found = tx.one(
            f"""SELECT * FROM timers WHERE kind = 'window' AND automation_uid = :automation_uid
                AND trigger_id = :trigger_id AND key = :key{tx.for_update}""",
            **names,
        )
        if found is not None:
            return found


def begin(tx: Transaction, row: Row, /) -> None:
    """A new timer; of a window only one is open for each key."""
    tx.run(
        """INSERT INTO timers (id, kind, automation_uid, automation_id, trigger_id, key, opened_at, due_at, events, bytes,
             updated_at)
           VALUES (:id, :kind, :automation_uid, :automation_id, :trigger_id, :key, :opened_at, :due_at, :events, :bytes, :now)
           ON CONFLICT (automation_uid, trigger_id, key) WHERE kind = 'window' DO NOTHING""",
        **row,
    )


def move(tx: Transaction, timer_id: str, /, *, due_at: int, events: int, size: int, now: int) -> bool:
    """An event joined a window; False when it closed meanwhile."""
    changed = tx.run(
        "UPDATE timers SET due_at = :due_at, events = :events, bytes = :bytes, updated_at = :now WHERE id = :id",
        id=timer_id,
        due_at=due_at,
        events=events,
        bytes=size,
        now=now,
    )
    return changed == 1


def due(tx: Transaction, /, *, now: int, limit: int) -> list[str]:
    """Ids of timers that are due, the earliest first."""
    rows = tx.all("SELECT id FROM timers WHERE due_at <= :now ORDER BY due_at, id LIMIT :limit", now=now, limit=limit)
    return [row["id"] for row in rows]


def next_due(tx: Transaction, /) -> int | None:
    """When the earliest timer is due."""
    row = tx.one("SELECT min(due_at) AS due_at FROM timers")
    return None if row is None else row["due_at"]


def take(tx: Transaction, timer_id: str, /, *, now: int) -> Row | None:
    """Remove a timer that is due, for whoever does what it is for; None when another daemon did, or it was moved."""
    return tx.one("DELETE FROM timers WHERE id = :id AND due_at <= :now RETURNING *", id=timer_id, now=now)


def postpone(tx: Transaction, timer_id: str, /, *, due_at: int) -> None:
    """Try a timer again later: what it is for failed."""
    tx.run("UPDATE timers SET due_at = :due_at WHERE id = :id", id=timer_id, due_at=due_at)


def waiting_counts(tx: Transaction, /) -> list[Row]:
    """`{automation_uid, n}` of events that wait in a window or for their turn."""
    return tx.all("SELECT automation_uid, sum(events) AS n FROM timers GROUP BY automation_uid")


def set_ahead(tx: Transaction, /, *, ahead: int) -> bool:
    """Whether any timer was set at an instant later than `ahead`."""
    return tx.one("SELECT id FROM timers WHERE updated_at > :ahead LIMIT 1", ahead=ahead) is not None


def rebase(tx: Transaction, /, *, now: int, ahead: int) -> int:
    """Timers set by a clock that was further `ahead` than now wait as long as they were meant to, from now; how many."""
    return tx.run(
        f"""UPDATE timers SET due_at = :now + (due_at - updated_at), opened_at = :now - (updated_at - opened_at),
             updated_at = :now
           WHERE id IN (SELECT id FROM timers WHERE updated_at > :ahead ORDER BY id{tx.skip_locked})""",
        now=now,
        ahead=ahead,
    )
