"""Queued actions: claimed from a partial index, finished by guarded updates, their ended attempts kept."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from automations.store.database import Row, Transaction
from automations.store.lists import AT_ONCE, listed

INSERT = """INSERT INTO actions (id, run_id, automation_id, step_id, position, action_id, manifest_version, manifest_digest,
    executor, idempotency_key, status, priority, turn, input_json, input_digest, attempt, max_attempts, crashes, fence,
    available_at, error_json, approval_json, approval_expires_at, metadata_json, reason, attempt_limit, step_limit, created_at,
    updated_at, completed_at)
  VALUES (:id, :run_id, :automation_id, :step_id, :position, :action_id, :manifest_version, :manifest_digest,
    :executor, :idempotency_key, :status, :priority, :turn, :input_json, :input_digest, 0, :max_attempts, 0, 0,
    :now, :error_json, :approval_json, :approval_expires_at, :metadata_json, :reason, :attempt_limit, :step_limit, :now,
    :now, :completed_at)"""

READY = "status IN ('queued', 'retrying') AND turn IS NOT NULL"
"""May be handed out now."""
DELAYED = "status IN ('queued', 'retrying') AND turn IS NULL"
"""Will be ready when its time has come, see `ready`."""
ONE_GO = 256
"""How many delayed actions become ready at one time."""


def _of(alias: str) -> str:
    return f"{alias}.status IN ('queued', 'retrying') AND {alias}.turn IS NOT NULL"


# Turns make the queue fair: each automation's next action takes the turn after its last one that still waits, but none that has
# passed already, so a long queue of one automation leaves room between its actions for those of the others.
_NEXT_TURN = f"""(SELECT max(t) FROM (SELECT 0 AS t
    UNION ALL SELECT min(h.turn) FROM actions h WHERE {_of("h")} AND h.priority = actions.priority
    UNION ALL SELECT max(l.turn) + 1 FROM actions l WHERE {_of("l")}
      AND l.automation_id = actions.automation_id AND l.priority = actions.priority) AS candidates)"""


def insert(tx: Transaction, rows: Iterable[Row], /) -> None:
    """New actions, one a step; those that are queued take their turns."""
    given = list(rows)
    turns: dict[tuple[str, int], int] = {}
    for row in given:
        row["turn"] = None
        if row["status"] == "queued":
            lane = (row["automation_id"], row["priority"])
            row["turn"] = turns.get(lane) or _next_turn(tx, *lane)
            turns[lane] = row["turn"] + 1
    tx.many(INSERT, given)


def _next_turn(tx: Transaction, automation_id: str, priority: int) -> int:
    found = tx.one(
        f"""SELECT (SELECT min(turn) FROM actions WHERE {READY} AND priority = :priority) AS head,
              (SELECT max(turn) FROM actions
               WHERE {READY} AND automation_id = :automation_id AND priority = :priority) AS last""",
        automation_id=automation_id,
        priority=priority,
    )
    assert found is not None  # noqa: S101  # a row of aggregates is always there
    return max(found["head"] or 0, 0 if found["last"] is None else found["last"] + 1)


def get(tx: Transaction, action_id: str, /) -> Row | None:
    """One action."""
    return tx.one("SELECT * FROM actions WHERE id = :id", id=action_id)


def hold(tx: Transaction, action_id: str, /) -> Row | None:
    """One action, held until commit. Hold its run first."""
    return tx.one(f"SELECT * FROM actions WHERE id = :id{tx.for_update}", id=action_id)


def of_run(tx: Transaction, run_id: str, /, *, held: bool = False) -> list[Row]:
    """A run's actions in their author's order; `held` until commit, which the run must be before."""
    locked = tx.for_update if held else ""
    return tx.all(f"SELECT * FROM actions WHERE run_id = :run_id ORDER BY position{locked}", run_id=run_id)


class Only(NamedTuple):
    """Action ids that begin with `prefix` and end with `suffix`; `whole` ones are exactly the prefix."""

    prefix: str
    suffix: str = ""
    whole: bool = False

    def holds(self, action_id: str) -> bool:
        """Whether an id is one of them."""
        if self.whole:
            return action_id == self.prefix
        long_enough = len(action_id) >= len(self.prefix) + len(self.suffix)
        return long_enough and action_id.startswith(self.prefix) and action_id.endswith(self.suffix)


class Which(NamedTuple):
    """What a claimer wants: actions of these kinds of executor (None for any), of any of these ids (none for all)."""

    kinds: tuple[str, ...] | None = None
    only: tuple[Only, ...] = ()


def statuses_of_run(tx: Transaction, run_id: str, /) -> set[str]:
    """Which statuses a run's actions have."""
    return {row["status"] for row in tx.all("SELECT status FROM actions WHERE run_id = :run_id", run_id=run_id)}


