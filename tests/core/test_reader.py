"""The strict reader: what scalars mean, what is refused and where, and where everything stands."""

import subprocess
import sys
from typing import Any

import pytest

from automations.core.diagnostic import Severity, dotted
from automations.core.spec.reader import Limits, read

SAMPLE = b"""# A spec with a little of everything
schemaVersion: "1.0"
id: deploys.production
on: push
triggers:
  - kind: webhook
    filter: {release.prerelease: false, repository.full_name: "acme/*"}
    tags: [a, 'b', "c\\u00e9"]
  - &daily
    kind: schedule
    cron: "30 2 * * *"
  - *daily
text: |
  line one
  line two
folded: >-
  joined
  here
base: &base {retries: 3, wait: 1.5}
step:
  <<: *base
  note: !!str 12
nothing:
"""


def _value(text: str, file: str = "spec.yaml") -> Any:
    reading = read(text.encode(), file)
    assert reading.diagnostics == ()
    assert reading.document is not None
    return reading.document.value


def _found(raw: bytes, file: str = "spec.yaml") -> list[tuple[str, int, int]]:
    reading = read(raw, file)
    assert reading.document is None
    assert all(each.severity is Severity.ERROR and each.message and each.hint for each in reading.diagnostics)
    assert all(each.span.file == file for each in reading.diagnostics)
    return [(each.code, each.span.line, each.span.column) for each in reading.diagnostics]


# What a scalar means (YAML 1.2.2, section 10.3, and our two narrowings).
@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[(word, None) for word in ("", "~", "null", "Null", "NULL")],
        *[(word, True) for word in ("true", "True", "TRUE")],
        *[(word, False) for word in ("false", "False", "FALSE")],
        *[(word, word) for word in ("on", "On", "off", "yes", "no", "y", "n", "nULL", "tRUE", "none", "nil")],
        *[(word, word) for word in ("12:30", "1:2:3", "2024-01-02", "2024-01-02T03:04:05Z", "1.2.3", "1_000", "=")],
        ("0", 0),
        ("-0", 0),
        ("12", 12),
        ("+12", 12),
        ("-12", -12),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        ("0xff", 255),
        *[(word, word) for word in ("-0o17", "+0x1F", "0o18", "0xG", "0b11", "0O17", "0X1F", "1e", "e5", ".", "+")],
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("0000000000000000000000000000000000000007", 7),
        ("0x7fffffffffffffff", 2**63 - 1),
        ("1.5", 1.5),
        ("-1.5", -1.5),
        (".5", 0.5),
        ("+.5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("1E+3", 1000.0),
        ("1.5e-3", 0.0015),
        *[(word, word) for word in ("inf", "nan", ".Nan", ".iNF", "Infinity", "+.nan", "\uff11", "\u0663")],
        ('"12"', "12"),
        ("'true'", "true"),
        ('""', ""),
        ("''", ""),
        ('"\\x41\\u00e9\\U0001F600\\n"', "Aé😀\n"),
        ("! 12", "12"),
        ("!!str 12", "12"),
        ("!!str", ""),
        ('!!int "12"', 12),
        ("!!int 0x10", 16),
        ("!!float 1", 1.0),
        ("!!float 0o17", 15.0),
        ('!!bool "true"', True),
        ("!!null ''", None),
        ("!!map {}", {}),
        ("!!seq []", []),
        ("! {}", {}),
        ("!<tag:yaml.org,2002:str> 1", "1"),
    ],
)
def test_a_scalar_means_what_the_core_schema_says(text: str, value: Any) -> None:
    read_back = _value(f"a: {text}\n")["a"]
    assert read_back == value
    assert type(read_back) is type(value)


