"""Words that all renderers share: what a change is called, its fields, its effects, and how hostile text is made harmless.

Names, reasons and values come from files that anybody may have written: everything here is escaped and bounded, and a
literal value under a name such as `password` is not shown at all.
"""

import re
from collections.abc import Iterator
from typing import Any

from automations.core.canonical import encode
from automations.core.diagnostic import Severity
from automations.core.plan import effects
from automations.core.plan.change import Change
from automations.core.plan.diff import ABSENT, Field
from automations.core.plan.hazards import Hazard
from automations.core.plan.plan import Plan
from automations.core.plan.render.pin_lines import pin_lines

SYMBOLS = {"create": "+", "update": "~", "rename": "→", "move": "→", "adopt": "±", "delete": "-"}
WIDEST = 100
"""A value longer than this many characters is cut in the middle of a line."""
LONGEST = 500
"""A name, label or sentence longer than this many characters is cut."""
HIDDEN = "(hidden)"

_SECRET_NAME = re.compile(
    r"(?:password|passwd|passphrase|secret|token|authorization|api[-_]?key|private[-_]?key|credential|cookie)s?$",
    re.IGNORECASE,
)


_ACTIONS = (
    ("create", "add", "added"),
    ("update", "change", "changed"),
    ("rename", "rename", "renamed"),
    ("move", "move", "moved"),
    ("adopt", "adopt", "adopted"),
    ("delete", "destroy", "destroyed"),
)
_ALWAYS_TOLD = ("create", "update", "delete")


def summary_line(plan: Plan) -> str:
    """`Plan: 2 to add, 1 to change, 0 to destroy; 41 unchanged, not rebound`, or that nothing changes."""
    counts = plan.summary()
    if not plan.changes:
        return f"No changes: {_rest(plan)}."
    told = [f"{counts[action]} to {word}" for action, word, _ in _ACTIONS if counts[action] or action in _ALWAYS_TOLD]
    return f"Plan: {', '.join(told)}; {_rest(plan)}."


def unsound_lines(plan: Plan) -> Iterator[str]:
    """That nothing of this can be applied as it is, where that is so: the errors themselves stand at the end."""
    count = sum(each.severity is Severity.ERROR for each in plan.diagnostics)
    if count:
        yield f"{count} {'error' if count == 1 else 'errors'}, listed below: nothing is applied before that is mended."


def done_line(plan: Plan) -> str:
    """The same once it was applied: `2 added, 1 changed, 0 destroyed; 41 unchanged, not rebound`."""
    counts = plan.summary()
    told = [f"{counts[action]} {word}" for action, _, word in _ACTIONS if counts[action] or action in _ALWAYS_TOLD]
    return f"{', '.join(told)}; {_rest(plan)}."


def _rest(plan: Plan) -> str:
    """What stands as it is; and how many automations nevertheless do something else, because steps take another manifest."""
    moved = plan.repinned
    if not moved:
        return f"{plan.unchanged} unchanged, not rebound"
    others = sum(moved.values())
    own = len(moved) - others
    who = [f"{own} {'automation' if own == 1 else 'automations'}"] if own else []
    noun = "" if own else "automation " if others == 1 else "automations "
    who += [f"{others} {noun}of {'another owner' if others == 1 else 'other owners'}"] if others else []
    take = "takes" if len(moved) == 1 else "take"
    found = {each.after is not None for change in plan.changes for each in change.effects.repins}
    what = (
        "another manifest"
        if found == {True}
        else "no manifest any more"
        if found == {False}
        else "another manifest or none"
    )
    return f"{plan.unchanged} unchanged; {' and '.join(who)} {take} {what}"


