"""The graph of an automation's steps: who waits for whom."""

from collections.abc import Mapping, Sequence
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


def succeeded(steps: Sequence[Step]) -> Mapping[str, frozenset[str]]:
    """For each step, every step that has certainly succeeded when it starts: whose output is there to be read.

    A dependency may be over in other ways: skipped by its `when`, or failed and told to continue; `{on: succeeded}` rules
    these out, `{on: completed}` and `{on: failed}` ask for them. Assumes that nobody waits in a circle.
    """
    known = {step.id: step for step in steps}
    found: dict[str, frozenset[str]] = {}

    def before(name: str) -> frozenset[str]:
        if name not in found:
            found[name] = frozenset()  # while it is worked out, and for good where steps wait in a circle
            found[name] = frozenset[str]().union(*(through(each) for each in known[name].depends_on))
        return found[name]

    def through(dependency: Dependency) -> frozenset[str]:
        step = known.get(dependency.step)
        if step is None or dependency.on == "completed":
            return frozenset()
        sure = dependency.on == "succeeded" or (
            dependency.on == "default" and step.when is None and step.on_failure == "stop"
        )
        # Whichever way it ended, it was ready once, and what had to succeed for that had.
        return before(step.id) | {step.id} if sure else before(step.id)

    return {step.id: before(step.id) for step in steps}
