"""Queued actions: claimed from a partial index, finished by guarded updates, their ended attempts kept."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from automations.store.database import Row, Transaction

INSERT = """INSERT INTO actions (id, run_id, automation_id, step_id, position, action_id, manifest_version, manifest_digest,
    executor, idempotency_key, status, priority, input_json, input_digest, attempt, max_attempts, crashes, fence, available_at,
    error_json, approval_json, metadata_json, reason, attempt_limit, step_limit, created_at, updated_at, completed_at)
  VALUES (:id, :run_id, :automation_id, :step_id, :position, :action_id, :manifest_version, :manifest_digest,
    :executor, :idempotency_key, :status, :priority, :input_json, :input_digest, 0, :max_attempts, 0, 0, :now,
    :error_json, :approval_json, :metadata_json, :reason, :attempt_limit, :step_limit, :now, :now, :completed_at)"""


def insert(tx: Transaction, rows: Iterable[Row], /) -> None:
    """New actions, one a step."""
    tx.many(INSERT, rows)


def get(tx: Transaction, action_id: str, /) -> Row | None:
    """One action."""
    return tx.one("SELECT * FROM actions WHERE id = :id", id=action_id)


def hold(tx: Transaction, action_id: str, /) -> Row | None:
    """One action, held until commit. Hold its run first."""
    return tx.one(f"SELECT * FROM actions WHERE id = :id{tx.for_update}", id=action_id)


def of_run(tx: Transaction, run_id: str, /) -> list[Row]:
    """A run's actions in their author's order."""
    return tx.all("SELECT * FROM actions WHERE run_id = :run_id ORDER BY position", run_id=run_id)


class Only(NamedTuple):
    """Action ids that begin with `prefix` and end with `suffix`; `whole` ones are exactly the prefix."""

    prefix: str
    suffix: str = ""
    whole: bool = False


class Which(NamedTuple):
    """What a claimer wants: actions of these kinds of executor (None for any), of any of these ids (none for all)."""

    kinds: tuple[str, ...] | None = None
    only: tuple[Only, ...] = ()


def statuses_of_run(tx: Transaction, run_id: str, /) -> set[str]:
    """Which statuses a run's actions have."""
    return {row["status"] for row in tx.all("SELECT status FROM actions WHERE run_id = :run_id", run_id=run_id)}


def claim(tx: Transaction, which: Which, /, *, runner: str, limit: int, now: int, until: int) -> list[Row]:
    """Lease up to `limit` claimable actions to `runner` until `until`: by priority, then available time, then id.

    Rows that another claimer holds are passed over.
    """
    wanted, values = _wanted(which)
    rows = tx.all(
        f"""UPDATE actions SET status = 'claimed', claimed_by = :runner, claimed_at = :now, lease_expires_at = :until,
              fence = fence + 1, updated_at = :now
            WHERE id IN (SELECT id FROM actions WHERE status IN ('queued', 'retrying') AND available_at <= :now {wanted}
              ORDER BY priority DESC, available_at, id LIMIT :limit{tx.skip_locked})
            RETURNING *""",  # fixed texts only
        runner=runner,
        now=now,
        until=until,
        limit=limit,
        **values,
    )
    return sorted(rows, key=lambda row: (-row["priority"], row["available_at"], row["id"]))


def next_available(tx: Transaction, which: Which, /) -> int | None:
    """When the next claimable action becomes available (microseconds), or None when there is none."""
    wanted, values = _wanted(which)
    row = tx.one(
        f"SELECT min(available_at) AS at FROM actions WHERE status IN ('queued', 'retrying') {wanted}",  # fixed texts
        **values,
    )
    return None if row is None else row["at"]


