"""The plan: what applying a catalogue to a state would do. One pure function; CI, the command line and the loop share it.

A plan is a value: it says what changes, why, where it is written, and what that does to work in flight. It never says how; the
apply service turns each change into rows, in one transaction, and only if the state is still the one planned against.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from automations.core.diagnostic import Diagnostic, has_errors, in_order
from automations.core.plan.assessment import assess, comes_back
from automations.core.plan.change import ACTIONS, Action, Change, Resource
from automations.core.plan.conflicts import (
    Rebinding,
    kept_routes,
    late_renames,
    owned_elsewhere,
    protected,
    rename_problems,
    route_problems,
)
from automations.core.plan.differences import (
    Viewpoint,
    automation_change,
    deletes,
    gone,
    manifest_changes,
    moved_only,
    stands,
    viewpoint,
)
from automations.core.plan.hazards import Hazard
from automations.core.plan.named import Misnamed, misnamed
from automations.core.plan.parked import with_parked
from automations.core.plan.pins import pins_of, with_repins
from automations.core.plan.resemblance import alike
from automations.core.plan.state import API_OWNER, Held, State, source_owner
from automations.core.spec.catalogue import Catalogue, ManifestKey
from automations.core.spec.model import Automation

__all__ = ["ACTIONS", "Action", "Change", "Plan", "Request", "Resource", "changed_ids", "make_plan", "with_specs"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What would change, against exactly which state.

    `withheld` are deletes that would follow if the request allowed them and no bad file might hold what seems to be gone;
    `held_back` are changes that the request holds back, or to what a rollback rejected. `moved_on` are uids of automations
    whose source declares something else than what was rejected. `by_hand` says that no source owns what it binds. `protected`
    are automations that are gone from the files and stay; an error as well, but for an unattended request. `misnamed` is a name
    that the request gave and that is nothing of the kind: who gave it must be told before anything happens.
    """

    lineage: str
    serial: int
    source: str
    source_revision: str | None
    files: Mapping[str, str]
    changes: tuple[Change, ...]
    unchanged: int
    hazards: tuple[Hazard, ...]
    diagnostics: tuple[Diagnostic, ...]
    withheld: tuple[Change, ...] = ()
    held_back: tuple[Change, ...] = ()
    moved_on: tuple[str, ...] = ()
    by_hand: bool = False
    protected: tuple[str, ...] = ()
    misnamed: Misnamed | None = None

    @property
    def owner(self) -> str:
        """Who owns what it binds."""
        return API_OWNER if self.by_hand else source_owner(self.source)

    @property
    def sound(self) -> bool:
        """Whether nothing declared is an error; an unsound plan is shown but, in one-shot use, never applied."""
        return not has_errors(self.diagnostics)

    @property
    def deletes(self) -> int:
        """How many automations would be deleted."""
        return sum(change.action == "delete" and change.resource == "automation" for change in self.changes)

    @property
    def destroys(self) -> int:
        """How many automations would be deleted, switched off or left without a trigger: what `--allow-deletes` counts."""
        return sum(change.destructive for change in self.changes)

    @property
    def repinned(self) -> Mapping[str, bool]:
        """Ids of automations some of whose steps take another manifest, and whether they are another owner's."""
        return {each.automation: each.owner is not None for change in self.changes for each in change.effects.repins}

    def summary(self) -> dict[str, int]:
        """`{create, update, rename, move, adopt, delete, unchanged}`."""
        counts: dict[str, int] = {action: sum(change.action == action for change in self.changes) for action in ACTIONS}
        return {**counts, "unchanged": self.unchanged}


