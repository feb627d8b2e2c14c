"""What has to wait together: where a file is bad, its automation keeps its last good generation, and with it what that one takes.

People commit a manifest and the specs that go by it in one go. When one of these files is bad, the loop goes on with the rest;
but the manifests that a last good generation takes stay as they are, or what runs would break, or go without the approval that
moved from the one file to the other. What goes by the new manifests waits with them, and so does what goes by a bad one.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from automations.core.plan.change import Change
from automations.core.plan.differences import gone
from automations.core.plan.plan import Plan, mysterious
from automations.core.plan.state import State
from automations.core.spec.catalogue import Catalogue
from automations.core.spec.model import Step


@dataclass(frozen=True, slots=True)
class Together:
    """`held` are the ids of changes that wait for a bad file; `kept` manifests, by name, that are gone and have to stay."""

    held: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()


def together(plan: Plan, catalogue: Catalogue, state: State) -> Together:
    """What of a plan that deletes nothing waits for files to be mended."""
    if not catalogue.bad_files:
        return Together()
    stands = _standing(plan, catalogue, state)
    bad = _bad_actions(plan, catalogue, state)
    waiting: set[str] = set()
    following = [each for each in plan.changes if _goes_by(each, lambda step: _unsure(step, bad, catalogue))]
    fresh = stands | {each.previous_id or each.id for each in following}
    while fresh:  # what waits keeps its generation as well, and so the manifests that this one takes
        stands |= fresh
        manifests = [each for each in plan.changes if each.resource == "action" and each.id not in waiting]
        waiting |= {each.id for each in manifests if any(repin.automation in fresh for repin in each.effects.repins)}
        following += _going_by(waiting, plan.changes)
        fresh = {each.previous_id or each.id for each in following} - stands
    held = {name for each in following for name in (each.id, each.previous_id) if name}
    missing = {each.id for each in plan.withheld if each.resource == "action"}
    return Together(frozenset(waiting | held), frozenset(each for each in missing if _needed(each, stands, state)))


def _standing(plan: Plan, catalogue: Catalogue, state: State) -> set[str]:
    """The automations that a bad file may mean, by whatever name it lies there now."""
    mine = [held for held in state.automations.values() if held.owner == plan.owner and not held.deleted]
    found = {held.id for held in mine if held.id not in catalogue.automations}
    found = {each for each in found if each in catalogue.claimed or state.automations[each].file in catalogue.bad_files}
    if mysterious(catalogue, state, owner=plan.owner):
        found |= {held.id for held in gone(catalogue, state, owner=plan.owner)}
    return found


def _bad_actions(plan: Plan, catalogue: Catalogue, state: State) -> frozenset[str]:
    """The actions whose manifests a bad file may mean."""
    held = [
        each for key, each in state.manifests.items() if each.owner == plan.owner and key not in catalogue.manifests
    ]
    mystery = mysterious(catalogue, state, owner=plan.owner)
    return catalogue.broken | {each.action_id for each in held if mystery or each.file in catalogue.bad_files}


def _unsure(step: Step, bad: Collection[str], catalogue: Catalogue) -> bool:
    """Whether a step may mean a manifest that is bad: it names no version, or none that is good."""
    return step.action_id in bad and (step.action_id, step.manifest_version or "") not in catalogue.manifests


def _needed(manifest: str, stands: Collection[str], state: State) -> bool:
    """Whether what stands as it is takes a manifest, or might."""
    action, _, version = manifest.partition("@")
    steps = (step for each in stands if each in state.using for step in state.using[each].steps)
    return any(step.action_id == action and step.manifest_version in (None, version) for step in steps)


def _going_by(manifests: Collection[str], changes: Iterable[Change]) -> list[Change]:
    """The changes of automations some of whose steps would take one of these manifests, or might."""
    actions = {each.partition("@")[0] for each in manifests}

    def takes(step: Step) -> bool:
        pinned = f"{step.action_id}@{step.manifest_version}"
        return step.action_id in actions and (step.manifest_version is None or pinned in manifests)

    return [change for change in changes if _goes_by(change, takes)]


def _goes_by(change: Change, takes: Callable[[Step], bool]) -> bool:
    return change.automation is not None and change.action != "move" and any(map(takes, change.automation.steps))
