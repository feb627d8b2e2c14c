"""Concurrency: which of the runs that share a key may go on, which wait, and which make room.

A run contends for one of `limit` slots of its automation and rendered key. Pure: the service counts under the key's lock who
holds a slot and who stands in line, asks here, and persists the answer in the transaction that the run is created in.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from automations.core.canonical import encode
from automations.core.expression.cel import EvaluationFailed
from automations.core.run.states import FINAL, MOVING, ActionStatus, RunStatus
from automations.core.spec.model import Concurrency

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from automations.core.expression.template import Template
    from automations.core.spec.model import Overlap

KEY_ROOTS = frozenset({"event", "inputs", "schedule", "vars", "automation"})
"""What a key's expressions can see: the run has not begun, so it has no steps."""
LONGEST_KEY = 512
"""Characters of a rendered key; more is no key but a document."""
KEY_INVALID = "CONCURRENCY_KEY_INVALID"
"""The error of a run whose key is null, no scalar, too long, or cannot be worked out."""


class Contest(NamedTuple):
    """What a run contends for: its rendered key, and the rules of its generation."""

    key: str
    policy: Concurrency


class KeyInvalid(NamedTuple):
    """Why a key is none."""

    message: str


class Line(NamedTuple):
    """Who stands where for a key: how many hold a slot, how many wait for one."""

    held: int
    waiting: int


class Rival(NamedTuple):
    """Another run of the key that is not over; `slot` as in the store: waiting, returning, held or released."""

    id: str
    slot: str
    stopping: bool


class Admission(NamedTuple):
    """What becomes of a run that arrives: it begins (materialized), waits (pending) or is dropped for a reason.

    Before that, the runs of `supersede` end without having begun, and those of `cancel` are told to stop.
    """

    status: RunStatus
    reason: str | None = None
    supersede: tuple[str, ...] = ()
    cancel: tuple[str, ...] = ()


def policy_of(concurrency: Concurrency | None, *, overlap: Overlap | None, trigger_id: str) -> Concurrency | None:
    """The rules for a run that a trigger with an `overlap` of its own starts; None where it needs no slot.

    Without `concurrency` the runs of one schedule share a key of their own; with it they share its key and limit.
    """
    if overlap is None:
        return None if concurrency is None or concurrency.overlap == "parallel" else concurrency
    if concurrency is None:
        return Concurrency(key=f"schedule:{trigger_id}", overlap=overlap)
    return replace(concurrency, overlap=overlap)


def rendered(template: Template, roots: Mapping[str, Any]) -> str | KeyInvalid:
    """The key as text: a text as it is, a number or a boolean as JSON writes it."""
    try:
        value = template.render(roots)
    except EvaluationFailed as problem:
        return KeyInvalid(f"the concurrency key could not be worked out: {problem}")
    if isinstance(value, str):
        key = value
    elif isinstance(value, bool | int | float):
        key = encode(value)
    else:
        kind = "null" if value is None else "an object" if isinstance(value, dict) else "a list"
        return KeyInvalid(f"the concurrency key is {kind}; it must be a text, a number or a boolean")
    if len(key) > LONGEST_KEY:
        return KeyInvalid(f"the concurrency key has {len(key)} characters; the most are {LONGEST_KEY}")
    if "\0" in key:
        return KeyInvalid("the concurrency key holds a NUL character")
    return key


def wants_slot(statuses: AbstractSet[ActionStatus]) -> bool:
    """Whether a run whose actions stand so has anything to do: it is not over, nor is an approval all that is left."""
    if statuses <= FINAL:
        return False
    return ActionStatus.WAITING_APPROVAL not in statuses or bool(statuses & MOVING)


def free(line: Line, limit: int) -> bool:
    """Whether a run that comes now may begin: a slot is free, and nobody was here before."""
    return line.held < limit and line.waiting == 0


def admit(policy: Concurrency, line: Line, rivals: Sequence[Rival] = ()) -> Admission:
    """What becomes of a run that arrives. `rivals` in the order of their turns; only two modes look at them."""
    if policy.overlap == "cancel-running":
        return _newest(policy, line, rivals)
    if free(line, policy.limit):
        return Admission(RunStatus.MATERIALIZED)
    match policy.overlap:
        case "skip":
            return Admission(RunStatus.DROPPED, f"another run has the slot (limit {policy.limit}, overlap skip)")
        case "latest":
            older = tuple(each.id for each in rivals if each.slot == "waiting")
            return Admission(RunStatus.PENDING, supersede=older)
        case "queue" if line.waiting >= policy.max_queued:
            return Admission(RunStatus.DROPPED, f"{line.waiting} runs wait already (maxQueued {policy.max_queued})")
        case _:
            return Admission(RunStatus.PENDING)


def _newest(policy: Concurrency, line: Line, rivals: Sequence[Rival]) -> Admission:
    """The newest `limit` runs stay, the one that arrives among them; it begins once a slot is free."""
    going_on = [each for each in rivals if not each.stopping]
    leaving = going_on[: max(0, len(going_on) + 1 - policy.limit)]
    return Admission(
        RunStatus.MATERIALIZED if free(line, policy.limit) and not leaving else RunStatus.PENDING,
        supersede=tuple(each.id for each in leaving if each.slot == "waiting"),
        cancel=tuple(each.id for each in leaving if each.slot != "waiting"),
    )
