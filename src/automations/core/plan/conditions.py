"""Conditions: what stands of a source or an automation, each with a reason, a message and since when.

A condition's `since` moves only when its status does, so that "False for three hours" can be read off.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from automations.core.instant import iso

Status = Literal["True", "False", "Unknown"]


@dataclass(frozen=True, slots=True)
class Condition:
    """One statement, such as `SpecValid` is `False` because `Invalid`."""

    type: str
    status: Status
    reason: str
    message: str = ""


def updated(held: Mapping[str, Any], conditions: Iterable[Condition], *, now: int) -> dict[str, Any]:
    """The held conditions (`{type: {status, reason, message, since}}`) with these over them."""
    result = dict(held)
    for condition in conditions:
        before = held.get(condition.type)
        same = before is not None and before["status"] == condition.status
        result[condition.type] = {
            "status": condition.status,
            "reason": condition.reason,
            "message": condition.message,
            "since": before["since"] if same and before else iso(now),
        }
    return result


def differ(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether anything but `since` changed."""
    return _plain(before) != _plain(after)


def _plain(conditions: Mapping[str, Any]) -> dict[str, tuple[str, str, str]]:
    return {key: (value["status"], value["reason"], value["message"]) for key, value in conditions.items()}
