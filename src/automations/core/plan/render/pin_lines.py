"""Lines about pins: which steps take another manifest because of a change, and what that means for their runs."""

from collections.abc import Iterator
from itertools import groupby

from automations.core.plan.change import Change
from automations.core.plan.effects import Repin
from automations.core.plan.pin_hazards import named


def pin_lines(change: Change) -> Iterator[str]:
    """One line for all steps that go from the same version to the same."""
    found = sorted(change.effects.repins, key=_way)
    for (action, before, after), steps in groupby(found, key=_way):
        of = "" if change.resource == "action" else f"{action} "
        yield _line(list(steps), of + before if before else "", of + after if after else "")


def _way(repin: Repin) -> tuple[str, str, str]:
    return repin.action_id, repin.before or "", repin.after or ""


def _line(steps: list[Repin], before: str, after: str) -> str:
    one, users = len(steps) == 1, named(steps)
    take, their = ("takes", "its") if one else ("take", "their")
    if not after:
        return f"steps: {users} {'has' if one else 'have'} no manifest afterwards: {their} runs wait for an external runner"
    if before == after:
        return f"steps: used by {users}, as it is now from {their} next run on"
    if not before:
        return f"steps: {users} had no manifest and {take} {after} with {their} next run"
    return f"steps: {users} {take} {after} instead of {before} with {their} next run"
