"""A plan as its JSON document (`formatVersion` 1): what programs read, and what `--out` keeps. It holds no secret."""

from typing import Any

from automations import __version__
from automations.core.canonical import digest
from automations.core.instant import iso
from automations.core.plan.diff import ABSENT, Field
from automations.core.plan.plan import Change, Plan

FORMAT_VERSION = 1
LIFETIME = 24 * 3600 * 1_000_000
"""A plan may be applied for a day (microseconds)."""


def document(plan: Plan, *, now: int) -> dict[str, Any]:
    """The plan as plain data. `planDigest` is over everything else but `expiresAt`."""
    body: dict[str, Any] = {
        "formatVersion": FORMAT_VERSION,
        "toolVersion": __version__,
        "lineage": plan.lineage,
        "serial": plan.serial,
        "source": plan.source,
        "sourceRevision": plan.source_revision,
        "files": dict(sorted(plan.files.items())),
        "summary": plan.summary(),
        "changes": [_change(change) for change in plan.changes],
        "hazards": [
            {"code": hazard.code, "severity": hazard.severity, "id": hazard.id, "message": hazard.message}
            for hazard in plan.hazards
        ],
        "diagnostics": [diagnostic.document() for diagnostic in plan.diagnostics],
    }
    return {**body, "planDigest": digest(body), "expiresAt": iso(now + LIFETIME)}


def _change(change: Change) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": change.id,
        "kind": change.resource,
        "action": change.action,
        "reason": change.reason,
        "file": change.file,
        "line": change.line,
        "fields": [_field(each, line) for each, line in change.fields],
        "impact": change.in_flight.document(),
    }
    if change.previous_file:
        body["previousFile"] = change.previous_file
    if change.previous_id:
        body["previousId"] = change.previous_id
    return body


def _field(each: Field, line: int) -> dict[str, Any]:
    body: dict[str, Any] = {"path": each.label, "line": line}
    if each.before is not ABSENT:
        body["before"] = each.before
    if each.after is not ABSENT:
        body["after"] = each.after
    return body
