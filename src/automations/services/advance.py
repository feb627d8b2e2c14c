"""The verb advance: after anything that can move a run, persist what the run machine decides, in the same transaction.

Whoever calls this holds the run's row (`runs.hold`), so two settlements of one run never decide on the same picture.

The machine and what it compiles are imported when there is something to decide, because `queue complete` is called in
loops as a process of its own and mostly ends what nothing waits for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from automations.core.canonical import decode, encode
from automations.core.run.states import ActionStatus, RunStatus, standing
from automations.errors import StoreError
from automations.services.run_event import event_of
from automations.store import actions, runs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from automations.core.run.machine import ActionView, RunView
    from automations.services.programs import Programs
    from automations.store.database import Row, Transaction


def advance_run(tx: Transaction, run: Row, *, programs: Programs, now: int) -> None:
    """Move a held run as far as it goes. Raises StoreError if a guarded write found something else than was read."""
    statuses = {ActionStatus(status) for status in actions.statuses_of_run(tx, run["id"])}
    if ActionStatus.BLOCKED in statuses or any(status.unsuccessful for status in statuses):
        _decide(tx, run, programs=programs, now=now)
    else:
        _move(tx, run, standing(RunStatus(run["status"]), statuses, failed=False), now=now)


def _decide(tx: Transaction, run: Row, *, programs: Programs, now: int) -> None:
    from automations.core.run.machine import advance  # noqa: PLC0415  # see the module's head
    from automations.core.run.materialize import changed  # noqa: PLC0415  # see the module's head

    program = programs.of_run(tx, run)
    decision = advance(program, view_of(tx, run))
    for change in decision.actions:
        columns = changed(change, program=program.step(change.step_id), spec=run["digest"], now=now)
        row = columns | {"id": change.id, "now": now}
        if not actions.unblock(tx, row):
            raise StoreError(f"action {change.id} of run {run['id']} was no longer blocked")
    if decision.run is not None:
        _move(tx, run, decision.run, error=decision.error, now=now)


def _move(tx: Transaction, run: Row, status: RunStatus, *, error: Mapping[str, Any] | None = None, now: int) -> None:
    if status == run["status"]:
        return
    moved = runs.move(
        tx,
        run["id"],
        based_on=run["status"],
        status=str(status),
        error_json=encode(error) if error else None,
        now=now,
        over=status.final,
    )
    if not moved:
        raise StoreError(f"run {run['id']} was no longer {run['status']}")


def view_of(tx: Transaction, run: Row) -> RunView:
    """A run as the machine sees it. The event is read only while a step may still want to look at it."""
    from automations.core.run.machine import RunView  # noqa: PLC0415  # see the module's head

    rows = actions.of_run(tx, run["id"])
    blocked = any(row["status"] == ActionStatus.BLOCKED for row in rows)
    return RunView(
        id=run["id"],
        status=RunStatus(run["status"]),
        created_at=run["created_at"],
        event=event_of(tx, run) if blocked else None,
        inputs=decode(run["inputs_json"]) if run["inputs_json"] else {},
        schedule=decode(run["metadata_json"]).get("schedule") if blocked and run["schedule_trigger_id"] else None,
        actions=tuple(_action(row, outputs=blocked) for row in rows),
    )


def _action(row: Row, *, outputs: bool) -> ActionView:
    from automations.core.run.machine import ActionView  # noqa: PLC0415  # see the module's head

    result = decode(row["result_json"]) if outputs and row["result_json"] else None
    return ActionView(
        id=row["id"],
        step_id=row["step_id"],
        status=ActionStatus(row["status"]),
        reason=row["reason"],
        output=output_of(result),
        error=decode(row["error_json"]) if row["error_json"] else None,
    )


def output_of(result: object) -> object:
    """What `steps.x.output` is: a result's `output` where it has one (the contract's shape), else the result itself."""
    return result["output"] if isinstance(result, dict) and "output" in result else result