def claim(tx: Transaction, which: Which, /, *, runner: str, limit: int, now: int, until: int) -> list[Row]:
    """Lease up to `limit` ready actions to `runner` until `until`: by priority, then turn, then available time, then id.

    Rows that another claimer holds are passed over.
    """
    ready(tx, now=now)
    heads, values = _heads(which, locked=tx.skip_locked)
    rows = tx.all(
        f"""UPDATE actions SET status = 'claimed', claimed_by = :runner, claimed_at = :now, lease_expires_at = :until,
              fence = fence + 1, updated_at = :now, attempt_deadline_at = :now + attempt_limit,
              step_deadline_at = coalesce(step_deadline_at, :now + step_limit)
            WHERE id IN ({heads})
            RETURNING *""",  # fixed texts only
        runner=runner,
        now=now,
        until=until,
        limit=limit,
        **values,
    )
    return sorted(rows, key=lambda row: (-row["priority"], row["turn"], row["available_at"], row["id"]))


def ready(tx: Transaction, /, *, now: int) -> None:
    """Delayed actions whose time has come take their place at the head of the queue: they have waited before."""
    tx.run(
        f"""UPDATE actions SET turn = coalesce((SELECT min(h.turn) FROM actions h
              WHERE {_of("h")} AND h.priority = actions.priority), 0)
            WHERE id IN (SELECT id FROM actions WHERE {DELAYED} AND available_at <= :now
              ORDER BY available_at LIMIT {ONE_GO}{tx.skip_locked})""",
        now=now,
    )


def next_available(tx: Transaction, which: Which, /) -> int | None:
    """When the next claimable action becomes available (microseconds), or None when there is none."""
    wanted, values = _wanted(which)
    now = tx.one(f"SELECT available_at AS at FROM actions WHERE {READY} {wanted} LIMIT 1", **values)  # fixed texts
    later = tx.one(
        f"SELECT available_at AS at FROM actions WHERE {DELAYED} {wanted} ORDER BY available_at LIMIT 1",
        **values,
    )
    return min((row["at"] for row in (now, later) if row is not None), default=None)


_ORDER = "ORDER BY priority DESC, turn, available_at, id LIMIT :limit"


def _heads(which: Which, *, locked: str) -> tuple[str, dict[str, Any]]:
    """A query for the ids of what a claim takes, and its values.

    Each kind of executor, and each action id that is named whole, has an order of its own in an index: the heads of these are
    merged, so that what nobody here wants is not looked through however much of it there is.
    """
    wanted, values = _wanted(which)
    if which.only and all(each.whole for each in which.only):
        lanes = [f"{wanted} AND action_id = :prefix{at}" for at in range(len(which.only))]
    elif which.kinds and not which.only:
        lanes = [f"AND executor = :kind{at}" for at in range(len(which.kinds))]
    else:
        lanes = [wanted]
    if len(lanes) == 1:
        return f"SELECT id FROM actions WHERE {READY} {lanes[0]} {_ORDER}{locked}", values  # fixed texts only
    heads = " UNION ALL ".join(
        f"""SELECT * FROM (SELECT id, priority, turn, available_at FROM actions
            WHERE {READY} {lane} {_ORDER}{locked}) AS lane{at}"""  # fixed texts only
        for at, lane in enumerate(lanes)
    )
    return f"SELECT id FROM ({heads}) AS heads {_ORDER}", values


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


def settle(tx: Transaction, row: Row, /) -> bool:
    """End an attempt, or give up between two. Guarded: the status and the fence that were judged still stand."""
    changed = tx.run(
        """UPDATE actions SET status = :status, attempt = :attempt, crashes = :crashes, available_at = :available_at,
             result_json = :result_json, error_json = :error_json, dead_letter_json = :dead_letter_json, turn = NULL,
             lease_expires_at = NULL, attempt_deadline_at = NULL, claimed_by = :claimed_by, claimed_at = :claimed_at,
             reason = :reason, updated_at = :now, completed_at = :completed_at
           WHERE id = :id AND status = :judged AND fence = :fence""",
        **row,
    )
    return changed == 1


def extend(tx: Transaction, /, *, action_id: str, runner: str, fence: int, now: int, until: int) -> bool:
    """Prolong a live lease; False when the holder no longer holds it. A `fence` of 0 goes by the runner's name alone.

    One that is asked to stop stays as it is: nobody holds on to it for ever.
    """
    changed = tx.run(
        """UPDATE actions SET lease_expires_at = CASE WHEN cancel_requested_at IS NULL THEN :until ELSE lease_expires_at END,
             updated_at = :now
           WHERE id = :id AND status = 'claimed' AND claimed_by = :runner AND (:fence = 0 OR fence = :fence)
             AND lease_expires_at > :now AND (attempt_deadline_at IS NULL OR attempt_deadline_at > :now)
             AND (step_deadline_at IS NULL OR step_deadline_at > :now)""",
        id=action_id,
        runner=runner,
        fence=fence,
        now=now,
        until=until,
    )
    return changed == 1


