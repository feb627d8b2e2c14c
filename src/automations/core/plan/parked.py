"""Routes made by hand go with their automation, and come back with it where nobody has their path or id now."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from automations.core.plan.change import Change
from automations.core.plan.state import HeldRoute


def comes_back(change: Change) -> bool:
    """Whether a change restores an automation that was deleted."""
    return change.resource == "automation" and change.action == "create" and change.uid is not None


def with_parked(
    changes: tuple[Change, ...], parked: Mapping[str, tuple[HeldRoute, ...]], *, kept: Iterable[HeldRoute]
) -> tuple[Change, ...]:
    """The changes, each that restores an automation with the routes that come back among those it binds.

    Everything declared goes before: `kept` are the routes that stand as they are. Several that come back go by automation id,
    then by route id; that is the order in which they are restored.
    """
    if not any(change.id in parked and comes_back(change) for change in changes):
        return changes
    declared = [trigger.route for each in changes if each.automation for trigger in each.automation.triggers]
    wanted = [route for route in declared if route is not None]
    paths = {route.path for route in kept} | {route.path for route in wanted}
    ids = {route.id for route in wanted}
    found: dict[str, tuple[str, ...]] = {}
    for change in sorted(filter(comes_back, changes), key=lambda each: each.id):
        for route in parked.get(change.id, ()):
            if route.path not in paths and route.id not in ids:
                paths.add(route.path)
                found[change.id] = (*found.get(change.id, ()), route.path)
    return tuple(_binding(change, found.get(change.id, ())) for change in changes)


def _binding(change: Change, paths: tuple[str, ...]) -> Change:
    bound = tuple(sorted((*change.effects.bound, *paths)))
    return replace(change, effects=replace(change.effects, bound=bound)) if paths else change
