"""Retention: how long what ended is kept, and from which instant on it may go.

What a live run or a dead letter needs is never too old. An event's identity outlives its content: as long as a sender may
deliver it once more, the repeat must be recognised.
"""

from __future__ import annotations

from dataclasses import dataclass

from automations.core.instant import SECOND

DAY = 86_400 * SECOND
LEAST_IDENTITY = 7 * DAY
"""Identities of events are kept this long at least (microseconds), whatever the policy says about their content."""
KEPT_ON_SUCCESS = ("succeeded", "superseded", "dropped")
"""Statuses of runs that nobody is expected to look into; all others that are over are kept as long as dead ones."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How long each kind is kept after it ended or came in (microseconds)."""

    succeeded: int = 7 * DAY
    dead: int = 30 * DAY
    attempts: int = 14 * DAY
    events: int = 7 * DAY
    audit: int = 400 * DAY


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """What is older than these instants (microseconds) may go. `identities` are whole event rows, `events` their content."""

    succeeded: int
    dead: int
    attempts: int
    events: int
    identities: int
    audit: int


def cutoffs(policy: Policy, *, now: int) -> Cutoffs:
    """The policy at an instant."""
    return Cutoffs(
        succeeded=now - policy.succeeded,
        dead=now - policy.dead,
        attempts=now - policy.attempts,
        events=now - policy.events,
        identities=now - max(policy.events, LEAST_IDENTITY),
        audit=now - policy.audit,
    )
