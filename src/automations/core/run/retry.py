"""How long a failed attempt waits before the next one."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from automations.core.instant import SECOND, parse_duration

LONGEST_WAIT = 365 * 86_400 * SECOND
"""No wait is longer than a year (microseconds), whatever a policy or a runner says: later times fit no calendar."""
LONGEST_RETRY_AFTER = 3600 * SECOND
"""A downstream `Retry-After` lengthens a wait to an hour at most (microseconds)."""


class Retry(NamedTuple):
    """How often and how far apart a step is tried. Times in microseconds; `jitter` is the share of a wait that varies."""

    max_attempts: int = 3
    base: int = SECOND
    cap: int = 60 * SECOND
    jitter: Literal["none", "equal", "full"] = "equal"


DEFAULT = Retry()
"""Of a step that says nothing about it."""


def retry_of(raw: Mapping[str, Any]) -> Retry:
    """The policy that a checked document's `retry` describes.

    Apart from the rest of the model: `queue fail` needs only this of a spec, and is called in loops as a process of its own.
    """
    return Retry(
        max_attempts=int(raw.get("maxAttempts", DEFAULT.max_attempts)),
        base=parse_duration(raw["base"]) if "base" in raw else DEFAULT.base,
        cap=parse_duration(raw["cap"]) if "cap" in raw else DEFAULT.cap,
        jitter=raw.get("jitter", DEFAULT.jitter),
    )


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
