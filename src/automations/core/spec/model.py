"""The model: what a checked document means. Frozen, complete, and without defaults left to guess.

Structure is JSON Schema's (`schemas/`); `build.py` makes these from documents that passed it. Durations are integer
microseconds. Free-form parts (`input`, `filter`, schemas) stay plain data.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from automations.core.run.retry import DEFAULT as DEFAULT_RETRY
from automations.core.run.retry import Retry


class TriggerKind(StrEnum):
    """How a run starts."""

    EVENT = "event"
    WEBHOOK = "webhook"
    SCHEDULE = "schedule"
    MANUAL = "manual"
    API = "api"


class AutomationStatus(StrEnum):
    """Whether an automation's triggers fire."""

    ACTIVE = "active"
    PAUSED = "paused"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True)
class Signature:
    """How a webhook request proves its sender. `preset` names a known scheme; otherwise the fields spell one out."""

    secret_ref: str
    preset: str | None = None
    algorithm: str = "hmac-sha256"
    header: str | None = None
    prefix: str | None = None
    encoding: Literal["hex", "base64"] = "hex"
    timestamp_header: str | None = None
    tolerance_seconds: int | None = None
    rejects_replays: int | None = None
    """For how long (microseconds) the same signed bytes under another delivery id are a duplicate; None where they never are."""


@dataclass(frozen=True, slots=True)
class RouteMapping:
    """How a webhook body becomes an event envelope. Paths are dotted; `.` is the whole body."""

    source: str
    type: str
    type_template: str | None = None
    subject: str | None = None
    subject_path: str | None = None
    data_path: str | None = None
    id_path: str | None = None
    time_path: str | None = None
    dedupe_key_path: str | None = None
    dedupe_key_header: str | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """One exact HTTP path that feeds events to automations."""

    id: str
    automation_id: str
    path: str
    mapping: RouteMapping
    signature: Signature | None = None
    status: Literal["active", "disabled", "archived"] = "active"


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A token bucket for each rendered `key`: `limit` events in `per` microseconds, `burst` at once after a pause."""

    key: str | None
    limit: int
    per: int
    burst: int
    excess: Literal["drop", "delay"] = "drop"


@dataclass(frozen=True, slots=True)
class Debounce:
    """A window for each rendered `key` that closes `quiet` after its last event, `max` after its first; microseconds."""

    key: str | None
    quiet: int
    max: int | None = None
    emit: Literal["first", "last", "all"] = "last"


@dataclass(frozen=True, slots=True)
class Trigger:
    """One way in. An empty tuple of patterns matches anything."""

    id: str
    kind: TriggerKind
    sources: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    filter: Mapping[str, Any] = field(default_factory=dict)
    expr: str | None = None
    route: Route | None = None
    event_schema: Mapping[str, Any] | None = None
    rate_limit: RateLimit | None = None
    debounce: Debounce | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dependency:
    """A step waits for another. `default` accepts success, a `when` skip, and a failure that was told to continue."""

    step: str
    on: Literal["default", "succeeded", "completed", "failed"] = "default"


@dataclass(frozen=True, slots=True)
class Approval:
    """Who must agree before a step runs: so many people, of any of these roles. `expires` in microseconds."""

    count: int = 1
    reason: str = ""
    allow_self: bool = False
    roles: tuple[str, ...] = ()
    expires: int | None = None
    on_expire: Literal["reject", "approve"] = "reject"


@dataclass(frozen=True, slots=True)
class Step:
    """One node of the DAG. `when` is CEL text or the original's matcher object; `input` may hold `${{ }}` templates."""

    id: str
    action_id: str
    manifest_version: str | None = None
    input: Any = field(default_factory=dict)
    depends_on: tuple[Dependency, ...] = ()
    when: str | Mapping[str, Any] | None = None
    retry: Retry = DEFAULT_RETRY
    timeout: int | None = None
    total_timeout: int | None = None
    on_failure: Literal["stop", "continue"] = "stop"
    approval: Approval | None = None
    final: bool = False
    priority: int | None = None


Overlap = Literal["queue", "skip", "latest", "cancel-running", "parallel"]


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How many runs with the same rendered key may go on at once. `key` may hold `${{ }}` templates."""

    key: str = ""
    limit: int = 1
    overlap: Overlap = "queue"
    max_queued: int = 100
    release_while_waiting: bool = False


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a run's main steps and its `finally` steps may take (microseconds), None for as long as they like."""

    run: int | None = None
    final: int | None = None
    counts_approvals: bool = False


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """What becomes of runs under way when their automation changes or goes. `drain_timeout` in microseconds."""

    on_update: Literal["finish", "cancel-queued"] = "finish"
    on_delete: Literal["drain", "cancel-queued", "cancel-all"] = "drain"
    drain_timeout: int | None = None


@dataclass(frozen=True, slots=True)
class Automation:
    """One automation as its author wrote it. `spec` is the document itself; `digest` is of its canonical text."""

    id: str
    name: str
    version: str
    status: AutomationStatus
    triggers: tuple[Trigger, ...]
    steps: tuple[Step, ...]
    vars: Mapping[str, Any]
    timeouts: Timeouts
    concurrency: Concurrency | None
    lifecycle: Lifecycle
    renamed_from: str | None
    priority: int
    spec: Mapping[str, Any]
    digest: str


@dataclass(frozen=True, slots=True)
class Binding:
    """One way to carry an action out: `local-shell`, `http`, `python`, `mcp`, or a kind only others know."""

    kind: str
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Manifest:
    """An action's contract: what goes in, what comes out, how it is carried out, and who must agree besides the step's."""

    id: str
    version: str
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any] | None
    bindings: tuple[Binding, ...]
    approvals: tuple[Approval, ...]
    high_risk: bool
    document: Mapping[str, Any]
    digest: str

    @property
    def required_approvals(self) -> int:
        """How many people it asks for in all."""
        return sum(each.count for each in self.approvals)
