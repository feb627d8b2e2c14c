"""Strict JSON: every refusal by a table, and the fast path held equal to a slow, obvious reader by hypothesis."""

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from automations.core.strict_json import MAX_DEPTH, parse
from automations.errors import InvalidInput

REFUSED = {
    "nothing": b"",
    "only space": b" \n",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a byte that is not UTF-8": b'{"a":"\xff"}',
    "an overlong encoding": b'"\xc0\xaf"',
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "half of an escaped pair": b'"\\ud800"',
    "the other half": b'"\\udc00"',
    "two first halves": b'"\\ud800\\ud800"',
    "a half as a key": b'{"\\udfff":1}',
    "not a number": b"[NaN]",
    "infinity": b"[Infinity]",
    "minus infinity": b"[-Infinity]",
    "a float too big to hold": b"1e400",
    "a second document": b"{} {}",
    "junk after the document": b"[1] x",
    "a NUL after the document": b"[1]\x00",
    "a comma too many": b"[1,]",
    "a comment": b"[1] // one",
    "single quotes": b"{'a':1}",
    "a leading zero": b"01",
    "a plus": b"+1",
    "a bare point": b"1.",
    "a raw line break in a text": b'"a\nb"',
    "a key twice": b'{"a":1,"a":1}',
    "a key twice, once escaped": b'{"a":1,"\\u0061":2}',
    "a key twice, deep": b'{"x":[{"y":{"k":1,"j":2,"k":3}}]}',
    "the empty key twice": b'{"":1,"":2}',
    "a key with quotes twice": b'{"\\"":1,"\\u0022":2}',
    "a key twice and quotes in texts": b'{"a":"\\"\\"","a":"\\\\"}',
    "a key twice, the lost value the richer one": b'{"a":{"b":{"c":"d"}},"a":1}',
    "a key twice, the lost value beyond any depth": b'{"a":' + b"[" * 1022 + b"]" * 1022 + b',"a":1}',
    "an integer of 2**63": b"9223372036854775808",
    "an integer below -2**63": b"[-9223372036854775809]",
    "an integer of 2**64": b"18446744073709551616",
    "an integer that looks like a float": b"100000000000000000000",
    "an integer of 300 digits": b"1" * 300,
    "an integer of 5,000 digits": b"1" * 5000,
    "an integer too big under a key twice": b'{"a":9223372036854775808,"a":1}',
    "65 lists": b"[" * 65 + b"]" * 65,
    "65 objects": b'{"a":' * 65 + b"1" + b"}" * 65,
    "2,000 lists": b"[" * 2000 + b"]" * 2000,
    "100,000 open lists": b"[" * 100_000,
}

