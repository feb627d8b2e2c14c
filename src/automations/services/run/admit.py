"""The verb admit: new runs are written down, each begun, waiting in line, or dropped, in the transaction that made them.

Every way to start a run ends here. Runs that share no slots are only inserted. For the others the keys of all of them are held
first, in one order, then each is judged as it came, and whom it replaces is told in the same commit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from automations.core.run.concurrency import Line, Rival, admit
from automations.core.run.materialize import drop, pend
from automations.core.run.states import RunStatus
from automations.core.run.stop import Stop
from automations.services.run.advance import Ending, stop_run
from automations.store import actions, runs, slots

if TYPE_CHECKING:
    from collections.abc import Sequence

    from automations.core.run.concurrency import Admission
    from automations.core.run.materialize import Materialized
    from automations.core.spec.model import Concurrency
    from automations.services.ports import Telemetry
    from automations.services.run.programs import Programs
    from automations.store.database import Row, Transaction


MOST_COUNTED = 1 << 40
"""No line is longer; a `maxQueued` above it is none."""


def admit_runs(tx: Transaction, made: Sequence[Materialized], *, programs: Programs, now: int) -> None:
    """Write new runs down, in the order in which they came. Nothing that this transaction does later may hold a key."""
    contested = [each for each in made if each.contest is not None]
    if not contested:
        _insert(tx, made)
        return
    slots.hold(tx, [_key(each) for each in contested])
    _insert(tx, [each for each in made if each.contest is None])
    for each in contested:
        _enter(tx, each, programs=programs, now=now)


def make_room(tx: Transaction, run: Row, policy: Concurrency | None, *, programs: Programs, now: int) -> None:
    """End or stop those that a run which is replayed replaces, as one that comes now would. Its key is held.

    Nothing drops it: it waits where a new run would find no place, because somebody asked for it.
    """
    if policy is None or run["slot_limit"] is None:
        return
    key = slots.Key(run["automation_uid"], run["slot_key"])
    admission = _judge(tx, policy, key)
    for run_id in (*admission.supersede, *admission.cancel):
        _replace(tx, run_id, by=f"run {run['id']}, which is replayed", programs=programs, now=now)


def tell(telemetry: Telemetry, made: Sequence[Materialized]) -> None:
    """Say which runs did not begin; after the commit."""
    for each in made:
        run = each.run
        if run["status"] in (RunStatus.PENDING, RunStatus.DROPPED):
            telemetry.emit(f"run.{run['status']}", run=run["id"], automation=run["automation_id"], key=run["slot_key"])


def _insert(tx: Transaction, made: Sequence[Materialized]) -> None:
    if made:
        runs.insert(tx, [each.run for each in made])
        actions.insert(tx, [action for each in made for action in each.actions])


def _key(made: Materialized) -> slots.Key:
    return slots.Key(made.run["automation_uid"], made.run["slot_key"])


def _enter(tx: Transaction, made: Materialized, *, programs: Programs, now: int) -> None:
    assert made.contest is not None  # noqa: S101  # the caller chose those that have one
    key, policy = _key(made), made.contest.policy
    admission = _judge(tx, policy, key)
    for run_id in (*admission.supersede, *admission.cancel):
        _replace(tx, run_id, by=f"the newer run {made.run['id']}", programs=programs, now=now)
    if admission.supersede or admission.cancel:  # some held nothing that anybody works on, and are over
        admission = _judge(tx, policy, key)
    if admission.status is RunStatus.MATERIALIZED:
        made.begin()
    elif admission.status is RunStatus.PENDING:
        pend(made)
    else:
        drop(made, admission.reason or policy.overlap)
    if admission.status is not RunStatus.DROPPED:
        made.run["slot_turn"] = (slots.line(tx, key, most=0)["last_turn"] or 0) + 1
    _insert(tx, [made])


def _judge(tx: Transaction, policy: Concurrency, key: slots.Key) -> Admission:
    line = slots.line(tx, key, most=min(policy.max_queued, MOST_COUNTED) + 1)
    rivals: list[Rival] = []
    if policy.overlap in ("latest", "cancel-running"):
        rivals = [Rival(row["id"], row["slot"], row["stop"] is not None) for row in slots.rivals(tx, key)]
    return admit(policy, Line(line["held"], line["waiting"]), rivals)


def _replace(tx: Transaction, run_id: str, *, by: str, programs: Programs, now: int) -> None:
    """End a run for a newer one: as superseded where it never began, or not again, else as cancelled."""
    rival = runs.hold_one(tx, run_id)
    assert rival is not None  # noqa: S101  # it was just read under its key's lock
    waits = rival["slot"] == "waiting"
    stop = Stop(RunStatus.SUPERSEDED, "all") if waits else Stop(RunStatus.CANCELLED)
    stop_run(tx, rival, Ending(stop, None, f"replaced by {by}"), programs=programs, now=now)
