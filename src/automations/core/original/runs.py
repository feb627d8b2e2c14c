"""A run of the original's with its actions, as rows of ours that our run and queue machines take up where they stand.

The original pins nothing: it froze every step's input when the run began, read who waits for whom from the newest spec at each
claim, and never moved the run itself. So each run gets a program of its own, made of exactly its actions: their frozen inputs,
their gates, and the dependencies that the original would have gone by. Our run machine then says how the run stands.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from automations.core.canonical import as_written, encode
from automations.core.original.actions import OPEN, Brought, action
from automations.core.original.definitions import KEPT, Fields, Found, Row
from automations.core.run.machine import ActionView, Decision, RunView, advance
from automations.core.run.program import EXTERNAL, compile_program, executable
from automations.core.run.states import ActionStatus, RunStatus, SkipReason
from automations.core.spec import build
from automations.core.spec.conform import compile_schema
from automations.core.spec.graph import cycle
from automations.core.spec.manifests import Shelf, resolve
from automations.core.spec.model import Automation, Dependency, Manifest, Step
from automations.errors import InvalidInput

_OVER = ("succeeded", "failed", "cancelled", "timed_out", "dead")
_UNDER_WAY = ("materialized", "pending", "queued", "running", "waiting_approval")
_TEMPLATE = "${{"


@dataclass(frozen=True, slots=True)
class Around:
    """What a run is converted against. `waits` is None for an automation that the original no longer has."""

    waits: Mapping[str, tuple[str, ...]] | None
    shelf: Shelf
    now: int


@dataclass(frozen=True, slots=True)
class Event:
    """The event that began a run: its identity was unique for the automation, whichever door it came in by."""

    identity: str
    id: str
    source: str
    type: str
    automation_id: str
    webhook: bool


@dataclass(frozen=True, slots=True)
class BroughtRun:
    """The rows of a run. What the store knows is still missing: `automation_uid, generation, event_row_id`."""

    run: Row
    actions: tuple[Row, ...]
    attempts: tuple[Row, ...]
    pin: Automation
    event: Event | None
    notes: tuple[str, ...]


def run(found: Found, actions: Sequence[Found], *, around: Around) -> BroughtRun:
    """A run and its actions. Raises InvalidInput for what the original never wrote; then nothing of the run is usable."""
    fields = Fields(found)
    trigger, metadata = fields.record("trigger"), fields.record("metadata")
    row = _run_row(found.id, fields) | {"trigger_json": as_written(trigger)}
    word = fields.text("status") or "materialized"
    if word not in _OVER + _UNDER_WAY:
        raise InvalidInput(f"its status is unknown: {word}")
    steps = [action(each, run=row, position=position) for position, each in enumerate(actions)]
    if len({each.row["step_id"] for each in steps}) < len(steps):
        raise InvalidInput("it has two actions of one step")
    waits, notes = _dependencies(steps, around.waits)
    pin = build.automation(_pin(row["automation_id"], steps, waits=waits))
    pinned = _pinned(pin, steps, shelf=around.shelf)
    row["digest"] = pin.digest
    row["manifests_json"] = encode({step_id: manifest.digest for step_id, manifest in pinned.items()})
    if word in _OVER:
        _close(steps)
    _settle(row, steps, decision=_decide(row, pin, pinned=pinned, steps=steps), word=word, now=around.now)
    if not steps and word not in _OVER:
        notes.append("it was stored without its actions, so nothing of it ever ran; its event will start a new run")
    event = _event(row, metadata, webhook=trigger.get("kind") == "webhook") if steps else None
    kept = {**fields.rest(), **({} if word in ("materialized", row["status"]) else {"status": word})}
    row["metadata_json"] = encode({**metadata, KEPT: kept} if kept else metadata)
    attempts = tuple(each.attempt for each in steps if each.attempt)
    return BroughtRun(row, tuple(each.row for each in steps), attempts, pin, event, tuple(notes))


def _run_row(identity: str, fields: Fields) -> Row:
    automation_id = fields.need("automationId")
    event_id = fields.text("triggerEventId")
    created_at = fields.at("createdAt") or 0
    error = fields.data("error")
    return {
        "id": identity,
        "automation_id": automation_id,
        "trigger_event_id": event_id,
        "idempotency_key": fields.text("idempotencyKey") or f"{automation_id}:{event_id or identity}",
        "inputs_json": None,
        "error_json": None if error is None else encode(error),
        "replay_of": None,
        "created_at": created_at,
        "updated_at": fields.at("updatedAt") or created_at,
        "started_at": fields.at("startedAt"),
        "completed_at": fields.at("completedAt"),
    }


def _dependencies(
    steps: Sequence[Brought], known: Mapping[str, tuple[str, ...]] | None
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Who waits for whom among these steps. Open ones that wait for what can never be over fail here, and a note says so."""
    names = [each.row["step_id"] for each in steps]
    if known is None:  # the order is lost with the spec; one after another is an order that surprises nobody
        return {name: tuple(names[max(0, place - 1) : place]) for place, name in enumerate(names)}, []
    waits = {name: tuple(dict.fromkeys(known.get(name, ()))) for name in names}
    broken = {
        name: ("DEPENDENCY_MISSING", f"it waits for {missing[0]}, which is no step of this run")
        for name in names
        if (missing := [each for each in waits[name] if each not in waits])
    }
    for name in broken:
        waits[name] = ()
    while loop := cycle([Step(name, "", depends_on=tuple(map(Dependency, waits[name]))) for name in names]):
        for name in loop:
            broken[name] = ("DEPENDENCY_CYCLE", "it waits for itself, through " + " → ".join((*loop, loop[0])))
            waits[name] = ()
    notes = []
    for each in steps:
        name = each.row["step_id"]
        if name in broken and each.row["status"] == OPEN:
            code, message = broken[name]
            each.end(ActionStatus.FAILED, error={"code": code, "message": message, "retryable": False})
            notes.append(f"step {name} could never have run: {message}")
    return waits, notes


