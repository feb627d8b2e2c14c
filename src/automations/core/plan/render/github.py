"""A plan as GitHub workflow commands: annotations on the changed lines, errors and warnings where they stand.

Source: GitHub's "Workflow commands": data escapes `%`, CR and LF, properties `:` and `,` as well.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

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
NAMES = 300
"""Characters for the names of what else changes."""
LONGEST = 2_000
"""Characters of one annotation."""
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def github(plan: Plan) -> str:
    """One command a line, the summary last as plain text; ends in a newline."""
    return "\n".join((*_lines(plan), printable(summary_line(plan)))) + "\n"


def _lines(plan: Plan) -> Iterator[str]:
    yield from annotations(plan.diagnostics)
    for hazard in told(plan):
        level = "error" if hazard.refused else "warning" if hazard.severity == "danger" else "notice"
        place = {"file": hazard.file, "line": str(hazard.line)} if hazard.file else {}
        yield _command(level, {**place, "title": hazard.code}, hazard.message)
    for change in plan.changes:
        yield from _change(change)
    for line in held_lines(plan):
        yield _command("warning", {"title": "withheld"}, line)


def annotations(found: Iterable[Diagnostic]) -> Iterator[str]:
    """What was found in files, a command for each, where it stands."""
    for each in found:
        place = {"file": each.span.file, "line": str(each.span.line), "col": str(each.span.column)}
        hint = f" ({each.hint})" if each.hint else ""
        yield _command(_LEVELS[each.severity], {**place, "title": each.code}, f"{each.message}{hint}")


def _change(change: Change) -> Iterator[str]:
    """What changes as a whole, where it begins, and a command for every other line with all that changes there."""
    level = "warning" if change.action == "delete" else "notice"
    title = f"{change.action} {name_of(change)}"
    if not change.file or change.action == "delete":
        yield _command(level, {"title": title}, _whole(change))
        return
    fields: dict[int, list[str]] = {change.line: []}
    for each, line in change.fields:
        fields.setdefault(line, []).append(clipped(field_text(each)))
    for line, texts in list(fields.items())[:MOST_LINES]:
        lines = [_whole(change), *texts] if line == change.line else texts
        yield _command(level, {**_place(change.file, line), "title": title}, *_below(lines))


def _whole(change: Change) -> str:
    """Why, what else, and what comes of it."""
    effect = consequence(change)
    message = reason_of(change) + _others(change) + (f"; in flight: {effect}" if effect else "")
    message += "".join(f"; {line}" for line in pin_lines(change))
    return message + (f"; to keep its history write: {change.suggestion}" if change.suggestion else "")


def _others(change: Change) -> str:
    """The names behind `and 3 more`, as many as there is room for."""
    names = [clipped(each.label) for each, _ in change.fields[1:]]
    if not names or not change.reason.endswith(f" and {len(names)} more"):
        return ""
    shown = names[: _fitting(names, NAMES)]
    rest = len(names) - len(shown)
    return f": {', '.join(shown)}{', …' if rest else ''}" if shown else ""


def _below(lines: Sequence[str]) -> Sequence[str]:
    """Lines of one command, as many as there is room for, and how many others there are."""
    shown = max(1, _fitting(lines, LONGEST))
    rest = len(lines) - shown
    return (*lines[:shown], f"and {rest} more on this line") if rest else lines


def _fitting(texts: Sequence[str], room: int) -> int:
    """How many of these fit into so many characters, with two between them."""
    ends = accumulate(len(text) + 2 for text in texts)
    return sum(end <= room for end in ends)


def notice(title: str, message: str) -> str:
    """One notice without a place."""
    return _command("notice", {"title": title}, message)


def _place(file: str | None, line: int) -> dict[str, str]:
    return {"file": file or "", "line": str(line)}


def _command(level: str, properties: dict[str, str], *lines: str) -> str:
    given = ",".join(f"{key}={_property(clipped(value))}" for key, value in properties.items())
    text = "\n".join(clipped(line, LONGEST) for line in lines)
    return f"::{level} {given}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
