"""Resemblance: a new automation that looks like one that goes is most often a rename that nobody declared."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from automations.core.canonical import encode

NEAR = 0.75
"""The share of leaves (place and value) that two specs must have in common."""
MOST_COMPARED = 60
"""With more creates or deletes than this a plan is no rename, and comparing all with all would take long."""
_NAMES = frozenset({"id", "name", "version", "description", "lifecycle", "metadata", "schemaVersion", "$schema"})


def alike(created: Sequence[tuple[str, Mapping[str, Any]]], gone: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """By new id, the id that goes and that it most resembles; each is given away once, the closest pair first."""
    if not created or not gone or max(len(created), len(gone)) > MOST_COMPARED:
        return {}
    old = {identity: _leaves(spec) for identity, spec in gone.items()}
    scores = []
    for identity, spec in created:
        mine = _leaves(spec)
        scores += [(_share(mine, theirs), identity, other) for other, theirs in old.items()]
    found: dict[str, str] = {}
    for share, identity, other in sorted(scores, key=lambda each: (-each[0], each[1], each[2])):
        if share >= NEAR and identity not in found and other not in found.values():
            found[identity] = other
    return found


def _share(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / (len(one | other) or 1)


def _leaves(spec: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(_walk({key: value for key, value in spec.items() if key not in _NAMES}))


def _walk(document: Any) -> Iterator[str]:
    pending: list[tuple[str, Any]] = [("", document)]
    while pending:
        place, value = pending.pop()
        if isinstance(value, Mapping) and value:
            pending.extend((f"{place}.{key}", each) for key, each in value.items())
        elif isinstance(value, list) and value:
            pending.extend((f"{place}[{index}]", each) for index, each in enumerate(value))
        else:
            yield f"{place}={encode(value)}"