def test_a_sample_with_every_style_reads_as_plain_data() -> None:
    daily = {"kind": "schedule", "cron": "30 2 * * *"}
    assert _value(SAMPLE.decode()) == {
        "schemaVersion": "1.0",
        "id": "deploys.production",
        "on": "push",
        "triggers": [
            {
                "kind": "webhook",
                "filter": {"release.prerelease": False, "repository.full_name": "acme/*"},
                "tags": ["a", "b", "cé"],
            },
            daily,
            daily,
        ],
        "text": "line one\nline two\n",
        "folded": "joined here",
        "base": {"retries": 3, "wait": 1.5},
        "step": {"retries": 3, "wait": 1.5, "note": "12"},
        "nothing": None,
    }


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"\xef\xbb\xbfa: 1\n", {"a": 1}),
        (b"a: 1\r\nb: 2\r\n", {"a": 1, "b": 2}),
        (b"%YAML 1.2\n---\na: 1\n...\n", {"a": 1}),
        (b"--- null\n", None),
        (b"text", "text"),
        (b'"<<": 1\n', {"<<": 1}),
        (b"!!str <<: 1\n", {"<<": 1}),
        (b"? a\n? b\n", {"a": None, "b": None}),
        (b"- &k name\n- *k : 1\n", ["name", {"name": 1}]),
        (b"- &a 1\n- &a 2\n- *a\n", [1, 2, 2]),
        (b"- &a {x: 1}\n- <<: [*a, {y: 2}]\n  z: 3\n", [{"x": 1}, {"x": 1, "y": 2, "z": 3}]),
        (b'{\n\t"a":\t[1,\n\t\t2]}\n', {"a": [1, 2]}),
        (b'a: "\\u2028 %TAG"\nb: "%TAG !x! y"\n', {"a": "\u2028 %TAG", "b": "%TAG !x! y"}),
    ],
)
def test_unusual_but_valid_yaml_is_read(raw: bytes, value: Any) -> None:
    reading = read(raw, "spec.yaml")
    assert reading.diagnostics == ()
    assert reading.document is not None
    assert reading.document.value == value


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'\t{"a":\t1}\r\n', {"a": 1}),
        (b'{"a" : [ ], "b"\n:{}, "c": null}', {"a": [], "b": {}, "c": None}),
        (b'["\\ud83d\\ude00", "\\/", "\x7f", "\xe2\x80\xa8"]', ["😀", "/", "\x7f", "\u2028"]),
        (b'{"<<": 1, "true": true, "12": -0.5e1}', {"<<": 1, "true": True, "12": -5.0}),
        (b'{"' + b"k" * 3000 + b'": 1}', {"k" * 3000: 1}),
        (b'"text"', "text"),
        (b"\xef\xbb\xbf1", 1),
    ],
)
def test_a_json_file_is_read_by_the_grammar_of_json(raw: bytes, value: Any) -> None:
    reading = read(raw, "spec.JSON")
    assert reading.diagnostics == ()
    assert reading.document is not None
    assert reading.document.value == value


@pytest.mark.parametrize("name", ["-", "spec.yaml", "spec.yml", "spec"])
@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'["\\ud83d\\ude00", "\\/", "\x7f", "\xe2\x80\xa8"]', ["😀", "/", "\x7f", "\u2028"]),
        (b'\xef\xbb\xbf\r\n\t{\t"a": [1e3, "on", "0x1F"]}\n', {"a": [1000.0, "on", "0x1F"]}),
        (b'{"' + b"k" * 3000 + b'": 1, "<<": null}', {"k" * 3000: 1, "<<": None}),
    ],
)
def test_json_is_read_by_its_own_grammar_whatever_its_name(raw: bytes, value: Any, name: str) -> None:
    reading = read(raw, name)
    assert reading.diagnostics == ()
    assert reading.document is not None
    assert reading.document.value == value
    named = read(raw, "spec.json").document
    assert named is not None
    assert dict(reading.document.marks()) == dict(named.marks())
    assert reading.document.outline == named.outline


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a": 1,\n "\\ud83d\\ude00": {"b": 2, "b": 3}}',
        b'{"a": "\\u0000"}',
        b"[" * 41 + b"]" * 41,
        b"[18446744073709551615]",
    ],
)
def test_json_of_another_name_is_read_as_strictly_as_a_json_file(raw: bytes) -> None:
    assert _found(raw, "-") == _found(raw, "spec.json") != []


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"{a: 1, 'b': [x, y,], }", {"a": 1, "b": ["x", "y"]}),
        (b'{"a": 1}  # why\n', {"a": 1}),
        (b'[&x "a", *x]', ["a", "a"]),
        (b'{"a": "\\U0001F600 \\x41"}', {"a": "😀 A"}),
        (b'{"a": "one\n  two"}', {"a": "one two"}),
    ],
)
def test_brackets_that_are_not_json_are_yaml(raw: bytes, value: Any) -> None:
    document = read(raw, "spec.yaml").document
    assert document is not None
    assert document.value == value


