"""What is said of an automation that is not there: the same words everywhere, with the id that was probably meant."""

from collections.abc import Iterable

from automations.core.nearest import nearest
from automations.errors import NotFound

MOST = 5_000
"""Ids among which the one that was meant is looked for."""


def no_automation(name: str, known: Iterable[str], *, also: str = "") -> NotFound:
    """The error; `known` are the ids that there are, `also` is what else could be meant."""
    there = list(known)
    meant = nearest(name, there) if len(there) <= MOST else ""
    hint = f"did you mean {meant}? see: automations list" if meant else "see: automations list"
    return NotFound(f"automation not found: {name}", hint=f"{hint}; {also}" if also else hint)
