"""Wildcard patterns for texts: event sources, types and subjects, and the texts that filters ask for.

The only special character is `*`; a pattern always speaks of the whole text and of its case. Results are those of
open-events' matcher, which decides what `*` may stand for:

- anywhere else, any characters but line breaks (JavaScript's: LF, CR, U+2028, U+2029);
- in a path (`path=True`), any characters but `/`; and `**` any characters but line breaks.

Patterns meet text that strangers send, so no pattern may take more than linear time in it: there is no backtracking
over more than one wildcard.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

_LINE_BREAKS = "\n\r\u2028\u2029"
_STARS = re.compile(r"(\*+)")
_ONE, _MANY = "*", "**"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern. `exact` is the one text it matches when it has no wildcard, so that it can be looked up."""

    text: str
    exact: str | None
    match: Callable[[str], bool] = field(repr=False, compare=False)


def compile_pattern(text: str, *, path: bool = False) -> Pattern:
    """Compile `text`; `path` makes `*` stop at a slash. Every text is a valid pattern."""
    if _ONE not in text:
        return Pattern(text, text, text.__eq__)
    parts = _STARS.split(text)
    literals, wildcards = parts[::2], [_ONE if path and stars == _ONE else _MANY for stars in parts[1::2]]
    if len(set(wildcards)) == 2:
        return Pattern(text, None, _by_states(literals, wildcards))
    return Pattern(text, None, _by_regex(literals, "/" if wildcards[0] == _ONE else _LINE_BREAKS))


def _by_regex(literals: list[str], stops: str) -> Callable[[str], bool]:
    """With one kind of wildcard the leftmost place of every inner literal is as good as any later one.

    So each is found once, in an atomic group, and never looked for again.
    """
    first, *inner, last = (re.escape(literal) for literal in literals)
    gap = f"[^{stops}]*"
    regex = re.compile(first + "".join(f"(?>{gap}?{literal})" for literal in inner) + gap + last)
    return lambda text: regex.fullmatch(text) is not None


def _by_states(literals: list[str], wildcards: list[str]) -> Callable[[str], bool]:
    """With both kinds every place may matter: all are followed at once, as the bits of one integer.

    Bit n is set when the text so far can be matched by the first n parts of the pattern, a part being a character or a
    wildcard; a wildcard's own bit stays set for as long as it may swallow what comes.
    """
    parts = [
        part for literal, wildcard in zip(literals, [*wildcards, ""], strict=True) for part in (*literal, wildcard)
    ]
    bits: dict[str, int] = {}
    for place, part in enumerate(parts):
        bits[part] = bits.get(part, 0) | 1 << place
    one, many, end = bits[_ONE], bits[_MANY], 1 << (len(parts) - 1)

    def matches(text: str) -> bool:
        states = 1 | (1 & (one | many)) << 1
        for char in text:
            swallowing = (0 if char == "/" else one) | (0 if char in _LINE_BREAKS else many)
            states = (states & bits.get(char, 0)) << 1 | states & swallowing
            states |= (states & (one | many)) << 1
            if not states:
                return False
        return bool(states & end)

    return matches
