"""A plan as a person reads it in a terminal: summary first, then each change with its reason, place and consequences."""

from collections.abc import Iterator
from typing import Any

from automations.core.canonical import encode
from automations.core.diagnostic import Severity
from automations.core.plan.diff import ABSENT, Field
from automations.core.plan.plan import Change, Plan

SYMBOLS = {"create": "+", "update": "~", "rename": "→", "move": "→", "adopt": "±", "delete": "-"}
COLORS = {"+": "32", "~": "33", "→": "36", "±": "35", "-": "31"}
WIDEST = 100
"""A value longer than this many characters is cut in the middle of a line."""


def human(plan: Plan, *, color: bool = False) -> str:
    """The whole text, ending in a newline. Colours are ANSI codes, only when asked for."""
    lines = [summary_line(plan), ""]
    for change in plan.changes:
        lines.extend(_change(change, color=color))
        lines.append("")
    for hazard in plan.hazards:
        if hazard.code != "AU100":  # each delete stands above already
            lines += [_paint(f"! {hazard.code} {hazard.message}", "31", color=color), ""]
    for change in plan.withheld:
        lines += [printable(f"! {change.id} would be deleted ({change.reason}); it is withheld for now"), ""]
    lines.extend(_diagnostics(plan, color=color))
    return "\n".join(lines).rstrip("\n") + "\n"


def summary_line(plan: Plan) -> str:
    """`Plan: 2 to add, 1 to change, 0 to destroy; 41 unchanged, not rebound`, or that nothing changes."""
    counts = plan.summary()
    if not plan.changes:
        return f"No changes: {counts['unchanged']} unchanged, not rebound."
    words = (("create", "add"), ("update", "change"), ("rename", "rename"), ("move", "move"), ("adopt", "adopt"))
    parts = [
        f"{counts[action]} to {word}" for action, word in words if counts[action] or action in ("create", "update")
    ]
    parts.append(f"{counts['delete']} to destroy")
    return f"Plan: {', '.join(parts)}; {counts['unchanged']} unchanged, not rebound."


def printable(text: str) -> str:
    """The text with everything that could drive a terminal or forge a line (controls, direction marks) escaped."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _change(change: Change, *, color: bool) -> Iterator[str]:
    symbol = SYMBOLS[change.action]
    kind = "" if change.resource == "automation" else "action "
    place = f"  {change.file}:{change.line}" if change.file and change.action != "delete" else ""
    yield _paint(f"{symbol} {kind}{change.id}", COLORS[symbol], color=color) + printable(place)
    yield printable(f"    {change.reason}")
    for line in _fields(change):
        yield f"    {line}"
    effect = consequence(change)
    if effect:
        yield f"    in flight: {effect}"


def change_lines(change: Change) -> Iterator[str]:
    """A change as plain lines for a fold or a log: what it is, where, and its fields."""
    place = f" {change.file}:{change.line}" if change.file and change.action != "delete" else ""
    yield printable(f"{SYMBOLS[change.action]} {change.id}{place}")
    yield from _fields(change)


def _fields(change: Change) -> Iterator[str]:
    for each, line in change.fields:
        yield printable(_field(each) + (f"  (line {line})" if each.after is not ABSENT else ""))


def _field(each: Field) -> str:
    if each.before is ABSENT:
        return f"+ {each.label}: {show(each.after)}"
    if each.after is ABSENT:
        return f"- {each.label}: {show(each.before)}"
    return f"~ {each.label}: {show(each.before)} → {show(each.after)}"


def show(value: Any) -> str:
    """A value on one line, cut when long."""
    text = encode(value)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 20]} … ({len(text)} characters)"


def consequence(change: Change) -> str:
    """What a change does to work in flight, in words; empty when there is none."""
    counts = change.in_flight
    parts = [
        f"{count} {word}"
        for count, word in (
            (counts.running, "running"),
            (counts.queued, "queued"),
            (counts.retrying, "retrying"),
            (counts.waiting_approval, "waiting for approval"),
            (counts.dead, "in the dead-letter queue"),
        )
        if count
    ]
    if not parts:
        return ""
    ending = "no new runs start; these finish" if change.action == "delete" else "these finish"
    return f"{', '.join(parts)}; {ending} on the generation they started with"


def _diagnostics(plan: Plan, *, color: bool) -> Iterator[str]:
    for diagnostic in plan.diagnostics:
        shade = "31" if diagnostic.severity is Severity.ERROR else "33"
        severity = _paint(diagnostic.severity, shade, color=color)
        yield f"{printable(str(diagnostic.span))}: {severity}: {printable(diagnostic.message)} [{diagnostic.code}]"
        if diagnostic.hint:
            yield printable(f"    {diagnostic.hint}")


def _paint(text: str, code: str, *, color: bool) -> str:
    shown = printable(text)
    return f"\x1b[{code}m{shown}\x1b[0m" if color else shown
