"""Pruning in the loop: when what is missing from the files may go, and when too much would go at once.

Absence in a watched directory is too often an accident. An id counts as gone when it was missing from two trusted snapshots in a
row and for a minute; what would stop too many automations within ten minutes waits for a person, whatever the source's policy.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from automations.core.instant import SECOND
from automations.core.plan.hazards import Destroyed, mass_hazard
from automations.core.plan.plan import Plan

Prune = Literal["off", "confirm", "auto"]
SNAPSHOTS = 2
"""Trusted snapshots in a row from which an id must be missing."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How a source's loop treats what the files do not say.

    `prune`: deletes never happen (`off`), wait for a person (`confirm`) or happen (`auto`) once an id is gone for `gone_after`
    microseconds. `self_heal`: drift is repaired, not only told.
    """

    prune: Prune = "confirm"
    self_heal: bool = False
    gone_after: int = 60 * SECOND


@dataclass(frozen=True, slots=True)
class Absence:
    """Something that is missing: since when (microseconds), and from how many trusted snapshots in a row."""

    first_at: int
    snapshots: int = 1

    def ripe_at(self, policy: Policy) -> int | None:
        """From when on it counts as gone, or None while too few snapshots have said so."""
        return self.first_at + policy.gone_after if self.snapshots >= SNAPSHOTS else None


def observed(held: Mapping[str, Absence], gone: Iterable[str], *, now: int) -> dict[str, Absence]:
    """The absences after one more trusted snapshot from which these ids are missing. A clock set back begins them anew."""
    result = {}
    for identity in gone:
        before = held.get(identity)
        known = before is not None and before.first_at <= now
        result[identity] = Absence(before.first_at, before.snapshots + 1) if known and before else Absence(now)
    return result


TOGETHER = "Together"
"""Why changes wait for a bad file; see `core.plan.together`."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What may go now (`allowed`), which other changes must wait as well (`held`), and why something waits, if it does.

    `reason` is a word for `PruneBlocked`, or `TOGETHER` where no delete waits. `count` is how many automations would stop and
    manifests go if everything that waited went: never 0 where anything would. `recent` is how many stopped just before, where
    that is why something waits.
    """

    allowed: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()
    reason: str | None = None
    count: int = 0
    recent: int = 0


@dataclass(frozen=True, slots=True)
class Situation:
    """What a verdict is made from: the absences, how many automations the source owns, and what was destroyed of late.

    `mystery` says that a bad file may hold what seems to be gone. `superseded` are manifests, by name, that another version
    took the place of and that nothing takes any more; see `core.plan.superseded`.
    """

    absences: Mapping[str, Absence]
    owned: int
    recent: Destroyed
    now: int
    mystery: bool = False
    superseded: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()
    """Manifests that have to stay for what a bad file keeps from being changed; see `core.plan.together`."""


def judge(plan: Plan, policy: Policy, situation: Situation) -> Verdict:
    """What of a plan that deletes nothing (`plan.withheld` lists what is gone) may happen in the loop, and what waits."""
    missing = frozenset(change.id for change in plan.withheld)
    deletes = frozenset(change.id for change in plan.withheld if change.resource == "automation")
    stops = frozenset(change.id for change in plan.changes if change.destructive)
    riddle = situation.mystery and bool(missing)
    free = missing & situation.superseded if policy.prune != "off" and not riddle else frozenset()
    free -= situation.kept
    gone = missing - free - situation.kept
    ripe = frozenset(each for each in gone if _ripe(situation, each, policy))
    would_go = ripe if policy.prune == "auto" and not riddle else frozenset()
    owned, recent = situation.owned, situation.recent
    if mass_hazard(deletes=len(would_go & deletes), others=len(stops), owned=owned, recent=recent):
        if riddle:
            return Verdict(held=stops, reason="UnreadableFile", count=len(gone | stops))
        return Verdict(free, held=stops, reason="TooMany", count=len(gone | stops), recent=recent.count)
    if riddle:
        return Verdict(reason="UnreadableFile", count=len(gone))
    if gone == would_go:
        return Verdict(allowed=free | gone)
    reasons = {"off": "PruneOff", "confirm": "Unconfirmed", "auto": "NotYetGone"}
    return Verdict(free | would_go, reason=reasons[policy.prune], count=len(gone - would_go))


def confirmed(verdict: Verdict, plan: Plan, *, kept: frozenset[str] = frozenset()) -> Verdict:
    """The verdict once a person has said that all that waits may go. What a bad file may hold, or needs, waits all the same."""
    if verdict.reason == "UnreadableFile":
        return verdict
    return Verdict(allowed=frozenset(change.id for change in plan.withheld) - kept)


def joined(verdict: Verdict, held: frozenset[str]) -> Verdict:
    """The verdict when these changes wait for a bad file as well."""
    return replace(verdict, held=verdict.held | held, reason=verdict.reason or TOGETHER) if held else verdict


def _ripe(situation: Situation, identity: str, policy: Policy) -> bool:
    absence = situation.absences.get(identity)
    at = absence.ripe_at(policy) if absence else None
    return at is not None and at <= situation.now
