"""Schedules: how far each was judged, and the slots that did not fire."""

from collections.abc import Iterable

from automations.store.database import Row, Transaction


def every(tx: Transaction, /) -> list[Row]:
    """All cursors."""
    return tx.all("SELECT * FROM schedules")


def hold(tx: Transaction, /, *, uid: str, trigger_id: str) -> Row | None:
    """One cursor, held until commit, so that two daemons never judge the same slots."""
    return tx.one(
        f"SELECT * FROM schedules WHERE automation_uid = :uid AND trigger_id = :trigger_id{tx.for_update}",
        uid=uid,
        trigger_id=trigger_id,
    )


def hold_of(tx: Transaction, uid: str, /) -> list[Row]:
    """The cursors of one automation, held until commit."""
    return tx.all(f"SELECT * FROM schedules WHERE automation_uid = :uid ORDER BY trigger_id{tx.for_update}", uid=uid)


def hold_every(tx: Transaction, /) -> list[Row]:
    """All cursors, held until commit, in the one order in which several are held."""
    return tx.all(f"SELECT * FROM schedules ORDER BY automation_uid, trigger_id{tx.for_update}")


def get(tx: Transaction, /, *, uid: str, trigger_id: str) -> Row | None:
    """One cursor."""
    return tx.one(
        "SELECT * FROM schedules WHERE automation_uid = :uid AND trigger_id = :trigger_id",
        uid=uid,
        trigger_id=trigger_id,
    )


def begin(tx: Transaction, row: Row, /) -> None:
    """Set a cursor without judging what lies before it: a schedule that is new, changed, paused, or was paused."""
    tx.run(
        """INSERT INTO schedules (automation_uid, trigger_id, digest, cursor_at, updated_at)
           VALUES (:uid, :trigger_id, :digest, :cursor_at, :now)
           ON CONFLICT (automation_uid, trigger_id) DO UPDATE SET digest = excluded.digest,
             cursor_at = excluded.cursor_at, updated_at = excluded.updated_at""",
        **row,
    )


def forget(tx: Transaction, rows: Iterable[Row], /) -> None:
    """Drop the cursors of schedules that are no more."""
    tx.many("DELETE FROM schedules WHERE automation_uid = :automation_uid AND trigger_id = :trigger_id", rows)


def advance(tx: Transaction, row: Row, /) -> bool:
    """Move a cursor on; False when another daemon was faster."""
    changed = tx.run(
        """UPDATE schedules SET cursor_at = :cursor_at, updated_at = :now
           WHERE automation_uid = :uid AND trigger_id = :trigger_id AND cursor_at = :based_on AND digest = :digest""",
        **row,
    )
    return changed == 1


def keep_skips(tx: Transaction, rows: Iterable[Row], /) -> None:
    """Write skipped slots into the ledger."""
    tx.many(
        """INSERT INTO schedule_skips (automation_uid, trigger_id, nominal_at, reason, recorded_at)
           VALUES (:uid, :trigger_id, :nominal_at, :reason, :now)
           ON CONFLICT (automation_uid, trigger_id, nominal_at) DO NOTHING""",
        rows,
    )


def fire(tx: Transaction, row: Row, /) -> bool:
    """Record that a slot starts a run; False when it has started one before, and then it must not again."""
    changed = tx.run(
        """INSERT INTO schedule_fires (automation_uid, trigger_id, nominal_at, run_id)
           VALUES (:uid, :trigger_id, :nominal_at, :run_id)
           ON CONFLICT (automation_uid, trigger_id, nominal_at) DO NOTHING""",
        **row,
    )
    return changed == 1


def has_fired(tx: Transaction, row: Row, /) -> bool:
    """Whether a slot has started a run before."""
    sql = """SELECT run_id FROM schedule_fires
             WHERE automation_uid = :uid AND trigger_id = :trigger_id AND nominal_at = :nominal_at"""
    return tx.one(sql, **row) is not None


def unskip(tx: Transaction, /, *, uid: str, trigger_id: str, nominal_at: int) -> None:
    """A slot that was skipped fires after all: a backfill, or a clock that had been ahead."""
    tx.run(
        """DELETE FROM schedule_skips
           WHERE automation_uid = :uid AND trigger_id = :trigger_id AND nominal_at = :nominal_at""",
        uid=uid,
        trigger_id=trigger_id,
        nominal_at=nominal_at,
    )


def fired_between(tx: Transaction, /, *, uid: str, trigger_id: str, since: int, until: int) -> dict[int, str]:
    """Slots that started a run, to its id."""
    rows = tx.all(
        """SELECT nominal_at, run_id FROM schedule_fires
           WHERE automation_uid = :uid AND trigger_id = :trigger_id AND nominal_at BETWEEN :since AND :until""",
        uid=uid,
        trigger_id=trigger_id,
        since=since,
        until=until,
    )
    return {row["nominal_at"]: row["run_id"] for row in rows}


def last_fired(tx: Transaction, /, *, uid: str, trigger_id: str) -> Row | None:
    """`{nominal_at, run_id, status?}` of the newest slot that started a run."""
    return tx.one(
        """SELECT f.nominal_at, f.run_id, r.status FROM schedule_fires f LEFT JOIN runs r ON r.id = f.run_id
           WHERE f.automation_uid = :uid AND f.trigger_id = :trigger_id ORDER BY f.nominal_at DESC LIMIT 1""",
        uid=uid,
        trigger_id=trigger_id,
    )


def forget_before(tx: Transaction, /, *, uid: str, trigger_id: str, nominal_at: int) -> None:
    """Drop fires and skips of one schedule that are older than anybody keeps them."""
    for table in ("schedule_fires", "schedule_skips"):
        tx.run(
            f"DELETE FROM {table} WHERE automation_uid = :uid AND trigger_id = :trigger_id AND nominal_at < :nominal_at",
            uid=uid,
            trigger_id=trigger_id,
            nominal_at=nominal_at,
        )


def skips(tx: Transaction, uid: str, trigger_id: str, /, *, before: int | None = None, limit: int) -> list[Row]:
    """The newest skipped slots of a schedule, those before an instant (microseconds) where one is given."""
    condition = "" if before is None else "AND nominal_at < :before"
    return tx.all(
        f"""SELECT nominal_at, reason, recorded_at FROM schedule_skips
            WHERE automation_uid = :uid AND trigger_id = :trigger_id {condition} ORDER BY nominal_at DESC LIMIT :limit""",
        uid=uid,
        trigger_id=trigger_id,
        limit=limit,
        **({} if before is None else {"before": before}),
    )
