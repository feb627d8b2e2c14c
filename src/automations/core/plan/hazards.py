"""Hazards: what a reviewer should not overlook, and what is refused unless it is asked for by exact number."""

from dataclasses import dataclass
from typing import Literal

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


def hazards_of(*, deletes: tuple[str, ...], owned: int) -> tuple[Hazard, ...]:
    """The hazards of deleting these of `owned` automations."""
    found = [Hazard("AU100", "danger", each, f"{each} would be deleted") for each in deletes]
    count = len(deletes)
    if count and (count > max(1, int(owned * DELETE_SHARE)) or count > MOST_DELETES or (count == owned and owned > 1)):
        message = f"{count} of {owned} automations would be deleted; to do that, say --allow-deletes={count}"
        found.append(Hazard("AU001", "danger", "", message, refused=True))
    return tuple(found)