@dataclass(frozen=True, slots=True)
class Request:
    """Whose plan is made: the source's name, its revision if known, and ids to take over from other owners.

    Without `prune` nothing is deleted: what is gone from the files is listed as withheld. With `only`, no more than these ids
    may be deleted. Changes of the ids in `hold` are held back; with `unattended`, so is what a rollback rejected. `unprotect`
    names protected automations that may go. `now` (microseconds) is for showing when schedules fire next, and for what was
    destroyed of late. `by_hand` is for what no source owns.
    """

    source: str
    revision: str | None = None
    adopt: frozenset[str] = frozenset()
    prune: bool = True
    only: frozenset[str] | None = None
    hold: frozenset[str] = frozenset()
    unattended: bool = False
    unprotect: frozenset[str] = frozenset()
    now: int | None = None
    by_hand: bool = False

    @property
    def owner(self) -> str:
        """Who owns what it declares."""
        return API_OWNER if self.by_hand else source_owner(self.source)

    def deletes(self, identity: str) -> bool:
        """Whether this may be deleted if it is gone."""
        return self.prune and (self.only is None or identity in self.only)


def changed_ids(catalogue: Catalogue, state: State, *, owner: str) -> frozenset[str]:
    """Ids whose old spec and text `make_plan` wants to see: of what changes, and of what goes."""
    found = {held.id for held in gone(catalogue, state, owner=owner)}
    for identity, declared in catalogue.automations.items():
        held = state.automations.get(identity)
        if held is None and declared.value.renamed_from:
            held = state.automations.get(declared.value.renamed_from)
        if held is not None and held.digest != declared.value.digest:
            found.add(held.id)
    return frozenset(found)


def touched(catalogue: Catalogue, state: State, *, owner: str) -> tuple[Held, ...]:
    """The automations of the state whose work in flight `make_plan` wants to see: what does not stand as it is declared."""
    found = {held.id: held for held in gone(catalogue, state, owner=owner)}
    for identity, declared in catalogue.automations.items():
        held = state.automations.get(identity)
        if held is not None and not stands(held, declared, owner=owner):
            found[held.id] = held
        if held is None or held.deleted:
            previous = state.automations.get(declared.value.renamed_from or "")
            found |= {} if previous is None else {previous.id: previous}
    return tuple(found.values())


def make_plan(catalogue: Catalogue, state: State, request: Request) -> Plan:
    """Desired against held. Pure; the same arguments give the same plan."""
    owner = request.owner
    view = viewpoint(state, owner, now=request.now)
    problems = rename_problems(catalogue, state, owner=owner)
    changes, found, unchanged = _declared(catalogue, view, request, problems=frozenset(problems))
    # A rename that cannot be still says that the old id is not gone.
    renames = frozenset(change.previous_id for change in changes if change.action == "rename")
    renames |= {catalogue.automations[identity].value.renamed_from for identity in problems}
    going = tuple(deletes(catalogue, view, renamed=renames))
    kept = _protected(going, state, unprotect=request.unprotect)
    going = tuple(each for each in going if each.resource == "action" or each.id not in kept)
    mystery = mysterious(catalogue, state, owner=owner)
    pruned = () if mystery else tuple(each for each in going if request.deletes(each.id))
    changes, held_back = _held_back(changes, state, request)
    taken = route_problems(_rebindings((*changes, *pruned), catalogue, owner=owner), state)
    changes = [change for change in changes if change.resource == "action" or change.id not in taken]
    standing = (*changes, *pruned)
    kept_bound = kept_routes(_rebindings(standing, catalogue, owner=owner), state.routes)
    shown = _suggested(with_parked(standing, state.parked, kept=kept_bound), state)
    pins = pins_of(shown, state, owner=owner)
    shown = with_repins(shown, pins)
    found += (*problems.values(), *late_renames(catalogue, state))
    if not request.unattended:  # nobody is there to answer; it is said of the automation, and the rest goes on
        found += [protected(state.automations[each]) for each in kept]
    found += [each for listed in taken.values() for each in listed]
    diagnostics = in_order((*catalogue.diagnostics, *found)) if found else catalogue.diagnostics
    return Plan(
        lineage=state.lineage,
        serial=state.serial,
        source=request.source,
        source_revision=request.revision,
        files=catalogue.digests,
        changes=shown,
        unchanged=unchanged,
        hazards=assess(shown, catalogue, view=view, pins=pins),
        diagnostics=diagnostics,
        withheld=going if not pruned else tuple(each for each in going if not request.deletes(each.id)),
        held_back=held_back,
        moved_on=_moved_on(catalogue, state),
        by_hand=request.by_hand,
        protected=tuple(kept),
        misnamed=misnamed(catalogue, state, request),
    )


