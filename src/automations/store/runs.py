"""Runs: pinned to a generation and manifests, moved only by the run machine."""

from collections.abc import Iterable

from automations.store.database import Row, Transaction

INSERT = """INSERT INTO runs (id, automation_uid, automation_id, generation, digest, manifests_json, status, trigger_json,
    event_row_id, trigger_event_id, schedule_trigger_id, idempotency_key, inputs_json, error_json, metadata_json,
    slot_key, slot_limit, slot, slot_turn, stop, stop_scope, stop_reason, stop_at, deadline_at,
    created_at, updated_at, completed_at)
  VALUES (:id, :automation_uid, :automation_id, :generation, :digest, :manifests_json, :status, :trigger_json,
    :event_row_id, :trigger_event_id, :schedule_trigger_id, :idempotency_key, :inputs_json, :error_json, :metadata_json,
    :slot_key, :slot_limit, :slot, :slot_turn, :stop, :stop_scope, :stop_reason, :stop_at, :deadline_at,
    :now, :now, :completed_at)"""


def insert(tx: Transaction, rows: Iterable[Row], /) -> None:
    """New runs."""
    tx.many(INSERT, rows)


def get(tx: Transaction, run_id: str, /) -> Row | None:
    """One run."""
    return tx.one("SELECT * FROM runs WHERE id = :id", id=run_id)


def hold(tx: Transaction, action_id: str, /) -> Row | None:
    """An action's run, held until commit: whoever moves a run or its actions does this first, so that nobody deadlocks."""
    return tx.one(
        f"SELECT * FROM runs WHERE id = (SELECT run_id FROM actions WHERE id = :action_id){tx.for_update}",
        action_id=action_id,
    )


def page(
    tx: Transaction, /, *, automation_id: str | None, status: str | None, before: str | None, limit: int
) -> list[Row]:
    """Runs, newest first, below the cursor `before` (a run id)."""
    conditions = ["1 = 1"]
    if automation_id is not None:
        conditions.append("automation_id = :automation_id")
    if status is not None:
        conditions.append("status = :status")
    if before is not None:
        conditions.append("id < :before")
    return tx.all(
        f"SELECT * FROM runs WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT :limit",  # fixed texts only
        automation_id=automation_id,
        status=status,
        before=before,
        limit=limit,
    )


def move(
    tx: Transaction, run_id: str, /, *, based_on: str, status: str, error_json: str | None, now: int, over: bool
) -> bool:
    """Set a run's status; guarded by the status that the decision was based on."""
    changed = tx.run(
        """UPDATE runs SET status = :status, error_json = :error_json, updated_at = :now,
             started_at = coalesce(started_at, :now), completed_at = :completed_at
           WHERE id = :id AND status = :based_on""",
        id=run_id,
        based_on=based_on,
        status=status,
        error_json=error_json,
        now=now,
        completed_at=now if over else None,
    )
    return changed == 1


def start(tx: Transaction, run_ids: Iterable[str], /, *, now: int) -> None:
    """The first claim of any of a run's actions starts it."""
    tx.many(
        "UPDATE runs SET status = 'running', started_at = :now, updated_at = :now WHERE id = :id AND status = 'materialized'",
        [{"id": run_id, "now": now} for run_id in run_ids],
    )


def reopen(tx: Transaction, run_id: str, /, *, based_on: str, now: int) -> bool:
    """A run that was over runs again, because one of its dead actions is replayed."""
    changed = tx.run(
        """UPDATE runs SET status = 'running', error_json = NULL, completed_at = NULL, updated_at = :now
           WHERE id = :id AND status = :based_on""",
        id=run_id,
        based_on=based_on,
        now=now,
    )
    return changed == 1


def live_of_trigger(tx: Transaction, uid: str, trigger_id: str, /) -> bool:
    """Whether a run that this schedule started is not over."""
    row = tx.one(
        "SELECT id FROM runs WHERE automation_uid = :uid AND schedule_trigger_id = :trigger_id AND completed_at IS NULL LIMIT 1",
        uid=uid,
        trigger_id=trigger_id,
    )
    return row is not None


def live_counts(tx: Transaction, /) -> list[Row]:
    """`{automation_id, status, n}` of runs that are not over."""
    return tx.all(
        "SELECT automation_id, status, count(*) AS n FROM runs WHERE completed_at IS NULL GROUP BY automation_id, status"
    )


def count(tx: Transaction, /) -> int:
    """How many runs there are."""
    row = tx.one("SELECT count(*) AS n FROM runs")
    return int(row["n"]) if row else 0
