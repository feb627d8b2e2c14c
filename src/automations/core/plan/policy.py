"""Policy: which runs under way end when a plan changes or deletes their automation. One rule for the plan and for the apply.

What decides is `lifecycle.onUpdate` and `onDelete` of the spec that the plan replaces: the one that the runs began under. Only
a change that replaces or deletes what is bound touches runs: not a move, not a takeover of the same spec, and not a deleted
automation that comes back, whose runs were let finish when it went.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from automations.core.plan.change import Action
    from automations.core.plan.state import InFlight

Word = Literal["onUpdate", "onDelete"]
_DEFAULTS: Mapping[Word, str] = {"onUpdate": "finish", "onDelete": "drain"}


def word_of(action: Action, *, changed: bool) -> Word | None:
    """The word of `lifecycle` that decides; None where no run is touched. `changed` is whether the spec says something else."""
    if action == "delete":
        return "onDelete"
    return "onUpdate" if action in ("update", "rename") or (action == "adopt" and changed) else None


def policy_of(word: Word | None, spec: Mapping[str, Any]) -> str:
    """What becomes of runs under way of an automation whose bound spec is this one."""
    if word is None:
        return "finish"
    return str(spec.get("lifecycle", {}).get(word, _DEFAULTS[word]))


def ends(policy: str, *, begun: bool) -> bool:
    """Whether a run that nobody told to end yet is cancelled; it has `begun` once anything of it was handed out."""
    return policy == "cancel-all" or (policy == "cancel-queued" and not begun)


def ended(counts: InFlight, policy: str) -> int:
    """How many runs are cancelled."""
    return sum(
        number for begun, number in ((True, counts.begun), (False, counts.not_begun)) if ends(policy, begun=begun)
    )
