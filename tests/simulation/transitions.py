"""The page on runs as an invariant: no run or action goes a way that the page does not tell."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from simulation.mirror import Moment

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "runs.md"
_ROW = re.compile(r"^\| (?:`(\w+)`|\((none)\)) \| `(\w+)` \|", re.MULTILINE)
Ways = Mapping[str, frozenset[str]]


def told(section: str) -> set[tuple[str, str]]:
    """The transitions of a section, as (from, to); `none` for what did not exist."""
    text = PAGE.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    return {(found[0] or found[1], found[2]) for found in _ROW.findall(text)}


@cache
def ways(section: str) -> Ways:
    """Where each state may lead within one commit, which may take several transitions."""
    reached: dict[str, set[str]] = defaultdict(set)
    for before, after in told(section):
        reached[before].add(after)
    for _ in reached:
        for before in list(reached):
            for after in list(reached[before]):
                reached[before] |= reached.get(after, set())
    return {before: frozenset(after) for before, after in reached.items()}


def page_rule(moment: Moment) -> Iterator[str]:
    """Every change of state in a commit is one, or several, of the page's."""
    for table, section in (("runs", "Transitions of a run"), ("actions", "Transitions of an action")):
        for change in moment.of(table):
            before, after = change.old["status"] if change.old else "none", change.new and change.new["status"]
            if before != after and after not in ways(section).get(before, frozenset()):
                yield f"{table} {change.key[0]} went from {before} to {after}, which the page on runs does not tell"
