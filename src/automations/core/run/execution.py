"""What crosses the seam between the queue and an executor: an invocation goes out, an outcome comes back.

An outcome is a value: a step that failed is not an exception. Executors never touch the store, and never decide about
retries; they say what happened and whether trying again can help.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from automations.core.expression.secret import SecretText
from automations.core.spec.model import Binding


@dataclass(frozen=True, slots=True)
class Invocation:
    """One attempt at one action. Times in microseconds. `fence` rises with every claim of the action.

    `secrets` are the places in `input` that the executor's edge fills before it starts, see `edge`.
    """

    action_row_id: str
    run_id: str
    automation_id: str
    step_id: str
    action_id: str
    manifest_version: str
    idempotency_key: str
    attempt: int
    fence: int
    input: Any
    binding: Binding
    timeout: int | None = None
    dry_run: bool = False
    secrets: tuple[SecretText, ...] = ()
    hops: int = 0
    """Through how many runs the run's own event came."""

    @property
    def cause(self) -> str:
        """What a process finds as `AUTOMATIONS_CAUSE`, for the events that it sends; `core.trigger.cause` reads it."""
        return f"run={self.run_id};hops={self.hops}"


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The action did its work. `output` is plain data."""

    output: Any = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failed:
    """The action did not. `code` is a stable upper-case word; `retry_after` (microseconds) only lengthens the wait.

    `metadata` may carry bounded, redacted captured output for a person to read (`stderr`, `exitCode`, `httpStatus`).
    """

    code: str
    message: str
    retryable: bool
    retry_after: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The attempt was stopped from outside (drain or cancel) and left nothing running."""

    reason: str


Outcome = Succeeded | Failed | Cancelled
