"""Redaction and bounds: no spelling of a secret gets through, whole or in pieces."""

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automations.adapters.executors.bounded import EXCERPT_LIMIT, Capture, plain_data
from automations.adapters.redaction import MARK, RedactedStream, Redactor
from automations.errors import InvalidInput

SECRET = b'k\xc3\xa9y/"with+ sp\\ce&~'
TEXT = SECRET.decode()
SECRETS = st.binary(min_size=4, max_size=40)


@pytest.mark.parametrize(
    "spelled",
    [
        SECRET,
        base64.b64encode(SECRET),
        base64.b64encode(SECRET).rstrip(b"="),
        base64.urlsafe_b64encode(SECRET),
        SECRET.hex().encode(),
        SECRET.hex().upper().encode(),
        quote(SECRET).encode(),
        quote(SECRET, safe="").encode(),
        quote(SECRET, safe="").lower().encode(),
        quote_plus(SECRET).encode(),
        json.dumps(TEXT)[1:-1].encode(),
        json.dumps(TEXT, ensure_ascii=False)[1:-1].encode(),
        json.dumps(TEXT)[1:-1].replace("/", "\\/").encode(),
    ],
)
def test_every_spelling_is_replaced(spelled: bytes) -> None:
    assert Redactor([SECRET]).data(b"before " + spelled + b" after") == f"before {MARK} after".encode()


@pytest.mark.parametrize("user", ["", "a", "ab", "abc", "abcd"])
def test_a_secret_inside_a_longer_base64_text_is_replaced(user: str) -> None:
    header = base64.b64encode(f"{user}:hunter2-canary:more".encode()).decode()
    hidden = Redactor([b"hunter2-canary"]).text(header)
    assert MARK in hidden
    left = hidden.replace(MARK, "")
    assert len(left) <= len(header) - 16


@pytest.mark.parametrize("secret", [b"", b"a", b"abc"])
def test_a_value_too_short_to_be_a_secret_spoils_no_output(secret: bytes) -> None:
    assert Redactor([secret]).text("abc abc") == "abc abc"


def test_plain_data_is_redacted_in_keys_values_and_unusual_escapes() -> None:
    hide = Redactor([b"canary"])
    assert plain_data(b'{"\\u0063anary": ["x canary", 1, null, {"a": "c\\u0061nary"}]}', hide) == {
        MARK: [f"x {MARK}", 1, None, {"a": MARK}]
    }


def test_each_line_of_a_secret_of_several_is_replaced() -> None:
    key = b"-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nAQEFAASCBKcwggSjAgEAAoIB\nx=\n-----END KEY-----\n"
    hide = Redactor([key])
    assert hide.data(b"got MIIEvQIBADANBgkqhkiG9w0B") == b"got [redacted]"
    assert hide.text(b"AQEFAASCBKcwggSjAgEAAoIB".hex()) == "[redacted]"
    assert hide.data(key) == b"[redacted]"
    assert hide.data(b"x=") == b"x="


def test_a_repr_shows_no_secret() -> None:
    assert "canary" not in repr(Redactor([b"canary"]))


@settings(max_examples=200)
@given(SECRETS, st.lists(st.binary(max_size=12), max_size=4), st.lists(st.integers(1, 9), min_size=1, max_size=30))
def test_chunks_make_no_difference(secret: bytes, around: list[bytes], sizes: list[int]) -> None:
    data = secret.join([*around, b"", b"tail"])
    hide = Redactor([secret])
    stream = RedactedStream(hide)
    parts, at, turn = [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        parts.append(stream.feed(data[at : at + size]))
        at, turn = at + size, turn + 1
    assert b"".join([*parts, stream.finish()]) == hide.data(data)


@given(SECRETS, st.integers(0, 60), st.integers(8, 40))
def test_a_cut_never_leaves_part_of_a_secret(secret: bytes, before: int, limit: int) -> None:
    capture = Capture(limit, Redactor([secret]))
    capture.feed(b"." * before + secret)
    capture.feed(b"." * 60)
    capture.finish()
    assert set(capture.data()) <= set(b"." + MARK.encode())


def test_a_small_output_is_kept_whole() -> None:
    capture = Capture(10, Redactor([]))
    for chunk in (b"01234", b"567", b"89"):
        capture.feed(chunk)
    capture.finish()
    assert (capture.data(), capture.cut, capture.text()) == (b"0123456789", False, "0123456789")


def test_a_large_output_keeps_head_and_tail_and_says_what_is_missing() -> None:
    capture = Capture(10, Redactor([]))
    for _ in range(1000):
        capture.feed(b"abcdefg")
    capture.feed(b"END")
    capture.finish()
    assert capture.cut
    assert capture.text() == "abcde\n[6993 bytes left out]\nfgEND"


def test_an_excerpt_is_the_bounded_end() -> None:
    capture = Capture(100_000, Redactor([]))
    capture.feed(b"x" * 50_000 + b" last words\n")
    capture.finish()
    assert len(capture.excerpt()) == EXCERPT_LIMIT
    assert capture.excerpt().endswith(" last words")


@pytest.mark.parametrize(
    "text", [b"{", b"NaN", b'"\\ud800"', b"\xff", b"[" * 300 + b"]" * 300, b"1 2", b'{"a":1,"a":2}']
)
def test_output_that_is_not_strict_json_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidInput, match="JSON"):
        plain_data(text, Redactor([]))
