"""The verb advance: after anything that can move a run, persist what the run machine decides, in the same transaction.

Whoever calls this holds the run's row (`runs.hold`), so two settlements of one run never decide on the same picture.
"""

from automations.core.canonical import decode, encode
from automations.core.run.machine import ActionView, Decision, RunView, advance
from automations.core.run.materialize import changed
from automations.core.run.states import ActionStatus, RunStatus
from automations.errors import StoreError
from automations.services.programs import Programs
from automations.store import actions, events, runs
from automations.store.database import Row, Transaction


def advance_run(tx: Transaction, run: Row, *, programs: Programs, now: int) -> Decision:
    """Move a held run as far as it goes. Raises StoreError if a guarded write found something else than was read."""
    program = programs.of_run(tx, run)
    decision = advance(program, view_of(tx, run))
    for change in decision.actions:
        row = changed(change, now=now, program=program.step(change.step_id)) | {"id": change.id, "now": now}
        if not actions.unblock(tx, row):
            raise StoreError(f"action {change.id} of run {run['id']} was no longer blocked")
    if decision.run is not None:
        moved = runs.move(
            tx,
            run["id"],
            based_on=run["status"],
            status=str(decision.run),
            error_json=encode(decision.error) if decision.error else None,
            now=now,
            over=decision.run.final,
        )
        if not moved:
            raise StoreError(f"run {run['id']} was no longer {run['status']}")
    return decision


def view_of(tx: Transaction, run: Row) -> RunView:
    """A run as the machine sees it. The event is read only while a step may still want to look at it."""
    rows = actions.of_run(tx, run["id"])
    blocked = any(row["status"] == ActionStatus.BLOCKED for row in rows)
    event = events.get(tx, run["event_row_id"]) if blocked and run["event_row_id"] else None
    return RunView(
        id=run["id"],
        status=RunStatus(run["status"]),
        created_at=run["created_at"],
        event=decode(event["envelope_json"]) if event else None,
        inputs=decode(run["inputs_json"]) if run["inputs_json"] else {},
        schedule=decode(run["metadata_json"]).get("schedule") if blocked and run["schedule_trigger_id"] else None,
        actions=tuple(_action(row, outputs=blocked) for row in rows),
    )


def _action(row: Row, *, outputs: bool) -> ActionView:
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
