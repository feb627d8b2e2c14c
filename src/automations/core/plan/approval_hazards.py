"""Hazards of approvals: a step that waited for people, itself or at a step before it, and waits for fewer or none.

An approval often stands in a step of its own that others depend on. What counts is therefore the graph: for each step, the
approvals that were certainly given before it ran. An approval that goes is made up for where another one that is not weaker has
come to stand before the same step.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from automations.core.diagnostic import Path
from automations.core.plan.comparison import Comparison
from automations.core.plan.hazards import Hazard
from automations.core.spec.graph import succeeded
from automations.core.spec.model import Approval, Automation, Step

_MOST_PAIRS = 200_000
"""Of steps and approvals; where there are more, each approval is held against that of its own step only."""


def approval_hazards(pair: Comparison) -> Iterator[Hazard]:
    """A hazard for every approval that a step, or what follows it, lost or has a weaker one for."""
    gates = sum(step.approval is not None for step in pair.before.steps) if pair.before is not None else 0
    if pair.before is None or not gates:
        return
    if gates * len(pair.before.steps) > _MOST_PAIRS:
        yield from _by_ids(pair, pair.before)
        return
    look = _Look(pair, pair.before)
    for gate in pair.before.steps:
        if gate.approval is not None:
            for path, message in _of_gate(look, gate, gate.approval):
                yield Hazard("AU320", pair.id, f"{pair.id}: {message}", path)


def _by_ids(pair: Comparison, before: Automation) -> Iterator[Hazard]:
    now = {step.id: (path, step) for path, step, _ in pair.steps()}
    for gate in before.steps:
        if gate.approval is not None and gate.id not in now:
            goes = f"step {gate.id} goes, and with it the approval of {_people(gate.approval.count)}"
            yield Hazard("AU320", pair.id, f"{pair.id}: {goes}", ("actions",))
        elif weaker := _weaker(gate.approval, now[gate.id][1].approval) if gate.id in now else None:
            yield Hazard("AU320", pair.id, f"{pair.id}: step {gate.id} {weaker}", (*now[gate.id][0], "approval"))


_Told = tuple[Path, str]
"""Where to look in the new document, and a sentence."""


def _of_gate(look: "_Look", gate: Step, approval: Approval) -> Iterator[_Told]:
    heir, lost = look.heirs.get(gate.id), look.lost(gate.id, sure=False)
    people = _people(approval.count)
    if heir is None or (gate.id in look.guesses and look.followers(gate.id)):
        names = [look.heirs[each] for each in lost if each != gate.id and each in look.heirs]
        if names or not look.followers(gate.id):
            what = f": {_listed(names)} no longer {'wait' if len(names) > 1 else 'waits'} for it" if names else ""
            yield (
                look.place(names[0], "dependsOn") if names else ("actions",),
                f"step {gate.id} goes, and with it the approval of {people}{what}",
            )
        return
    if gate.id in lost:
        weaker = _weaker(approval, look.new[heir].approval)
        yield (
            look.place(heir, "approval"),
            f"step {look.called(gate.id)} {weaker or f'runs without the approval of {people}'}",
        )
    for each in look.first(each for each in lost if each != gate.id and not look.follows(each, gate.id, lost)):
        told = f"step {look.called(each)} no longer waits for the approval of {people} at step {heir}"
        yield look.place(look.heirs[each], "dependsOn"), told
    unsure = [each for each in look.lost(gate.id, sure=True) if each not in lost]
    for each in look.first(unsure):
        told = f"step {look.called(each)} goes on without the approval of {people} when step {heir} is skipped or fails"
        yield look.place(heir, "approval"), told


@dataclass(frozen=True)
class _Look:
    """Both versions, and which step of the new one stands for which of the old one."""

    pair: Comparison
    before: Automation

    @cached_property
    def new(self) -> Mapping[str, Step]:
        """The new steps by id."""
        return {step.id: step for step in self.pair.after.steps}

    @cached_property
    def guesses(self) -> frozenset[str]:
        """Old ids that went, whose heir is only the step that came meanwhile."""
        return frozenset(old for old, new in self.heirs.items() if old != new and not self._same_action(old, new))

    def _same_action(self, old: str, new: str) -> bool:
        return next(each for each in self.before.steps if each.id == old).action_id == self.new[new].action_id

    @cached_property
    def heirs(self) -> dict[str, str]:
        """By old id, the new step of that id; else one that came, at best with the same action, without an approval first."""
        found = {step.id: step.id for step in self.before.steps if step.id in self.new}
        came = sorted(
            (each for each in self.pair.after.steps if each.id not in found), key=lambda each: bool(each.approval)
        )
        for alike in (True, False):
            for old in self.before.steps:
                heir = next((each for each in came if _may_be(old, each, alike=alike)), None)
                if old.id not in found and heir is not None:
                    found[old.id] = heir.id
                    came.remove(heir)
        return found

    @cached_property
    def _old_gates(self) -> dict[bool, dict[str, list[str]]]:
        return {sure: _gates(self.before.steps, sure=sure) for sure in (True, False)}

    @cached_property
    def _new_gates(self) -> dict[bool, dict[str, list[str]]]:
        return {sure: _gates(self.pair.after.steps, sure=sure) for sure in (True, False)}

    @cached_property
    def _lost(self) -> dict[bool, dict[str, list[str]]]:
        """By old gate, the old steps whose heirs do not have it any more, nor another that is not weaker."""
        found: dict[bool, dict[str, list[str]]] = {True: {}, False: {}}
        old = {step.id: step for step in self.before.steps}
        for sure in (True, False):
            for step, heir in self.heirs.items():
                gates, now = self._old_gates[sure][step], self._new_gates[sure][heir]
                fresh = [each for each in now if each not in {self.heirs.get(gate) for gate in gates}]
                for gate in gates:
                    held = [each for each in now if each == self.heirs.get(gate)]
                    made_up = next(
                        (each for each in (*held, *fresh) if not _weaker(old[gate].approval, self.new[each].approval)),
                        None,
                    )
                    if made_up is None:
                        found[sure].setdefault(gate, []).append(step)
                    elif made_up in fresh:
                        fresh.remove(made_up)
        return found

    def lost(self, gate: str, *, sure: bool) -> list[str]:
        """Old ids of steps that lost this approval; `sure` also counts those before which it may be skipped now."""
        return self._lost[sure].get(gate, [])

    def followers(self, gate: str) -> bool:
        """Whether a step that is certainly still there waited for this approval."""
        return any(
            gate in self._old_gates[False][each] for each in self.heirs if each != gate and each not in self.guesses
        )

    @cached_property
    def _after(self) -> Mapping[str, frozenset[str]]:
        return succeeded([replace(step, when=None) for step in self.pair.after.steps])

    def follows(self, step: str, gate: str, lost: list[str]) -> bool:
        """Whether a step still comes after a gate that is weaker itself, which is told there."""
        return gate in lost and self.heirs[gate] in self._after[self.heirs[step]]

    def first(self, steps: Iterable[str]) -> Iterator[str]:
        """Of these steps, those that do not come after another of them."""
        listed = list(steps)
        heirs = {self.heirs[each] for each in listed}
        yield from (each for each in listed if not heirs & self._after[self.heirs[each]])

    def called(self, step: str) -> str:
        """A step's id now, and what it was called."""
        heir = self.heirs[step]
        if heir == step:
            return heir
        return f"{heir}, in the place of {step}," if step in self.guesses else f"{heir} (was {step})"

    @cached_property
    def _places(self) -> dict[str, Path]:
        return {step.id: path for path, step, _ in self.pair.steps()}

    def place(self, step: str, word: str) -> Path:
        """Where a new step says something, or would."""
        return (*self._places[step], word)


