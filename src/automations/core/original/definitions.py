"""The original program's records as values, and its automations, routes and replay requests as rows of ours.

A record arrives as the contract shows it (camelCase keys, JSON columns as plain data), whatever columns its file had. Every
conversion takes the fields that it knows; what is left over is kept beside them under `original`, so that nothing is lost.
What cannot be kept as it is raises InvalidInput, which names the field.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from automations.core.canonical import as_written, encode
from automations.core.diagnostic import Severity
from automations.core.instant import parse_iso
from automations.core.plan.state import API_OWNER
from automations.core.spec.catalogue import interpret
from automations.core.spec.checks import path_problem
from automations.core.spec.model import Automation
from automations.core.spec.webhook_route import id_problem, signature_problem
from automations.errors import InvalidInput

Row = dict[str, Any]

AUTOMATIONS = "automations"
RUNS = "automation_runs"
ACTIONS = "automation_actions"
REPLAYS = "automation_replay_requests"
ROUTES = "webhook_routes"
TABLES = (AUTOMATIONS, RUNS, ACTIONS, REPLAYS, ROUTES)
"""The original's tables."""

KEPT = "original"
"""The key of a `metadata` under which stands what has no place of its own here."""

_STATUSES = ("active", "paused", "archived")
_ROUTE_STATUSES = ("active", "disabled", "archived")


@dataclass(frozen=True, slots=True)
class Found:
    """A record of the original's."""

    table: str
    id: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that holds something else than the original wrote, and why."""

    table: str
    id: str
    reason: str


Item = Found | Unreadable


@dataclass(frozen=True, slots=True)
class Group:
    """A run with its actions in the order in which they were made; `run` is None where only actions of it are there."""

    run_id: str
    run: Item | None
    actions: tuple[Item, ...]


class Fields:
    """Takes a record's fields one by one, and knows what is left. A field that is null counts as absent."""

    def __init__(self, found: Found) -> None:
        self._left = {key: value for key, value in found.fields.items() if value is not None}
        self._left.pop("id", None)

    def text(self, key: str) -> str | None:
        """A text. Raises InvalidInput for anything else, and for a NUL character, which no store keeps."""
        value = self._left.pop(key, None)
        if value is not None and (not isinstance(value, str) or "\0" in value):
            raise InvalidInput(f"its {key} is not a text")
        return value

    def need(self, key: str) -> str:
        """A text that must be there. Raises InvalidInput."""
        value = self.text(key)
        if not value:
            raise InvalidInput(f"it has no {key}")
        return value

    def at(self, key: str) -> int | None:
        """A time in microseconds. Raises InvalidInput."""
        value = self.text(key)
        try:
            return None if value is None else parse_iso(value)
        except (ValueError, OverflowError):
            raise InvalidInput(f"its {key} is not a time") from None

    def number(self, key: str, default: int) -> int:
        """A whole number that is not negative. Raises InvalidInput."""
        value = self._left.pop(key, default)
        if not isinstance(value, int) or not 0 <= value < 1 << 31:
            raise InvalidInput(f"its {key} is not a whole number")
        return value

    def data(self, key: str) -> Any:
        """Plain data, or None."""
        return self._left.pop(key, None)

    def record(self, key: str) -> dict[str, Any]:
        """A JSON object, empty where there is none. Raises InvalidInput for anything else."""
        value = self._left.pop(key, {})
        if not isinstance(value, dict):
            raise InvalidInput(f"its {key} is not a JSON object")
        return value

    def rest(self) -> dict[str, Any]:
        """What nobody took."""
        return dict(self._left)