def _wanted(which: Which) -> tuple[str, dict[str, Any]]:
    """The condition on executors and action ids, and its values."""
    conditions, values = [], dict[str, Any]()
    if which.kinds is not None:
        values |= {f"kind{at}": kind for at, kind in enumerate(which.kinds)}
        names = ", ".join(f":kind{at}" for at in range(len(which.kinds)))
        conditions.append(f"executor IN ({names or 'NULL'})")
    if which.only:
        each = [_named(only, at) for at, only in enumerate(which.only)]
        conditions.append(f"({' OR '.join(condition for condition, _ in each)})")
        values |= {name: value for _, named in each for name, value in named.items()}
    return "".join(f"AND {condition} " for condition in conditions), values


def _named(only: Only, at: int) -> tuple[str, dict[str, Any]]:
    """The condition on action ids and its values. Both databases compare `substr` by case, which LIKE does on one only."""
    if only.whole:
        return f"action_id = :prefix{at}", {f"prefix{at}": only.prefix}
    condition = f"""(substr(action_id, 1, :begins{at}) = :prefix{at} AND length(action_id) >= :begins{at} + :ends{at}
              AND substr(action_id, length(action_id) - :ends{at} + 1) = :suffix{at})"""
    lengths = {f"begins{at}": len(only.prefix), f"ends{at}": len(only.suffix)}
    return condition, {f"prefix{at}": only.prefix, f"suffix{at}": only.suffix, **lengths}


def expired(tx: Transaction, /, *, now: int, limit: int) -> list[Row]:
    """Claimed actions whose lease ran out."""
    return tx.all(
        """SELECT * FROM actions WHERE status = 'claimed' AND lease_expires_at <= :now
           ORDER BY lease_expires_at LIMIT :limit""",
        now=now,
        limit=limit,
    )


def settle(tx: Transaction, row: Row, /) -> bool:
    """End an attempt. Guarded: still claimed, by the fence that was judged."""
    changed = tx.run(
        """UPDATE actions SET status = :status, attempt = :attempt, crashes = :crashes, available_at = :available_at,
             result_json = :result_json, error_json = :error_json, dead_letter_json = :dead_letter_json,
             lease_expires_at = NULL, claimed_by = :claimed_by, claimed_at = :claimed_at, updated_at = :now,
             completed_at = :completed_at
           WHERE id = :id AND status = 'claimed' AND fence = :fence""",
        **row,
    )
    return changed == 1


def extend(tx: Transaction, /, *, action_id: str, runner: str, fence: int, now: int, until: int) -> bool:
    """Prolong a live lease; False when the holder no longer holds it. A `fence` of 0 goes by the runner's name alone."""
    changed = tx.run(
        """UPDATE actions SET lease_expires_at = :until, updated_at = :now
           WHERE id = :id AND status = 'claimed' AND claimed_by = :runner AND (:fence = 0 OR fence = :fence)
             AND lease_expires_at > :now""",
        id=action_id,
        runner=runner,
        fence=fence,
        now=now,
        until=until,
    )
    return changed == 1


def release(tx: Transaction, /, *, action_id: str, runner: str, fence: int, now: int) -> bool:
    """Give a claimed action back without spending an attempt; False when the holder no longer holds it."""
    changed = tx.run(
        """UPDATE actions SET status = CASE WHEN attempt > 0 THEN 'retrying' ELSE 'queued' END, claimed_by = NULL,
             claimed_at = NULL, lease_expires_at = NULL, available_at = :now, updated_at = :now
           WHERE id = :id AND status = 'claimed' AND claimed_by = :runner AND (:fence = 0 OR fence = :fence)
             AND lease_expires_at > :now""",
        id=action_id,
        runner=runner,
        fence=fence,
        now=now,
    )
    return changed == 1


def unblock(tx: Transaction, row: Row, /) -> bool:
    """The run machine moves a blocked action."""
    changed = tx.run(
        """UPDATE actions SET status = :status, reason = :reason, input_json = :input_json, input_digest = :input_digest,
             error_json = :error_json, approval_json = coalesce(:approval_json, approval_json), available_at = :now,
             updated_at = :now, completed_at = :completed_at
           WHERE id = :id AND status = 'blocked'""",
        **row,
    )
    return changed == 1


