"""Filters and wildcards: open-events' own verdicts, what a plan refuses, and laws against a slow matcher."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from automations.core.trigger.filter import SHOWN, check_filter, compile_filter, text_of
from automations.core.trigger.patterns import compile_pattern
from automations.errors import InvalidInput

VECTORS = json.loads((Path(__file__).parent.parent / "data/vectors/filters.json").read_text())


def fires(filter_: dict[str, Any], data: dict[str, Any]) -> bool:
    return compile_filter(filter_).match(data).matches


@pytest.mark.parametrize("case", VECTORS["data"], ids=lambda case: json.dumps([case["filter"], case["data"]]))
def test_a_filter_gives_the_verdict_of_open_events(case: dict[str, Any]) -> None:
    assert check_filter(case["filter"]) == ()
    assert fires(case["filter"], case["data"]) is case["matches"]


@pytest.mark.parametrize("case", VECTORS["envelope"], ids=lambda case: json.dumps([case["matcher"], case["event"]]))
def test_an_envelope_pattern_gives_the_verdict_of_open_events(case: dict[str, Any]) -> None:
    def matched(key: str, given: str | list[str]) -> bool:
        patterns = [compile_pattern(text) for text in ([given] if isinstance(given, str) else given)]
        return key in case["event"] and any(pattern.match(case["event"][key]) for pattern in patterns)

    assert all(matched(key, given) for key, given in case["matcher"].items()) is case["matches"]


MORE = {
    "an empty filter matches anything": ({}, {"a": 1}, True),
    "an integer equals the same float": ({"n": 1}, {"n": 1.0}, True),
    "a float equals the same integer": ({"n": 1.0}, {"n": 1}, True),
    "a float written as text has no needless point": ({"n": "1"}, {"n": 1.0}, True),
    "true is not the float one": ({"n": 1.0}, {"n": True}, False),
    "false is not zero": ({"n": 0}, {"n": False}, False),
    "zero is not false": ({"n": False}, {"n": 0}, False),
    "true is a text to a text": ({"n": "tr*"}, {"n": True}, True),
    "null is a text to a text": ({"n": "null"}, {"n": None}, True),
    "null is not the empty text": ({"n": None}, {"n": ""}, False),
    "an integer of 64 bits keeps its digits": ({"n": "9007199254740993"}, {"n": 9007199254740993}, True),
    "a list of texts matches a number": ({"n": ["4", "5"]}, {"n": 5}, True),
    "an empty list of texts matches nothing": ({"n": []}, {"n": "x"}, False),
    "a pattern speaks of the whole text": ({"n": "x"}, {"n": "xx"}, False),
    "a line break at the end counts": ({"n": "a*"}, {"n": "a\n"}, False),
    "the empty text matches itself": ({"n": ""}, {"n": ""}, True),
    "the empty text does not match a missing key": ({"n": ""}, {}, False),
    "the key may be empty": ({"": "x"}, {"": "x"}, True),
    "a member may be null": ({"n": None}, {"n": [1, None]}, True),
    "a member true is not one": ({"n": 1}, {"n": [True]}, False),
    "a member that is a list is not looked into": ({"n": "a"}, {"n": [["a"]]}, False),
    "members that are objects are not there": ({"n": "*"}, {"n": [{"a": 1}, ["b"]]}, False),
    "an empty list has no member": ({"n": "*"}, {"n": []}, False),
    "not, with an empty list": ({"n": {"not": "*"}}, {"n": []}, True),
    "not null, when missing": ({"n": {"not": None}}, {}, True),
    "not null, when null": ({"n": {"not": None}}, {"n": None}, False),
    "not a number that is there as text": ({"n": {"not": 5}}, {"n": "5"}, True),
    "not, any member": ({"n": {"not": ["a", "b*"]}}, {"n": ["x", "bb"]}, False),
    "all predicates must hold": ({"a": 1, "b": {"not": "x"}}, {"a": 1, "b": "x"}, False),
    "the literal key comes to nothing, the path matches": ({"a.b": "x"}, {"a.b": 1, "a": {"b": "x"}}, True),
    "the path comes to nothing, the literal key matches": ({"a.b": "x"}, {"a.b": "x", "a": {"b": "y"}}, True),
    "not, when only the literal key matches": ({"a.b": {"not": "x"}}, {"a.b": "x", "a": {"b": "y"}}, False),
    "a key is not half path and half literal": ({"a.b.c": "x"}, {"a.b": {"c": "x"}}, False),
    "an index is no path": ({"a.0": "x"}, {"a": ["x"]}, False),
    "path as a whole key is an ordinary key": ({"path": "src/*"}, {"path": "src/x/a"}, True),
    "a star in the middle of a path": ({"f.path": "src/*/a.py"}, {"f": {"path": "src/x/a.py"}}, True),
    "a star is one level": ({"f.path": "src/*/a.py"}, {"f": {"path": "src/x/y/a.py"}}, False),
    "two stars are any levels": ({"f.path": "src/**/a.*"}, {"f": {"path": "src/x/y/a.py"}}, True),
    "both kinds, the first fit misleads": ({"a_path": "**a*b"}, {"a_path": "a/ab"}, True),
    "both kinds, one level too many": ({"a_path": "**a*b"}, {"a_path": "a/xb"}, False),
    "a path list of patterns": ({"a_path": ["x/*", "y/**"]}, {"a_path": "y/1/2"}, True),
    "not in a path": ({"a_path": {"not": "docs/**"}}, {"a_path": "docs/a/b"}, False),
    "a carriage return stops a star": ({"n": "a*b"}, {"n": "a\rb"}, False),
    "a line separator stops a star": ({"n": "a*b"}, {"n": "a\u2028b"}, False),
    "a vertical tab does not": ({"n": "a*b"}, {"n": "a\vb"}, True),
    "brackets mean themselves": ({"n": "[ab](c)*"}, {"n": "[ab](c)d"}, True),
    "a line break in the pattern means itself": ({"n": "a*\n*b"}, {"n": "ax\nyb"}, True),
}


@pytest.mark.parametrize(("filter_", "data", "matches"), MORE.values(), ids=MORE.keys())
def test_a_filter_matches_as_written(filter_: dict[str, Any], data: dict[str, Any], matches: bool) -> None:
    assert fires(filter_, data) is matches


REFUSED: list[tuple[dict[str, Any], tuple[str | int, ...]]] = [
    ({"n": [1, "2"]}, ("n", 0)),
    ({"n": ["a", None]}, ("n", 1)),
    ({"n": ["a", ["b"]]}, ("n", 1)),
    ({"n": {"gt": 5}}, ("n",)),
    ({"n": {}}, ("n",)),
    ({"n": {"not": 1, "or": 2}}, ("n",)),
    ({"n": {"not": []}}, ("n", "not")),
    ({"n": {"not": {"not": 1}}}, ("n", "not")),
    ({"n": {"not": ["a", 2]}}, ("n", "not", 1)),
    ({"n": b"raw"}, ("n",)),
]


@pytest.mark.parametrize(("filter_", "path"), REFUSED, ids=str)
def test_a_matcher_with_no_meaning_is_refused_at_its_place(
    filter_: dict[str, Any], path: tuple[str | int, ...]
) -> None:
    assert [place for _, place in check_filter(filter_)] == [path]
    with pytest.raises(InvalidInput, match=r"^filter n"):
        compile_filter(filter_)


def test_all_problems_of_a_filter_are_found_at_once() -> None:
    assert [place for _, place in check_filter({"a": [1], "b": "fine", "c": {"x": 1}})] == [("a", 0), ("c",)]


def test_a_path_through_a_list_of_objects_is_refused_where_the_schema_is_known() -> None:
    schema = {"properties": {"o": {"type": "object", "properties": {"a": {"type": "array"}, "b": {"type": "string"}}}}}
    found = check_filter({"o.a.b": 1, "o.a": "x", "o.b": "x", "o.c.d": 1, "x.y": 1}, schema=schema)
    assert [place for _, place in found] == [("o.a.b",)]
    assert found[0][0].startswith("o.a is a list")


def test_the_verdict_names_the_first_predicate_that_failed_and_what_it_saw() -> None:
    verdict = compile_filter({"kind": "x", "user.name": ["a", "b"], "n": 1}).match({"kind": "x", "user": {"name": "c"}})
    assert (verdict.matches, verdict.key, verdict.matcher, verdict.value) == (False, "user.name", ["a", "b"], "c")
    assert not verdict.missing


def test_the_verdict_tells_a_missing_key_from_null() -> None:
    compiled = compile_filter({"n": 1})
    assert compiled.match({}).missing
    assert not compiled.match({"n": None}).missing
    assert compiled.match({"n": None}).value is None
    assert not compiled.match({"n": 1}).missing


@pytest.mark.parametrize(
    "value", ["x" * 5000, ["x" * 150, "y" * 150], {"k": list(range(1000))}], ids=["text", "list", "object"]
)
def test_a_value_is_shown_cut(value: Any) -> None:
    seen = compile_filter({"n": 1}).match({"n": value}).value
    assert len(seen) == SHOWN
    assert seen.endswith("…")


def test_a_short_object_is_shown_as_json() -> None:
    assert compile_filter({"n": 1}).match({"n": {"a": ["é"]}}).value == '{"a": ["é"]}'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (-0.0, "0"), (5.5, "5.5"), (-5.5, "-5.5"), (100.0, "100"), (1e16, "10000000000000000"),
        (1.2345678901234568e20, "123456789012345680000"), (1e21, "1e+21"), (-1.5e21, "-1.5e+21"), (0.1, "0.1"),
        (1e-5, "0.00001"), (1.5e-6, "0.0000015"), (1e-7, "1e-7"), (-1.25e-9, "-1.25e-9"), (5e-324, "5e-324"),
        (7, "7"), (-7, "-7"), (True, "true"), (False, "false"), (None, "null"), ("x", "x"),
    ],
)  # fmt: skip
def test_a_scalar_has_the_text_that_javascript_gives_it(value: Any, text: str) -> None:
    assert text_of(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_text_of_a_number_reads_back_as_the_number(value: float) -> None:
    assert float(text_of(value)) == value


# The slow matcher: a pattern is matched by trying everything.


def slowly(pattern: str, text: str, *, path: bool) -> bool:
    tokens: list[str] = []
    for char in pattern:
        if char == "*" and tokens and tokens[-1].startswith("*"):
            tokens[-1] = "**"
        else:
            tokens.append(char)

    @cache
    def rest(token: int, place: int) -> bool:
        if token == len(tokens):
            return place == len(text)
        if not tokens[token].startswith("*"):
            return place < len(text) and text[place] == tokens[token] and rest(token + 1, place + 1)
        stops = "/" if path and tokens[token] == "*" else "\n\r\u2028\u2029"
        return rest(token + 1, place) or (place < len(text) and text[place] not in stops and rest(token, place + 1))

    return rest(0, 0)


ALPHABET = "aab/\n.é"


@given(st.text("**" + ALPHABET, max_size=10), st.text(ALPHABET, max_size=14), st.booleans())
@example("a*b\n*c", "axb\nyc", False)
@example("**a*b", "a/ab", True)
def test_a_compiled_wildcard_agrees_with_the_slow_matcher(pattern: str, text: str, path: bool) -> None:
    assert compile_pattern(pattern, path=path).match(text) is slowly(pattern, text, path=path)


@given(st.lists(st.sampled_from(["a", "b", "/", "*", "**"]), max_size=8).map("".join), st.text("ab/", max_size=12))
def test_a_compiled_path_wildcard_agrees_with_the_slow_matcher(pattern: str, text: str) -> None:
    assert compile_pattern(pattern, path=True).match(text) is slowly(pattern, text, path=True)


@given(st.text(max_size=20))
def test_a_pattern_without_a_star_matches_itself_and_says_so(text: str) -> None:
    pattern = compile_pattern(text.replace("*", ""))
    assert pattern.exact == text.replace("*", "")
    assert pattern.match(pattern.exact)
    assert not pattern.match(pattern.exact + "\n")


def test_a_pattern_with_a_star_has_no_exact_text() -> None:
    assert compile_pattern("release.*").exact is None


@pytest.mark.parametrize("path", [False, True])
@pytest.mark.parametrize("pattern", ["*a" * 12 + "*b", "**a*" * 6 + "b"])
@pytest.mark.timeout(10)  # backtracking would take longer than the universe lasts
def test_a_hostile_text_does_not_make_a_pattern_slow(pattern: str, path: bool) -> None:
    assert not compile_pattern(pattern, path=path).match("a" * 100_000)
