"""JSON from outside, read strictly: what two parsers could read differently is refused.

Source: RFC 8259 for the grammar, RFC 7493 (I-JSON) §2 for the refusals: UTF-8 only, no lone surrogates, no duplicate
keys, no number that its reader cannot hold.

This stands on the hot path of every webhook, so the parse is orjson's, and the three things that it lets through are
found without looking at single values:

- *A duplicate key* vanishes from the parsed value, and with it the two quotes around it. Every other text of the
  document is in the parsed value, so the quotes that delimit texts are as many in the value written out again as in the
  document exactly when no key was lost. A quote inside a text is always escaped, so the delimiting ones can be counted.
- *An integer beyond 64 bits* has at least nineteen digits in a row. Few documents hold such a row; those are read again
  by a slower parser that shows every integer as text.
- *Nesting* cannot be deeper than the number of opening brackets. Documents with more brackets than levels are measured.
"""

import json
from typing import Any, Never

import orjson

from automations.core.canonical import encode
from automations.errors import InvalidInput

MAX_DEPTH = 64
"""Levels of objects and arrays that a document may nest."""

_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
_INT_DIGITS = 19  # of 2**63 - 1; a text with fewer always fits
_LONG_NUMBER = b"0" * _INT_DIGITS
_SHOWN = 64
_NESTS = frozenset({dict, list})
# Every digit becomes 0 and every opening bracket [, anything else a space: both can then be searched at memory speed.
_MARKS = bytes(48 if 48 <= byte <= 57 else 91 if byte in b"[{" else 32 for byte in range(256))


def parse(raw: bytes | str, *, max_depth: int = MAX_DEPTH) -> Any:
    """Read one JSON document as plain data (dict, list, str, int within 64 bits, float, bool, None).

    Raises InvalidInput (code `malformed_json`) for anything but one well-formed document: not UTF-8, a byte order mark,
    text after the document, NaN and infinities (also a float too big to hold), duplicate keys in one object, integers
    outside -2**63 to 2**63 - 1, lone surrogates, nesting beyond `max_depth` levels (at most 254).
    """
    try:
        body = raw.encode() if isinstance(raw, str) else raw
        value = orjson.loads(body)
    except UnicodeEncodeError:
        _refuse("it holds half of a surrogate pair")
    except orjson.JSONDecodeError as problem:
        _refuse(str(problem))
    marks = body.translate(_MARKS)
    if marks.count(b"[") > max_depth:
        _check_depth(value, max_depth)
    if _LONG_NUMBER in marks:
        _read_slowly(body, json.JSONDecoder(parse_int=_check_integer), max_depth=max_depth)
    if _delimiting_quotes(body) != _delimiting_quotes(orjson.dumps(value)):
        _read_slowly(body, json.JSONDecoder(object_pairs_hook=_check_keys), max_depth=max_depth)
    return value


def _read_slowly(body: bytes, decoder: json.JSONDecoder, *, max_depth: int) -> None:
    try:
        decoder.decode(body.decode())
    except RecursionError:  # what nests so deeply hung under the first of two equal keys: only the text still shows it
        _refuse_depth(max_depth)


def _delimiting_quotes(text: bytes) -> int:
    """How many quotes open or close a text, in JSON that is known to be well-formed.

    Escapes are read from the left, so once the escaped backslashes are gone a backslash before a quote escapes it.
    """
    if b'\\"' not in text:
        return text.count(b'"')
    single = text.replace(b"\\\\", b"")
    return single.count(b'"') - single.count(b'\\"')


def _check_depth(value: Any, max_depth: int) -> None:
    level = [value] if type(value) in _NESTS else []
    for _ in range(max_depth):
        level = [
            child
            for parent in level
            for child in (parent.values() if type(parent) is dict else parent)
            if type(child) in _NESTS
        ]
    if level:
        _refuse_depth(max_depth)


def _check_integer(text: str) -> int:
    digits = text.lstrip("-")
    # The length comes first: Python refuses to convert some thousands of digits, and takes its time before that.
    if len(digits) > _INT_DIGITS or not _INT_MIN <= int(text) <= _INT_MAX:
        _refuse(f"the integer {text[:_SHOWN]} does not fit 64 bits", hint="Send it as text.")
    return int(text)


def _check_keys(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            _refuse(f"the key {encode(key[:_SHOWN])} stands twice in one object", hint="Keep one of them.")
        seen.add(key)


def _refuse_depth(max_depth: int) -> Never:
    _refuse(f"it nests deeper than {max_depth} levels", hint="Send it flatter.")


def _refuse(reason: str, *, hint: str = "Send one JSON document in UTF-8 (RFC 8259).") -> Never:
    raise InvalidInput(f"not acceptable JSON: {reason}", hint=hint, code="malformed_json")
