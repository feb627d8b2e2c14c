"""A plan as a comment on a pull request: names first and never cut, details as far as the room goes.

Comments hold 65,536 characters; this stays below 65,000 bytes. When there is too much, details go first, then reasons, then
warnings, and each time a word says so.
"""

import re
from collections.abc import Iterable, Iterator

from automations.core.diagnostic import Severity
from automations.core.plan.change import ACTIONS, Change
from automations.core.plan.plan import Plan
from automations.core.plan.render.words import (
    SYMBOLS,
    clipped,
    consequence,
    effect_lines,
    field_lines,
    hazard_line,
    held_lines,
    old_place_of,
    place_of,
    printable,
    reason_of,
    summary_line,
    told,
)

ROOM = 62_000
"""Bytes of a comment on a plan; with a fold below it stays under 65,000."""
FOLD = 2_500
"""Bytes of a fold below the plan."""
_MARK = "<!-- automations plan -->"
"""Lets a later run find and replace the comment."""
_RESERVE = 400
"""Bytes for the words that say what was left out."""


def markdown(plan: Plan) -> str:
    """The comment, ending in a newline, with as much as fits."""
    head = f"{_MARK}\n### Automations\n\n**{summary_line(plan)}**\n"
    table, warnings = _table(plan), [f"\n> {line}\n" for line in _warnings(plan)]
    if _size(head, table, *warnings) > ROOM:
        table = _names(plan, room=ROOM - _size(head) - _RESERVE)
        warnings = _fitting(warnings, room=ROOM - _size(head, table) - _RESERVE)
    text = head + "".join(warnings) + table
    return text + _details(plan, room=ROOM - _size(text))


def fold(title: str, lines: list[str]) -> str:
    """Lines below a plan that are shown when asked for, as many as fit."""
    fence = "`" * max(3, 1 + _longest_run(lines))
    shown = _fitting([f"{line}\n" for line in lines], room=FOLD)
    return f"\n<details><summary>{title}</summary>\n\n{fence}\n{''.join(shown)}{fence}\n\n</details>\n"


def _size(*texts: str) -> int:
    return sum(len(text.encode()) for text in texts)


def _fitting(lines: list[str], *, room: int) -> list[str]:
    """The first lines, as many as fit, and how many did not."""
    shown: list[str] = []
    for line in lines:
        room -= _size(line)
        if room < 0:
            return [*shown, f"\n> and {len(lines) - len(shown)} more; see `automations plan`\n"]
        shown.append(line)
    return shown


def _warnings(plan: Plan) -> Iterator[str]:
    for hazard in told(plan):
        yield f"{'⚠️' if hazard.severity == 'danger' else 'ℹ️'} {_text(hazard_line(hazard))}"  # noqa: RUF001  # the sign
    for line in held_lines(plan):
        yield f"⚠️ {_text(line)}"
    errors = [each for each in plan.diagnostics if each.severity is Severity.ERROR]
    for error in errors[:20]:
        yield f"⚠️ {_text(clipped(f'{error.span}: {error.message} ({error.code})'))}"
    if len(errors) > 20:
        yield f"⚠️ and {len(errors) - 20} more errors"


def _table(plan: Plan) -> str:
    if not plan.changes:
        return ""
    rows = "".join(
        f"| {SYMBOLS[change.action]} | {_name(change)} | {_text(reason_of(change))} | {_text(consequence(change))} |\n"
        for change in plan.changes
    )
    return f"\n| | what | why | in flight |\n|---|---|---|---|\n{rows}"


def _names(plan: Plan, *, room: int) -> str:
    """All names by action; if not even these fit, as many as do."""
    lines = [""]
    left = 0
    for action in ACTIONS:
        names = [_name(change) for change in plan.changes if change.action == action]
        if not names:
            continue
        room -= 40
        shown = []
        for name in names:
            room -= _size(name) + 2
            if room < 0:
                break
            shown.append(name)
        left += len(names) - len(shown)
        lines.append(f"{SYMBOLS[action]} **{action}** ({len(names)}): {', '.join(shown)}\n")
    if left:
        lines.append(f"and {left} more; see `automations plan`\n")
    return "\n".join(lines)


def _details(plan: Plan, *, room: int) -> str:
    """The changes' fields and effects in a fold, whole changes only, and how many did not fit."""
    blocks = [block for block in map(_block, plan.changes) if block]
    fence = "`" * max(3, 1 + _longest_run(blocks))
    start = f"\n<details><summary>Details</summary>\n\n{fence}diff\n"
    room -= _size(start, fence) + 120
    shown: list[str] = []
    for block in blocks:
        room -= _size(block) + 2
        if room < 0:
            break
        shown.append(block)
    rest = len(blocks) - len(shown)
    if not shown:
        return f"\nDetails of {rest} do not fit here; see `automations plan`.\n" if rest and room > -_RESERVE else ""
    note = f"\n… and {rest} more; see the job's log or `automations plan`.\n" if rest else ""
    return start + "\n\n".join(shown) + f"\n{fence}\n{note}\n</details>\n"


def _block(change: Change) -> str:
    lines = [*field_lines(change), *(line for line in effect_lines(change) if not line.startswith("in flight: "))]
    if not lines:
        return ""
    before = old_place_of(change)
    head = f"{SYMBOLS[change.action]} {change.id} {place_of(change)}".rstrip() + (f" (was {before})" if before else "")
    return "\n".join((printable(head), *lines))


def _longest_run(blocks: Iterable[str]) -> int:
    return max((len(run) for block in blocks for run in re.findall("`+", block)), default=0)


def _name(change: Change) -> str:
    kind = "" if change.resource == "automation" else "action "
    shown = clipped(change.id)
    mark = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    inner = shown.replace("|", "\\|")
    return f"{kind}{mark}{inner}{mark}" if mark == "`" else f"{kind}{mark} {inner} {mark}"


def _text(text: str) -> str:
    """Text that stays text: no table cell, link, mention or markup comes out of it."""
    return re.sub(r"([\\`*_{}\[\]<>#|@!~&])", r"\\\1", printable(text))
