"""A plan as SARIF 2.1.0, for code scanning: findings and hazards as results, their codes as rules with help.

Source: OASIS, Static Analysis Results Interchange Format 2.1.0 (errata 01); the test suite validates against its schema.
"""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from automations import __version__
from automations.core.canonical import digest
from automations.core.diagnostic import Diagnostic, Severity
from automations.core.plan.change import ACTIONS, Change
from automations.core.plan.hazards import Hazard
from automations.core.plan.plan import Plan
from automations.core.plan.render.pin_lines import pin_lines
from automations.core.plan.render.words import clipped, consequence, name_of, reason_of, summary_line
from automations.core.plan.risks import RISKS

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def sarif(plan: Plan) -> dict[str, Any]:
    """The log as plain data: one run, with every finding, hazard and change."""
    results = [*map(_finding, plan.diagnostics), *map(_hazard, plan.hazards), *map(_change, plan.changes)]
    results += [_waiting(change, word) for word, changes in _waits(plan) for change in changes]
    properties = {"summary": summary_line(plan), "source": clipped(plan.source), "serial": plan.serial}
    return _log(results, list(_rules(plan)), properties)


def sarif_of(found: Sequence[Diagnostic]) -> dict[str, Any]:
    """The log of what was found in files, without a plan."""
    return _log([*map(_finding, found)], list(_rules_of(found)), {})


def _log(results: list[dict[str, Any]], rules: list[dict[str, Any]], properties: dict[str, Any]) -> dict[str, Any]:
    index = {rule["id"]: at for at, rule in enumerate(rules)}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "automations", "version": __version__, "rules": rules}},
                "columnKind": "unicodeCodePoints",
                **({"properties": properties} if properties else {}),
                "results": [{**each, "ruleIndex": index[each["ruleId"]]} for each in results],
            }
        ],
    }


def _rules(plan: Plan) -> Iterator[dict[str, Any]]:
    for code in sorted({each.code for each in plan.hazards}):
        risk = RISKS[code]
        level = "error" if risk.refused else "warning" if risk.severity == "danger" else "note"
        yield _rule(code, risk.title, risk.text, level)
    yield from _rules_of(plan.diagnostics)
    for action in ACTIONS:
        if any(change.action == action for change in plan.changes):
            yield _rule(f"plan/{action}", f"{action} in this plan", "What applying the plan would do.", "note")
    for word, changes in _waits(plan):
        if changes:
            yield _rule(
                f"plan/{word}", f"{word} in this plan", "What the plan would do, and leaves out for now.", "warning"
            )


def _rules_of(found: Sequence[Diagnostic]) -> Iterator[dict[str, Any]]:
    for code in sorted({each.code for each in found}):
        title = clipped(code.rpartition("/")[2].replace("-", " "))
        hints = sorted({each.hint for each in found if each.code == code and each.hint})
        text = clipped(hints[0], 1_000) if hints else f"See {code} in docs/reference/diagnostics.md."
        worst = "error" if any(each.severity is Severity.ERROR for each in found if each.code == code) else "warning"
        yield _rule(code, title, text, worst)


def _rule(code: str, title: str, text: str, level: str) -> dict[str, Any]:
    return {
        "id": code,
        "name": "".join(word.capitalize() for word in title.replace("'", "").split()),
        "shortDescription": {"text": title},
        "fullDescription": {"text": text},
        "help": {"text": text},
        "defaultConfiguration": {"level": level},
    }


def _finding(each: Diagnostic) -> dict[str, Any]:
    hint = f" ({each.hint})" if each.hint else ""
    region = {"startLine": each.span.line, "startColumn": each.span.column}
    return _result(each.code, _LEVELS[each.severity], f"{each.message}{hint}", file=each.span.file, region=region)


def _hazard(each: Hazard) -> dict[str, Any]:
    level = "error" if each.refused else "warning" if each.severity == "danger" else "note"
    found = _result(each.code, level, each.message, file=each.file, region={"startLine": each.line})
    return found | _logically(each.id, found)


def _change(change: Change) -> dict[str, Any]:
    effect = consequence(change)
    message = f"{change.action} {name_of(change)}: {reason_of(change)}" + (f"; in flight: {effect}" if effect else "")
    message += "".join(f"; {line}" for line in pin_lines(change))
    file = None if change.action == "delete" else change.file
    found = _result(f"plan/{change.action}", "note", message, file=file, region={"startLine": change.line})
    return found | _logically(change.id, found)


def _waits(plan: Plan) -> tuple[tuple[str, tuple[Change, ...]], ...]:
    return ("withheld", plan.withheld), ("held-back", plan.held_back)


def _waiting(change: Change, word: str) -> dict[str, Any]:
    message = f"{change.action} {name_of(change)} is {word.replace('-', ' ')} for now: {reason_of(change)}"
    file = None if change.action == "delete" else change.file
    found = _result(f"plan/{word}", "warning", message, file=file, region={"startLine": change.line})
    return found | _logically(change.id, found)


def _result(code: str, level: str, message: str, *, file: str | None, region: dict[str, int]) -> dict[str, Any]:
    text = clipped(message, 2_000)
    body: dict[str, Any] = {
        "ruleId": code,
        "level": level,
        "message": {"text": text},
        "partialFingerprints": {"automations/v1": digest([code, file or "", text])},
    }
    if file:
        place = {"artifactLocation": {"uri": quote(clipped(file), safe="/")}, "region": region}
        body["locations"] = [{"physicalLocation": place}]
    return body


def _logically(identity: str, found: dict[str, Any]) -> dict[str, Any]:
    """The automation that a result is about, beside the place in a file, if any."""
    if not identity:
        return {}
    place = found.get("locations", [{}])[0]
    return {"locations": [{**place, "logicalLocations": [{"name": clipped(identity), "kind": "resource"}]}]}
