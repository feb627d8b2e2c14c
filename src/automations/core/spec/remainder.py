"""What can be looked at of an automation whose structure is wrong, so that a mistyped key hides little else.

The parts that the schema refuses are left out: a key, or where a trigger or step cannot do without it, all of that. If a whole
automation is left, it is checked, and only what the missing part could not change is told. It is never used for anything else.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from automations.core.diagnostic import Diagnostic, Path
from automations.core.spec import build
from automations.core.spec.checks import check, inputs_of
from automations.core.spec.document import Document
from automations.core.spec.finding import paths_of_steps
from automations.core.spec.model import Automation
from automations.core.spec.structure import fits

_BY_ABSENCE = ("spec/schedule", "spec/route-path")
"""Codes that may come of a key not being there: of a broken part they say nothing."""

_ITEMS = ("triggers", "actions", "finally")
_STAND_INS = {"schemaVersion": "1.0", "id": "unknown", "name": "unknown", "version": "unknown"}
"""For what every automation says of itself, and no check looks into."""


@dataclass(frozen=True, slots=True)
class Remainder:
    """An automation without the parts that are wrong; its document has the file's own positions.

    `broken` are the paths of the triggers and steps that lack something, `blank` those of which nothing but the id is left.
    """

    document: Document
    automation: Automation
    broken: frozenset[Path]
    blank: frozenset[Path]

    def findings(self) -> Iterator[Diagnostic]:
        """What is wrong besides, whatever the missing parts were meant to say."""
        steps = {raw["id"] for path, raw in paths_of_steps(self.document.value) if path in self.broken}
        for each in check(self.document, self.automation, inputs=inputs_of(self.automation), broken=steps):
            if self.sure(each, absence=each.code in _BY_ABSENCE):
                yield each

    def sure(self, found: Diagnostic, *, absence: bool) -> bool:
        """Whether a finding holds whatever the missing parts say; with `absence` it may come of something not being there."""
        return found.path[:2] not in (self.broken if absence else self.blank)


def remainder(document: Document, structure: Iterable[Diagnostic]) -> Remainder | None:
    """What is left without the parts that these findings are about; None where that is no automation any more."""
    if not isinstance(document.value, dict):
        return None
    value, broken, blank = document.value, set[Path](), set[Path]()
    for each in structure:
        if not each.path:
            return None
        path = _cut(each.path[:-1] if each.code == "spec/missing-key" else each.path)
        item = each.path[:2] if each.path[0] in _ITEMS and len(each.path) > 1 else ()
        if item:
            broken.add(item)
        if len(each.path) == 1 and each.path[0] in _STAND_INS:
            value = {**value, each.path[0]: _STAND_INS[each.path[0]]}
        elif item and len(path) < 3:
            blank.add(item)
        elif path:
            value = _without(value, path)
    for items in (blank, broken):
        left = _blanked(value, items)
        if left is not None and fits(left, "automation"):
            rest = replace(document, value=left)
            return Remainder(rest, build.automation(left), frozenset(broken), frozenset(items))
    return None


def _cut(path: Path) -> Path:
    """The nearest key above a part: taking an item out of a list would move the others."""
    while path and isinstance(path[-1], int):
        path = path[:-1]
    return path


def _without(value: Any, path: Path) -> Any:
    """The value without the key at a path; the same where it is gone already. What it was made of is left as it is."""
    key, inner = path[0], path[1:]
    if isinstance(value, dict) and key in value:
        if inner:
            return {**value, key: _without(value[key], inner)}
        return {each: kept for each, kept in value.items() if each != key}
    if isinstance(value, list) and isinstance(key, int) and key < len(value) and inner:
        return [*value[:key], _without(value[key], inner), *value[key + 1 :]]
    return value


def _blanked(value: dict[str, Any], items: Iterable[Path]) -> dict[str, Any] | None:
    """The value with something plain in the place of these triggers and steps; None where a step's id is not known."""
    for path in items:
        section, index = str(path[0]), int(path[1])
        listed = list(value[section])
        if section == "triggers":
            listed[index] = {"kind": "manual"}
        elif isinstance(listed[index], dict) and "id" in listed[index]:
            listed[index] = {"id": listed[index]["id"], "actionId": "unknown"}
        else:
            return None
        value = {**value, section: listed}
    return value
