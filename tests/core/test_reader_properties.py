"""Laws of the strict reader, over any data and any bytes."""

import json
import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from automations.core.spec.document import Document
from automations.core.spec.reader import read

# What YAML files can hold as it stands, and JSON dumps unescaped: no surrogates, no NUL (refused even when escaped).
_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
_RESOLVED = [
    "on",
    "yes",
    "no",
    "null",
    "true",
    "~",
    "12:30",
    "2024-01-02",
    "1e3",
    "0o17",
    "017",
    "0x1F",
    "1_000",
    ".inf",
]
_SYNTAX = [".5", "<<", "=", "#", "&a", "*a", "!x", "%TAG", "---", "...", "- a", "a: b", " ", "\t", "\n", "a\n\n b"]
_words = st.sampled_from([*_RESOLVED, *_SYNTAX, "\x85", "\u2028", ""])
_strings = _texts | _words
_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _strings
)
_data = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_strings, inner, max_size=4), max_leaves=25
)


def _same(one: Any, other: Any) -> bool:
    """Equal and of the same kinds throughout: 1, 1.0 and True are different values."""
    return repr(one) == repr(other)


@given(_data, st.sampled_from([None, 2, "\t"]), st.booleans())
def test_whatever_json_wrote_a_json_file_reads_back(data: Any, indent: int | str | None, ascii_only: bool) -> None:
    raw = json.dumps(data, indent=indent, ensure_ascii=ascii_only).encode()
    reading = read(raw, "data.json")
    assert reading.diagnostics == ()
    assert reading.document is not None
    assert _same(reading.document.value, data)


_NEW_NUMBERS = re.compile(r"0o[0-7]+|[-+]?0[0-9]+|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
"""Text that YAML 1.2 reads as a number; YAML 1.1 does not in every case, and safe_dump quotes by the rules of 1.1."""

_dumped_strings = _strings.filter(lambda text: not _NEW_NUMBERS.fullmatch(text))
_dumped_data = st.recursive(
    _scalars.filter(lambda value: not isinstance(value, str) or not _NEW_NUMBERS.fullmatch(value)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_dumped_strings, inner, max_size=4),
    max_leaves=25,
)


@pytest.mark.parametrize("flow", [False, True])
@given(data=_dumped_data, width=st.sampled_from([20, 80]))
def test_whatever_safe_dump_wrote_a_yaml_file_reads_back(data: Any, width: int, flow: bool) -> None:
    text = yaml.safe_dump(data, default_flow_style=flow, width=width, sort_keys=False)
    reading = read(text.encode(), "data.yaml")
    assert reading.diagnostics == ()
    assert reading.document is not None
    assert _same(reading.document.value, data)


@given(st.lists(_data) | st.dictionaries(_strings, _data), st.sampled_from([None, 2, "\t"]), st.booleans())
def test_json_text_means_the_same_in_a_file_of_any_name(data: Any, indent: int | str | None, ascii_only: bool) -> None:
    raw = json.dumps(data, indent=indent, ensure_ascii=ascii_only).encode()
    reading = read(raw, "data.yaml")
    assert reading.document is not None
    assert _same(reading.document.value, data)
    named = read(raw, "data.json").document
    assert named is not None
    assert dict(reading.document.marks()) == dict(named.marks())


@given(_data)
def test_json_text_of_a_yaml_file_never_means_something_else_inside_a_block(data: Any) -> None:
    reading = read(b"a: " + json.dumps(data).encode(), "data.yaml")
    assert reading.document is None or _same(reading.document.value, {"a": data})


def _assert_outline_agrees(document: Document) -> None:
    """The outline that the first pass kept is part of what the second one finds."""
    marks = document.marks()
    assert all(marks[path][2:] == place for path, place in document.outline.items())


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    found = {path}
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found |= _paths(inner, (*path, key))
    return found


@given(_data, st.sampled_from([None, 1]))
def test_marks_hold_exactly_the_paths_of_a_document_and_point_at_its_keys(data: Any, indent: int | None) -> None:
    text = json.dumps(data, indent=indent)
    lines = text.split("\n")
    document = read(text.encode(), "data.json").document
    assert document is not None
    marks = document.marks()
    assert set(marks) == _paths(data)
    for path, (line, column, value_line, value_column) in marks.items():
        value: Any = data
        for part in path:
            value = value[part]
        written = json.dumps(path[-1] if path and isinstance(path[-1], str) else value, indent=indent)
        assert lines[line - 1][column - 1 :].startswith(written.split("\n")[0])
        assert lines[value_line - 1][value_column - 1 :].startswith(json.dumps(value, indent=indent).split("\n")[0])


@given(data=_dumped_data, flow=st.booleans())
def test_marks_of_yaml_hold_exactly_the_paths_of_a_document(data: Any, flow: bool) -> None:
    document = read(yaml.safe_dump(data, default_flow_style=flow).encode(), "data.yaml").document
    assert document is not None
    assert set(document.marks()) == _paths(data)
    _assert_outline_agrees(document)


_SIGNS = "{}[],:#&*!|>'\"%@`~-?<. \t\n\\/u0a1e\x85\u2028\ufeffé\ud800\0"
_PHRASES = ["&a ", "*a", "<<: ", "- ", "a: ", "? ", "---\n", "...\n", "!!int ", "\n  ", "\\u", "0x", "[*a]", "{<<: *a}"]
_pieces = st.sampled_from([*_SIGNS, *_PHRASES, '"b": ', "%TAG ! !\n", "&a {x: 1}\n"])


@given(
    st.binary(max_size=200)
    | st.lists(_pieces, max_size=40).map(lambda parts: "".join(parts).encode("utf-8", "replace")),
    st.sampled_from(["f.yaml", "f.json"]),
)
def test_any_bytes_give_a_document_or_findings_inside_the_file(raw: bytes, file: str) -> None:
    reading = read(raw, file)
    assert (reading.document is None) == bool(reading.diagnostics)
    for each in reading.diagnostics:
        assert each.code != "yaml/internal"
        assert 1 <= each.span.line <= len(re.findall(rb"\r\n?|\n", raw)) + 2
        assert each.span.column >= 1
    if reading.document is not None:
        assert set(reading.document.marks()) == _paths(reading.document.value)
        _assert_outline_agrees(reading.document)
