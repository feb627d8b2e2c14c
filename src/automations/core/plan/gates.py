"""Gates: the approvals before each step, in the old version and in the new one, and which of them were lost.

Sets of steps are numbers, a bit for a step, because an automation may have thousands that all wait for each other: the old gates
come first, and the steps that stand for them in the new version have the same bits.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from automations.core.spec.graph import succeeded_bits
from automations.core.spec.model import Approval, Step

_MOST_PAIRS = 10_000
"""How many lost and new approvals of one step are held against each other; beyond that nothing makes up for what was lost."""
MOST_FOLLOWERS = 50
"""Steps behind one gate that are told of."""


def heirs_of(before: Sequence[Step], after: Sequence[Step]) -> dict[str, str]:
    """By old id, the new step that stands for it, by the surest sign first: id and action, the action, the id, that it came.

    Of several with one action that without an approval is taken first.
    """
    heirs: dict[str, str] = {}
    ordered = sorted(after, key=lambda each: each.approval is not None)
    for sign in _SIGNS:
        taken = set(heirs.values())
        waiting: dict[Hashable, deque[str]] = defaultdict(deque)
        for step in ordered:
            if step.id not in taken:
                waiting[sign(step)].append(step.id)
        for step in before:
            if step.id not in heirs and waiting[sign(step)]:
                heirs[step.id] = waiting[sign(step)].popleft()
    return heirs


_SIGNS: tuple[Callable[[Step], Hashable], ...] = (
    lambda step: (step.id, step.action_id),
    lambda step: (step.final, step.action_id),
    lambda step: step.id,
    lambda step: step.final,
)


@dataclass(frozen=True, slots=True)
class Losses:
    """What became of one gate, in old ids: whether its own step lost it, and the steps behind it that did.

    Before those in `unsure` it still stands, and they go on without it when it is skipped or fails.
    """

    itself: bool
    followers: tuple[str, ...]
    unsure: tuple[str, ...]


@dataclass(frozen=True)
class Gates:
    """Two versions of an automation's steps."""

    before: Sequence[Step]
    after: Sequence[Step]

    @cached_property
    def old(self) -> Mapping[str, Step]:
        """The old steps by id."""
        return {step.id: step for step in self.before}

    @cached_property
    def new(self) -> Mapping[str, Step]:
        """The new steps by id."""
        return {step.id: step for step in self.after}

    @cached_property
    def heirs(self) -> Mapping[str, str]:
        """By old id, the new step that stands for it."""
        return heirs_of(self.before, self.after)

    @cached_property
    def guesses(self) -> frozenset[str]:
        """Old ids that went, whose heir is only the step that came meanwhile."""
        named = ((old, self.old[old], self.new[new]) for old, new in self.heirs.items())
        return frozenset(old for old, was, now in named if was.id != now.id and was.action_id != now.action_id)

    @cached_property
    def guarded(self) -> Sequence[str]:
        """The old steps with an approval; their bits come first, in this order."""
        return [step.id for step in self.before if step.approval]

    @cached_property
    def _old_places(self) -> Mapping[str, int]:
        return {
            name: at
            for at, name in enumerate([*self.guarded, *(each for each in self.old if not self.old[each].approval)])
        }

    @cached_property
    def _new_places(self) -> Mapping[str, int]:
        places = {self.heirs[name]: at for at, name in enumerate(self.guarded) if name in self.heirs}
        others = (step.id for step in self.after if step.id not in places)
        return places | {name: at for at, name in enumerate(others, start=len(self.guarded))}

    @cached_property
    def _after(self) -> Mapping[str, int]:
        return succeeded_bits([replace(step, when=None) for step in self.after], self._new_places)

    @cached_property
    def _kept(self) -> int:
        """The gates whose heirs are not weaker."""
        return sum(
            1 << at
            for at, name in enumerate(self.guarded)
            if name in self.heirs and not weaker(self.old[name].approval, self.new[self.heirs[name]].approval)
        )

    def _lost(self, *, sure: bool) -> tuple[dict[str, int], dict[str, int]]:
        """By old step with an heir, the gates that it lost, and what is before the heir now.

        Unless `sure`, a step that its `when` may skip counts as one that is carried out.
        """
        olds = self.before if sure else [replace(step, when=None) for step in self.before]
        were = succeeded_bits(olds, self._old_places)
        are = succeeded_bits(self.after, self._new_places) if sure else self._after
        gates = (1 << len(self.guarded)) - 1
        guarded_now = sum(1 << at for name, at in self._new_places.items() if self.new[name].approval)
        lost, standing = {}, {}
        for step, heir in self.heirs.items():
            had = (were[step] | 1 << self._old_places[step]) & gates
            has = (are[heir] | 1 << self._new_places[heir]) & guarded_now
            missing = had & ~(has & self._kept)
            lost[step] = missing and self._not_made_up(missing, has & ~had)
            standing[step] = are[heir]
        return lost, standing

    def _not_made_up(self, missing: int, fresh: int) -> int:
        """Of lost gates, those for which no approval that came before the same step is as strong; each makes up for one."""
        if not fresh or missing.bit_count() * fresh.bit_count() > _MOST_PAIRS:
            return missing
        names = {at: name for name, at in self._new_places.items() if fresh >> at & 1}
        for at in _bits(missing):
            was = self.old[self.guarded[at]].approval
            found = next((place for place, name in names.items() if not weaker(was, self.new[name].approval)), None)
            if found is not None:
                missing &= ~(1 << at)
                del names[found]
        return missing

    @cached_property
    def losses(self) -> Mapping[str, Losses]:
        """By old gate; only those that somebody lost."""
        lost, standing = self._lost(sure=False)
        less, _ = self._lost(sure=True)
        itself = sum(1 << at for at, name in enumerate(self.guarded) if lost.get(name, 0) >> at & 1)
        # What comes after a gate that is weaker itself is not told: the gate is, unless its heir is a guess.
        told = sum(1 << at for at, name in enumerate(self.guarded) if itself >> at & 1 and not self.replaced(name))
        behind = {step: bits & ~(standing[step] & told) & ~self._own(step) for step, bits in lost.items()}
        followers = self._by_gate(behind)
        unsure = self._by_gate({step: less[step] & ~bits for step, bits in lost.items()})
        return {
            name: Losses(bool(itself >> at & 1), tuple(followers[at]), tuple(unsure[at]))
            for at, name in enumerate(self.guarded)
            if itself >> at & 1 or followers[at] or unsure[at]
        }

    def _own(self, step: str) -> int:
        return 1 << self._old_places[step]

    def _by_gate(self, by_step: Mapping[str, int]) -> dict[int, list[str]]:
        """The first steps of each gate."""
        found: dict[int, list[str]] = defaultdict(list)
        full = 0
        for step, bits in by_step.items():
            for at in _bits(bits & ~full):
                found[at].append(step)
                if len(found[at]) == MOST_FOLLOWERS:
                    full |= 1 << at
        return found

    @cached_property
    def _followed(self) -> int:
        """The gates before steps that are certainly still there."""
        were = succeeded_bits([replace(step, when=None) for step in self.before], self._old_places)
        found = 0
        for step in self.heirs:
            if step not in self.guesses:
                found |= were[step]
        return found

    def followed(self, gate: str) -> bool:
        """Whether a step that is certainly still there waited for this one."""
        return bool(self._followed >> self._old_places[gate] & 1)

    def replaced(self, gate: str) -> bool:
        """Whether it is better told by what followed it than by the step that came meanwhile."""
        return gate in self.guesses and self.followed(gate)

    def first(self, steps: Sequence[str]) -> Iterator[str]:
        """Of these old steps, those whose heirs do not come after the heir of another of them."""
        together = sum(1 << self._new_places[self.heirs[each]] for each in steps)
        yield from (each for each in steps if not together & self._after[self.heirs[each]])


def _bits(number: int) -> Iterator[int]:
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest


def weaker(old: Approval | None, now: Approval | None) -> str | None:
    """In which way a step has less of an approval than it had, in words; None when it has as much."""
    if old is None:
        return None
    if now is None:
        return f"runs without the approval of {people(old.count)} that it needed"
    if now.count < old.count:
        return f"needs {people(now.count)} instead of {people(old.count)}"
    if now.allow_self and not old.allow_self:
        return "may be approved by whoever started the run"
    gained = set(now.roles) - set(old.roles)
    if old.roles and (not now.roles or gained):
        return f"may be approved by {', '.join(sorted(gained)) or 'anybody'}, no longer only by {', '.join(old.roles)}"
    if now.on_expire == "approve" and old.on_expire != "approve":
        return "goes on by itself when nobody answers in time"
    return None


def people(count: int) -> str:
    """So many, in words."""
    return "1 person" if count == 1 else f"{count} people"
