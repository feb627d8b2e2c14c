"""What a replay makes a run of: the definitions it was pinned to or today's, and a new run from an old one's occasion."""

from collections.abc import Callable, Mapping
from typing import Any

from automations.core.canonical import decode
from automations.core.run.concurrency import policy_of
from automations.core.run.materialize import Materialized, Occasion, materialize
from automations.core.run.program import Program
from automations.core.run.states import ActionStatus
from automations.core.spec.conform import compile_schema
from automations.core.spec.model import Concurrency, Overlap, Trigger
from automations.core.trigger.bindings import Bound, Table
from automations.errors import Conflict, InvalidInput
from automations.store import actions, events
from automations.store.database import Row, Transaction


def pinned(program: Program) -> Bound:
    """The definitions that a run started with."""
    manifests = {each.step.id: each.manifest for each in program.steps if each.manifest is not None}
    return Bound(program.uid, program.generation, program.automation, manifests)


def today(table: Table, run: Row) -> Bound:
    """The definitions that a run would start with now. Raises Conflict when its automation is no longer there."""
    for bound in table.bound.values():
        if bound.uid == run["automation_uid"]:
            return bound
    raise Conflict(
        f"automation {run['automation_id']} is no longer there", hint="leave --current away to use the run's own spec"
    )


def check_inputs(bound: Bound, run: Row) -> None:
    """Raises InvalidInput when a spec does not take the inputs that a run was started with."""
    schema = bound.automation.spec.get("inputs")
    if not schema or run["inputs_json"] is None:
        return
    violations = compile_schema(schema).violations(decode(run["inputs_json"]), most=20)
    if violations:
        raise InvalidInput(
            f"the inputs of run {run['id']} do not conform to {bound.automation.id}: {'; '.join(violations)}",
            hint=f"start a new run: automations trigger {bound.automation.id} --input-json …",
            code="inputs_invalid",
        )


def policy_of_run(bound: Bound, run: Row) -> Concurrency | None:
    """The rules by which a run shares slots with others, those of its schedule too; None where it needs none."""
    raw = decode(run["trigger_json"])
    own: Overlap | None = "cancel-running" if raw.get("overlap") == "cancel-running" else None
    return policy_of(bound.automation.concurrency, overlap=own, trigger_id=_trigger(bound, raw).id)


def made_anew(
    tx: Transaction, bound: Bound, run: Row, /, *, request: Row, blank: bool, new_id: Callable[[], str]
) -> Materialized:
    """A new run for what caused an old one, to be admitted; `blank` if nothing of it is to be decided yet."""
    made = materialize(bound, _occasion(tx, bound, run, request=request), now=request["now"], new_id=new_id)
    usable = made.actions[0]["status"] != ActionStatus.CANCELLED  # else it has no key for its slot
    return _blank(made) if blank and usable else made


def carry_over(tx: Transaction, made: Materialized, keeping: Mapping[str, Row], /, *, now: int) -> None:
    """The steps in `keeping` (rows by step id) end in the new run as they ended in the old one."""
    for row in made.actions:
        old = keeping.get(row["step_id"])
        if old is not None:
            columns = ("status", "reason", "input_json", "input_digest", "result_json")
            actions.carry(tx, {"id": row["id"], "now": now, **{key: old[key] for key in columns}})


def _occasion(tx: Transaction, bound: Bound, run: Row, *, request: Row) -> Occasion:
    event = events.get(tx, run["event_row_id"]) if run["event_row_id"] else None
    metadata: Mapping[str, Any] = decode(run["metadata_json"]) if run["metadata_json"] else {}
    return Occasion(
        identity=f"replay:{request['id']}",
        trigger=_trigger(bound, decode(run["trigger_json"])),
        event=decode(event["envelope_json"]) if event else None,
        event_row_id=run["event_row_id"],
        inputs=decode(run["inputs_json"]) if run["inputs_json"] else None,
        schedule=metadata.get("schedule"),
        started_by=request["requested_by"],
        replay_of=run["id"],
    )


def _trigger(bound: Bound, raw: Mapping[str, Any]) -> Trigger:
    """The trigger that started the old run: the same text, else the same id, else the first of its kind, else any."""
    triggers = bound.automation.triggers
    same = [each for each in triggers if dict(each.raw) == raw]
    named = [each for each in triggers if "id" in raw and each.id == raw["id"]]
    alike = [each for each in triggers if each.kind == raw.get("kind")]
    return (*same, *named, *alike, *triggers)[0]


def _blank(made: Materialized) -> Materialized:
    """The run before anything was decided about it."""
    cleared = {"status": "blocked", "reason": None, "input_json": None, "input_digest": None, "error_json": None}
    run = {**made.run, "status": "materialized", "error_json": None, "completed_at": None}

    def begin() -> None:
        run["slot"] = "held"

    rows = ({**row, **cleared, "approval_expires_at": None, "completed_at": None} for row in made.actions)
    return Materialized(run, tuple(rows), made.contest, begin)
