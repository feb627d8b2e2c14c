"""What has to wait together: where a file is bad, its automation keeps its last good generation, and with it what that one takes.

People commit a manifest and the specs that go by it in one go. When one of these specs is bad, the loop goes on with the rest;
but the manifests that the last good generation takes stay as they are, or what runs would break, or go without the approval
that moved from the one file to the other. What goes by the new manifests waits with them.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from automations.core.plan.change import Change
from automations.core.plan.plan import Plan
from automations.core.plan.state import State
from automations.core.spec.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class Together:
    """`held` are the ids of changes that wait for a bad file; `kept` manifests, by name, that are gone and have to stay."""

    held: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()


def together(plan: Plan, catalogue: Catalogue, state: State) -> Together:
    """What of a plan that deletes nothing waits for files to be mended."""
    if not catalogue.bad_files:
        return Together()
    stands = {
        held.id
        for held in state.automations.values()
        if held.owner == plan.owner and not held.deleted and held.id not in catalogue.automations
        if held.id in catalogue.claimed or held.file in catalogue.bad_files
    }
    waiting: set[str] = set()
    fresh = stands
    while fresh:  # what waits keeps its generation as well, and so the manifests that this one takes
        manifests = [each for each in plan.changes if each.resource == "action" and each.id not in waiting]
        waiting |= {each.id for each in manifests if any(repin.automation in fresh for repin in each.effects.repins)}
        fresh = {each.previous_id or each.id for each in _going_by(waiting, plan.changes)} - stands
        stands |= fresh
    following = {name for each in _going_by(waiting, plan.changes) for name in (each.id, each.previous_id) if name}
    gone = {each.id for each in plan.withheld if each.resource == "action"}
    return Together(frozenset(waiting | following), frozenset(each for each in gone if _needed(each, stands, state)))


def _needed(manifest: str, stands: Collection[str], state: State) -> bool:
    """Whether what stands as it is takes a manifest, or might."""
    action, _, version = manifest.partition("@")
    steps = (step for each in stands if each in state.using for step in state.using[each].steps)
    return any(step.action_id == action and step.manifest_version in (None, version) for step in steps)


def _going_by(manifests: Collection[str], changes: Iterable[Change]) -> list[Change]:
    """The changes of automations some of whose steps would take one of these manifests, or might."""
    actions = {each.partition("@")[0] for each in manifests}
    return [
        change
        for change in changes
        if change.automation is not None
        and any(
            step.action_id in actions
            and (step.manifest_version is None or f"{step.action_id}@{step.manifest_version}" in manifests)
            for step in change.automation.steps
        )
    ]
