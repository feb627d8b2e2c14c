"""Names in little room: those that begin alike are written once, as shells write them: `team.{build, ship}`."""

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile

_PLAIN = re.compile(r"[\w.:@+-]+")
"""What reads the same within braces; anything else stands alone."""
_SHORTEST = (4, 8, 16, 32, 64)
"""Characters that two neighbours must have in common to be written together; whichever makes the shortest text is taken."""


def folded(names: Sequence[str]) -> list[str]:
    """The same names in alphabetical order, in as few characters as such writing takes."""
    if not names:
        return []
    ordered = sorted(names)
    plain = [_PLAIN.fullmatch(name) is not None for name in ordered]
    alike = [0] + [
        len(_shared(*ordered[at - 1 : at + 1])) if plain[at - 1] and plain[at] else 0 for at in range(1, len(ordered))
    ]
    ways = (list(_folded(ordered, alike, least)) for least in _SHORTEST)
    return min(ways, key=lambda found: sum(len(each) + 4 for each in found))


def _folded(ordered: Sequence[str], alike: Sequence[int], least: int) -> Iterator[str]:
    """`alike` says how many characters each name has in common with the one before it."""
    group: list[str] = []
    for name, shared in zip(ordered, alike, strict=True):
        if group and shared < least:
            yield _together(group)
            group = []
        group.append(name)
    if group:
        yield _together(group)


def _together(group: list[str]) -> str:
    if len(group) == 1:
        return group[0]
    shared = _shared(group[0], group[-1])  # of all between as well: they are sorted
    end = max(shared.rfind(sign) for sign in ".:-") + 1 or len(shared)
    return f"{shared[:end]}{{{', '.join(name[end:] for name in group)}}}"


def _shared(one: str, other: str) -> str:
    """What both begin with."""
    return one[: sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))]