def printable(text: str) -> str:
    """The text with everything that could drive a terminal or forge a line (controls, direction marks) escaped."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def clipped(text: str, most: int = LONGEST) -> str:
    """Printable text of at most about `most` characters, with a word where it was cut."""
    return printable(text if len(text) <= most else f"{text[:most]} … ({len(text)} characters)")


def show(value: Any) -> str:
    """A value on one line, cut when long."""
    text = encode(value)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 20]} … ({len(text)} characters)"


def name_of(change: Change) -> str:
    """What a change is about, such as `action ci.build@1.0.0`."""
    return change.id if change.resource == "automation" else f"action {change.id}"


def place_of(change: Change) -> str:
    """Where the new text stands, empty for what goes."""
    return clipped(f"{change.file}:{change.line}") if change.file and change.action != "delete" else ""


def old_place_of(change: Change) -> str:
    """Where the old text stood, as far as that is known and worth saying."""
    if change.before_file is None or change.before_line is None or not (change.fields or change.action == "delete"):
        return ""
    return clipped(f"{change.before_file}:{change.before_line}")


def reason_of(change: Change) -> str:
    """Why, in a few words."""
    return clipped(change.reason)


def field_lines(change: Change) -> Iterator[str]:
    """`~ label: old → new  (line 3, was 4)` for every field."""
    for index, (each, line) in enumerate(change.fields):
        before = change.before_lines[index] if index < len(change.before_lines) else None
        places = [f"line {line}"] if each.after is not ABSENT else []
        places += [f"was {'' if places else 'line '}{before}"] if before is not None else []
        yield printable(field_text(each) + (f"  ({', '.join(places)})" if places else ""))


def field_text(each: Field) -> str:
    """One difference as a sentence."""
    label = clipped(each.label)
    if each.before is ABSENT:
        return f"+ {label}: {shown_value(each, each.after)}"
    if each.after is ABSENT:
        return f"- {label}: {shown_value(each, each.before)}"
    return f"~ {label}: {shown_value(each, each.before)} → {shown_value(each, each.after)}"


def shown_value(each: Field, value: Any) -> str:
    """A field's value on one line; not what stands literally under a secret's name."""
    return HIDDEN if concealed(each, value) else show(revealed(value))


def concealed(each: Field, value: Any) -> bool:
    """Whether this value is a literal secret by its field's name. A reference or an expression is none."""
    last = next((part for part in reversed(each.path) if isinstance(part, str)), "")
    return _literal_secret(last, value)


def revealed(value: Any) -> Any:
    """Plain data without the literal secrets inside it."""
    if isinstance(value, dict):
        return {key: HIDDEN if _literal_secret(key, each) else revealed(each) for key, each in value.items()}
    return [revealed(each) for each in value] if isinstance(value, list) else value


def _literal_secret(name: str, value: Any) -> bool:
    if not isinstance(value, str) or not value or not _SECRET_NAME.search(name):
        return False
    return not value.startswith("secret://") and "${{" not in value


def effect_lines(change: Change) -> Iterator[str]:
    """Routes, schedules, secrets, work in flight, and what to do about an undeclared rename."""
    made = change.effects
    routes = [
        f"{word} {', '.join(paths)}" for word, paths in (("bound", made.bound), ("unbound", made.unbound)) if paths
    ]
    if routes:
        yield clipped(f"routes: {'; '.join(routes)}")
    for fires in made.fires:
        yield clipped(f"schedule {fires.trigger} ({fires.timezone}), next fires:")
        yield from (f"  - {_fire(*each)}" for each in fires.before)
        yield from (f"  + {_fire(*each)}" for each in fires.after)
    if made.secrets:
        fresh = f"; new: {', '.join(made.new_secrets)}" if made.new_secrets and change.action != "create" else ""
        yield clipped(f"secrets: {', '.join(made.secrets)}{fresh}")
    yield from map(clipped, pin_lines(change))
    effect = consequence(change)
    if effect:
        yield f"in flight: {effect}"
    if change.suggestion:
        yield clipped(f"looks like {change.resembles}, which goes; to keep its history write: {change.suggestion}")


def _fire(utc: str, local: str) -> str:
    """The wall clock of the zone, and UTC beside it where it shows another time."""
    return local if local.endswith("+00:00") else f"{local} ({utc.replace('.000Z', 'Z')})"


def consequence(change: Change) -> str:
    """What a change does to work in flight, in words; empty when there is none."""
    deletes = change.action == "delete"
    return effects.consequence(change.in_flight, policy=change.effects.policy, deletes=deletes)


def told(plan: Plan) -> Iterator[Hazard]:
    """The hazards that no change says already, dangers first."""
    found = [hazard for hazard in plan.hazards if hazard.code != "AU100"]  # each delete is a change of its own
    yield from (hazard for hazard in found if hazard.severity == "danger")
    yield from (hazard for hazard in found if hazard.severity != "danger")


def hazard_line(hazard: Hazard) -> str:
    """`AU310 message  file:line`."""
    place = f"  {hazard.file}:{hazard.line}" if hazard.file else ""
    return clipped(f"{hazard.code} {hazard.message}{place}")


def held_lines(plan: Plan) -> Iterator[str]:
    """What the plan leaves out, and why."""
    for change in plan.withheld:
        yield clipped(f"{change.id} would be deleted ({change.reason}); it is withheld for now")
    for change in plan.held_back:
        yield clipped(f"{change.id} would change ({change.reason}); it is held back for now")
