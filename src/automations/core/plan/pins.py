"""Pins: which manifest each step takes before a plan is applied, and which after it.

A step without `manifestVersion` takes the highest version that its own source declares. So a new version changes what
automations do that are themselves unchanged, and a version that goes leaves steps without one; of other owners too.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from automations.core.plan.effects import Repin
from automations.core.spec import build
from automations.core.spec.manifests import Shelves, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from automations.core.plan.change import Change, Resource
    from automations.core.plan.plan import Request
    from automations.core.plan.state import State
    from automations.core.spec.catalogue import Catalogue, ManifestKey
    from automations.core.spec.model import Automation, Manifest, Step


@dataclass(frozen=True, slots=True)
class Kept:
    """An automation that is bound before and after, some of whose steps take another manifest: `taken` says which."""

    before: Automation
    after: Automation
    owners: tuple[str, str]
    """Whose it is before, and whose after."""
    taken: tuple[Repin, ...]


@dataclass(frozen=True, slots=True)
class Pins:
    """What a plan does to pins. The manifests are those of the actions that it touches, before and after."""

    kept: tuple[Kept, ...] = ()
    before: Mapping[ManifestKey, Manifest] = field(default_factory=dict)
    after: Mapping[ManifestKey, Manifest] = field(default_factory=dict)
    shelves: tuple[Shelves, Shelves] = field(default_factory=lambda: (Shelves(()), Shelves(())))


def touched_actions(catalogue: Catalogue, state: State, request: Request) -> frozenset[str]:
    """Ids of actions of which a plan may change a manifest: for these `State` has to know every held one, and who uses them.

    So it does of actions whose user is taken over: another owner sees other manifests.
    """
    owner = request.owner
    found = set()
    for key, declared in catalogue.manifests.items():
        held = state.manifests.get(key)
        if held is None or (held.owner == owner and held.digest != declared.value.digest):
            found.add(key[0])
    if request.prune:
        found |= {
            action
            for (action, version), held in state.manifests.items()
            if held.owner == owner
            and (action, version) not in catalogue.manifests
            and held.file not in catalogue.bad_files
        }
    return frozenset(found)


def pins_of(changes: Sequence[Change], state: State, *, owner: str) -> Pins:
    """What these changes, by a source that is this owner, do to the pins of every automation that stays bound."""
    if not state.using:
        return Pins()
    held = {key: build.manifest(each) for key, each in state.manifest_documents.items() if key in state.manifests}
    owned = {key: (state.manifests[key].owner, manifest) for key, manifest in held.items()}
    later = dict(owned)
    for change in changes:
        action, _, version = change.id.partition("@")  # ids hold no @, versions may
        if change.resource == "action" and change.action == "delete":
            later.pop((action, version), None)
        elif change.manifest is not None and change.action != "move":  # its action may be one that nobody touches
            later[change.manifest.id, change.manifest.version] = (owner, change.manifest)
    shelves = Shelves(owned.values()), Shelves(later.values())
    kept = tuple(each for each in _kept(changes, state, shelves, owner=owner) if each.taken)
    return Pins(kept, held, {key: manifest for key, (_, manifest) in later.items()}, shelves)


def with_repins(changes: Sequence[Change], pins: Pins) -> tuple[Change, ...]:
    """The changes, each with the steps that take another manifest because of it: a manifest's, or that of who uses it."""
    if not pins.kept:
        return tuple(changes)
    moved: dict[tuple[Resource, str], list[Repin]] = {(each.resource, each.id): [] for each in changes}
    unmoved = {("action", each.id) for each in changes if each.resource == "action" and each.action == "move"}
    for each in (repin for kept in pins.kept for repin in kept.taken):
        names = [f"{each.action_id}@{version}" for version in (each.after, each.before) if version is not None]
        places: list[tuple[Resource, str]] = [("action", name) for name in names]
        places = [place for place in places if place in moved and place not in unmoved]
        moved[places[0] if places else ("automation", each.automation)].append(each)
    return tuple(
        replace(each, effects=replace(each.effects, repins=tuple(found)))
        if (found := moved[each.resource, each.id])
        else each
        for each in changes
    )


def _kept(changes: Sequence[Change], state: State, shelves: tuple[Shelves, Shelves], *, owner: str) -> Iterator[Kept]:
    changing = {each.previous_id or each.id: each for each in changes if each.resource == "automation"}
    for identity, bound in sorted(state.using.items()):
        held, change = state.automations.get(identity), changing.get(identity)
        if held is None or held.deleted or (change is not None and change.action == "delete"):
            continue
        whose = held.owner
        after = bound if change is None or change.automation is None else change.automation
        owners = whose, whose if change is None else owner
        elsewhere = None if owners[1] == owner else owners[1]
        taken = []
        for step, was in _same_steps(bound, after):
            old, new = resolve(was, shelves[0].of(owners[0]))[0], resolve(step, shelves[1].of(owners[1]))[0]
            if (old and old.digest) != (new and new.digest):
                versions = old.version if old else None, new.version if new else None
                taken.append(Repin(after.id, step.id, step.action_id, *versions, owner=elsewhere))
        yield Kept(bound, after, owners, tuple(taken))


def _same_steps(before: Automation, after: Automation) -> Iterator[tuple[Step, Step]]:
    """Each step of `after`, and itself before, where both name their action alike: else its own change says it."""
    old = {step.id: step for step in before.steps}
    for step in after.steps:
        was = old.get(step.id)
        if was and (was.action_id, was.manifest_version) == (step.action_id, step.manifest_version):
            yield step, was
