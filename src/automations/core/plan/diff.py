"""The difference between two documents, field by field, as a person would tell it.

Lists of things that have an `id` (steps, triggers) are compared by id, so that inserting a step is one line and not a change
of every step after it. Lists of other objects are compared place by place, all other lists as wholes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from automations.core.diagnostic import Path


class _Absent:
    """What a field is where it does not exist (None is a value)."""

    def __repr__(self) -> str:
        return "(absent)"


ABSENT: Any = _Absent()


@dataclass(frozen=True, slots=True)
class Field:
    """One difference. `path` leads to it in the new document where it still exists, else in the old one.

    `label` is the path as people read it, with ids in the place of indexes: `actions[build].input.tag`. `before_path` leads
    to it in the old document, or to where it would have been.
    """

    path: Path
    label: str
    before: Any
    after: Any
    before_path: Path = field(default=(), compare=False)


_Paths = tuple[Path, Path]
"""Where a value stands in the new document, and in the old one."""


def diff(before: Any, after: Any) -> tuple[Field, ...]:
    """Every difference, in the order of the new document, removed fields last within their parent."""
    return tuple(_walk(before, after, paths=((), ()), label=""))


def _walk(before: Any, after: Any, *, paths: _Paths, label: str) -> Iterator[Field]:
    if _same(before, after):
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in (*after, *(key for key in before if key not in after)):
            name = f"{label}.{key}" if label else str(key)
            below = ((*paths[0], key), (*paths[1], key))
            yield from _walk(before.get(key, ABSENT), after.get(key, ABSENT), paths=below, label=name)
    elif _by_id(before) and _by_id(after):
        yield from _lists(before, after, paths=paths, label=label)
    elif _objects(before) and _objects(after):
        yield from _by_index(before, after, paths=paths, label=label)
    else:
        yield Field(paths[0], label, before, after, paths[1])


def _lists(before: list[Any], after: list[Any], *, paths: _Paths, label: str) -> Iterator[Field]:
    new_path, old_path = paths
    old = {item["id"]: (index, item) for index, item in enumerate(before)}
    new = {item["id"]: (index, item) for index, item in enumerate(after)}
    for identity, (index, item) in new.items():
        was_at, was = old.get(identity, (None, ABSENT))
        below = ((*new_path, index), old_path if was_at is None else (*old_path, was_at))
        yield from _walk(was, item, paths=below, label=f"{label}[{identity}]")
    for identity, (index, item) in old.items():
        if identity not in new:
            yield Field((*new_path, index), f"{label}[{identity}]", item, ABSENT, (*old_path, index))
    kept = [identity for identity in old if identity in new]
    if kept != [identity for identity in new if identity in old]:
        yield Field(new_path, f"{label} (order)", list(old), list(new), old_path)


def _by_index(before: list[Any], after: list[Any], *, paths: _Paths, label: str) -> Iterator[Field]:
    """Lists of objects without ids, such as triggers: the first with the first, what is over at the end."""
    for index in range(max(len(before), len(after))):
        old = before[index] if index < len(before) else ABSENT
        new = after[index] if index < len(after) else ABSENT
        below = ((*paths[0], index), (*paths[1], index))
        yield from _walk(old, new, paths=below, label=f"{label}[{index}]")


def _objects(value: Any) -> bool:
    if not isinstance(value, list) or not value or not all(isinstance(item, Mapping) for item in value):
        return False
    ids = [item["id"] for item in value if isinstance(item.get("id"), str)]
    return len(set(ids)) == len(ids)


def _by_id(value: Any) -> bool:
    if not isinstance(value, list) or not value:
        return False
    ids = [item.get("id") if isinstance(item, Mapping) else None for item in value]
    return all(isinstance(each, str) for each in ids) and len(set(ids)) == len(ids)


def _same(before: Any, after: Any) -> bool:
    """Equality that tells 1 from 1.0 and from true, as filters do."""
    if type(before) is not type(after):
        return False
    if isinstance(before, dict):
        return before.keys() == after.keys() and all(_same(before[key], after[key]) for key in before)
    if isinstance(before, list):
        return len(before) == len(after) and all(map(_same, before, after))
    # Zeroes of both signs are equal to Python and two texts, so two digests, to canonical JSON.
    return repr(before) == repr(after) if isinstance(before, float) else bool(before == after)
