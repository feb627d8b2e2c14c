"""The verb trigger: a person or a program starts a run by name, with inputs that the spec describes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automations.core.canonical import decode, digest_bytes, encode
from automations.core.run.inputs import bounded, unlisted, with_defaults
from automations.core.run.materialize import Occasion, materialize
from automations.core.spec.conform import compile_schema
from automations.core.spec.model import AutomationStatus, Trigger, TriggerKind
from automations.core.trigger.bindings import Bound
from automations.core.trigger.envelope import short_text
from automations.errors import Conflict, InvalidInput
from automations.services.absent import no_automation
from automations.services.identity import not_there
from automations.services.reconcile.suspend import check_not_suspended
from automations.services.run.admit import admit_runs, tell
from automations.services.run.programs import Programs
from automations.services.trigger.parts import Parts
from automations.store import start_requests
from automations.store.database import Transaction

if TYPE_CHECKING:
    from automations.services.ports import Wake


@dataclass(frozen=True, slots=True)
class Started:
    """The run that a start led to: `{automationId, runId, actionIds}`; `duplicate` when its key had started it before."""

    reference: dict[str, Any]
    duplicate: bool = False


class Start:
    """Starts runs by name."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._programs = Programs()
        """Of runs that new ones replace."""
        self.wake: Wake = lambda: None
        """Called after a commit that queued work."""

    def manual(self, automation_id: str, inputs: Mapping[str, Any], *, actor: str) -> dict[str, Any]:
        """Start a run through the automation's manual trigger: `{automationId, runId, actionIds}`.

        Raises NotFound, Conflict (not active, suspended, or no manual trigger), InvalidInput with every violation of `inputs`.
        """
        return self._start(TriggerKind.MANUAL, automation_id, inputs, actor=actor).reference

    def api(
        self, automation_id: str, inputs: Mapping[str, Any], *, actor: str, idempotency_key: str | None = None
    ) -> Started:
        """Start a run through the automation's api trigger, once for each idempotency key.

        The same key with the same inputs answers the first run; with others it is refused. Raises what `manual` raises, and
        InvalidInput with the code `idempotency_key_reused`.
        """
        if idempotency_key is not None:
            short_text(idempotency_key, "the idempotency key")
        return self._start(TriggerKind.API, automation_id, inputs, actor=actor, key=idempotency_key)

    def accepts(self, automation_id: str) -> Mapping[str, Any]:
        """The JSON Schema of an automation's inputs; empty when it has none. Raises NotFound."""
        table = self._parts.bindings.current()
        bound = table.bound.get(automation_id)
        if bound is None:
            raise no_automation(automation_id, table.bound)
        schema: Mapping[str, Any] = bound.automation.spec.get("inputs", {})
        return schema

    def _start(
        self, kind: TriggerKind, automation_id: str, inputs: Mapping[str, Any], *, actor: str, key: str | None = None
    ) -> Started:
        now = self._parts.clock.now()
        body_digest = digest_bytes(bounded(inputs).encode())
        with self._parts.database.write() as tx:
            table = self._parts.bindings.within(tx)
            bound = table.bound.get(automation_id)
            if bound is None:
                raise not_there(tx, automation_id)
            before = start_requests.get(tx, bound.uid, key) if key is not None else None
            if before is not None:
                return _answered(before, body_digest)
            check_not_suspended(tx, table, bound, now=now)
            trigger = _startable(bound, kind)
            occasion = Occasion(
                identity=f"{kind}:{key or self._parts.ids.new()}",
                trigger=trigger,
                inputs=_checked(bound, inputs),
                started_by=actor,
            )
            made = materialize(bound, occasion, now=now, new_id=self._parts.ids.new)
            answer = made.reference()
            if key is not None:
                request = {"uid": bound.uid, "key": key, "body_digest": body_digest, "now": now}
                if not start_requests.keep(tx, {**request, "answer_json": encode(answer)}):
                    return self._answered_meanwhile(tx, bound.uid, key, body_digest=body_digest)
            admit_runs(tx, [made], programs=self._programs, now=now)
        tell(self._parts.telemetry, [made])
        self._parts.telemetry.emit("run.started", run=answer["runId"], automation=automation_id, actor=actor)
        self.wake()
        return Started(answer)

    def _answered_meanwhile(self, tx: Transaction, uid: str, key: str, *, body_digest: str) -> Started:
        standing = start_requests.get(tx, uid, key)
        assert standing is not None  # noqa: S101  # the write found it
        return _answered(standing, body_digest)


def _answered(row: Mapping[str, Any], body_digest: str) -> Started:
    if row["body_digest"] != body_digest:
        raise InvalidInput(
            "this idempotency key started a run with other inputs",
            hint="use a new key for a new request",
            code="idempotency_key_reused",
        )
    return Started(decode(row["answer_json"]), duplicate=True)


def _startable(bound: Bound, kind: TriggerKind) -> Trigger:
    automation = bound.automation
    if automation.status is not AutomationStatus.ACTIVE:
        raise Conflict(f"automation {automation.id} is {automation.status}", hint="set its status to active and apply")
    for trigger in automation.triggers:
        if trigger.kind is kind:
            return trigger
    raise Conflict(f"automation {automation.id} has no {kind} trigger", hint=f"add `- kind: {kind}` to its triggers")


def _checked(bound: Bound, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs with the schema's defaults. Raises InvalidInput that names every violation with its path."""
    schema = bound.automation.spec.get("inputs")
    if not schema:
        return dict(inputs)
    filled = with_defaults(schema, inputs)
    violations = compile_schema(schema).violations(filled, most=20)
    if violations:
        slips = [f"{name}: {hint}" for name, hint in unlisted(schema, inputs).items()]
        raise InvalidInput(
            f"inputs do not conform to {bound.automation.id}: {'; '.join(violations)}",
            hint="; ".join(slips) or f"see `inputs` in: automations show {bound.automation.id} --json",
            code="inputs_invalid",
        )
    bounded(filled)
    return filled