ACCEPTED = {
    "the biggest integer": (b"9223372036854775807", 2**63 - 1),
    "the smallest integer": (b"-9223372036854775808", -(2**63)),
    "a big float": (b"1e19", 1e19),
    "a float of many digits": (b"12345678901234567890.5", 12345678901234567890.5),
    "many digits in a text": (b'["12345678901234567890123"]', ["12345678901234567890123"]),
    "a whole pair": (b'"\\ud83d\\ude00"', "😀"),
    "the same key in two objects": (b'[{"a":1},{"a":1}]', [{"a": 1}, {"a": 1}]),
    "the same key in an inner object": (b'{"a":{"a":1}}', {"a": {"a": 1}}),
    "a key that is a value": (b'{"a":"a"}', {"a": "a"}),
    "backslashes and quotes": (b'{"a\\\\":"\\\\\\"","\\u005c":"\\u0022"}', {"a\\": '\\"', "\\": '"'}),
    "keys that differ by case": (b'{"a":1,"A":2}', {"a": 1, "A": 2}),
    "keys that differ by composition": ('{"é":1,"e\u0301":2}'.encode(), {"é": 1, "e\u0301": 2}),
    "space around": (b" \t\r\n[ ] \n", []),
    "a NUL, escaped": (b'"\\u0000"', "\x00"),
    "64 lists": (b"[" * 64 + b"]" * 64, json.loads("[" * 64 + "]" * 64)),
    "many lists side by side": (b"[" + b"[]," * 99 + b"[]]", [[] for _ in range(100)]),
    "brackets in a text": (b'"' + b"[{" * 99 + b'"', "[{" * 99),
    "a scalar": (b"null", None),
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED.keys())
def test_a_document_that_could_be_read_in_two_ways_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(raw)
    assert caught.value.stable_code == "malformed_json"
    assert caught.value.hint
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(("raw", "value"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_a_document_at_the_edge_of_the_rules_is_read(raw: bytes, value: Any) -> None:
    assert parse(raw) == value
    assert parse(raw.decode()) == value


def test_text_with_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(InvalidInput, match="surrogate"):
        parse('"\ud800"')


def test_a_key_that_stands_twice_is_named() -> None:
    with pytest.raises(InvalidInput, match='"team" stands twice'):
        parse(b'{"team":1,"Team":2,"team":3}')


def test_an_integer_that_does_not_fit_is_named_and_cut() -> None:
    with pytest.raises(InvalidInput, match=r"the integer 1{64} does not fit 64 bits"):
        parse(b"[" + b"1" * 300 + b"]")


def test_the_depth_can_be_bounded_more_tightly() -> None:
    assert parse(b'{"a":[1]}', max_depth=2) == {"a": [1]}
    with pytest.raises(InvalidInput, match="deeper than 2 levels"):
        parse(b'{"a":[[1]]}', max_depth=2)


# The reference: Python's own reader with every refusal spelled out, one value at a time.


def reference(raw: bytes) -> Any:
    text = raw.decode()  # strict: UnicodeDecodeError is a ValueError
    if text.startswith("\ufeff"):
        raise ValueError("byte order mark")
    value = json.loads(
        text, object_pairs_hook=without_duplicates, parse_constant=no_constant, parse_int=bounded, parse_float=finite
    )
    check(value, 1)
    return value


def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("duplicate key")
    return dict(pairs)


def no_constant(text: str) -> Any:
    raise ValueError(text)


def bounded(text: str) -> int:
    number = int(text)
    if not -(2**63) <= number < 2**63:
        raise ValueError("integer")
    return number


def finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("float")
    return number


def check(value: Any, depth: int) -> None:
    if isinstance(value, str):
        value.encode()  # strict: a lone surrogate is a ValueError
    if isinstance(value, (dict, list)):
        if depth > MAX_DEPTH:
            raise ValueError("depth")
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            check(key, depth + 1)
            check(child, depth + 1)


def same(raw: bytes) -> None:
    try:
        expected = reference(raw)
    except (ValueError, RecursionError):
        with pytest.raises(InvalidInput):
            parse(raw)
        return
    value = parse(raw)
    assert json.dumps(value) == json.dumps(expected)


KEYS = st.sampled_from(["a", "b", "", '"', "\\", '\\"', "é", "\x00", "{", ":"])
SPACE = st.sampled_from(["", "", "", " ", "\n", "\t \r"])
NUMBERS = st.one_of(
    st.integers(-(2**66), 2**66).map(str),
    st.sampled_from([2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64]).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["-0", "1e5", "1E+2", "1e400", "10000000000000000000.0", "NaN", "-Infinity", "01", "1."]),
)


@st.composite
def spelled(draw: st.DrawFn, text: str) -> str:
    """A text as JSON, each character plain or escaped."""
    parts = [
        f"\\u{ord(char):04x}"
        if ord(char) < 0x10000 and draw(st.booleans())
        else json.dumps(char, ensure_ascii=False)[1:-1]
        for char in text
    ]
    return '"' + "".join(parts) + '"'


def collections(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(KEYS.flatmap(spelled), SPACE, children).map(lambda p: f"{p[0]}{p[1]}:{p[1]}{p[2]}")
    return st.one_of(
        st.tuples(st.lists(children, max_size=4), SPACE).map(lambda p: "[" + f"{p[1]},".join(p[0]) + p[1] + "]"),
        st.tuples(st.lists(pair, max_size=4), SPACE).map(lambda p: "{" + p[1] + ",".join(p[0]) + "}"),
    )


DOCUMENTS = st.recursive(
    st.one_of(
        NUMBERS,
        st.sampled_from(["true", "false", "null", '"\\ud800"', '"\\ud83d\\ude00"']),
        st.one_of(KEYS, st.text(max_size=6)).flatmap(spelled),
    ),
    collections,
    max_leaves=12,
)


@given(DOCUMENTS)
@example('{"\\"":1,"\\u0022":2}')
@example('{"a":"\\\\","b":"\\\\\\""}')
def test_the_fast_reader_gives_the_verdict_and_the_value_of_the_slow_one(text: str) -> None:
    same(text.encode("utf-8", "surrogatepass"))


@given(
    DOCUMENTS, st.integers(0, 200), st.sampled_from([b'"', b"\\", b"{", b"}", b",", b":", b"0", b"\xff", b"\x00", b""])
)
def test_a_damaged_document_gets_the_verdict_of_the_slow_reader(text: str, place: int, damage: bytes) -> None:
    raw = text.encode("utf-8", "surrogatepass")
    same(raw[:place] + damage + raw[place + 1 :])


@given(st.integers(MAX_DEPTH - 2, MAX_DEPTH + 2), st.integers(0, 80), st.sampled_from(["[", '{"a":']))
def test_depth_is_counted_exactly_whatever_lies_beside_it(depth: int, beside: int, opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    inner = opening * (depth - 1) + "1" + closing * (depth - 1)
    same(("[" + "[[]]," * beside + inner + "]").encode())
