"""A plan as GitHub workflow commands: annotations on the changed lines, errors and warnings where they stand.

Source: GitHub's "Workflow commands": data escapes `%`, CR and LF, properties `:` and `,` as well.
"""

from collections.abc import Iterable, Iterator

from automations.core.diagnostic import Diagnostic, Severity
from automations.core.plan.change import Change
from automations.core.plan.plan import Plan
from automations.core.plan.render.pin_lines import pin_lines
from automations.core.plan.render.words import (
    clipped,
    consequence,
    field_text,
    held_lines,
    name_of,
    printable,
    reason_of,
    summary_line,
    told,
)

MOST_LINES = 20
"""Changed lines of one automation that get an annotation each."""
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def github(plan: Plan) -> str:
    """One command a line, the summary last as plain text; ends in a newline."""
    return "\n".join((*_lines(plan), printable(summary_line(plan)))) + "\n"


def _lines(plan: Plan) -> Iterator[str]:
    yield from annotations(plan.diagnostics)
    for hazard in told(plan):
        level = "error" if hazard.refused else "warning" if hazard.severity == "danger" else "notice"
        place = {"file": hazard.file, "line": str(hazard.line)} if hazard.file else {}
        yield _command(level, hazard.message, {**place, "title": hazard.code})
    for change in plan.changes:
        yield from _change(change)
    for line in held_lines(plan):
        yield _command("warning", line, {"title": "withheld"})


def annotations(found: Iterable[Diagnostic]) -> Iterator[str]:
    """What was found in files, a command for each, where it stands."""
    for each in found:
        place = {"file": each.span.file, "line": str(each.span.line), "col": str(each.span.column)}
        hint = f" ({each.hint})" if each.hint else ""
        yield _command(_LEVELS[each.severity], f"{each.message}{hint}", {**place, "title": each.code})


def _change(change: Change) -> Iterator[str]:
    level = "warning" if change.action == "delete" else "notice"
    effect = consequence(change)
    message = reason_of(change) + (f"; in flight: {effect}" if effect else "")
    message += "".join(f"; {line}" for line in pin_lines(change))
    message += f"; to keep its history write: {change.suggestion}" if change.suggestion else ""
    title = f"{change.action} {name_of(change)}"
    there = change.file and change.action != "delete"
    yield _command(level, message, {**(_place(change.file, change.line) if there else {}), "title": title})
    seen = {change.line} if len(change.fields) == 1 else set()
    for each, line in change.fields[:MOST_LINES]:
        if there and line not in seen:
            seen.add(line)
            yield _command(level, field_text(each), {**_place(change.file, line), "title": title})


def notice(title: str, message: str) -> str:
    """One notice without a place."""
    return _command("notice", message, {"title": title})


def _place(file: str | None, line: int) -> dict[str, str]:
    return {"file": file or "", "line": str(line)}


def _command(level: str, message: str, properties: dict[str, str]) -> str:
    given = ",".join(f"{key}={_property(clipped(value))}" for key, value in properties.items())
    return f"::{level} {given}::{_data(clipped(message, 2_000))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