def release(tx: Transaction, /, *, action_id: str, runner: str, fence: int, now: int) -> bool:
    """Give a claimed action back without spending an attempt; False when it no longer holds it, or must stop."""
    changed = tx.run(
        """UPDATE actions SET status = CASE WHEN attempt > 0 THEN 'retrying' ELSE 'queued' END, claimed_by = NULL,
             claimed_at = NULL, lease_expires_at = NULL, attempt_deadline_at = NULL, turn = NULL, available_at = :now,
             updated_at = :now
           WHERE id = :id AND status = 'claimed' AND claimed_by = :runner AND (:fence = 0 OR fence = :fence)
             AND lease_expires_at > :now AND cancel_requested_at IS NULL
             AND (attempt_deadline_at IS NULL OR attempt_deadline_at > :now)
             AND (step_deadline_at IS NULL OR step_deadline_at > :now)""",
        id=action_id,
        runner=runner,
        fence=fence,
        now=now,
    )
    return changed == 1


def unblock(tx: Transaction, row: Row, /) -> bool:
    """The run machine moves a blocked action."""
    changed = tx.run(
        f"""UPDATE actions SET status = :status, reason = :reason, input_json = :input_json, input_digest = :input_digest,
             error_json = :error_json, approval_json = coalesce(:approval_json, approval_json),
             approval_expires_at = :approval_expires_at, turn = CASE WHEN :status = 'queued' THEN {_NEXT_TURN} END,
             available_at = :now, updated_at = :now, completed_at = :completed_at
           WHERE id = :id AND status = 'blocked'""",  # fixed texts only
        **row,
    )
    return changed == 1


def decide(tx: Transaction, row: Row, /) -> bool:
    """Persist an approval decision. Guarded by the gate that was judged, so two deciders never overwrite each other."""
    changed = tx.run(
        f"""UPDATE actions SET status = :status, approval_json = :approval_json, dead_letter_json = :dead_letter_json,
             turn = CASE WHEN :status = 'queued' THEN {_NEXT_TURN} END,
             approval_expires_at = CASE WHEN :status = 'waiting_approval' THEN approval_expires_at END,
             available_at = :now, updated_at = :now, completed_at = :completed_at
           WHERE id = :id AND status = 'waiting_approval' AND approval_json = :judged""",  # fixed texts only
        **row,
    )
    return changed == 1


def requeue(tx: Transaction, action_id: str, /, *, now: int) -> bool:
    """Put a dead action back into the queue, as if it had never been tried; its history and its fence stay."""
    changed = tx.run(
        f"""UPDATE actions SET status = 'queued', attempt = 0, crashes = 0, error_json = NULL, dead_letter_json = NULL,
             result_json = NULL, claimed_by = NULL, claimed_at = NULL, turn = {_NEXT_TURN}, available_at = :now,
             updated_at = :now, completed_at = NULL, step_deadline_at = NULL, cancel_requested_at = NULL,
             cancel_by = NULL, cancel_reason = NULL
           WHERE id = :id AND status = 'dead'""",  # fixed texts only
        id=action_id,
        now=now,
    )
    return changed == 1


def restart(tx: Transaction, row: Row, /) -> bool:
    """An action that ended waits for the run machine once more, as its spec describes it now; its fence and history stay."""
    columns = (
        *("action_id", "manifest_version", "manifest_digest", "executor", "priority", "max_attempts", "attempt_limit"),
        *("step_limit", "approval_json"),
    )
    changed = tx.run(
        """UPDATE actions SET status = 'blocked', reason = NULL, action_id = :action_id, manifest_version = :manifest_version,
             manifest_digest = :manifest_digest, executor = :executor, priority = :priority, max_attempts = :max_attempts,
             attempt_limit = :attempt_limit, step_limit = :step_limit, approval_json = :approval_json,
             approval_expires_at = NULL, attempt = 0, crashes = 0, input_json = NULL, input_digest = NULL,
             result_json = NULL, error_json = NULL, dead_letter_json = NULL, claimed_by = NULL, claimed_at = NULL,
             turn = NULL, attempt_deadline_at = NULL, step_deadline_at = NULL, cancel_requested_at = NULL,
             cancel_by = NULL, cancel_reason = NULL, updated_at = :now, completed_at = NULL
           WHERE id = :id AND status = :was""",
        **{key: row[key] for key in (*columns, "id", "was", "now")},
    )
    return changed == 1


