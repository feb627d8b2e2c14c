"""The graph of an automation's steps: who waits for whom."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter

from automations.core.spec.model import Dependency, Step


def cycle(steps: Sequence[Step]) -> tuple[str, ...]:
    """The ids of some circle of steps that wait for each other, or nothing."""
    before: set[str] = set()
    for step in steps:
        if not before.issuperset([dependency.step for dependency in step.depends_on]):
            break
        before.add(step.id)
    else:
        return ()  # as most people write them: each waits only for earlier ones
    sorter = TopologicalSorter({step.id: [dependency.step for dependency in step.depends_on] for step in steps})
    try:
        sorter.prepare()
    except CycleError as found:
        loop: list[str] = found.args[1]
        return tuple(reversed(loop[1:]))
    return ()


def ancestors(steps: Sequence[Step]) -> Mapping[str, frozenset[str]]:
    """For each step, every step that is over before it starts; a `finally` step comes after all actions.

    Steps in a circle get what is reachable; unknown dependencies are passed over.
    """
    known = {step.id: step for step in steps}
    main = frozenset(step.id for step in steps if not step.final)
    found: dict[str, frozenset[str]] = {}
    for step in steps:
        seen: set[str] = set(main) if step.final else set()
        pending = [dependency.step for dependency in step.depends_on]
        while pending:
            name = pending.pop()
            if name in known and name not in seen:
                seen.add(name)
                if name in found:
                    seen |= found[name]
                else:
                    pending.extend(dependency.step for dependency in known[name].depends_on)
        found[step.id] = frozenset(seen - {step.id})
    return found


def guesses(steps: Sequence[Step], broken: Collection[str] = ()) -> frozenset[str]:
    """The steps of which it is a guess what comes before them, because something that they say about it is wrong.

    That is a step that waits for none that there is, for itself or for one that comes after it, or is one of the `broken`; and
    whoever waits for such a step. Where an id stands twice or steps wait in a circle it is every step.
    """
    known = {step.id: step for step in steps}
    if len(known) < len(steps):
        return frozenset(known)
    found = {
        step.id for step in steps if step.id in broken or any(_wrong(step, each, known) for each in step.depends_on)
    }
    others = (
        (step, (each for each in step.depends_on if each.step in known and each.step != step.id)) for step in steps
    )
    if cycle([replace(step, depends_on=tuple(each)) for step, each in others]):
        return frozenset(known)
    for step in _dependencies_first(steps) if found else ():
        if any(each.step in found for each in step.depends_on):
            found.add(step.id)
    return frozenset(found)


def _wrong(step: Step, dependency: Dependency, known: Mapping[str, Step]) -> bool:
    target = known.get(dependency.step)
    return target is None or target is step or (target.final and not step.final)


def succeeded(steps: Sequence[Step]) -> Mapping[str, frozenset[str]]:
    """For each step, every step that has certainly succeeded when it starts: whose output is there to be read.

    A dependency may be over in other ways: skipped by its `when`, or failed and told to continue; `{on: succeeded}` rules
    these out, `{on: completed}` and `{on: failed}` ask for them. Assumes that nobody waits in a circle.
    """
    known = {step.id: step for step in steps}
    found: dict[str, frozenset[str]] = {}
    for step in _dependencies_first(steps):
        parts = []
        for each in _counting(step, known):
            # Whichever way it ended, it was ready once, and what had to succeed for that had.
            parts.append(found.get(each.step, frozenset()))
            if _certain(each, known[each.step]):
                parts.append(frozenset((each.step,)))
        found[step.id] = frozenset[str]().union(*parts)
    return {step.id: found[step.id] for step in steps}


def succeeded_bits(steps: Sequence[Step], places: Mapping[str, int]) -> Mapping[str, int]:
    """The same as numbers, for thousands of steps: bit `n` stands for the step whose place is `n`."""
    known = {step.id: step for step in steps}
    found: dict[str, int] = {}
    for step in _dependencies_first(steps):
        before = 0
        for each in _counting(step, known):
            before |= found.get(each.step, 0)
            if _certain(each, known[each.step]):
                before |= 1 << places[each.step]
        found[step.id] = before
    return found


def _counting(step: Step, known: Mapping[str, Step]) -> Iterator[Dependency]:
    """Dependencies through which anything is sure: `{on: completed}` lets a step begin whatever became of the other."""
    return (each for each in step.depends_on if each.step in known and each.on != "completed")


def _certain(dependency: Dependency, step: Step) -> bool:
    """Whether what depends on a step in this way begins only when it succeeded."""
    return dependency.on == "succeeded" or (
        dependency.on == "default" and step.when is None and step.on_failure == "stop"
    )


def _dependencies_first(steps: Sequence[Step]) -> list[Step]:
    """Every step after those that it waits for. Without recursion: chains are as long as their authors like."""
    known = {step.id: step for step in steps}
    entered: set[str] = set()
    done: dict[str, Step] = {}
    for step in steps:
        pending = [step]
        while pending:
            top = pending[-1]
            if top.id in entered:
                done.setdefault(top.id, pending.pop())
                continue
            entered.add(top.id)
            waits = (known[each.step] for each in top.depends_on if each.step in known)
            pending.extend(each for each in waits if each.id not in entered)
    return list(done.values())
