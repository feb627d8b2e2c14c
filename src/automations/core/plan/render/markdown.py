"""A plan as a comment on a pull request: errors and names first, details as far as the room goes.

Comments hold 65,536 characters; this stays below 65,000 bytes. When there is too much, details go first, then reasons, then
notices, then dangers beyond the first ones; then names that begin alike are written together, then dangers are only counted and
errors cut, and only when even that is not enough are names left out. Each time a word says so. How many errors there are and how
much is withheld stands in the head, whatever is cut.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from automations.core.diagnostic import Diagnostic, Severity
from automations.core.plan.change import ACTIONS, Change
from automations.core.plan.hazards import Hazard
from automations.core.plan.plan import Plan
from automations.core.plan.render.names import folded
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
_RESERVE = 800
"""Bytes for the words that say what was left out."""
_ERRORS = 12_000
"""Bytes of errors that come before anything else when not everything fits."""
_DANGERS = 6_000
"""Bytes of dangers that come before the names when not everything fits."""
_MOST_ERRORS = 20
_LEAST = 500
"""Bytes for the counts of dangers where there is no room for themselves."""


def markdown(plan: Plan) -> str:
    """The comment, ending in a newline, with as much as fits."""
    head = f"{_MARK}\n### Automations\n\n**{summary_line(plan)}**{_apart(plan)}\n"
    warnings = [*_errors(plan), *(_quoted(f"⚠️ {_text(line)}") for line in held_lines(plan)), *_hazards(plan)]
    table = _table(plan)
    if _size(head, table, *warnings) > ROOM:
        warnings, table = _shortened(plan, room=ROOM - _size(head))
    text = head + "".join(warnings) + table
    return text + _details(plan, room=ROOM - _size(text))


def fold(title: str, lines: list[str]) -> str:
    """Lines below a plan that are shown when asked for, as many as fit."""
    fence = "`" * max(3, 1 + _longest_run(lines))
    rest = "\n> and {} more; see `automations plan`\n"
    listed = [f"{line}\n" for line in lines]
    shown = _fitting(listed, room=FOLD, note=lambda count: rest.format(len(lines) - count))
    return f"\n<details><summary>{title}</summary>\n\n{fence}\n{''.join(shown)}{fence}\n\n</details>\n"


def _size(*texts: str) -> int:
    return sum(len(text.encode()) for text in texts)


def _shortened(plan: Plan, *, room: int) -> tuple[list[str], str]:
    """Errors, then some dangers, then the names of all that changes or waits, then the other hazards, as far as they fit."""
    dangers = _size(*(line for each, line in zip(told(plan), _hazards(plan), strict=True) if each.severity == "danger"))
    for fewest, first in ((_ERRORS, _DANGERS), (_ERRORS, _LEAST), (_LEAST, _LEAST)):
        errors = _errors(plan, room=fewest)
        left = room - _size(*errors) - _RESERVE
        names, missing = _names(plan, room=left - min(first, dangers))
        if not missing:
            break
    return [*errors, *_hazards(plan, room=left - _size(names))], names


def _fitting(lines: list[str], *, room: int, note: Callable[[int], str], most: int | None = None) -> list[str]:
    """The first lines, as many as fit and at most so many, and a note after this many when there are more."""
    shown: list[str] = []
    for line in lines:
        room -= _size(line)
        if room < 0 or len(shown) == most:
            return [*shown, note(len(shown))]
        shown.append(line)
    return shown


def _apart(plan: Plan) -> str:
    """How many errors there are and how much waits, which the summary does not count."""
    errors, gone, back = len(_bad(plan)), len(plan.withheld), len(plan.held_back)
    told = [f"{errors} {'error' if errors == 1 else 'errors'}"] if errors else []
    told += [f"{gone} {'delete' if gone == 1 else 'deletes'} withheld"] if gone else []
    told += [f"{back} {'change' if back == 1 else 'changes'} held back"] if back else []
    return f"\n\n**{', '.join(told)}**" if told else ""


def _bad(plan: Plan) -> list[Diagnostic]:
    return [each for each in plan.diagnostics if each.severity is Severity.ERROR]


def _errors(plan: Plan, *, room: int = ROOM) -> list[str]:
    found = _bad(plan)
    lines = [_quoted(f"⚠️ {_text(clipped(f'{each.span}: {each.message} ({each.code})'))}") for each in found]

    def note(shown: int) -> str:
        return _quoted(f"⚠️ and {len(found) - shown} more errors; see `automations plan`")

    return _fitting(lines, room=room, note=note, most=_MOST_ERRORS)


def _hazards(plan: Plan, *, room: int | None = None) -> list[str]:
    """A line for each, dangers first; with `room` as many as fit, and the codes of the others with their counts."""
    found = list(told(plan))
    lines = [_quoted(f"{_sign(each)} {_text(hazard_line(each))}") for each in found]

    def note(shown: int) -> str:
        codes = Counter(each.code for each in found[shown:])
        counts = ", ".join(f"{code}: {count}" for code, count in sorted(codes.items()))
        return _quoted(f"and {len(found) - shown} more warnings ({counts}); see `automations plan`")

    return lines if room is None else _fitting(lines, room=room, note=note)


def _sign(hazard: Hazard) -> str:
    return "⚠️" if hazard.severity == "danger" else "ℹ️"  # noqa: RUF001  # the sign


def _quoted(line: str) -> str:
    return f"\n> {line}\n"


def _table(plan: Plan) -> str:
    if not plan.changes:
        return ""
    rows = "".join(
        f"| {SYMBOLS[change.action]} | {_name(change)} | {_text(reason_of(change))} | {_text(consequence(change))} |\n"
        for change in plan.changes
    )
    return f"\n| | what | why | in flight |\n|---|---|---|---|\n{rows}"


def _names(plan: Plan, *, room: int) -> tuple[str, int]:
    """All names, first of what waits, then by action; if not even these fit, as many as do, and how many are missing."""
    groups = {"withheld": plan.withheld, "held back": plan.held_back}
    groups |= {action: tuple(each for each in plan.changes if each.action == action) for action in ACTIONS}
    room -= 80  # the word about what is missing
    total = sum(map(len, groups.values()))
    for together in (False, True):
        text = _listed(groups, total, together=together)
        if _size(text) <= room:
            return text, 0
    fits = bisect_right(range(total + 1), room, key=lambda most: _size(_listed(groups, most, together=True))) - 1
    left = total - max(fits, 0)
    text = _listed(groups, max(fits, 0), together=True)
    return f"{text}\nand {left} more; see `automations plan`\n", left


def _listed(groups: Mapping[str, tuple[Change, ...]], most: int, *, together: bool) -> str:
    """A line for each group with its count and its names, at most so many in all."""
    lines = [""]
    for word, changes in groups.items():
        if changes:
            shown = changes[:most]
            most -= len(shown)
            names = list(_together(shown)) if together else [*map(_name, shown)]
            lines.append(f"{SYMBOLS.get(word, '⚠️')} **{word}** ({len(changes)}): {', '.join(names)}\n")
    return "\n".join(lines)


def _together(changes: tuple[Change, ...]) -> Iterator[str]:
    """Names in little room, those of automations before those of actions."""
    for kind, before in (("automation", ""), ("action", "action ")):
        names = [clipped(each.id) for each in changes if each.resource == kind]
        yield from (f"{before}{_code(each)}" for each in folded(names))


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
    return f"{kind}{_code(clipped(change.id))}"


def _code(shown: str) -> str:
    """A name as code, whatever is in it."""
    mark = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    inner = shown.replace("|", "\\|")
    return f"{mark}{inner}{mark}" if mark == "`" else f"{mark} {inner} {mark}"


def _text(text: str) -> str:
    """Text that stays text: no table cell, link, mention or markup comes out of it."""
    return re.sub(r"([\\`*_{}\[\]<>#|@!~&])", r"\\\1", printable(text))
