"""Runs: pinned to a generation and manifests, moved only by the run machine."""

from collections.abc import Iterable, Sequence

from automations.store import audit
from automations.store.database import Row, Transaction
from automations.store.lists import AT_ONCE, listed

INSERT = """INSERT INTO runs (id, automation_uid, automation_id, generation, digest, manifests_json, status, trigger_json,
    event_row_id, trigger_event_id, schedule_trigger_id, idempotency_key, inputs_json, error_json, metadata_json,
    slot_key, slot_limit, slot, slot_turn, stop, stop_scope, stop_reason, stop_at, deadline_at,
    deadline_left, finally_at, replay_of, created_at, updated_at, completed_at)
  VALUES (:id, :automation_uid, :automation_id, :generation, :digest, :manifests_json, :status, :trigger_json,
    :event_row_id, :trigger_event_id, :schedule_trigger_id, :idempotency_key, :inputs_json, :error_json, :metadata_json,
    :slot_key, :slot_limit, :slot, :slot_turn, :stop, :stop_scope, :stop_reason, :stop_at, :deadline_at,
    :deadline_left, :finally_at, :replay_of, :now, :now, :completed_at)"""


def insert(tx: Transaction, rows: Iterable[Row], /) -> None:
    """New runs. Of those that are over before they began the audit log is told at once."""
    given = list(rows)
    tx.many(INSERT, given)
    ended = [row["id"] for row in given if row["completed_at"] is not None]
    if ended:
        audit.write_ends(tx, ended)


def get(tx: Transaction, run_id: str, /) -> Row | None:
    """One run."""
    return tx.one("SELECT * FROM runs WHERE id = :id", id=run_id)


def hold(tx: Transaction, action_id: str, /) -> Row | None:
    """An action's run, held until commit: whoever moves a run or its actions does this first, so that nobody deadlocks."""
    return tx.one(
        f"SELECT * FROM runs WHERE id = (SELECT run_id FROM actions WHERE id = :action_id){tx.for_update}",
        action_id=action_id,
    )


def hold_one(tx: Transaction, run_id: str, /) -> Row | None:
    """One run, held until commit."""
    return tx.one(f"SELECT * FROM runs WHERE id = :id{tx.for_update}", id=run_id)


def repin(tx: Transaction, run_id: str, row: Row, /) -> None:
    """A replay moves a run that is over to another generation, and to other manifests."""
    tx.run(
        "UPDATE runs SET generation = :generation, digest = :digest, manifests_json = :manifests_json WHERE id = :id",
        **row,
        id=run_id,
    )


def describe(tx: Transaction, run_id: str, /, *, metadata_json: str) -> None:
    """What is noted about a run that a replay reopens."""
    tx.run("UPDATE runs SET metadata_json = :metadata_json WHERE id = :id", metadata_json=metadata_json, id=run_id)


def page(tx: Transaction, /, *, uid: str | None, status: str | None, before: str | None, limit: int) -> list[Row]:
    """Runs (of the automation `uid`), newest first, below the cursor `before` (a run id)."""
    conditions = ["1 = 1"]
    if uid is not None:
        conditions.append("automation_uid = :uid")
    if status is not None:
        conditions.append("status = :status")
    if before is not None:
        conditions.append("id < :before")
    return tx.all(
        f"SELECT * FROM runs WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT :limit",  # fixed texts only
        uid=uid,
        status=status,
        before=before,
        limit=limit,
    )


def move(tx: Transaction, row: Row, /) -> bool:
    """Set a run's status and its place; guarded by the status that the decision was based on. Its end goes into the audit log."""
    changed = tx.run(
        """UPDATE runs SET status = :status, error_json = :error_json, updated_at = :now, started_at = :started_at,
             completed_at = :completed_at, slot = :slot, slot_turn = :slot_turn, deadline_at = :deadline_at,
             deadline_left = :deadline_left, finally_at = :finally_at
           WHERE id = :id AND status = :based_on""",
        **row,
    )
    if changed == 1 and row["completed_at"] is not None:
        audit.write_ends(tx, [row["id"]])
    return changed == 1


def start(tx: Transaction, run_ids: Sequence[str], /, *, now: int, waits: bool = False) -> int:
    """The first claim of any of a run's actions starts it; how many were started.

    One that somebody holds is passed over, because waiting for it with actions in hand could be waiting for each other;
    who holds none `waits`, see `not_started`.
    """
    started = 0
    for begin in range(0, len(run_ids), AT_ONCE[-1]):
        names, values = listed(run_ids[begin : begin + AT_ONCE[-1]])
        started += tx.run(
            f"""UPDATE runs SET status = 'running', started_at = :now, updated_at = :now
                WHERE id IN (SELECT id FROM runs WHERE id IN ({names}) AND status = 'materialized'
                  ORDER BY id{tx.for_update if waits else tx.skip_locked})""",  # fixed texts only
            now=now,
            **values,
        )
    return started


def not_started(tx: Transaction, run_ids: Sequence[str], /) -> list[str]:
    """Which of these runs, some of whose actions were claimed, were passed over when they were to be started; in order."""
    found: list[str] = []
    for begin in range(0, len(run_ids), AT_ONCE[-1]):
        names, values = listed(run_ids[begin : begin + AT_ONCE[-1]])
        rows = tx.all(f"SELECT id FROM runs WHERE id IN ({names}) AND status = 'materialized' ORDER BY id", **values)
        found += [row["id"] for row in rows]
    return found


