"""A plan as a comment on a pull request: names first and never cut, details as far as the room goes.

Comments hold 65,536 characters; this stays below 65,000 bytes. When there is too much, details go first, then reasons.
"""

import re
from collections.abc import Iterator

from automations.core.diagnostic import Severity
from automations.core.plan.plan import ACTIONS, Change, Plan
from automations.core.plan.render.human import SYMBOLS, change_lines, consequence, printable, summary_line

ROOM = 65_000
"""Bytes of a whole comment."""
_MARK = "<!-- automations plan -->"
"""Lets a later run find and replace the comment."""


def markdown(plan: Plan) -> str:
    """The comment, ending in a newline, with as much as fits."""
    head = f"{_MARK}\n### Automations\n\n**{summary_line(plan)}**\n"
    warnings = "".join(f"\n> ⚠️ {_text(line)}\n" for line in _warnings(plan))
    table = head + warnings + _table(plan)
    if len(table.encode()) > ROOM:
        table = head + warnings + _names(plan)
    return table + _details(plan, room=ROOM - len(table.encode()))


def _warnings(plan: Plan) -> Iterator[str]:
    for hazard in plan.hazards:
        if hazard.code != "AU100":  # each delete stands in the table already
            yield f"{hazard.code} {hazard.message}"
    errors = [each for each in plan.diagnostics if each.severity is Severity.ERROR]
    for error in errors[:20]:
        yield f"{error.span}: {error.message} ({error.code})"
    if len(errors) > 20:
        yield f"and {len(errors) - 20} more errors"


def _table(plan: Plan) -> str:
    if not plan.changes:
        return ""
    rows = "".join(
        f"| {SYMBOLS[change.action]} | {_name(change)} | {_text(change.reason)} | {_text(consequence(change))} |\n"
        for change in plan.changes
    )
    return f"\n| | what | why | in flight |\n|---|---|---|---|\n{rows}"


def _names(plan: Plan) -> str:
    lines = [""]
    for action in ACTIONS:
        found = [_name(change) for change in plan.changes if change.action == action]
        if found:
            lines.append(f"{SYMBOLS[action]} **{action}** ({len(found)}): {', '.join(found)}\n")
    return "\n".join(lines)


def _details(plan: Plan, *, room: int) -> str:
    """The changes' fields in a fold, whole changes only, and how many did not fit."""
    shown: list[str] = []
    blocks = ["\n".join(change_lines(change)) for change in plan.changes if change.fields]
    fence = "`" * max(3, 1 + max((len(run) for block in blocks for run in re.findall("`+", block)), default=0))
    start = f"\n<details><summary>Changed fields</summary>\n\n{fence}diff\n"
    room -= len(start.encode()) + len(fence) + 120
    for block in blocks:
        room -= len(block.encode()) + 2
        if room < 0:
            break
        shown.append(block)
    if not shown:
        return ""
    rest = len(blocks) - len(shown)
    note = f"\n… and {rest} more; see the job's log or `automations plan`.\n" if rest else ""
    return start + "\n\n".join(shown) + f"\n{fence}\n{note}\n</details>\n"


def _name(change: Change) -> str:
    kind = "" if change.resource == "automation" else "action "
    return f"{kind}`{change.id}`"


def _text(text: str) -> str:
    """Text that stays text: no table cell, link, mention or markup comes out of it."""
    return re.sub(r"([\\`*_{}\[\]<>#|@!~&])", r"\\\1", printable(text))
