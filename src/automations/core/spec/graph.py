"""The graph of an automation's steps: who waits for whom."""

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from automations.core.spec.model import Step


def cycle(steps: Sequence[Step]) -> tuple[str, ...]:
    """The ids of some circle of steps that wait for each other, or nothing."""
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
                pending.extend(dependency.step for dependency in known[name].depends_on)
        found[step.id] = frozenset(seen - {step.id})
    return found