def set_aside(tx: Transaction, run_id: str, /, *, error_json: str, dead_letter_json: str, now: int) -> None:
    """Whatever of a run is not over ends: what was in the queue is dead, what had not come that far has failed."""
    tx.run(
        """UPDATE actions SET
             dead_letter_json = CASE WHEN status IN ('queued', 'claimed', 'retrying') THEN :dead_letter_json END,
             status = CASE WHEN status IN ('queued', 'claimed', 'retrying') THEN 'dead' ELSE 'failed' END,
             error_json = :error_json, turn = NULL, approval_expires_at = NULL, lease_expires_at = NULL,
             attempt_deadline_at = NULL, updated_at = :now, completed_at = :now
           WHERE run_id = :run_id AND completed_at IS NULL""",
        run_id=run_id,
        error_json=error_json,
        dead_letter_json=dead_letter_json,
        now=now,
    )


def ask_again(tx: Transaction, row: Row, /) -> None:
    """A claimed action whose approval is void goes back to the people who gave it."""
    tx.run(
        """UPDATE actions SET status = 'waiting_approval', approval_json = :approval_json, turn = NULL, claimed_by = NULL,
             claimed_at = NULL, lease_expires_at = NULL, attempt_deadline_at = NULL, updated_at = :now
           WHERE id = :id AND status = 'claimed' AND fence = :fence""",
        **row,
    )


def carry(tx: Transaction, row: Row, /) -> None:
    """An action of a new run ends as one of an older run did, without being tried."""
    tx.run(
        """UPDATE actions SET status = :status, reason = :reason, input_json = :input_json, input_digest = :input_digest,
             result_json = :result_json, updated_at = :now, completed_at = :now
           WHERE id = :id AND status = 'blocked'""",
        **row,
    )


def letters(tx: Transaction, /, *, uid: str | None, since: int | None, after: str | None, limit: int) -> list[Row]:
    """Dead and rejected actions (of the automation `uid`), oldest first, after the id `after`; `since` in microseconds."""
    conditions = ["status IN ('dead', 'rejected')"]
    if uid is not None:
        conditions.append("run_id IN (SELECT id FROM runs WHERE automation_uid = :uid)")
    if since is not None:
        conditions.append("updated_at >= :since")
    if after is not None:
        conditions.append("(updated_at, id) > (SELECT updated_at, id FROM actions WHERE id = :after)")
    return tx.all(
        f"SELECT * FROM actions WHERE {' AND '.join(conditions)} ORDER BY updated_at, id LIMIT :limit",  # fixed texts only
        uid=uid,
        since=since,
        after=after,
        limit=limit,
    )


def waiting(tx: Transaction, /) -> list[Row]:
    """Actions that wait for an approval, oldest first."""
    return tx.all("SELECT * FROM actions WHERE status = 'waiting_approval' ORDER BY updated_at, id")


def unanswered(tx: Transaction, /, *, now: int, limit: int) -> list[str]:
    """Ids of actions whose question ran out of time."""
    rows = tx.all(
        """SELECT id FROM actions WHERE status = 'waiting_approval' AND approval_expires_at <= :now
           ORDER BY approval_expires_at LIMIT :limit""",
        now=now,
        limit=limit,
    )
    return [row["id"] for row in rows]


def next_expiry(tx: Transaction, /) -> int | None:
    """When the next open question runs out of time (microseconds), or None."""
    row = tx.one(
        """SELECT min(approval_expires_at) AS at FROM actions
           WHERE status = 'waiting_approval' AND approval_expires_at IS NOT NULL"""
    )
    return None if row is None else row["at"]


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


def live_counts(tx: Transaction, uids: Sequence[str], /) -> list[Row]:
    """`{automation_uid, status, n}` of actions of these automations that wait, or lie in the dead-letter queue."""
    found: list[Row] = []
    for at in range(0, len(uids), AT_ONCE[-1]):
        names, values = listed(uids[at : at + AT_ONCE[-1]])
        found += tx.all(
            f"""SELECT r.automation_uid, a.status, count(*) AS n FROM runs r JOIN actions a ON a.run_id = r.id
                WHERE r.automation_uid IN ({names}) AND r.completed_at IS NULL
                  AND a.status IN ('queued', 'retrying', 'waiting_approval')
                GROUP BY r.automation_uid, a.status
                UNION ALL
                SELECT r.automation_uid, a.status, count(*) AS n FROM actions a CROSS JOIN runs r
                WHERE a.status IN ('dead', 'rejected') AND a.status = 'dead' AND r.id = a.run_id
                  AND r.automation_uid IN ({names})
                GROUP BY r.automation_uid, a.status""",  # fixed texts only; CROSS JOIN has SQLite begin with the few letters
            **values,
        )
    return found