@dataclass(frozen=True, slots=True)
class Offered:
    """An automation of the original's. `automation` is None where our rules refuse its spec, and `refusal` says why."""

    id: str
    spec: Mapping[str, Any]
    status: str
    created_at: int
    updated_at: int
    automation: Automation | None = None
    refusal: str = ""
    waits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The steps that each step waits for, as far as the spec says so intelligibly."""


def automation(found: Found) -> Offered:
    """An automation with its spec judged by our rules. Raises InvalidInput for a record that is none."""
    fields = Fields(found)
    spec = fields.record("spec")
    created_at = fields.at("createdAt") or 0
    updated_at = fields.at("updatedAt") or created_at
    status = fields.text("status") or spec.get("status") or "active"
    if status not in _STATUSES:
        raise InvalidInput(f"its status is unknown: {status}")
    waits = _waits(spec)
    if spec.get("status", "active") != status:
        spec = {**spec, "status": status}
    rest = fields.rest()
    if rest and isinstance(spec.get("metadata", {}), dict):
        spec = {**spec, "metadata": {**spec.get("metadata", {}), KEPT: rest}}
    interpreted = interpret(as_written(spec).encode(), f"{found.id}.json")
    errors = [each.message for each in interpreted.diagnostics if each.severity is Severity.ERROR]
    made = interpreted.automation
    if made is not None and not errors:
        if made.id != found.id:
            errors = [f"the spec is of another automation: {made.id}"]
        elif any(trigger.route for trigger in made.triggers):
            errors = ["the spec declares a webhook route of its own, which the original did not serve"]
    accepted = None if errors else made
    return Offered(
        found.id, spec, status, created_at, updated_at, automation=accepted, refusal="; ".join(errors), waits=waits
    )


def _waits(spec: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    found = {}
    steps = spec.get("actions")
    for step in steps if isinstance(steps, list) else ():
        if isinstance(step, dict) and isinstance(step.get("id"), str):
            named = step.get("dependsOn")
            found[step["id"]] = tuple(str(each) for each in named) if isinstance(named, list) else ()
    return found


def route(found: Found) -> Row:
    """A webhook route as a row of ours, owned by `api`. Raises InvalidInput for what we would not make either."""
    fields = Fields(found)
    path = fields.need("path")
    automation_id = fields.need("automationId")
    status = fields.text("status") or "active"
    signature = fields.record("signature")
    mapping = fields.record("mapping")
    created_at = fields.at("createdAt") or 0
    problem = id_problem(found.id) or path_problem(path) or (signature_problem(signature) if signature else None)
    if problem is None and status not in _ROUTE_STATUSES:
        problem = f"its status is unknown: {status}"
    if problem is None and not all(isinstance(value, str) for value in signature.values()):
        problem = "a field of its signature is not a text"
    if problem is None:
        problem = _mapping_problem(mapping)
    if problem:
        raise InvalidInput(problem)
    updated_at = fields.at("updatedAt") or created_at
    rest = fields.rest()
    if rest:
        mapping = {**mapping, "metadata": {**mapping.get("metadata", {}), KEPT: rest}}
    return {
        "id": found.id,
        "automation_id": automation_id,
        "trigger_id": None,
        "path": path,
        "status": status,
        "owner": API_OWNER,
        "signature_json": encode(signature) if signature else None,
        "mapping_json": as_written(mapping),
        "created_at": created_at,
        "updated_at": updated_at,
        "deleted_at": None,
    }


def _mapping_problem(mapping: Mapping[str, Any]) -> str | None:
    for key in ("source", "type"):
        if not mapping.get(key):
            return f"its mapping has no {key}"
    for key, value in mapping.items():
        wanted = dict if key == "metadata" else str
        if not isinstance(value, wanted):
            return f"its mapping has a {key} that cannot be used"
    return None


def replay(found: Found) -> Row:
    """A replay request as a row of ours. Raises InvalidInput for one that names no run."""
    fields = Fields(found)
    metadata = fields.record("metadata")
    action_id = metadata.pop("actionId", None)
    row = {
        "id": found.id,
        "run_id": fields.need("automationRunId"),
        "action_row_id": action_id if isinstance(action_id, str) else None,
        "mode": fields.text("mode") or "dead-actions",
        "reason": fields.text("reason"),
        "requested_by": fields.text("requestedBy") or KEPT,
        "requested_at": fields.at("requestedAt") or fields.at("createdAt") or 0,
    }
    rest = {**fields.rest(), **({"metadata": metadata} if metadata else {})}
    if rest:
        row["reason"] = f"{row['reason'] or ''} {encode(rest)}".lstrip()
    return row
