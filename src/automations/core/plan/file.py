"""A plan file: the plan's document with everything that applying it needs, sealed by a digest over all of it.

What was approved is what is applied: specs and manifests travel in the file, nothing is read anew. It holds references, never
the value of a secret. It is good for the store and the serial that it was made for, for a day, and for one use.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from automations.core.canonical import digest
from automations.core.diagnostic import has_errors
from automations.core.instant import parse_iso
from automations.core.plan.change import ACTIONS, Change
from automations.core.plan.diff import ABSENT, Field
from automations.core.plan.effects import Effects, Repin
from automations.core.plan.hazards import Hazard
from automations.core.plan.plan import Plan
from automations.core.plan.render.document import FORMAT_VERSION, document
from automations.core.plan.risks import RISKS
from automations.core.plan.state import InFlight
from automations.core.spec.catalogue import Interpreted, interpret_document
from automations.core.spec.document import Document
from automations.errors import AutomationsError, InvalidInput, StalePlan

KIND: Final = "automations.plan"
_SEAL: Final = "fileDigest"
_OVERDUE: Final = "plan again; a plan may be applied for a day"


def to_file(plan: Plan, *, prefix: str, now: int) -> dict[str, Any]:
    """The file's document. `prefix` is what stands before file names, as in the snapshot; `now` in microseconds."""
    body = {
        "kind": KIND,
        **document(plan, now=now),
        "prefix": prefix,
        "contents": [_content(change) for change in plan.changes],
        "movedOn": list(plan.moved_on),
    }
    return {**body, _SEAL: digest(body)}


def from_file(value: Any, *, now: int) -> tuple[Plan, str, str]:
    """The plan, its prefix and the file's digest.

    Raises InvalidInput for what is no plan file, was altered, or was written by a newer program; StalePlan when it expired.
    """
    if not isinstance(value, Mapping) or value.get("kind") != KIND:
        raise InvalidInput("this is not a plan file", hint="give a directory of specs, or what `plan --out` wrote")
    version = value.get("formatVersion")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise InvalidInput(
            f"the plan file has format {version}, and this program reads formats up to {FORMAT_VERSION}",
            hint="apply it with the version of the program that wrote it",
            code="plan_format",
        )
    body = {key: each for key, each in value.items() if key != _SEAL}
    if digest(body) != value.get(_SEAL):
        raise InvalidInput("the plan file was altered after it was written", hint="plan again", code="plan_tampered")
    try:
        expires = parse_iso(body["expiresAt"])
        if expires <= now:
            raise StalePlan(f"the plan expired at {body['expiresAt']}", hint=_OVERDUE, code="plan_expired")
        return _plan(body), str(body["prefix"]), str(value[_SEAL])
    except AutomationsError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as problem:
        raise InvalidInput(
            f"the plan file is not what this program writes: {type(problem).__name__}", hint="plan again"
        ) from problem


def _content(change: Change) -> dict[str, Any]:
    raw = change.source() if change.source else None
    body = {
        "spec": change.automation.spec if change.automation else None,
        "manifest": change.manifest.document if change.manifest else None,
        "text": raw.decode(errors="replace") if raw is not None else None,
        "uid": change.uid,
        "basedOn": change.based_on,
        "previousOwner": change.previous_owner,
        "destructive": change.destructive or None,
    }
    return {key: value for key, value in body.items() if value is not None}


def _plan(body: Mapping[str, Any]) -> Plan:
    summary = body["summary"]
    changes = tuple(_change(shown, kept) for shown, kept in zip(body["changes"], body["contents"], strict=True))
    hazards = [_hazard(each) for each in body["hazards"]]
    unknown = [each.code for each in hazards if each.code not in RISKS]
    if unknown:
        raise InvalidInput(f"the plan file warns of {unknown[0]}, which this program does not know", hint="plan again")
    made = Plan(
        lineage=str(body["lineage"]),
        serial=int(body["serial"]),
        source=str(body["source"]),
        source_revision=body["sourceRevision"],
        files=dict(body["files"]),
        changes=changes,
        unchanged=int(summary["unchanged"]),
        hazards=tuple(hazards),
        diagnostics=(),
        moved_on=tuple(map(str, body["movedOn"])),
    )
    if made.summary() != summary:
        raise ValueError("summary")
    return made


def _hazard(shown: Mapping[str, Any]) -> Hazard:
    line = int(shown.get("line", 1))
    return Hazard(shown["code"], shown["id"], shown["message"], file=shown.get("file"), line=line)


def _change(shown: Mapping[str, Any], kept: Mapping[str, Any]) -> Change:
    if shown["action"] not in ACTIONS or shown["kind"] not in ("automation", "action"):
        raise ValueError(shown["action"])
    impact, text = shown["impact"], kept.get("text")
    found = _interpreted(shown, kept)
    routes = impact.get("routes", {})
    return Change(
        id=shown["id"],
        resource=shown["kind"],
        action=shown["action"],
        reason=shown["reason"],
        file=shown["file"],
        line=shown["line"],
        fields=tuple(_fields(shown)),
        previous_file=shown.get("previousFile"),
        previous_id=shown.get("previousId"),
        previous_owner=kept.get("previousOwner"),
        uid=kept.get("uid"),
        based_on=kept["basedOn"],
        in_flight=InFlight(
            impact["running"],
            impact["queued"],
            impact["retrying"],
            impact["waitingApproval"],
            impact["dead"],
            impact["pending"],
            impact.get("waitingEvents", 0),
            *(impact.get(name, 0) for name in ("begun", "notBegun", "ending")),
        ),
        automation=found.automation if found else None,
        manifest=found.manifest if found else None,
        before_file=shown.get("beforeFile"),
        before_line=shown.get("beforeLine"),
        before_lines=tuple(each.get("beforeLine") for each in shown["fields"]),
        effects=Effects(
            bound=tuple(routes.get("bound", ())),
            unbound=tuple(routes.get("unbound", ())),
            secrets=tuple(impact.get("secrets", ())),
            new_secrets=tuple(impact.get("newSecrets", ())),
            policy=impact.get("onUpdate") or impact.get("onDelete") or "finish",
            repins=tuple(_repin(each) for each in impact.get("steps", ())),
        ),
        destructive=kept.get("destructive", False),
        source=text.encode if text is not None else None,
    )


def _repin(each: Mapping[str, Any]) -> Repin:
    names = (each["automation"], each["step"], each["action"])
    return Repin(*names, each.get("before"), each.get("after"), owner=each.get("owner"))


def _interpreted(shown: Mapping[str, Any], kept: Mapping[str, Any]) -> Interpreted | None:
    """The spec or manifest, checked as any file is: another version of the program may have written it."""
    value = kept.get("spec", kept.get("manifest"))
    if shown["action"] == "delete":
        return None
    found = interpret_document(Document(shown["file"] or shown["id"], value, dict))
    declared = found.automation or found.manifest
    same = declared is not None and shown["id"] in (declared.id, f"{declared.id}@{declared.version}")
    if not same or has_errors(found.diagnostics):
        raise InvalidInput(f"the plan file's {shown['id']} is not valid to this program", hint="plan again")
    return found


def _fields(shown: Mapping[str, Any]) -> Iterator[tuple[Field, int]]:
    for each in shown["fields"]:
        # Values are shown as they were when the plan was made: secrets hidden, long ones cut.
        yield Field((), each["path"], each.get("before", ABSENT), each.get("after", ABSENT)), each["line"]
