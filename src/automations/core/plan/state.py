"""The state a plan is made against: what is bound, by whom, since which serial."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from automations.core.plan.hazards import Destroyed
from automations.core.spec.model import Automation

API_OWNER = "api"
"""Owner of what was made imperatively, by `create` or the API."""


def source_owner(source: str) -> str:
    """Owner of what a source declares."""
    return f"source:{source}"


@dataclass(frozen=True, slots=True)
class Held:
    """One automation in the state; `deleted` ones are tombstones whose uid comes back with their id.

    `deleted_at` is since when, in microseconds, where that is known. `file` is named as the plan's own files are, `origin` as in
    the directory of its owner.
    """

    uid: str
    id: str
    owner: str
    status: str
    generation: int
    digest: str
    file: str | None
    deleted: bool = False
    deleted_at: int | None = None
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class HeldManifest:
    """One action manifest in the state."""

    action_id: str
    version: str
    owner: str
    digest: str
    file: str | None


@dataclass(frozen=True, slots=True)
class HeldRoute:
    """One live webhook route in the state; `declared` by a spec, or registered by hand; `signed` where requests must be."""

    id: str
    automation_id: str
    path: str
    owner: str
    declared: bool = True
    signed: bool = False


@dataclass(frozen=True, slots=True)
class InFlight:
    """Work that a change touches: counts of runs and actions that are not over, of dead letters, and of events that wait.

    `running` and `pending` are runs of that status; `queued`, `retrying`, `waiting_approval` and `dead` are actions. Every run
    that is not over is in one of `begun`, `not_begun` (nothing of it was handed out yet) and `ending` (told to end before).
    `waiting_events` are in a debounce window that is open, or delayed by a rate limit.
    """

    running: int = 0
    queued: int = 0
    retrying: int = 0
    waiting_approval: int = 0
    dead: int = 0
    pending: int = 0
    waiting_events: int = 0
    begun: int = 0
    not_begun: int = 0
    ending: int = 0

    @property
    def live(self) -> int:
        """Runs that are not over."""
        return self.begun + self.not_begun + self.ending

    def document(self) -> dict[str, int]:
        """The counts as the plan's JSON shows them."""
        return {
            "running": self.running,
            "queued": self.queued,
            "retrying": self.retrying,
            "waitingApproval": self.waiting_approval,
            "pending": self.pending,
            "dead": self.dead,
            "waitingEvents": self.waiting_events,
            "begun": self.begun,
            "notBegun": self.not_begun,
            "ending": self.ending,
        }


@dataclass(frozen=True, slots=True)
class State:
    """Everything a plan needs to know. `specs` holds old specs by id, for those whose digest differs from the files'."""

    lineage: str
    serial: int
    automations: Mapping[str, Held]
    manifests: Mapping[tuple[str, str], HeldManifest]
    routes: Mapping[str, HeldRoute]
    specs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    in_flight: Mapping[str, InFlight] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    """The files that old specs stood in, as they were; missing where none was kept."""
    manifest_documents: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    """Held manifests of the actions that the plan touches."""
    using: Mapping[str, Automation] = field(default_factory=dict)
    """By id, as they are bound, the automations that use such an action, whoever owns them."""
    rejected: Mapping[str, str] = field(default_factory=dict)
    """By id, the digest that a rollback took back."""
    suspended: Mapping[str, str] = field(default_factory=dict)
    """By id, of deleted ones too, who suspended it, why, and until when."""
    source_suspended: str = ""
    """The same for the source that is planned for; empty when nobody suspended it."""
    destroyed: Mapping[str, Destroyed] = field(default_factory=dict)
    """By owner, what was destroyed within `hazards.WINDOW`."""
    parked: Mapping[str, tuple[HeldRoute, ...]] = field(default_factory=dict)
    """By automation id, routes that were made by hand and unbound with their automation; by route id."""
    roots: Mapping[str, str] = field(default_factory=dict)
    """By owner, the directory that a source is read from, where one is known."""

    def place(self, held: Held) -> str:
        """Where an automation of another source is declared, for whoever has to find it; empty where nobody knows."""
        if held.origin is None:
            return ""
        return f"{self.roots[held.owner].rstrip('/')}/{held.origin}" if held.owner in self.roots else held.origin

    def protects(self, identity: str) -> bool:
        """Whether the old spec of an automation that goes asks not to be deleted."""
        return self.specs[identity].get("lifecycle", {}).get("protect") is True

    def owned(self, owner: str) -> int:
        """How many live automations an owner has."""
        return sum(1 for held in self.automations.values() if held.owner == owner and not held.deleted)
