"""The namespaces of expressions whose members this program gives: the envelope of an event, a run, a schedule's slot, a step.

What is not among them is never there, but for the envelope: a sender may add keys of its own to it. So a key that is not of the
envelope is only doubted, unless it is one slip of the hand away from one that is. The shapes are held by a test to what runs see.
"""

import re
from collections.abc import Iterable, Mapping

from automations.core.expression.shape import ANY, TEXT, Presence, Reading, Shape, fields, of_kind
from automations.core.nearest import one_slip
from automations.core.spec.model import Debounce

OBJECT = of_kind("map")
"""An object of which nothing is known."""

_ALWAYS = ("id", "source", "type")
_OFTEN = ("subject", "time", "dedupeKey")
_OF_OTHERS = ("severity", "message", "specversion", "datacontenttype", "dataschema")
"""Keys that open-events and CloudEvents have beside ours."""


def _texts(*names: str) -> dict[str, Reading]:
    return {name: Reading(TEXT, "always", "yes") for name in names}


AUTOMATION = fields(_texts("id", "name", "version"), closed=True)
"""What triggers and keys see of the automation."""
AUTOMATION_OF_STEPS = fields(
    {**_texts("id", "name", "version"), "generation": Reading(of_kind("int"), "always", "yes")}, closed=True
)
RUN = fields(_texts("id", "status", "createdAt"), closed=True)
SCHEDULE = fields(_texts("trigger", "nominalTime", "localTime", "timezone"), closed=True)
"""The slot of a run that a schedule started."""
NOTHING = fields({}, closed=True)
"""A root that is reserved."""

_ERROR = fields(
    {
        **_texts("code", "message"),
        "retryable": Reading(of_kind("bool"), "open", "yes"),
        "metadata": Reading(OBJECT, "open", "yes"),
    },
    closed=True,
)


def step(output: Shape, *, sure: bool) -> Shape:
    """How a step ended: its output only if it succeeded, its error only if it did not."""
    there: Presence = "always" if sure else "maybe"
    known = {"status": Reading(TEXT, "always", "yes"), "output": Reading(output, there, "yes")}
    return fields({**known, "error": Reading(_ERROR, "maybe", "yes")}, closed=True)


def event(data: Shape, *, window: Reading | None = None) -> Shape:
    """The envelope, with the debounce window that it stands for where there may be one."""
    known = {**_texts(*_ALWAYS), **{name: Reading(TEXT, "open", "yes") for name in _OFTEN}}
    known |= {"data": Reading(data, "always", "yes"), "metadata": Reading(OBJECT, "open", "yes")}
    if window is not None:
        known["window"] = window
    allowed = {**dict.fromkeys(_OF_OTHERS, Reading(ANY)), **known}

    def read(name: str) -> Reading:
        if name in allowed:
            return allowed[name]
        slip = name == "window" or any(one_slip(name, each) for each in known)
        return Reading(ANY, "maybe" if slip else "open", "no")

    return Shape(OBJECT.kinds, read, names=tuple(known), by="the envelope")


def window(debounces: Iterable[Debounce | None]) -> Reading | None:
    """`event.window` of runs that these triggers start, None for one without a window; None where none of them has one."""
    given = list(debounces)
    emits = {each.emit for each in given if each is not None}
    if not emits:
        return None
    known = {**_texts("key", "emit", "openedAt", "closedAt"), "count": Reading(of_kind("int"), "always", "yes")}
    if "all" in emits:
        members = Shape(of_kind("list").kinds, item=lambda: event(OBJECT))
        known["events"] = Reading(members, "always" if emits == {"all"} else "unsure", "yes")
    return Reading(fields(known, closed=True), "unsure" if None in given else "always", "yes")


_PLAIN: Mapping[str, frozenset[str]] = {
    "event": frozenset({*_ALWAYS, *_OFTEN, *_OF_OTHERS, "data", "metadata"}),
    "automation": frozenset(AUTOMATION.names),
    "run": frozenset(RUN.names),
    "schedule": frozenset(SCHEDULE.names),
    "item": frozenset(),
}
_READ = {root: re.compile(rf"{root}\b(?:\s*\.\s*(\w+))?") for root in _PLAIN}
"""How each is read. Each begins with plain letters, which a search skips to: every text of every spec is looked at."""


def only_plain(text: str) -> bool:
    """Whether every name in an expression, or a text with some in it, that this module knows is a member of its namespace."""
    for root, known in _PLAIN.items():
        if root not in text:
            continue
        for found in _READ[root].finditer(text):
            if found[1] not in known and not _is_part(text[: found.start()]):
                return False
    return True


def _is_part(before: str) -> bool:
    """Whether what stands before a name makes it a part of a longer one, or a field of something."""
    return before[-1:].isalnum() or before.endswith(("_", "."))