@pytest.mark.parametrize("raw", [b'{"a": "\\ud83d\\ude00", }', b'{"a": "\\ud83d"}', b'"\\ud83d\\ude00"'])
def test_surrogates_in_what_is_not_json_are_refused(raw: bytes) -> None:
    ((code, line, _),) = _found(raw, "spec.yaml")
    assert (code, line) == ("yaml/character", 1)


@pytest.mark.parametrize(
    ("raw", "code", "line", "column"),
    [
        (b"", "yaml/empty", 1, 1),
        (b"# only a comment\n", "yaml/empty", 1, 1),
        (b"---\n", "yaml/empty", 1, 1),
        (b"--- &a\n", "yaml/empty", 1, 1),
        (b"a: 1\n---\nb: 2\n", "yaml/documents", 2, 1),
        (b"a: 1\n---\n", "yaml/documents", 2, 1),
        (b"a: 1\n--- {b: [\n", "yaml/documents", 2, 1),
        (b"a: 1\nb: 2\na: 3\n", "yaml/duplicate-key", 3, 1),
        (b"a: {b: 1, 'b': 2}\n", "yaml/duplicate-key", 1, 11),
        (b"a: &k x\nx: 1\n*k : 2\n", "yaml/duplicate-key", 3, 1),
        (b"a: {<<: {x: 1}, <<: {y: 1}}\n", "yaml/duplicate-key", 1, 17),
        (b"8080: x\n", "yaml/key", 1, 1),
        (b"a: {true: x}\n", "yaml/key", 1, 5),
        (b"~: x\n", "yaml/key", 1, 1),
        (b"{? : x}\n", "yaml/key", 1, 4),
        (b"? [a]\n: x\n", "yaml/key", 1, 3),
        (b"? {a: 1}\n: {b: 2}\n", "yaml/key", 1, 3),
        (b"a: &n 1\n*n : 2\n", "yaml/key", 2, 1),
        (b"a: &n {}\n*n : 2\n", "yaml/key", 2, 1),
        (b"a: !foo b\n", "yaml/tag", 1, 4),
        (b"a: !!python/object:os.system {}\n", "yaml/tag", 1, 4),
        (b"a: !!timestamp 2024-01-01\n", "yaml/tag", 1, 4),
        (b"a: !!set {}\n", "yaml/tag", 1, 4),
        (b"a: !!binary aGk=\n", "yaml/tag", 1, 4),
        (b"a: !!merge <<\n", "yaml/tag", 1, 4),
        (b"a: !!int abc\n", "yaml/tag", 1, 4),
        (b"a: !!int 1.5\n", "yaml/tag", 1, 4),
        (b"a: !!int true\n", "yaml/tag", 1, 4),
        (b"a: !!bool yes\n", "yaml/tag", 1, 4),
        (b"a: !!null x\n", "yaml/tag", 1, 4),
        (b"a: !!float x\n", "yaml/tag", 1, 4),
        (b"a: !!map []\n", "yaml/tag", 1, 4),
        (b"a: !!seq {}\n", "yaml/tag", 1, 4),
        (b"a: !!str {}\n", "yaml/tag", 1, 4),
        (b"a: !e!x b\n", "yaml/tag", 1, 4),
        (b"%TAG !e! tag:e,1:\n---\na: 1\n", "yaml/tag", 1, 1),
        (b"a: .inf\n", "yaml/number", 1, 4),
        (b"a: -.INF\n", "yaml/number", 1, 4),
        (b"a: [1, .NaN]\n", "yaml/number", 1, 8),
        (b"a: 1e999\n", "yaml/number", 1, 4),
        (b"a: !!float .inf\n", "yaml/number", 1, 4),
        (b"a: 9223372036854775808\n", "yaml/number", 1, 4),
        (b"a: -9223372036854775809\n", "yaml/number", 1, 4),
        (b"a: 0x8000000000000000\n", "yaml/number", 1, 4),
        (b"a: " + b"9" * 5000 + b"\n", "yaml/number", 1, 4),
        (b"a: 1\nb: *c\n", "yaml/undefined-alias", 2, 4),
        (b"a: &a [*a]\n", "yaml/recursive-alias", 1, 8),
        (b"&a a: 1\nb: &m {<<: *m}\n", "yaml/recursive-alias", 2, 12),
        (b"a: &a {x: 1}\nb: {x: 2, <<: *a}\n", "yaml/merge", 2, 11),
        (b"a: &a {x: 1}\nb: {<<: *a, x: 2}\n", "yaml/merge", 2, 5),
        (b"a: &a {x: 1}\nb: {<<: [*a, *a]}\n", "yaml/merge", 2, 5),
        (b"a: {<<: 5}\n", "yaml/merge", 1, 5),
        (b"a: {<<: [5]}\n", "yaml/merge", 1, 5),
        (b"a: {<<: }\n", "yaml/merge", 1, 5),
        (b"a: caf\xe9\n", "yaml/encoding", 1, 7),
        ("é: 1\r\n".encode() + b"a: \xff\n", "yaml/encoding", 2, 4),
        ("a: 1\n".encode("utf-16"), "yaml/encoding", 1, 1),
        (b"\xfe\xff\0a", "yaml/encoding", 1, 1),
        (b"a: \xed\xa0\x80\n", "yaml/encoding", 1, 4),
        (b"a: b\nc: \0\n", "yaml/character", 2, 4),
        (b"a: b\nc: \x1b[31m\n", "yaml/character", 2, 4),
        (b'a: "\\0"\n', "yaml/character", 1, 4),
        (b'a: &x "\\x00"\n', "yaml/character", 1, 4),
        (b'a: "\\ud83d\\ude00"\n', "yaml/character", 1, 5),
        (b'a: "\\udc00"\n', "yaml/character", 1, 5),
        (b'a: "\\U00110000"\n', "yaml/character", 1, 5),
        ("a: 1 # \u2028b: 2\n".encode(), "yaml/character", 1, 8),
        ("a: x\u0085y\n".encode(), "yaml/character", 1, 5),
        (b"a: [1\n", "yaml/syntax", 2, 1),
        (b"a: {b: 1", "yaml/syntax", 1, 9),
        (b"a: b: c\n", "yaml/syntax", 1, 5),
        ("é: ☃😀 : 1\n".encode(), "yaml/syntax", 1, 7),
        (b"a:\n\t- b\n", "yaml/syntax", 2, 1),
        (b"a: @b\n", "yaml/syntax", 1, 4),
        (b'a: "b\n', "yaml/syntax", 2, 1),
        (b'a: "\\q"\n', "yaml/syntax", 1, 5),
        (b'a: "\\xZZ"\n', "yaml/syntax", 1, 5),
        (b"a:\n  b: 1\n c: 2\n", "yaml/syntax", 3, 2),
        (b"- a\nb: c\n", "yaml/syntax", 2, 1),
        (b"%YAML 2.0\n---\na: 1\n", "yaml/syntax", 1, 1),
        (b"{a: 1}}\n", "yaml/syntax", 1, 7),
        (b"a: &\n", "yaml/syntax", 1, 5),
    ],
)
def test_a_bad_yaml_file_gives_one_error_at_its_place(raw: bytes, code: str, line: int, column: int) -> None:
    assert _found(raw) == [(code, line, column)]