def set_aside(tx: Transaction, run_id: str, /, *, error_json: str, now: int) -> None:
    """End a run that cannot be moved."""
    tx.run(
        """UPDATE runs SET status = 'failed', error_json = :error_json, updated_at = :now, completed_at = :now, slot = NULL,
             deadline_at = NULL, deadline_left = NULL
           WHERE id = :id AND completed_at IS NULL""",
        id=run_id,
        error_json=error_json,
        now=now,
    )
    audit.write_ends(tx, [run_id])


def stop(tx: Transaction, row: Row, /) -> bool:
    """Tell a run to end early; False when it is over, or was told something before."""
    changed = tx.run(
        """UPDATE runs SET stop = :stop, stop_scope = :stop_scope, stop_by = :stop_by, stop_reason = :stop_reason,
             stop_at = :now, updated_at = :now
           WHERE id = :id AND stop IS NULL AND completed_at IS NULL""",
        **row,
    )
    return changed == 1


def widen_stop(tx: Transaction, run_id: str, /, *, now: int) -> bool:
    """Stop the `finally` steps of a run too that was told to end before."""
    changed = tx.run(
        """UPDATE runs SET stop_scope = 'all', deadline_at = NULL, updated_at = :now
           WHERE id = :id AND stop IS NOT NULL AND completed_at IS NULL""",
        id=run_id,
        now=now,
    )
    return changed == 1


def reopen(tx: Transaction, run_id: str, /, *, based_on: str, now: int) -> bool:
    """A run that was over runs again, because one of its actions is replayed: as if it had never been stopped."""
    changed = tx.run(
        """UPDATE runs SET status = 'running', error_json = NULL, completed_at = NULL, updated_at = :now, slot = NULL,
             stop = NULL, stop_scope = NULL, stop_by = NULL, stop_reason = NULL, stop_at = NULL, deadline_at = NULL,
             deadline_left = NULL, finally_at = NULL
           WHERE id = :id AND status = :based_on""",
        id=run_id,
        based_on=based_on,
        now=now,
    )
    return changed == 1


_STANDING = """CASE WHEN EXISTS (SELECT 1 FROM actions a WHERE a.run_id = runs.id AND a.fence > 0) THEN 1 ELSE 0 END AS begun,
  CASE WHEN stop IS NULL THEN 0 ELSE 1 END AS ending"""
"""Whether anything of a run was handed out, and whether it was told to end: what `core.plan.policy` asks of it."""


def under_way(tx: Transaction, uid: str, /) -> list[Row]:
    """`{id, begun, ending}` of an automation's runs that are not over, newest first."""
    return tx.all(
        f"""SELECT id, {_STANDING} FROM runs WHERE automation_uid = :uid AND completed_at IS NULL
            ORDER BY id DESC""",  # fixed texts only
        uid=uid,
    )


def under_way_of_deleted(tx: Transaction, /) -> dict[str, int]:
    """Uids of deleted automations to how many of their runs are not over, where there are any."""
    rows = tx.all(
        """SELECT automation_uid, count(*) AS runs FROM runs
           WHERE completed_at IS NULL AND automation_uid IN (SELECT uid FROM automations WHERE deleted_at IS NOT NULL)
           GROUP BY automation_uid"""
    )
    return {row["automation_uid"]: row["runs"] for row in rows}


def live_of_trigger(tx: Transaction, uid: str, trigger_id: str, /) -> bool:
    """Whether a run that this schedule started is not over."""
    row = tx.one(
        "SELECT id FROM runs WHERE automation_uid = :uid AND schedule_trigger_id = :trigger_id AND completed_at IS NULL LIMIT 1",
        uid=uid,
        trigger_id=trigger_id,
    )
    return row is not None


def of_schedule_after(tx: Transaction, /, *, uid: str, trigger_id: str, after: str, limit: int) -> list[Row]:
    """`{id, status, completed_at}` of the runs that a schedule started after the run `after`, in that order."""
    return tx.all(
        """SELECT id, status, completed_at FROM runs
           WHERE automation_uid = :uid AND schedule_trigger_id = :trigger_id AND id > :after ORDER BY id LIMIT :limit""",
        uid=uid,
        trigger_id=trigger_id,
        after=after,
        limit=limit,
    )


def live_counts(tx: Transaction, uids: Sequence[str], /) -> list[Row]:
    """`{automation_uid, status, begun, ending, n}` of runs of these automations that are not over."""
    found: list[Row] = []
    for at in range(0, len(uids), AT_ONCE[-1]):
        names, values = listed(uids[at : at + AT_ONCE[-1]])
        found += tx.all(
            f"""SELECT automation_uid, status, begun, ending, count(*) AS n FROM (
                  SELECT automation_uid, status, {_STANDING} FROM runs
                  WHERE automation_uid IN ({names}) AND completed_at IS NULL) AS live
                GROUP BY automation_uid, status, begun, ending""",  # fixed texts only
            **values,
        )
    return found


def count(tx: Transaction, /) -> int:
    """How many runs there are."""
    row = tx.one("SELECT count(*) AS n FROM runs")
    return int(row["n"]) if row else 0
