"""How long a failed attempt waits before the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automations.core.instant import SECOND

if TYPE_CHECKING:
    from automations.core.spec.model import Retry

LONGEST_WAIT = 365 * 86_400 * SECOND
"""No wait is longer than a year (microseconds), whatever a policy or a runner says: later times fit no calendar."""
LONGEST_RETRY_AFTER = 3600 * SECOND
"""A downstream `Retry-After` lengthens a wait to an hour at most (microseconds)."""


def wait(policy: Retry, attempt: int, *, fraction: float, retry_after: int | None = None) -> int:
    """Microseconds after failed attempt `attempt` (1, 2, …): `min(cap, base * 2^(attempt-1))`, partly jittered.

    `fraction` in [0, 1) is the randomness: with `equal` jitter half of the wait is fixed and half varies, with `full` all of
    it varies. `retry_after` (microseconds, from downstream) only ever lengthens the wait.
    """
    ceiling = min(policy.cap, policy.base << max(0, min(attempt - 1, 40)), LONGEST_WAIT)
    match policy.jitter:
        case "none":
            chosen = ceiling
        case "equal":
            chosen = ceiling // 2 + int((ceiling - ceiling // 2) * fraction)
        case "full":
            chosen = int(ceiling * fraction)
    return max(chosen, min(retry_after or 0, LONGEST_RETRY_AFTER))