@pytest.mark.parametrize(
    ("raw", "code", "line", "column"),
    [
        (b" \n", "yaml/empty", 1, 1),
        (b'{"a": 1,\n "a": 2}', "yaml/duplicate-key", 2, 2),
        (b'{"a": 1,}', "yaml/syntax", 1, 9),
        (b"[1,]", "yaml/syntax", 1, 4),
        (b"[,1]", "yaml/syntax", 1, 2),
        (b"[1}", "yaml/syntax", 1, 3),
        (b"]", "yaml/syntax", 1, 1),
        (b'{"a"}', "yaml/syntax", 1, 5),
        (b'{"a" 1}', "yaml/syntax", 1, 6),
        (b'{"a":: 1}', "yaml/syntax", 1, 6),
        (b'{"a": {}{}}', "yaml/syntax", 1, 9),
        (b"[1 2]", "yaml/syntax", 1, 4),
        (b"[01]", "yaml/syntax", 1, 3),
        (b"[1] [2]", "yaml/syntax", 1, 5),
        (b"{a: 1}", "yaml/syntax", 1, 2),
        (b"{1: 2}", "yaml/syntax", 1, 2),
        (b"// no comments\n{}", "yaml/syntax", 1, 1),
        (b'{"a": [1,\r\n', "yaml/syntax", 2, 1),
        (b'["abc', "yaml/syntax", 1, 2),
        (b'["\\q"]', "yaml/syntax", 1, 3),
        (b'["a\n"]', "yaml/character", 1, 4),
        (b'["\\u0000"]', "yaml/character", 1, 2),
        (b'["\\ud83d"]', "yaml/character", 1, 2),
        (b"[NaN]", "yaml/number", 1, 2),
        (b"[-Infinity]", "yaml/number", 1, 2),
        (b"[1e999]", "yaml/number", 1, 2),
        (b"[18446744073709551615]", "yaml/number", 1, 2),
        (b"[\xff]", "yaml/encoding", 1, 2),
    ],
)
def test_a_bad_json_file_gives_one_error_at_its_place(raw: bytes, code: str, line: int, column: int) -> None:
    assert _found(raw, "spec.json") == [(code, line, column)]


