"""Hazards of pins: what it means for steps that they take another manifest, or find none any more."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from automations.core.diagnostic import Diagnostic, Path, Severity
from automations.core.plan.change import Change
from automations.core.plan.effects import Repin
from automations.core.plan.hazards import Hazard
from automations.core.plan.manifest_hazards import manifest_hazards, shown_target
from automations.core.plan.pins import Kept, Pins
from automations.core.plan.state import State
from automations.core.run.program import executable
from automations.core.spec.catalogue import Catalogue, held_against
from automations.core.spec.document import Document
from automations.core.spec.finding import paths_of_steps

MOST_NAMED = 5
"""Of the steps that go the same way this many are named."""
_TOLD_ELSEWHERE = "spec/manifest-version"
"""AU332 says it."""


def pin_hazards(change: Change, catalogue: Catalogue, pins: Pins) -> Iterator[Hazard]:
    """Of the steps that take another manifest because of a change: who lost theirs, and how each new one differs."""
    repins = change.effects.repins
    if lost := [each for each in repins if each.after is None]:
        yield Hazard("AU332", change.id, f"action {change.id} is used by {named(lost)}")
    yield from _captured(change, catalogue, pins)
    moved = {(each.action_id, each.before, each.after) for each in repins if each.before and each.after}
    for action, before, after in sorted((a, str(b), str(c)) for a, b, c in moved if b != c):
        name = f"{action}@{after}, which steps take instead of {before},"
        found = manifest_hazards(name, pins.before[action, before].document, pins.after[action, after].document)
        yield from (_placed(replace(each, id=change.id), catalogue, (action, after)) for each in found)


def misfits(catalogue: Catalogue, state: State, pins: Pins) -> Iterator[Hazard]:
    """Automations that fit their manifests before and not after, where no file of this catalogue is told so."""
    for kept in pins.kept:
        if _checked(kept, catalogue, state):
            continue
        old, new = (_slips(kept, pins, side) for side in (0, 1))
        before = {(each.code, each.path) for each in old}
        found = [each for each in new if (each.code, each.path) not in before]
        if found:
            identity, repin = kept.after.id, _meant(kept, found[0])
            whose = f"{identity} ({repin.owner})" if repin.owner else identity
            more = f", and {len(found) - 1} more" if len(found) > 1 else ""
            hazard = Hazard("AU333", identity, f"{whose}: {found[0].message}{more}", ("inputSchema",))
            yield _placed(hazard, catalogue, (repin.action_id, repin.after or ""))


def named(repins: Sequence[Repin]) -> str:
    """`automation/step` of each, first those of other owners, with whose they are; and how many more there are."""
    first = sorted(repins, key=lambda each: each.owner is None)[:MOST_NAMED]
    shown = [f"{each.automation}/{each.step}{f' ({each.owner})' if each.owner else ''}" for each in first]
    more = f" and {len(repins) - MOST_NAMED} more" if len(repins) > MOST_NAMED else ""
    return ", ".join(shown) + more


def _captured(change: Change, catalogue: Catalogue, pins: Pins) -> Iterator[Hazard]:
    """Steps of other owners that runners from outside carried out, and workers of ours do from now on."""
    taken = [each for each in change.effects.repins if each.owner and each.after and not each.before]
    if not taken:
        return
    key = taken[0].action_id, taken[0].after or ""
    binding = executable(pins.after[key])
    if binding is not None:
        by = shown_target({"kind": binding.kind, **binding.config})
        message = f"action {change.id} is carried out by {by} instead of an external runner, for {named(taken)}"
        yield _placed(Hazard("AU330", change.id, message, ("executorBindings",)), catalogue, key)


def _checked(kept: Kept, catalogue: Catalogue, state: State) -> bool:
    """Whether exactly this stands in a file, and so was held against the manifests of the tree."""
    declared = catalogue.automations.get(kept.after.id)
    file = state.automations[kept.before.id].file
    bad = catalogue.digests.get(file or "") == kept.before.digest
    return bad or (declared is not None and declared.value.digest == kept.after.digest)


def _slips(kept: Kept, pins: Pins, side: int) -> list[Diagnostic]:
    automation = (kept.before, kept.after)[side]
    document = Document(automation.id, automation.spec, dict)
    found = held_against(document, automation, pins.shelves[side].of(kept.owners[side]))
    return [each for each in found if each.severity is Severity.ERROR and each.code != _TOLD_ELSEWHERE]


def _meant(kept: Kept, found: Diagnostic) -> Repin:
    """The pin that a finding is about; the first where it is about a later step that reads what another gives."""
    steps = {raw["id"] for path, raw in paths_of_steps(kept.after.spec) if path == found.path[:2]}
    return next((each for each in kept.taken if each.step in steps), kept.taken[0])


def _placed(hazard: Hazard, catalogue: Catalogue, key: tuple[str, str]) -> Hazard:
    declared = catalogue.manifests.get(key)
    if declared is None:
        return hazard
    path: Path = hazard.path
    return replace(hazard, file=declared.document.file, line=declared.line(path))
