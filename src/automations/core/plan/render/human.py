"""A plan as a person reads it in a terminal: summary first, then each change with its reason, places and consequences."""

from collections.abc import Iterator

from automations.core.diagnostic import Severity
from automations.core.plan.change import Change
from automations.core.plan.plan import Plan
from automations.core.plan.render.words import (
    SYMBOLS,
    clipped,
    effect_lines,
    field_lines,
    hazard_line,
    held_lines,
    name_of,
    old_place_of,
    place_of,
    printable,
    reason_of,
    summary_line,
    told,
    unsound_lines,
)

COLORS = {"+": "32", "~": "33", "→": "36", "±": "35", "-": "31"}


def human(plan: Plan, *, color: bool = False) -> str:
    """The whole text, ending in a newline. Colours are ANSI codes, only when asked for."""
    lines = [summary_line(plan), *unsound_lines(plan), ""]
    for change in plan.changes:
        lines.extend(_change(change, color=color))
        lines.append("")
    for hazard in told(plan):
        shade = "31" if hazard.severity == "danger" else "33"
        lines += [_paint(f"{'!' if shade == '31' else '·'} {hazard_line(hazard)}", shade, color=color), ""]
    for line in held_lines(plan):
        lines += [f"! {line}", ""]
    lines.extend(_diagnostics(plan, color=color))
    return "\n".join(lines).rstrip("\n") + "\n"


def _change(change: Change, *, color: bool) -> Iterator[str]:
    symbol = SYMBOLS[change.action]
    place, before = place_of(change), old_place_of(change)
    where = f"  {place}" if place else ""
    where += f"  (was {before})" if before else ""
    yield _paint(clipped(f"{symbol} {name_of(change)}"), COLORS[symbol], color=color) + where
    yield f"    {reason_of(change)}"
    for line in (*field_lines(change), *effect_lines(change)):
        yield f"    {line}"


def _diagnostics(plan: Plan, *, color: bool) -> Iterator[str]:
    for diagnostic in plan.diagnostics:
        shade = "31" if diagnostic.severity is Severity.ERROR else "33"
        severity = _paint(diagnostic.severity, shade, color=color)
        place, message = clipped(str(diagnostic.span)), clipped(diagnostic.message)
        yield f"{place}: {severity}: {message} [{diagnostic.code}]"
        if diagnostic.hint:
            yield f"    {clipped(diagnostic.hint)}"


def _paint(text: str, code: str, *, color: bool) -> str:
    shown = printable(text)
    return f"\x1b[{code}m{shown}\x1b[0m" if color else shown