def test_independent_errors_are_all_reported_in_one_pass() -> None:
    raw = b"a: 1\na: 2\nb: !x 1\nc: [.nan, *z, {d: 1, d: 2}]\n8080: 1\n? [k]\n: 1\ne: [\n"
    assert _found(raw) == [
        ("yaml/duplicate-key", 2, 1),
        ("yaml/tag", 3, 4),
        ("yaml/number", 4, 5),
        ("yaml/undefined-alias", 4, 11),
        ("yaml/duplicate-key", 4, 22),
        ("yaml/key", 5, 1),
        ("yaml/key", 6, 3),
        ("yaml/syntax", 9, 1),
    ]


def test_a_duplicate_key_is_an_error_at_its_second_place_and_names_the_first() -> None:
    reading = read(b"x:\n  - a: {k: 1}\n    b: 1\n    a: {k: 1, k: 2}\n", "f.yaml")
    outer, inner = reading.diagnostics
    assert "'a'" in outer.message
    assert "line 2" in outer.message
    assert (dotted(outer.path), str(outer.span)) == ("x[0].a", "f.yaml:4:5")
    assert "line 4" in inner.message
    assert (dotted(inner.path), str(inner.span)) == ("x[0].a.k", "f.yaml:4:15")


def test_each_of_several_duplicates_names_the_first_place_of_its_own_key() -> None:
    findings = read(b"a: 1\na: 2\nb: {c: 3}\nd: [4]\nb: 5\nd: 6\na: 7\n", "f.yaml").diagnostics
    assert [(each.span.line, each.message.rsplit(maxsplit=1)[-1]) for each in findings] == [
        (2, "1"),
        (5, "3"),
        (6, "4"),
        (7, "1"),
    ]


def test_a_duplicate_of_a_key_that_an_alias_gave_names_no_line() -> None:
    (finding,) = read(b"- &k x\n- *k : 1\n  x: 2\n", "f.yaml").diagnostics
    assert (finding.code, finding.span.line) == ("yaml/duplicate-key", 3)
    assert "line" not in finding.message


def test_a_bad_alias_in_a_merge_or_as_a_key_is_reported_once() -> None:
    assert _found(b"a: {<<: *x}\nb: {<<: [*y]}\n*z : 1\n") == [
        ("yaml/undefined-alias", 1, 9),
        ("yaml/undefined-alias", 2, 10),
        ("yaml/undefined-alias", 3, 1),
    ]


def test_a_syntax_error_says_what_was_being_read_and_where_it_began() -> None:
    (finding,) = read(b"a:\n  b: [1,\nc: 2\n", "f.yaml").diagnostics
    assert "flow sequence" in finding.message
    assert "line 2, column 6" in finding.message
    assert "]" in finding.hint