def _may_be(old: Step, new: Step, *, alike: bool) -> bool:
    return old.final == new.final and (not alike or old.action_id == new.action_id)


def _gates(steps: tuple[Step, ...], *, sure: bool) -> dict[str, list[str]]:
    """For each step, the steps with an approval that was given when it runs, its own among them.

    Unless `sure`, a step that its `when` may skip counts as one that is carried out.
    """
    before = succeeded(steps if sure else [replace(step, when=None) for step in steps])
    guarded = [step.id for step in steps if step.approval]
    return {step.id: [each for each in guarded if each == step.id or each in before[step.id]] for step in steps}


def _weaker(old: Approval | None, now: Approval | None) -> str | None:
    if old is None:
        return None
    if now is None:
        return f"runs without the approval of {_people(old.count)} that it needed"
    if now.count < old.count:
        return f"needs {_people(now.count)} instead of {_people(old.count)}"
    if now.allow_self and not old.allow_self:
        return "may be approved by whoever started the run"
    gained = set(now.roles) - set(old.roles)
    if old.roles and (not now.roles or gained):
        return f"may be approved by {_listed(sorted(gained)) or 'anybody'}, no longer only by {_listed(old.roles)}"
    if now.on_expire == "approve" and old.on_expire != "approve":
        return "goes on by itself when nobody answers in time"
    return None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"
