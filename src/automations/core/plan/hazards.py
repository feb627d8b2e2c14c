"""Hazards: what a reviewer should not overlook, and what is refused unless it is asked for by exact number."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from automations.core.spec import build
from automations.core.spec.model import Automation

MOST_DELETES = 10
"""More deletes than this in one plan are refused without an exact count."""
DELETE_SHARE = 0.2
"""More than this share of what a source owns (but always one) is refused without an exact count."""


@dataclass(frozen=True, slots=True)
class Hazard:
    """A documented risk (`docs/reference/hazards.md`). `refused` ones stop an apply without their override."""

    code: str
    severity: Literal["notice", "danger"]
    id: str
    message: str
    refused: bool = False


def signature_hazards(automation: Automation, before: Mapping[str, Any] | None) -> tuple[Hazard, ...]:
    """The hazards of routes that anybody may post to: one that was signed until now, one that never was."""
    found = []
    signed = _signed(before)
    for trigger in automation.triggers:
        route = trigger.route
        if route is None or route.signature is not None:
            continue
        if route.id in signed or route.path in signed:
            message = f"{automation.id} drops the signature of {route.path}: anybody may post there"
            found.append(Hazard("AU310", "danger", automation.id, message))
        elif before is None:
            message = f"{automation.id} takes unsigned requests at {route.path}: anybody may post there"
            found.append(Hazard("AU311", "notice", automation.id, message))
    return tuple(found)


def _signed(spec: Mapping[str, Any] | None) -> set[str]:
    """Ids and paths of the signed routes of an old spec."""
    triggers = build.automation(spec).triggers if spec else ()
    routes = [trigger.route for trigger in triggers if trigger.route and trigger.route.signature]
    return {route.id for route in routes} | {route.path for route in routes}


def hazards_of(*, deletes: tuple[str, ...], owned: int) -> tuple[Hazard, ...]:
    """The hazards of deleting these of `owned` automations."""
    found = [Hazard("AU100", "danger", each, f"{each} would be deleted") for each in deletes]
    count = len(deletes)
    if count and (count > max(1, int(owned * DELETE_SHARE)) or count > MOST_DELETES or (count == owned and owned > 1)):
        message = f"{count} of {owned} automations would be deleted; to do that, say --allow-deletes={count}"
        found.append(Hazard("AU001", "danger", "", message, refused=True))
    return tuple(found)