def test_a_tab_that_indents_is_called_a_tab() -> None:
    (finding,) = read(b"a:\n\tb: 1\n", "f.yaml").diagnostics
    assert "tab" in finding.message
    assert "spaces" in finding.hint


def test_a_key_that_is_no_text_gets_the_hint_to_quote_it() -> None:
    (finding,) = read(b"8080: x\n", "f.yaml").diagnostics
    assert '"8080":' in finding.hint


def test_a_finding_never_repeats_long_or_unprintable_text() -> None:
    (long,) = read(b"? " + b"k" * 5000 + b"\n: 1\n? " + b"k" * 5000 + b"\n: 2\n", "f.yaml").diagnostics
    assert len(long.message) < 200
    (odd,) = read(b'"\\e[2J": 1\n"\\e[2J": 2\n', "f.yaml").diagnostics
    assert odd.message.isprintable()


def test_many_findings_end_the_reading() -> None:
    assert len(_found(b"a: 1\n" * 5000)) == Limits().findings


@pytest.mark.parametrize("file", ["spec.yaml", "spec.json"])
def test_no_prefix_of_a_spec_raises(file: str) -> None:
    for end in range(len(SAMPLE) + 1):
        reading = read(SAMPLE[:end], file)
        assert (reading.document is None) == bool(reading.diagnostics)
        assert all(each.code != "yaml/internal" for each in reading.diagnostics)


def test_a_fault_of_the_reader_itself_becomes_a_finding() -> None:
    (finding,) = read("not bytes", "f.yaml").diagnostics  # type: ignore[arg-type]  # stands for any fault of ours
    assert finding.code == "yaml/internal"


def test_without_libyaml_the_import_says_what_to_install() -> None:
    program = "import sys; sys.modules['yaml._yaml'] = None; import automations.core.spec.reader"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "PyYAML was built without libyaml" in done.stderr.splitlines()[-1]


def test_marks_give_the_place_of_every_key_and_value() -> None:
    document = read(b"id: x\nlist:\n  - a: 1\n    b: 'two'\n  -\n    - {c: []}\n", "f.yaml").document
    assert document is not None
    assert dict(document.marks()) == {
        (): (1, 1, 1, 1),
        ("id",): (1, 1, 1, 5),
        ("list",): (2, 1, 3, 3),
        ("list", 0): (3, 5, 3, 5),
        ("list", 0, "a"): (3, 5, 3, 8),
        ("list", 0, "b"): (4, 5, 4, 8),
        ("list", 1): (6, 5, 6, 5),
        ("list", 1, 0): (6, 7, 6, 7),
        ("list", 1, 0, "c"): (6, 8, 6, 11),
    }
    assert document.outline == {("id",): (1, 5), ("list",): (3, 3), ("list", 0): (3, 5), ("list", 1): (6, 5)}
    assert str(document.key(("list", 0, "b"))) == "f.yaml:4:5"
    assert str(document.at(("list", 0, "missing"))) == "f.yaml:3:5"


def test_what_aliases_and_merges_bring_stands_where_it_was_written() -> None:
    raw = b"base: &b {x: 1, y: [1]}\nuse: *b\nm:\n  <<: [*b, {z: 3}]\n  k: &k v\n*k : 5\n"
    document = read(raw, "f.yaml").document
    assert document is not None
    marks = document.marks()
    assert marks["use",] == (2, 1, 2, 6)
    assert marks["use", "y", 0] == marks["m", "y", 0] == marks["base", "y", 0] == (1, 21, 1, 21)
    assert marks["m", "x"] == (1, 11, 1, 14)
    assert marks["m", "z"] == (4, 13, 4, 16)
    assert marks["v",] == (6, 1, 6, 6)
    assert not any("<<" in path for path in marks)


def test_columns_count_characters_in_yaml_and_json() -> None:
    for file in ("f.yaml", "f.json"):
        document = read('\ufeff{"é": 1,\r\n "😀😀": [2]}'.encode(), file).document
        assert document is not None
        assert document.marks()["é",] == (1, 2, 1, 7)
        assert document.marks()["😀😀", 0] == (2, 9, 2, 9)
