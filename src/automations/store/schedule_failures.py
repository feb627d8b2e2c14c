"""Failed runs in a row of schedules that pause themselves, and since when they are paused."""

from automations.store.database import Row, Transaction


def paused(tx: Transaction, /) -> list[Row]:
    """`{automation_id, trigger_id, paused_at, failures}` of the schedules that are paused."""
    return tx.all(
        """SELECT a.id AS automation_id, f.trigger_id, f.paused_at, f.failures
           FROM schedule_failures f JOIN automations a ON a.uid = f.automation_uid
           WHERE f.paused_at IS NOT NULL AND a.deleted_at IS NULL ORDER BY a.id, f.trigger_id"""
    )


def get(tx: Transaction, /, *, uid: str, trigger_id: str) -> Row | None:
    """One schedule's."""
    return tx.one(
        "SELECT * FROM schedule_failures WHERE automation_uid = :uid AND trigger_id = :trigger_id",
        uid=uid,
        trigger_id=trigger_id,
    )


def begin(tx: Transaction, row: Row, /) -> None:
    """Count anew from the newest run that there is: a schedule that is new or changed, or was resumed."""
    tx.run(
        """INSERT INTO schedule_failures (automation_uid, trigger_id, generation, failures, counted_run_id, paused_at, updated_at)
           VALUES (:uid, :trigger_id, :generation, 0, coalesce((SELECT max(id) FROM runs
             WHERE automation_uid = :uid AND schedule_trigger_id = :trigger_id), ''), NULL, :now)
           ON CONFLICT (automation_uid, trigger_id) DO UPDATE SET generation = excluded.generation, failures = 0,
             counted_run_id = excluded.counted_run_id, paused_at = NULL, updated_at = excluded.updated_at""",
        **row,
    )


def count(tx: Transaction, row: Row, /) -> bool:
    """Write a count; False when another daemon counted meanwhile."""
    changed = tx.run(
        """UPDATE schedule_failures SET failures = :failures, counted_run_id = :counted_run_id, paused_at = :paused_at,
             updated_at = :now
           WHERE automation_uid = :uid AND trigger_id = :trigger_id AND counted_run_id = :based_on""",
        **row,
    )
    return changed == 1


def forget(tx: Transaction, /, *, uid: str, trigger_id: str) -> None:
    """A schedule that is gone, or pauses itself no longer."""
    tx.run(
        "DELETE FROM schedule_failures WHERE automation_uid = :uid AND trigger_id = :trigger_id",
        uid=uid,
        trigger_id=trigger_id,
    )
