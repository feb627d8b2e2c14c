"""Assessment: the hazards of a whole plan, each with the place that it comes from."""

from collections.abc import Iterator
from dataclasses import replace

from automations.core.plan.change import Change
from automations.core.plan.comparison import compared
from automations.core.plan.differences import Viewpoint
from automations.core.plan.hazards import Destroyed, Hazard, mass_hazard
from automations.core.plan.manifest_hazards import manifest_hazards
from automations.core.plan.pin_hazards import misfits, pin_hazards
from automations.core.plan.pins import Pins
from automations.core.plan.policy import ended, word_of
from automations.core.plan.state import State
from automations.core.plan.step_hazards import step_hazards
from automations.core.plan.trigger_hazards import trigger_hazards
from automations.core.spec.catalogue import Catalogue


def assess(changes: tuple[Change, ...], catalogue: Catalogue, *, view: Viewpoint, pins: Pins) -> tuple[Hazard, ...]:
    """Every hazard of these changes, and those of the plan as a whole; deletes first."""
    state, owner = view.state, view.owner
    going = [each.id for each in changes if each.action == "delete" and each.resource == "automation"]
    found = [Hazard("AU100", each, f"{each} would be deleted") for each in going]
    others = sum(each.destructive for each in changes) - len(going)
    recent = state.destroyed.get(owner, Destroyed())
    owned, empty = state.owned(owner), catalogue.empty
    found += mass_hazard(deletes=len(going), others=others, owned=owned, recent=recent, empty=empty)
    if state.source_suspended:
        frozen = f"{owner} is suspended {state.source_suspended}; an apply by hand commits all the same"
        found.append(Hazard("AU106", "", frozen))
    for change in changes:
        found += _hazards_of(change, catalogue, state)
        found += pin_hazards(change, catalogue, pins)
    found += misfits(catalogue, state, pins)
    return (*found, *_suspended(changes, state, owner=owner))


def _suspended(changes: tuple[Change, ...], state: State, *, owner: str) -> Iterator[Hazard]:
    """What somebody suspended of what the owner has, and of what the changes bind: that starts nothing either."""
    live = {held.id for held in state.automations.values() if held.owner == owner and not held.deleted}
    names = {identity: identity for identity in state.suspended if identity in live}
    bound = [change for change in changes if change.automation is not None and change.uid is not None]
    names |= {change.previous_id or change.id: change.id for change in bound}
    for identity, sentence in sorted(state.suspended.items()):
        if identity in names:
            yield Hazard("AU105", names[identity], f"{names[identity]} is suspended {sentence}")


def _hazards_of(change: Change, catalogue: Catalogue, state: State) -> Iterator[Hazard]:
    if change.action == "delete":
        yield from _of_delete(change, state)
    elif change.automation is not None:
        document = catalogue.automations[change.id].document
        found = list(_of_automation(change, state))
        yield from (replace(each, file=document.file, line=document.at(each.path).line) for each in found)
    elif change.manifest is not None and change.action == "update":
        key = (change.manifest.id, change.manifest.version)
        document, old = catalogue.manifests[key].document, state.manifest_documents.get(key)
        found = list(manifest_hazards(change.id, old, change.manifest.document)) if old is not None else []
        yield from (replace(each, file=document.file, line=document.at(each.path).line) for each in found)


def _of_automation(change: Change, state: State) -> Iterator[Hazard]:
    automation = change.automation
    assert automation is not None  # noqa: S101  # the caller looked
    if change.action == "adopt":
        yield Hazard("AU500", change.id, f"{change.id} is taken over from {change.previous_owner}", ("id",))
    if comes_back(change, state):
        yield Hazard("AU501", change.id, f"{change.id} was rolled back from exactly this version", ("id",))
    if change.fields or change.action == "create":
        pair = compared(automation, state.specs.get(change.previous_id or change.id), change.in_flight)
        yield from trigger_hazards(pair, signed_elsewhere=_signed_elsewhere(change, state))
        yield from step_hazards(pair)
    yield from _cut_off(change)


def _cut_off(change: Change) -> Iterator[Hazard]:
    policy, word = change.effects.policy, word_of(change.action, changed=bool(change.fields))
    count = ended(change.in_flight, policy)
    if count and word is not None:
        which = "" if policy == "cancel-all" else " that has not begun" if count == 1 else " that have not begun"
        runs = f"1 run{which} is" if count == 1 else f"{count} runs{which} are"
        path = ("lifecycle", word) if word == "onUpdate" else ()
        yield Hazard("AU401", change.id, f"{change.id} says {word}: {policy}; {runs} cancelled", path)


def _signed_elsewhere(change: Change, state: State) -> frozenset[str]:
    """The paths that a change binds and that another automation, which lets go of them, had with a signature."""
    held = (state.routes.get(path) for path in change.effects.bound)
    mine = change.previous_id or change.id
    return frozenset(each.path for each in held if each and each.signed and each.automation_id != mine)


def _of_delete(change: Change, state: State) -> Iterator[Hazard]:
    if change.resource == "action":
        return
    yield from _cut_off(change)
    if state.protects(change.id):
        yield Hazard("AU503", change.id, f"{change.id} is protected, and --unprotect names it")


def comes_back(change: Change, state: State) -> bool:
    """Whether a change binds exactly what a rollback rejected."""
    automation = change.automation
    return automation is not None and state.rejected.get(change.previous_id or change.id) == automation.digest
