"""Completions that need no look at a run's program, many in few statements: nothing waits for them, and nothing went wrong.

What is left out here is settled one by one, and refused there if it has to be, so this never decides that a report is wrong.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from automations.core.run.states import ActionStatus
from automations.errors import StoreError
from automations.store import settling
from automations.store.lists import AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from automations.services.run.queue import Done
    from automations.store.database import Row, Transaction

_DONE = frozenset({ActionStatus.SUCCEEDED, ActionStatus.SKIPPED})
_QUIET = _DONE | {ActionStatus.QUEUED, ActionStatus.CLAIMED, ActionStatus.RETRYING}


class _Plain(NamedTuple):
    at: int
    row: Row
    result_json: str | None
    run: Row
    last: bool
    """Whether the run is over with it."""


def settle_plain(
    tx: Transaction, reports: Sequence[tuple[int, Done]], *, acceptable: Callable[[Done, Row], str | None], now: int
) -> dict[int, Row]:
    """Settle what is plain of these reports (with their places); the actions as they are then, by place.

    `acceptable` gives the result's text ('' for none) of a report that is right and fresh, None for one to be looked at.
    """
    found: dict[int, Row] = {}
    most = AT_ONCE[-1]
    for begin in range(0, len(reports), most):
        found |= _settle(tx, list(_plain(tx, reports[begin : begin + most], acceptable)), now=now)
    return found


def _plain(
    tx: Transaction, reports: Sequence[tuple[int, Done]], acceptable: Callable[[Done, Row], str | None]
) -> Iterator[_Plain]:
    ids = [report.action_id for _, report in reports]
    held = {row["id"]: row for row in settling.hold_runs(tx, ids)}
    if not held:
        return
    rows = {row["id"]: row for row in settling.hold_actions(tx, ids)}
    standing: dict[str, dict[str, int]] = {}
    for each in settling.others(tx, list(held)):
        standing.setdefault(each["run_id"], {})[each["status"]] = each["n"]
    of_run = Counter(rows[each]["run_id"] for each in ids if each in rows)
    for at, report in reports:
        row = rows.get(report.action_id)
        run = held.get(row["run_id"]) if row else None
        if row is None or run is None or of_run[run["id"]] > 1 or not set(standing[run["id"]]) <= _QUIET:
            continue
        text = acceptable(report, row)
        if text is not None:
            left = {status for status, n in standing[run["id"]].items() if status != "claimed" or n > 1}
            yield _Plain(at, row, text or None, run, left <= _DONE)


def _settle(tx: Transaction, plain: Sequence[_Plain], *, now: int) -> dict[int, Row]:
    if not plain:
        return {}
    ended = [
        {"id": each.row["id"], "fence": each.row["fence"], "result_json": each.result_json, "now": now}
        for each in plain
    ]
    over = [each.run["id"] for each in plain if each.last]
    if not settling.complete(tx, ended) or not settling.finish(tx, over, now=now):
        raise StoreError("an action or a run was no longer as it was seen")  # they are held, so this cannot happen
    after: Row = {
        "status": "succeeded",
        "error_json": None,
        "dead_letter_json": None,
        "turn": None,
        "lease_expires_at": None,
    }
    after |= {"attempt_deadline_at": None, "updated_at": now, "completed_at": now}
    return {each.at: {**each.row, **after, "result_json": each.result_json} for each in plain}
