"""Filters: which events a trigger wants, by looking into `event.data`.

A filter is an object of predicates that must all hold: a key, which is a dotted path or a literal key, and a matcher.
Results are those of open-events' matcher, whose verdicts are this module's test vectors:

- a text is a wildcard pattern (see `patterns`); numbers, booleans and null are compared as JavaScript writes them;
- a list of texts is any-of; a number, boolean or null is equal to itself alone, with no conversion, except that
  JavaScript has one kind of number, so that 1 and 1.0 are equal;
- `{not: m}` holds when m does not, and so for a missing key too;
- a list in the data satisfies a matcher when one of its members does; members that are objects or lists never do.

Filters are compiled once and then only matched; a verdict keeps the first predicate that failed, so `why` can show it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from json import JSONEncoder
from typing import Any

from automations.core.diagnostic import Path, dotted
from automations.core.trigger.patterns import compile_pattern
from automations.errors import InvalidInput

SHOWN = 200
"""Characters of a value that a verdict shows."""

_OBJECT_TEXT = "[object Object]"
_JSON = JSONEncoder(ensure_ascii=False)


_Test = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a filter matched; if not, the first predicate that failed.

    `matcher` is as the spec has it; `candidates` are the values that the key led to, none when it is missing.
    """

    matches: bool
    key: str = ""
    matcher: Any = None
    candidates: tuple[Any, ...] = ()

    @property
    def missing(self) -> bool:
        """Whether the key led nowhere."""
        return not self.matches and not self.candidates

    @property
    def value(self) -> Any:
        """The value seen, fit to be shown: a scalar, a longer text cut, an object or list as JSON text cut likewise."""
        value = self.candidates[0] if self.candidates else None
        return value if value is None or isinstance(value, (bool, int, float)) else _shown(value)


_MATCHED = Verdict(matches=True)


@dataclass(frozen=True, slots=True)
class _Predicate:
    key: str
    parts: tuple[str, ...]
    matcher: Any
    test: _Test
    wanted: bool  # False for `not`

    def candidates(self, data: Mapping[str, Any]) -> tuple[Any, ...]:
        """Find the values that the key can mean: the literal key's, the path's, both or neither."""
        literal = (data[self.key],) if self.key in data else ()
        if len(self.parts) == 1:
            return literal
        value: Any = data
        for part in self.parts:
            if not isinstance(value, dict) or part not in value:
                return literal
            value = value[part]
        return (*literal, value)


@dataclass(frozen=True, slots=True)
class Filter:
    """A compiled filter; an empty one matches everything."""

    predicates: tuple[_Predicate, ...]

    def match(self, data: Mapping[str, Any]) -> Verdict:
        """Judge `event.data`, plain JSON data."""
        for predicate in self.predicates:
            values = predicate.candidates(data)
            if any(map(predicate.test, values)) is not predicate.wanted:
                return Verdict(matches=False, key=predicate.key, matcher=predicate.matcher, candidates=values)
        return _MATCHED


def compile_filter(filter_: Mapping[str, Any]) -> Filter:
    """Compile a filter. Raises InvalidInput with the first problem that `check_filter` finds."""
    if problems := check_filter(filter_):
        problem, path = problems[0]
        raise InvalidInput(
            f"filter {dotted(path)}: {problem}", hint="See the section on filters in the spec reference."
        )
    return Filter(tuple(_predicate(key, matcher) for key, matcher in filter_.items()))


def check_filter(
    filter_: Mapping[str, Any], *, schema: Mapping[str, Any] | None = None
) -> tuple[tuple[str, Path], ...]:
    """List what is wrong with a filter, as sentences with their paths in it; nothing when it compiles.

    With `schema`, the JSON Schema of event.data, a path through a list of objects is a problem too.
    """
    problems: list[tuple[str, Path]] = []
    for key, matcher in filter_.items():
        problems += _check_matcher(matcher, (key,))
        if schema is not None and (way := _list_on_the_way(key, schema)):
            problems.append((f"{way} is a list, and a filter does not look into its objects; use expr instead", (key,)))
    return tuple(problems)