def decide(tx: Transaction, row: Row, /) -> bool:
    """Persist an approval decision. Guarded by the gate that was judged, so two deciders never overwrite each other."""
    changed = tx.run(
        """UPDATE actions SET status = :status, approval_json = :approval_json, dead_letter_json = :dead_letter_json,
             available_at = :now, updated_at = :now, completed_at = :completed_at
           WHERE id = :id AND status = 'waiting_approval' AND approval_json = :judged""",
        **row,
    )
    return changed == 1


def requeue(tx: Transaction, action_id: str, /, *, now: int) -> bool:
    """Put a dead action back into the queue, as if it had never been tried; its history and its fence stay."""
    changed = tx.run(
        """UPDATE actions SET status = 'queued', attempt = 0, crashes = 0, error_json = NULL, dead_letter_json = NULL,
             result_json = NULL, claimed_by = NULL, claimed_at = NULL, available_at = :now, updated_at = :now,
             completed_at = NULL
           WHERE id = :id AND status = 'dead'""",
        id=action_id,
        now=now,
    )
    return changed == 1


def block_again(tx: Transaction, run_id: str, step_id: str, /, *, now: int) -> bool:
    """A step that was skipped waits for its dependencies once more."""
    changed = tx.run(
        """UPDATE actions SET status = 'blocked', reason = NULL, updated_at = :now, completed_at = NULL
           WHERE run_id = :run_id AND step_id = :step_id AND status = 'skipped'""",
        run_id=run_id,
        step_id=step_id,
        now=now,
    )
    return changed == 1


def dead(tx: Transaction, /) -> list[Row]:
    """Dead and rejected actions, oldest first."""
    return tx.all("SELECT * FROM actions WHERE status IN ('dead', 'rejected') ORDER BY updated_at, id")


def waiting(tx: Transaction, /) -> list[Row]:
    """Actions that wait for an approval, oldest first."""
    return tx.all("SELECT * FROM actions WHERE status = 'waiting_approval' ORDER BY updated_at, id")


def page(tx: Transaction, /, *, status: str | None, after: str | None, limit: int) -> list[Row]:
    """Actions that are not over (or those of one status), oldest first, after the id `after`."""
    over = "status IN ('blocked', 'waiting_approval', 'queued', 'claimed', 'retrying')"
    return tx.all(
        f"""SELECT * FROM actions WHERE {over if status is None else "status = :status"} AND id > :after
            ORDER BY id LIMIT :limit""",  # fixed texts only
        **({} if status is None else {"status": status}),
        after=after or "",
        limit=limit,
    )


def keep_attempt(tx: Transaction, row: Row, /) -> None:
    """Write an ended attempt into the history."""
    tx.run(
        """INSERT INTO attempts (action_row_id, fence, attempt, runner, started_at, ended_at, outcome, error_json)
           VALUES (:action_row_id, :fence, :attempt, :runner, :started_at, :ended_at, :outcome, :error_json)""",
        **row,
    )


def attempts_of_run(tx: Transaction, run_id: str, /) -> list[Row]:
    """Ended attempts of all of a run's actions, in order."""
    return tx.all(
        """SELECT t.* FROM attempts t JOIN actions a ON a.id = t.action_row_id
           WHERE a.run_id = :run_id ORDER BY t.action_row_id, t.fence""",
        run_id=run_id,
    )


def counts(tx: Transaction, /) -> dict[str, int]:
    """How many actions there are, by status."""
    return {row["status"]: row["n"] for row in tx.all("SELECT status, count(*) AS n FROM actions GROUP BY status")}


def live_counts(tx: Transaction, /) -> list[Row]:
    """`{automation_id, status, n}` of actions that wait, run, or lie in the dead-letter queue."""
    return tx.all(
        """SELECT automation_id, status, count(*) AS n FROM actions
           WHERE status IN ('queued', 'retrying', 'claimed', 'waiting_approval', 'dead') GROUP BY automation_id, status"""
    )
