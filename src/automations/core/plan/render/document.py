"""A plan as its JSON document (`formatVersion` 1): what programs read, and what `--out` keeps. It holds no secret."""

from typing import Any

from automations import __version__
from automations.core.canonical import digest, encode
from automations.core.instant import iso
from automations.core.plan.change import Change
from automations.core.plan.diff import ABSENT, Field
from automations.core.plan.hazards import Hazard
from automations.core.plan.plan import Plan
from automations.core.plan.policy import ended
from automations.core.plan.render.words import HIDDEN, concealed, revealed

FORMAT_VERSION = 1
LIFETIME = 24 * 3600 * 1_000_000
"""A plan may be applied for a day (microseconds)."""
LONGEST_VALUE = 16_384
"""A field's value whose text is longer than this many characters is given as the beginning of that text, `truncated`."""


def document(plan: Plan, *, now: int) -> dict[str, Any]:
    """The plan as plain data. `planDigest` is over everything that does not depend on when one looks.

    That leaves out `expiresAt`, and `impact.schedules`: when schedules fire next.
    """
    changes = [_change(change) for change in plan.changes]
    body: dict[str, Any] = {
        "formatVersion": FORMAT_VERSION,
        "toolVersion": __version__,
        "lineage": plan.lineage,
        "serial": plan.serial,
        "source": plan.source,
        "sourceRevision": plan.source_revision,
        "files": dict(sorted(plan.files.items())),
        "summary": plan.summary(),
        "changes": changes,
        "withheld": [_waiting(change) for change in (*plan.withheld, *plan.held_back)],
        "hazards": [_hazard(hazard) for hazard in plan.hazards],
        "diagnostics": [diagnostic.document() for diagnostic in plan.diagnostics],
    }
    sealed = digest(body)
    for change, shown in zip(plan.changes, changes, strict=True):
        if change.effects.fires:
            shown["impact"]["schedules"] = change.effects.schedules()
    return {**body, "planDigest": sealed, "expiresAt": iso(now + LIFETIME)}


def _hazard(hazard: Hazard) -> dict[str, Any]:
    body = {"code": hazard.code, "severity": hazard.severity, "id": hazard.id, "message": hazard.message}
    return body | ({"file": hazard.file, "line": hazard.line} if hazard.file else {})


def _waiting(change: Change) -> dict[str, Any]:
    """What the plan leaves out for now."""
    shown = {"id": change.id, "kind": change.resource, "action": change.action}
    return shown | {"reason": change.reason, "file": change.file}


def _change(change: Change) -> dict[str, Any]:
    before = (*change.before_lines, *[None] * (len(change.fields) - len(change.before_lines)))
    body: dict[str, Any] = {
        "id": change.id,
        "kind": change.resource,
        "action": change.action,
        "reason": change.reason,
        "file": change.file,
        "line": change.line,
        "fields": [_field(each, line, was) for (each, line), was in zip(change.fields, before, strict=True)],
        "impact": _impact(change),
    }
    given = {
        "previousFile": change.previous_file,
        "previousId": change.previous_id,
        "beforeFile": change.before_file if change.before_line is not None else None,
        "beforeLine": change.before_line,
        "suggestion": change.suggestion,
    }
    return body | {key: value for key, value in given.items() if value is not None}


def _impact(change: Change) -> dict[str, Any]:
    if change.resource == "action":
        return {**change.in_flight.document(), "cancels": 0, **change.effects.document()}
    word = "onDelete" if change.action == "delete" else "onUpdate"
    counts = {**change.in_flight.document(), "cancels": ended(change.in_flight, change.effects.policy)}
    return {**counts, word: change.effects.policy, **change.effects.document()}


def _field(each: Field, line: int, before_line: int | None) -> dict[str, Any]:
    body: dict[str, Any] = {"path": each.label, "line": line}
    if before_line is not None:
        body["beforeLine"] = before_line
    for name, value in (("before", each.before), ("after", each.after)):
        if value is not ABSENT:
            body[name], cut = _value(each, value)
            body |= {"truncated": True} if cut else {}
    return body


def _value(each: Field, value: Any) -> tuple[Any, bool]:
    """The value, without literal secrets; the beginning of its text where that is long."""
    if concealed(each, value):
        return HIDDEN, False
    shown = revealed(value)
    text = encode(shown)
    return (text[:LONGEST_VALUE], True) if len(text) > LONGEST_VALUE else (shown, False)
