"""Rate limits: a token bucket kept as one instant, the one at which it will be full again.

This is the generic cell rate algorithm (ITU-T I.371, Annex A): every event that passes moves `spent_until` on by the time that
one token takes to come back, and an event passes while that instant is no further ahead than the burst allows. So a bucket
is one integer, an idle one is no row at all, and nothing has to tick to refill it.
"""

from dataclasses import dataclass
from typing import Literal

from automations.core.instant import SECOND
from automations.core.spec.model import RateLimit

LONGEST_DELAY = 24 * 3_600 * SECOND
"""An event that would have to wait longer than this (microseconds) is dropped: a queue without end helps nobody."""


@dataclass(frozen=True, slots=True)
class Passage:
    """What a rate limit makes of one event: it passes at `due_at` (now, or later for `delay`), or is dropped for `reason`."""

    outcome: Literal["pass", "delay", "drop"]
    due_at: int
    spent_until: int
    reason: str = ""


def spend(limit: RateLimit, spent_until: int, *, now: int) -> Passage:
    """Let one event through a bucket that is spent until then (0: never used). Instants in microseconds.

    A bucket may not be spent further ahead than events could have taken it: after a clock that was set back it would
    otherwise refuse everything until the clock has caught up.
    """
    interval = -(-limit.per // limit.limit)
    tolerance = interval * (limit.burst - 1)
    reach = tolerance + interval + (LONGEST_DELAY if limit.excess == "delay" else 0)
    full_at = min(max(spent_until, now), now + reach)
    wait = full_at - tolerance - now
    if wait <= 0:
        return Passage("pass", now, full_at + interval)
    if limit.excess == "drop":
        return Passage("drop", now, full_at, "rate_limit")
    if wait > LONGEST_DELAY:
        return Passage("drop", now, full_at, "delay_too_long")
    return Passage("delay", now + wait, full_at + interval)
