"""Hazards of approvals: a step that waited for people, itself or at a step before it, and waits for fewer or none.

An approval often stands in a step of its own that others depend on. What counts is therefore the graph: for each step, the
approvals that were certainly given before it ran. An approval that goes is made up for where another one that is not weaker has
come to stand before the same step.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from automations.core.diagnostic import Path
from automations.core.plan.comparison import Comparison
from automations.core.plan.gates import MOST_FOLLOWERS, Gates, Losses, people, weaker
from automations.core.plan.hazards import Hazard

_NAMED = 5
"""Steps that one sentence names."""


def approval_hazards(pair: Comparison) -> Iterator[Hazard]:
    """A hazard for every approval that a step, or what follows it, lost or has a weaker one for."""
    if pair.before is None or not any(step.approval for step in pair.before.steps):
        return
    gates = Gates(pair.before.steps, pair.after.steps)
    said = _Sentences(gates, {step.id: path for path, step, _ in pair.steps()})
    for name in gates.guarded:
        for path, message in said.of(name, gates.losses.get(name, _NONE)):
            yield Hazard("AU320", pair.id, f"{pair.id}: {message}", path)


_NONE = Losses(itself=False, followers=(), unsure=())


@dataclass(frozen=True, slots=True)
class _Sentences:
    """What is said of a gate, and where in the new document to look; `places` are those of the new steps."""

    gates: Gates
    places: dict[str, Path]

    def of(self, name: str, lost: Losses) -> Iterator[tuple[Path, str]]:
        """Everything about one gate."""
        gates, heir = self.gates, self.gates.heirs.get(name)
        approval = gates.old[name].approval
        asked = people(approval.count if approval else 0)
        if heir is None or gates.replaced(name):
            if lost.followers or not gates.followed(name):
                yield self._gone(name, lost, asked=asked)
            return
        if lost.itself:
            less = weaker(approval, gates.new[heir].approval) or f"runs without the approval of {asked}"
            yield (*self.places[heir], "approval"), f"step {self._called(name)} {less}"
        for each in gates.first(lost.followers):
            told = f"step {self._called(each)} no longer waits for the approval of {asked} at step {heir}"
            yield (*self.places[gates.heirs[each]], "dependsOn"), told
        for each in gates.first(lost.unsure):
            told = f"step {self._called(each)} goes on without the approval of {asked} when step {heir} is skipped or fails"
            yield (*self.places[heir], "approval"), told

    def _gone(self, name: str, lost: Losses, *, asked: str) -> tuple[Path, str]:
        names = [self.gates.heirs[each] for each in lost.followers]
        path: Path = (*self.places[names[0]], "dependsOn") if names else ("actions",)
        what = f": {_listed(names)} no longer {'wait' if len(names) > 1 else 'waits'} for it" if names else ""
        return path, f"step {name} goes, and with it the approval of {asked}{what}"

    def _called(self, step: str) -> str:
        """A step's id now, and what it was called."""
        heir = self.gates.heirs[step]
        if heir == step:
            return heir
        return f"{heir}, in the place of {step}," if step in self.gates.guesses else f"{heir} (was {step})"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    some = "more" if len(names) >= MOST_FOLLOWERS else f"{more} more"
    return ", ".join(names) if more <= 0 else f"{', '.join(names[:_NAMED])} and {some}"