def _check_matcher(matcher: Any, path: Path) -> list[tuple[str, Path]]:
    if not isinstance(matcher, Mapping):
        return _check_plain(matcher, path)
    if set(matcher) != {"not"}:
        return [("an object is no matcher but {not: …}; name the inner key with a dotted path instead", path)]
    inner = matcher["not"]
    if isinstance(inner, Mapping):
        return [("`not` takes a text, a number, a boolean, null or a list of texts", (*path, "not"))]
    if inner == []:
        return [("`not` of an empty list says nothing; name what must not match", (*path, "not"))]
    return _check_plain(inner, (*path, "not"))


def _check_plain(matcher: Any, path: Path) -> list[tuple[str, Path]]:
    if isinstance(matcher, (list, tuple)):
        return [
            ("a list may hold only texts; for numbers write them as texts", (*path, index))
            for index, each in enumerate(matcher)
            if not isinstance(each, str)
        ]
    if matcher is None or isinstance(matcher, (str, int, float)):
        return []
    return [("a matcher is a text, a number, a boolean, null, a list of texts or {not: …}", path)]


def _list_on_the_way(key: str, schema: Mapping[str, Any]) -> str:
    parts = key.split(".")
    node: Any = schema
    for depth, part in enumerate(parts[:-1], start=1):
        node = node.get("properties", {}).get(part) if isinstance(node, Mapping) else None
        if not isinstance(node, Mapping):
            return ""
        if node.get("type") == "array":
            return ".".join(parts[:depth])
    return ""


def _predicate(key: str, matcher: Any) -> _Predicate:
    negated = isinstance(matcher, Mapping)
    inner = matcher["not"] if negated else matcher
    # open-events decides by the whole key, so the bare key `path` is not one of these.
    path = key.endswith(("_path", ".path"))
    test = _member(_text_test(inner, path=path) if isinstance(inner, (str, list, tuple)) else _equality(inner))
    return _Predicate(key=key, parts=tuple(key.split(".")), matcher=matcher, test=test, wanted=not negated)


def _member(test: _Test) -> _Test:
    def of_value(value: Any) -> bool:
        if isinstance(value, list):
            return any(test(each) for each in value if not isinstance(each, (dict, list)))
        return test(value)

    return of_value


def _text_test(matcher: str | list[str] | tuple[str, ...], *, path: bool) -> _Test:
    patterns = [compile_pattern(text, path=path) for text in ([matcher] if isinstance(matcher, str) else matcher)]
    exact = frozenset(each.exact for each in patterns if each.exact is not None)
    wild = [each.match for each in patterns if each.exact is None]

    def of_value(value: Any) -> bool:
        text = value if isinstance(value, str) else text_of(value)
        return text in exact or any(match(text) for match in wild)

    return of_value


def _equality(expected: float | None) -> _Test:  # int, float, bool or None
    if expected is None or isinstance(expected, bool):
        return lambda value: value is expected
    # bool is an int to Python, but true is not 1 to anybody else
    return lambda value: isinstance(value, (int, float)) and not isinstance(value, bool) and value == expected


def text_of(value: Any) -> str:
    """Write a scalar as JavaScript's `String(value)` does, which is what text matchers compare.

    Integers keep all their digits where JavaScript rounds beyond 2**53. An object has one text for all, that of
    JavaScript, so that `*` means "is there".
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float_text(value)
    return str(value) if isinstance(value, (str, int)) else _OBJECT_TEXT


def _float_text(value: float) -> str:
    """Lay out the shortest digits that read back the same as ECMA-262 §6.1.6.1.20 (Number::toString) does."""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(digits) - len(fraction) + int(exponent or 0)  # where the decimal point stands among the digits
    digits = digits.rstrip("0")
    sign = "-" if value < 0 else ""
    if not digits:
        return "0"
    if len(digits) <= point <= 21:
        return sign + digits.ljust(point, "0")
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    power = f"e{point - 1:+d}"
    return f"{sign}{digits[0]}.{digits[1:]}{power}" if digits[1:] else sign + digits + power


def _shown(value: Any) -> str:
    text = ""
    for piece in (value,) if isinstance(value, str) else _JSON.iterencode(value):
        text += piece
        if len(text) > SHOWN:
            return text[: SHOWN - 1] + "…"
    return text
