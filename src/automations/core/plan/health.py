"""Sync and health, two words from conditions, and a suspension laid over them.

Sync says whether the state is what the files say; health says whether what is bound works. They are apart: a suspended
automation may be in step with its file, and a healthy one may be running its last good generation while its file is bad.
Nothing here is a dataclass: `status` and `list` are short commands, and `dataclasses` costs as much to import as all of them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from automations.core.instant import iso

Sync = Literal["Synced", "OutOfSync", "Unknown"]
Health = Literal["Healthy", "Progressing", "Degraded", "Suspended"]
QUIET = ("Reconciling", "Stalled", "Drifted", "Suspended", "PruneBlocked", "Terminating")
"""Conditions that are good when False."""
Conditions = Mapping[str, Mapping[str, Any]]
"""`{type: {status, reason, message, since}}`."""


def holds(conditions: Conditions, name: str) -> bool:
    """Whether a condition is True; one that was never written is not."""
    return bool(conditions.get(name, {}).get("status") == "True")


def sync(conditions: Conditions, *, trusted: bool = True) -> Sync:
    """Whether the state is what the files say. Not `trusted`: the tree could not be read, so nobody knows."""
    if not trusted or "SpecValid" not in conditions or conditions.get("Source", {}).get("status", "True") != "True":
        return "Unknown"
    behind = any(holds(conditions, name) for name in ("Reconciling", "Stalled", "Drifted", "PruneBlocked"))
    return "OutOfSync" if behind or not holds(conditions, "SpecValid") else "Synced"


def looked_since(since: int) -> str:
    """How a suspended source's own `Suspended` begins once the loop looked at the tree after that moment (microseconds)."""
    return f"since {iso(since)}"


def looked_at(conditions: Conditions, *, since: int | None) -> bool:
    """Whether a source's conditions come from a look after it was suspended; `since` is None for one that is not."""
    if since is None:
        return True
    said = conditions.get("Suspended", {})
    return said.get("status") == "True" and str(said["message"]).startswith(f"{looked_since(since)} ")


def once(messages: Sequence[str]) -> list[str]:
    """Messages that stand below each other, each said once: empty where a later one says the same, or any one more.

    `Ready` sums up what another condition says in full, and people need not read that twice.
    """
    return [
        ""
        if any(each in other and (len(other) > len(each) or later > at) for later, other in enumerate(messages))
        else each
        for at, each in enumerate(messages)
    ]


def health(conditions: Conditions) -> Health:
    """Whether what is bound works."""
    if holds(conditions, "Suspended"):
        return "Suspended"
    if holds(conditions, "Stalled") or conditions.get("Ready", {}).get("status") == "False":
        return "Degraded"
    return "Progressing" if holds(conditions, "Reconciling") else "Healthy"


def suspended(conditions: Conditions, *, words: str, since: str) -> dict[str, Mapping[str, Any]]:
    """The conditions of something that somebody suspended: `Suspended`, and not `Ready` because of it."""
    said = {"status": "True", "reason": "ByHand", "message": words, "since": since}
    ready = {"status": "False", "reason": "Suspended", "message": words, "since": since}
    return {**conditions, "Ready": ready, "Suspended": said}
