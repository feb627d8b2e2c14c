"""Superseded manifests: a version that another one took the place of, and that nothing takes any more, may go by itself.

What is missing from a watched directory waits for a person because absence is too often an accident. That another version of the
same action stands in the files now is none, and what nobody takes nobody misses; runs that are pinned to it keep it.
"""

from collections.abc import Iterable, Iterator

from automations.core.plan.plan import Plan
from automations.core.plan.state import State
from automations.core.spec.catalogue import Catalogue, ManifestKey
from automations.core.spec.manifests import newest
from automations.core.spec.model import Automation


def replaced(plan: Plan, catalogue: Catalogue, state: State) -> dict[str, ManifestKey]:
    """By name (`id@version`), the manifests that are gone from the files while these declare another version of the action."""
    declared = {action for action, _ in catalogue.manifests}
    gone = {change.id for change in plan.withheld if change.resource == "action"}
    found = {f"{action}@{version}": (action, version) for action, version in state.manifests if action in declared}
    return {name: key for name, key in found.items() if name in gone}


def superseded(plan: Plan, catalogue: Catalogue, *, state: State, bound: Iterable[Automation]) -> frozenset[str]:
    """Of the replaced manifests those that no automation of any owner takes once the plan is carried out, by name.

    Each is held against those that stay, not against others that may go later: a step that names no version would take it yet.
    One whose own file says another version now was edited, so steps that name none take that one, higher or lower.
    `plan` deletes nothing. `bound` is what is bound at the state's serial; when it lacks any that lives, nobody can say what
    that one takes, and nothing is superseded.
    """
    candidates = replaced(plan, catalogue, state)
    before = {each.id: each for each in bound} if candidates else {}
    live = {held.id for held in state.automations.values() if not held.deleted}
    if not candidates or not live <= before.keys():
        return frozenset()
    going = {change.id for change in plan.withheld}
    stays = {key: held.owner for key, held in state.manifests.items() if f"{key[0]}@{key[1]}" not in going}
    back = {change.id for change in plan.held_back}
    declared = {key for key in catalogue.manifests if f"{key[0]}@{key[1]}" not in back}
    stays = dict.fromkeys(declared, plan.owner) | stays
    files = {(action, catalogue.manifests[action, version].document.file) for action, version in declared}
    edited = {key for key in candidates.values() if (key[0], state.manifests[key].file) in files}
    actions = {action for action, _ in candidates.values()}
    wanted = {
        (owner, step.action_id, step.manifest_version)
        for owner, automation in _after(plan, state, before)
        for step in automation.steps
        if step.action_id in actions
    }
    return frozenset(
        name
        for name, key in candidates.items()
        if not any(
            key[1] == (version or _newest(action, owner, stays if key in edited else {**stays, key: plan.owner}))
            for owner, action, version in wanted
            if action == key[0]  # of another one, nothing may stay
        )
    )


def _after(plan: Plan, state: State, before: dict[str, Automation]) -> Iterator[tuple[str, Automation]]:
    """Owner and automation of all that lives once the plan is carried out; with both where the change may yet be held back."""
    changed = {
        change.previous_id or change.id
        for change in plan.changes
        if change.automation is not None and not change.destructive
    }
    for identity, automation in before.items():
        if identity not in changed:
            yield state.automations[identity].owner, automation
    for change in plan.changes:
        if change.automation is not None:
            yield plan.owner, change.automation


def _newest(action: str, owner: str, owners: dict[ManifestKey, str]) -> str:
    """The version that a step of this owner takes when it names none, as `spec.manifests.resolve` finds it."""
    every = {version: whose for (each, version), whose in owners.items() if each == action}
    own = [version for version, whose in every.items() if whose == owner]
    return newest(own or every)
