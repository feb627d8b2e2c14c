"""A plan as GitHub workflow commands: an annotation on each changed line, errors and warnings where they stand.

Source: GitHub's "Workflow commands": data escapes `%`, CR and LF, properties `:` and `,` as well.
"""

from collections.abc import Iterator

from automations.core.diagnostic import Severity
from automations.core.plan.plan import Change, Plan
from automations.core.plan.render.human import consequence, printable, summary_line

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def github(plan: Plan) -> str:
    """One command a line, the summary last as plain text; ends in a newline."""
    return "\n".join((*_lines(plan), printable(summary_line(plan)))) + "\n"


def _lines(plan: Plan) -> Iterator[str]:
    for each in plan.diagnostics:
        place = {"file": each.span.file, "line": str(each.span.line), "col": str(each.span.column)}
        hint = f" ({each.hint})" if each.hint else ""
        yield _command(_LEVELS[each.severity], f"{each.message}{hint}", {**place, "title": each.code})
    for change in plan.changes:
        yield _change(change)
    for hazard in plan.hazards:
        if hazard.code != "AU100":  # each delete is an annotation already
            yield _command("error" if hazard.refused else "warning", hazard.message, {"title": hazard.code})


def _change(change: Change) -> str:
    level = "warning" if change.action == "delete" else "notice"
    effect = consequence(change)
    message = change.reason + (f"; in flight: {effect}" if effect else "")
    place = {"file": change.file, "line": str(change.line)} if change.file and change.action != "delete" else {}
    return _command(level, message, {**place, "title": f"{change.action} {change.id}"})


def _command(level: str, message: str, properties: dict[str, str]) -> str:
    given = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{level} {given}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
