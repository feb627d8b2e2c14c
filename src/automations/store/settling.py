"""Many completions at once: few statements for all of them together, each row still guarded.

Only what needs no look at a program is settled like this: actions of runs that stand for no slot, have no deadline and are not
told to end. Everything else takes the way that looks at each run by itself.
"""

from collections.abc import Sequence

from automations.store import audit
from automations.store.database import Row, Transaction
from automations.store.lists import listed


def hold_runs(tx: Transaction, action_ids: Sequence[str], /) -> list[Row]:
    """`{id, status}` of the plain runs of these actions, held until commit in the order of their ids."""
    names, values = listed(action_ids)
    return tx.all(
        f"""SELECT id, status FROM runs WHERE id IN (SELECT run_id FROM actions WHERE id IN ({names}))
              AND status IN ('materialized', 'running') AND slot_limit IS NULL AND stop IS NULL
              AND deadline_at IS NULL AND deadline_left IS NULL AND finally_at IS NULL
            ORDER BY id{tx.for_update}""",  # fixed texts only
        **values,
    )


def hold_actions(tx: Transaction, action_ids: Sequence[str], /) -> list[Row]:
    """These actions, held until commit. Hold their runs first."""
    names, values = listed(action_ids)
    return tx.all(f"SELECT * FROM actions WHERE id IN ({names}) ORDER BY id{tx.for_update}", **values)


def others(tx: Transaction, run_ids: Sequence[str], /) -> list[Row]:
    """`{run_id, status, n}`: how the actions of these runs stand."""
    names, values = listed(run_ids)
    return tx.all(
        f"SELECT run_id, status, count(*) AS n FROM actions WHERE run_id IN ({names}) GROUP BY run_id, status", **values
    )


def complete(tx: Transaction, rows: Sequence[Row], /) -> bool:
    """End actions in success (`{id, fence, result_json, now}`); whether all of them still were claimed by these fences."""
    changed = tx.many(
        """UPDATE actions SET status = 'succeeded', result_json = :result_json, error_json = NULL, dead_letter_json = NULL,
             turn = NULL, lease_expires_at = NULL, attempt_deadline_at = NULL, updated_at = :now, completed_at = :now
           WHERE id = :id AND status = 'claimed' AND fence = :fence""",
        rows,
    )
    return changed == len(rows)


def finish(tx: Transaction, run_ids: Sequence[str], /, *, now: int) -> bool:
    """End held runs in success; whether all of them still were under way."""
    if not run_ids:
        return True
    names, values = listed(run_ids)
    changed = tx.run(
        f"""UPDATE runs SET status = 'succeeded', error_json = NULL, started_at = coalesce(started_at, :now),
              updated_at = :now, completed_at = :now
            WHERE id IN ({names}) AND status IN ('materialized', 'running') AND completed_at IS NULL""",  # fixed texts
        now=now,
        **values,
    )
    audit.write_ends(tx, run_ids)
    return changed == len(run_ids)