def _declared(
    catalogue: Catalogue, view: Viewpoint, request: Request, *, problems: frozenset[str]
) -> tuple[list[Change], list[Diagnostic], int]:
    """What the declarations ask for, what they may not ask for, and how many stand as they are."""
    changes: list[Change] = []
    found: list[Diagnostic] = []
    unchanged = 0
    for identity, declared in sorted(catalogue.automations.items()):
        foreign = owned_elsewhere(declared, view.state, owner=view.owner, source=request.source)
        if foreign is not None and identity not in request.adopt:
            found.append(foreign)
        elif identity not in problems:
            change = automation_change(declared, view)
            unchanged += change is None
            changes.extend([change] if change else [])
    for change_or_finding in manifest_changes(catalogue, view):
        if isinstance(change_or_finding, Diagnostic):
            found.append(change_or_finding)
        else:
            unchanged += change_or_finding is None
            changes.extend([change_or_finding] if change_or_finding else [])
    return changes, found, unchanged


def _protected(going: Iterable[Change], state: State, *, unprotect: frozenset[str]) -> list[str]:
    asked = [each.id for each in going if each.resource == "automation" and state.protects(each.id)]
    return [identity for identity in asked if identity not in unprotect]


def _held_back(changes: list[Change], state: State, request: Request) -> tuple[list[Change], tuple[Change, ...]]:
    back = {
        each.id: each for each in changes if each.id in request.hold or (request.unattended and comes_back(each, state))
    }
    if not back:
        return changes, ()
    rejected = [
        each for each in back.values() if each.id not in request.hold
    ]  # what only waits is bound whole, with its file
    files = [moved for each in rejected for moved in moved_only(each, state)]
    return [*(each for each in changes if each.id not in back), *files], tuple(back.values())


def _moved_on(catalogue: Catalogue, state: State) -> tuple[str, ...]:
    declared = {
        each: catalogue.automations[each].value.digest for each in state.rejected if each in catalogue.automations
    }
    return tuple(
        state.automations[identity].uid
        for identity, digest in sorted(declared.items())
        if digest != state.rejected[identity] and identity in state.automations
    )


def _suggested(changes: tuple[Change, ...], state: State) -> tuple[Change, ...]:
    """The changes, with a word at each new automation that looks like one that goes."""
    fresh = [
        (each.id, each.automation.spec)
        for each in changes
        if each.action == "create" and each.automation is not None and each.uid is None
    ]
    going = [each.id for each in changes if each.action == "delete" and each.resource == "automation"]
    found = alike(fresh, {each: state.specs[each] for each in going if each in state.specs})
    if not found:
        return changes
    return tuple(replace(each, resembles=found[each.id]) if each.id in found else each for each in changes)


def mysterious(catalogue: Catalogue, state: State, *, owner: str) -> bool:
    """Whether some bad file may hold anything: nobody can read what it declares, and nothing of ours came from it."""
    known = {held.file for held in state.automations.values() if held.owner == owner and not held.deleted}
    known |= {held.file for held in state.manifests.values() if held.owner == owner}
    return not catalogue.unidentified <= known


def _rebindings(changes: Iterable[Change], catalogue: Catalogue, *, owner: str) -> Iterator[Rebinding]:
    for change in changes:
        if change.resource == "automation" and change.action != "move":
            owners = frozenset({owner, change.previous_owner or owner})
            declared = None if change.action == "delete" else catalogue.automations[change.id]
            yield Rebinding(change.id, change.previous_id or change.id, owners, declared)


def with_specs(
    state: State,
    specs: Mapping[str, Mapping[str, Any]],
    *,
    texts: Mapping[str, str] | None = None,
    manifests: Mapping[ManifestKey, Mapping[str, Any]] | None = None,
    using: Mapping[str, Automation] | None = None,
) -> State:
    """The same state, knowing these old specs and texts, and of touched actions the manifests and who uses them."""
    return replace(state, specs=specs, texts=texts or {}, manifest_documents=manifests or {}, using=using or {})
