"""Setting a run aside: one that cannot be moved, for a reason that trying again does not mend, must not hold up the others.

A bug, a generation or a manifest that is not there: whatever ends one of the run's actions would fail, and so would every claim
that takes back expired leases. So the run ends here, by SQL alone, with the reason on record; a replay lets it go on when the
cause is mended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from automations.core.canonical import encode
from automations.core.run.queue import dead_letter
from automations.errors import StoreUnavailable
from automations.store import actions, runs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from automations.services.ports import Telemetry
    from automations.store.database import Database, Transaction

CODE = "RUN_SET_ASIDE"


def each_or_aside(
    database: Database, ids: Sequence[str], deed: Callable[[Transaction, str], None], *, telemetry: Telemetry, now: int
) -> None:
    """Do something to these actions in one commit; if that fails, to each by itself, and set aside the runs that fail alone.

    Raises StoreUnavailable.
    """
    try:
        with database.write() as tx:
            for action_id in ids:
                deed(tx, action_id)
    except StoreUnavailable:
        raise
    except Exception:  # noqa: BLE001  # one of them spoils it for the others; alone it shows again
        for action_id in ids:
            _one(database, action_id, deed, telemetry=telemetry, now=now)


def _one(
    database: Database, action_id: str, deed: Callable[[Transaction, str], None], *, telemetry: Telemetry, now: int
) -> None:
    try:
        with database.write() as tx:
            deed(tx, action_id)
    except StoreUnavailable:
        raise
    except Exception as problem:  # noqa: BLE001  # a bug, or a row that should be there: this run's trouble alone
        why = f"{type(problem).__name__}: {problem}"
        with database.write() as tx:
            run_id = set_aside(tx, action_id, why, now=now)
        if run_id is not None:
            telemetry.emit("run.set_aside", run=run_id, action=action_id, error=why)


def set_aside(tx: Transaction, action_id: str, why: str, *, now: int) -> str | None:
    """End the run of an action as it stands; its id, or None when it is over or gone."""
    run = runs.hold(tx, action_id)
    if run is None or run["completed_at"] is not None:
        return None
    error = {"code": CODE, "message": f"the run cannot go on: {why}"}
    letter = dead_letter("run set aside", attempts=0, now=now, error={**error, "retryable": False})
    actions.set_aside(tx, run["id"], error_json=encode(error), dead_letter_json=encode(letter), now=now)
    runs.set_aside(tx, run["id"], error_json=encode(error), now=now)
    return str(run["id"])
