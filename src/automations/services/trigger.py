"""The verb trigger: a person or a program starts a run by name, with inputs that the spec describes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from automations.core.run.materialize import Materialized, Occasion, materialize
from automations.core.spec.conform import compile_schema
from automations.core.spec.model import AutomationStatus, Trigger, TriggerKind
from automations.core.trigger.bindings import Bound
from automations.errors import Conflict, InvalidInput, NotFound
from automations.services.definitions import Bindings
from automations.services.ports import Clock, Ids, Telemetry, Wake
from automations.store import actions, runs
from automations.store.database import Database


@dataclass(frozen=True, slots=True)
class Parts:
    """What triggering needs."""

    database: Database
    bindings: Bindings
    clock: Clock
    ids: Ids
    telemetry: Telemetry


class Start:
    """Starts runs by name."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.wake: Wake = lambda: None
        """Called after a commit that queued work."""

    def manual(self, automation_id: str, inputs: Mapping[str, Any], *, actor: str) -> dict[str, Any]:
        """Start a run through the automation's manual trigger: `{automationId, runId, actionIds}`.

        Raises NotFound, Conflict (paused, or no manual trigger), InvalidInput with every violation of the spec's `inputs`.
        """
        with self._parts.database.write() as tx:
            bound = self._parts.bindings.within(tx).bound.get(automation_id)
            if bound is None:
                raise NotFound(f"automation not found: {automation_id}", hint="see: automations list")
            trigger = _startable(bound)
            _check(bound, inputs)
            made = self._made(bound, trigger, inputs=inputs, actor=actor)
            runs.insert(tx, [made.run])
            actions.insert(tx, made.actions)
        self._parts.telemetry.emit("run.started", run=made.run["id"], automation=automation_id, actor=actor)
        self.wake()
        return made.reference()

    def _made(self, bound: Bound, trigger: Trigger, *, inputs: Mapping[str, Any], actor: str) -> Materialized:
        identity = f"manual:{self._parts.ids.new()}"
        occasion = Occasion(identity=identity, trigger=trigger, inputs=inputs, started_by=actor)
        return materialize(bound, occasion, now=self._parts.clock.now(), new_id=self._parts.ids.new)


def _startable(bound: Bound) -> Trigger:
    automation = bound.automation
    if automation.status is not AutomationStatus.ACTIVE:
        raise Conflict(f"automation {automation.id} is {automation.status}", hint="set its status to active and apply")
    for trigger in automation.triggers:
        if trigger.kind is TriggerKind.MANUAL:
            return trigger
    raise Conflict(f"automation {automation.id} has no manual trigger", hint="add `- kind: manual` to its triggers")


def _check(bound: Bound, inputs: Mapping[str, Any]) -> None:
    schema = bound.automation.spec.get("inputs")
    violations = compile_schema(schema).violations(dict(inputs), most=20) if schema else ()
    if violations:
        raise InvalidInput(
            f"inputs do not conform to {bound.automation.id}: {'; '.join(violations)}",
            hint=f"see `inputs` in: automations show {bound.automation.id}",
            code="inputs_invalid",
        )