def _pin(automation_id: str, steps: Sequence[Brought], *, waits: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """The spec that the run is held to. It is bound to nothing, so it is never matched with an event."""
    return {
        "schemaVersion": "1.0",
        "id": automation_id,
        "name": automation_id,
        "version": KEPT,
        "description": "The steps of runs that were imported from the original program, with the inputs they were made with.",
        "triggers": [{"kind": "manual"}],
        "actions": [
            {
                "id": each.row["step_id"],
                "actionId": each.row["action_id"],
                "manifestVersion": each.row["manifest_version"],
                "input": literal(each.input),
                **({"dependsOn": list(waits[each.row["step_id"]])} if waits[each.row["step_id"]] else {}),
                **({"approval": each.approval} if each.approval else {}),
            }
            for each in steps
        ],
    }


def literal(value: Any) -> Any:
    """Plain data as a template that renders to itself: the original knew no templates, so its texts hold none."""
    if isinstance(value, str):
        return value.replace(_TEMPLATE, f"${_TEMPLATE}")
    if isinstance(value, list):
        return [literal(each) for each in value]
    if isinstance(value, dict):
        return {key: literal(each) for key, each in value.items()}
    return value


def _pinned(pin: Automation, steps: Sequence[Brought], *, shelf: Shelf) -> dict[str, Manifest]:
    """The manifests that steps can be carried out with as they stand: their input fits, and nobody more is to be asked."""
    found = {}
    for step, each in zip(pin.steps, steps, strict=True):
        manifest = resolve(step, shelf)[0]
        if manifest is not None and not manifest.required_approvals and _fits(each.input, manifest):
            found[step.id] = manifest
            binding = executable(manifest)
            each.row |= {"manifest_digest": manifest.digest, "executor": binding.kind if binding else EXTERNAL}
    return found


def _fits(value: Any, manifest: Manifest) -> bool:
    try:
        return not compile_schema(manifest.input_schema).violations(value)
    except InvalidInput:
        return False


def _close(steps: Sequence[Brought]) -> None:
    """The original called the run over: nothing of it starts again here."""
    for each in steps:
        if not ActionStatus(each.row["status"]).final:
            each.end(ActionStatus.SKIPPED, reason=SkipReason.UPSTREAM_SKIPPED)


def _decide(row: Row, pin: Automation, *, pinned: Mapping[str, Manifest], steps: Sequence[Brought]) -> Decision:
    claimed = [each.row["claimed_at"] for each in steps if each.row["claimed_at"] is not None]
    if row["started_at"] is None and claimed:
        row["started_at"] = min(claimed)
    status = RunStatus.MATERIALIZED if row["started_at"] is None else RunStatus.RUNNING
    row["status"] = str(status)
    views = tuple(
        ActionView(
            each.row["id"],
            each.row["step_id"],
            ActionStatus(each.row["status"]),
            reason=each.row["reason"],
            error=each.error,
        )
        for each in steps
    )
    view = RunView(row["id"], status, row["created_at"], event=None, inputs={}, actions=views)
    return advance(compile_program("", 0, automation=pin, manifests=pinned), view)


def _settle(row: Row, steps: Sequence[Brought], *, decision: Decision, word: str, now: int) -> None:
    """Persist in the rows what the run machine decided, and the run's own end."""
    by_step = {each.row["step_id"]: each for each in steps}
    for change in decision.actions:
        moved = by_step[change.step_id]
        if change.status.final:
            moved.end(change.status, reason=change.reason, error=change.error, at=now)
        else:
            moved.row["status"] = str(change.status)
    status, error = RunStatus(row["status"]) if decision.run is None else decision.run, decision.error
    if word in _OVER:
        status = RunStatus.SUCCEEDED if word == "succeeded" else RunStatus.FAILED
        error = {"code": word.upper(), "message": f"the original ended this run as {word}"}
    elif not steps:
        status = RunStatus.FAILED
        error = {"code": "RUN_WITHOUT_ACTIONS", "message": "the original stored this run without its actions"}
    row["status"] = str(status)
    if status is RunStatus.FAILED and row["error_json"] is None:
        row["error_json"] = encode(error)
    if not status.final:
        row["completed_at"] = None
    elif row["completed_at"] is None:
        row["completed_at"] = max(each.row["completed_at"] for each in steps) if steps else row["updated_at"]


def _event(row: Row, metadata: Mapping[str, Any], *, webhook: bool) -> Event | None:
    """The event to know again, where the original said enough of it."""
    prefix, key = f"{row['automation_id']}:", row["idempotency_key"]
    named = metadata.get("eventDedupeKey") or row["trigger_event_id"]
    identity = key.removeprefix(prefix) if key.startswith(prefix) else named
    source, kind = metadata.get("eventSource"), metadata.get("eventType", "")
    texts = [each for each in (identity, named, source, kind) if isinstance(each, str)]
    if len(texts) < 4 or not all(texts[:3]):  # an event without an id had the identity `undefined`, each time
        return None
    identity, _, source, kind = texts
    return Event(identity, row["trigger_event_id"] or identity, source, kind, row["automation_id"], webhook)
