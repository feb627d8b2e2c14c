"""Schedules: how far each was judged, and the slots that did not fire."""

from collections.abc import Iterable

from automations.store.database import Row, Transaction


def every(tx: Transaction, /) -> list[Row]:
    """All cursors."""
    return tx.all("SELECT * FROM schedules")


def hold(tx: Transaction, uid: str, trigger_id: str, /) -> Row | None:
    """One cursor, held until commit, so that two daemons never judge the same slots."""
    return tx.one(
        f"SELECT * FROM schedules WHERE automation_uid = :uid AND trigger_id = :trigger_id{tx.for_update}",
        uid=uid,
        trigger_id=trigger_id,
    )


def begin(tx: Transaction, row: Row, /) -> None:
    """Set a cursor without judging what lies before it: a schedule that is new, changed, or was paused."""
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


def skips(tx: Transaction, uid: str, trigger_id: str, /, *, limit: int) -> list[Row]:
    """The newest skipped slots of a schedule."""
    return tx.all(
        """SELECT nominal_at, reason, recorded_at FROM schedule_skips
           WHERE automation_uid = :uid AND trigger_id = :trigger_id ORDER BY nominal_at DESC LIMIT :limit""",
        uid=uid,
        trigger_id=trigger_id,
        limit=limit,
    )
