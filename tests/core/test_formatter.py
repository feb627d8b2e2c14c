"""The canonical form of specs: examples of what it is, and the laws that make it safe to run on everything."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automations.core.canonical import digest
from automations.core.spec.formatter import KEPT_ORDER, formatted
from automations.core.spec.reader import read

ROOT = Path(__file__).parents[2]
CORPUS = sorted((ROOT / "tests" / "data" / "specs").glob("*/*.yaml"))
EXAMPLES = sorted((ROOT / "automations.d").rglob("*.yaml"))


def canonical(text: str, file: str = "a.yaml") -> str:
    found = formatted(text.encode(), file)
    assert found.text is not None, (found.reason, found.diagnostics)
    return found.text


def comments(text: str) -> list[str]:
    """The numbered comments that the laws below put into a text."""
    return sorted(re.findall(r"# c\d+\b", text))


# ------------------------------------------------------------------ what it looks like


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("version: 1.0.0\nid: a\n", "id: a\nversion: 1.0.0\n"),
        ("zebra: 1\nid: a\n", "id: a\nzebra: 1\n"),
        ("id:   a   \nname:  'A'\n", 'id: a\nname: "A"\n'),
        ('"id": a\n\'name\': "A"\n', 'id: a\nname: "A"\n'),
        ("name: 'say \"x\"'\n", "name: 'say \"x\"'\n"),
        ("name: 'a\\b'\n", "name: 'a\\b'\n"),
        ("name: 'it''s'\n", 'name: "it\'s"\n'),
        ("vars: {'on': 1, 'a b': 2, 'true': 3}\n", 'vars: {"on": 1, "a b": 2, "true": 3}\n'),
        ("vars: { a: 1,b: [ x,y ] }\n", "vars: {a: 1, b: [x, y]}\n"),
        ("vars: {a: , b}\n", "vars: {a: null, b: null}\n"),
        ("vars:\n  a:\n  b: ~\n", "vars:\n  a:\n  b: ~\n"),
        ("vars: {\n  a: 1\n}\n", "vars:\n  a: 1\n"),
        ("vars: [a: b]\n", "vars: [{a: b}]\n"),
        ("vars:\n    b:\n    - 1\n    -   - 2\n        - 3\n", "vars:\n  b:\n    - 1\n    - - 2\n      - 3\n"),
        (
            "actions:\n- actionId: x.y\n  id: a\n- {id: b, actionId: x.y}\n",
            "actions:\n  - id: a\n    actionId: x.y\n  - {id: b, actionId: x.y}\n",
        ),
        ("\n\n\nid: a\n\n\n\nname: A\n\n", "id: a\n\nname: A\n"),
        ("id: a\r\nname: A\r\n", "id: a\nname: A\n"),
        ("\ufeffid: a\n", "id: a\n"),
        ('{"id": "a", "vars": {"b": [1]}}', 'id: "a"\nvars: {b: [1]}\n'),
        ('{"name": "\\ud83d\\ude00 \\\\ud83d\\\\ude00"}', 'name: "😀 \\\\ud83d\\\\ude00"\n'),
        ("---\nid: a\n...\n", "id: a\n"),
        ("id: a", "id: a\n"),
        ("description: |\n      two\n        lines\n", "description: |\n  two\n    lines\n"),
        ("description: |4\n      two\n", "description: |2\n    two\n"),
        ("description: |\n  text", "description: |-\n  text\n"),
        ("description: >-\n      folded\n      text\n\n\nname: A\n", "name: A\ndescription: >-\n  folded\n  text\n"),
        ("vars:\n  a: |+\n    kept\n\n\n  b: 1\n", "vars:\n  a: |+\n    kept\n\n\n  b: 1\n"),
        ("description: one\n    two\n\n    three\nid: a\n", "id: a\ndescription: one\n  two\n\n  three\n"),
        ('description: "one\n      two \\\n      three"\n', 'description: "one\n  two \\\n  three"\n'),
        ("? id\n: a\n", "id: a\n"),
        ("id: !!str   1\n", "id: !!str 1\n"),
        ("vars: {a: &x [1], b: *x}\nid: a\n", "id: a\nvars: {a: &x [1], b: *x}\n"),
        ("vars: {a: &x [1]}\nname: a\nid: a\nmetadata: *x\n", "id: a\nname: a\nvars: {a: &x [1]}\nmetadata: *x\n"),
        ("vars:\n  a: &x\n     k: 1\n  b: *x\n", "vars:\n  a: &x\n    k: 1\n  b: *x\n"),
        ('{"id": "a", "vars": {"x": [1, {"z": null}]}}', 'id: "a"\nvars: {x: [1, {z: null}]}\n'),
    ],
)
def test_there_is_one_way_to_write_it(before: str, after: str) -> None:
    assert canonical(before) == after
    assert canonical(after) == after


def test_brackets_that_do_not_fit_on_a_line_are_opened() -> None:
    wide = ", ".join(f"k{number}: value" for number in range(12))
    text = canonical(f"vars: {{{wide}}}\n")
    assert text.splitlines()[:2] == ["vars:", "  k0: value"]
    assert canonical(text) == text


def test_an_object_that_is_the_authors_own_keeps_its_order() -> None:
    text = "triggers:\n  - kind: event\n    filter: {z: 1, a: 2}\nactions:\n  - id: a\n    input:\n      type: x\n      id: y\n"
    assert canonical(text) == text


COMMENTED = """\
# yaml-language-server: $schema=../schemas/automation.schema.json
# who to ask

# of version
version: 1.0.0  # behind version
id: a    # behind id
actions:   # behind actions
# before the first step
- actionId: x.y    # behind actionId
  # of id
  id: b
  # at the end of the first step

# before the second
-   # behind a dash
  id: c
  input: {a: 1,   # inside
    b: 2}
  # at the end of the second
name:  # behind a name
  A
description: |   # behind a header
  text # no comment
# at the end
"""
COMMENTED_AFTER = """\
# yaml-language-server: $schema=../schemas/automation.schema.json
# who to ask

# of version
id: a  # behind id
# behind a name
name: A
version: 1.0.0  # behind version
description: |  # behind a header
  text # no comment
actions:  # behind actions
  # before the first step
  # of id
  - id: b
    actionId: x.y  # behind actionId
    # at the end of the first step

  # before the second
  # behind a dash
  - id: c
    input:
      a: 1  # inside
      b: 2
    # at the end of the second
# at the end
"""


def test_every_comment_stays_with_what_it_is_about() -> None:
    assert canonical(COMMENTED) == COMMENTED_AFTER
    assert canonical(COMMENTED_AFTER) == COMMENTED_AFTER


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_the_examples_are_canonical(file: Path) -> None:
    assert canonical(file.read_text(), str(file)) == file.read_text(), "run: automations fmt automations.d"


# ------------------------------------------------------------------ what is left alone


@pytest.mark.parametrize(
    "text",
    ["id: [\n", "id: a\nid: b\n", "id: \x00\n", "a: *nothing\n", "id: a\n---\nid: b\n", "", "# only a comment\n"],
)
def test_a_file_that_cannot_be_read_has_findings_and_no_form(text: str) -> None:
    found = formatted(text.encode(), "a.yaml")
    assert found.text is None
    assert found.diagnostics


@pytest.mark.parametrize(
    "text", ["text\n", "{}\n", "[]\n", "%YAML 1.2\n---\nid: a\n", "--- &a\nid: a\n", "vars: {  # x\n}\n"]
)
def test_what_has_no_canonical_form_is_refused_with_a_reason(text: str) -> None:
    found = formatted(text.encode(), "a.yaml")
    assert (found.text, found.diagnostics) == (None, ())
    assert found.reason


# ------------------------------------------------------------------ laws

_plain = st.sampled_from(["a", "x.y", "1", "1.5", "true", "~", "on", "12:30", "a b", "0x1F", "v1.4.0", "a:b", "${{x}}"])
_single = st.sampled_from(["''", "'a'", "'it''s'", "'1'", "'a # b'", "'\\n'", "'\"'"])
_double = st.sampled_from(['""', '"a"', '"\\n"', '"\\u00e9"', '"a # b"', '"\'"', '"1.0"', '"a\\tb"'])
_scalars = _plain | _single | _double
_names = st.sampled_from(
    ["id", "name", "kind", "actions", "triggers", "vars", "z", "version", '"q"', "'on'", "input", "a-b"]
)


@st.composite
def _flows(draw: st.DrawFn, depth: int = 0) -> str:
    if depth > 2 or draw(st.booleans()):
        return draw(_scalars.filter(lambda text: text not in ("a:b", "${{x}}")))
    inner = st.deferred(lambda: _flows(depth + 1))
    space = draw(st.sampled_from(["", " "]))
    if draw(st.booleans()):
        return "[" + space + ", ".join(draw(st.lists(inner, max_size=3))) + space + "]"
    keys = draw(st.lists(_names, max_size=3, unique_by=lambda name: name.strip("'\"")))
    return "{" + space + ", ".join(f"{key}: {draw(inner)}" for key in keys) + space + "}"


class _Document:
    """A document as a careless but competent author writes it: any indentation, blank lines, comments wherever they may be."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.number = 0

    def comment(self) -> str:
        self.number += 1
        return f"# c{self.number}"

    def between(self, pad: str) -> list[str]:
        lines: list[str] = []
        for kind in self.draw(st.lists(st.sampled_from(["blank", "comment", "odd"]), max_size=2)):
            odd = self.draw(st.sampled_from(["", " ", "     "]))
            lines.append("" if kind == "blank" else (pad if kind == "comment" else odd) + self.comment())
        return lines

    def behind(self) -> str:
        return f"{self.draw(st.sampled_from([' ', '   ']))}{self.comment()}" if self.draw(st.booleans()) else ""

    def lines(self, pad: str, depth: int) -> list[str]:
        mapping = depth == 0 or self.draw(st.booleans())
        unique = st.lists(_names, min_size=1, max_size=3, unique_by=lambda name: name.strip("'\""))
        starts = [f"{name}:" for name in self.draw(unique)] if mapping else ["-"] * self.draw(st.integers(1, 3))
        lines: list[str] = []
        for start in starts:
            lines += self.between(pad) + self.value(pad, start, depth)
        return lines

    def value(self, pad: str, start: str, depth: int) -> list[str]:
        step = self.draw(st.sampled_from([1, 2, 4]))
        kinds = [
            "scalar",
            "scalar",
            "flow",
            "literal",
            "folded",
            "lines",
            "empty",
            *["block"] * (2 if depth < 3 else 0),
        ]
        match self.draw(st.sampled_from(kinds)):
            case "scalar":
                return [f"{pad}{start} {self.draw(_scalars)}{self.behind()}"]
            case "flow":
                return [f"{pad}{start} {self.draw(_flows())}{self.behind()}"]
            case "empty":
                return [f"{pad}{start}{self.behind()}"]
            case "lines":
                quote = self.draw(st.sampled_from(["", '"', "'"]))
                return [f"{pad}{start} {quote}one", "", f"{pad}{' ' * step} two{quote}{self.behind()}"]
            case ("literal" | "folded") as style:
                header = ("|" if style == "literal" else ">") + self.draw(st.sampled_from(["", "-", "+"]))
                body = self.draw(
                    st.lists(st.sampled_from(["text", "", "  deeper", "a: b", "x #y"]), min_size=1, max_size=4)
                )
                inner = [f"{pad}{' ' * step}{line}" if line else "" for line in ["first", *body]]
                return [f"{pad}{start} {header}{self.behind()}", *inner]
        return [f"{pad}{start}{self.behind()}", *self.lines(pad + " " * step, depth + 1)]


@st.composite
def _documents(draw: st.DrawFn) -> str:
    document = _Document(draw)
    lines = document.lines("", 0) + document.between("")
    return "\n".join(lines) + draw(st.sampled_from(["", "\n", "\n\n"]))


def meaning(text: str) -> Any:
    reading = read(text.encode(), "a.yaml")
    assert reading.document is not None, reading.diagnostics
    return digest(reading.document.value)


@given(_documents())
def test_any_document_keeps_its_meaning_and_its_comments_and_has_one_form(text: str) -> None:
    before = read(text.encode(), "a.yaml")
    if before.document is None:  # an odd comment ended a text of several lines
        assert formatted(text.encode(), "a.yaml").text is None
        return
    after = canonical(text)
    assert meaning(after) == digest(before.document.value)
    assert comments(after) == comments(text)
    assert canonical(after) == after


@given(st.sampled_from([*CORPUS, *EXAMPLES]), st.lists(st.tuples(st.integers(0, 200), st.integers(0, 12)), max_size=6))
def test_comments_put_anywhere_into_a_real_spec_stay(file: Path, places: list[tuple[int, int]]) -> None:
    lines = file.read_text().split("\n")
    for number, (line, column) in enumerate(places):
        lines.insert(min(line, len(lines)), " " * column + f"# note {number}")
    text = "\n".join(lines)
    before = read(text.encode(), file.name)
    found = formatted(text.encode(), file.name)
    if before.document is None or found.text is None:
        assert found.diagnostics or found.reason in ("it is no mapping", "it is empty"), found.reason
        return
    assert meaning(found.text) == digest(before.document.value)
    assert canonical(found.text, file.name) == found.text


_pieces = st.sampled_from(
    [*"{}[],:#&*!|>'\"%-? \n", "a", "&a ", "*a", "- ", "a: ", "b: ", "? ", "---\n", "\n  ", "# c\n", "|\n", "!!str "]
)


@given(st.binary(max_size=100) | st.lists(_pieces, max_size=30).map(lambda parts: "".join(parts).encode()))
def test_any_bytes_are_formatted_without_loss_or_left_alone(raw: bytes) -> None:
    found = formatted(raw, "a.yaml")
    if found.text is None:
        assert found.diagnostics or found.reason
        assert "fault" not in found.reason
        return
    before = read(raw, "a.yaml").document
    assert before is not None
    assert meaning(found.text) == digest(before.value)
    assert canonical(found.text) == found.text


def test_where_an_alias_would_come_before_its_anchor_that_object_alone_keeps_its_order_and_it_is_said() -> None:
    text = "metadata: &x {k: 1}\nid: a\nvars: *x\nlifecycle:\n  onDelete: drain\n  protect: true\n"
    found = formatted(text.encode(), "a.yaml")
    assert found.text == "metadata: &x {k: 1}\nid: a\nvars: *x\nlifecycle:\n  protect: true\n  onDelete: drain\n"
    assert found.remark == KEPT_ORDER
    assert formatted(b"vars: {a: &x [1], b: *x}\nid: a\n", "a.yaml").remark == ""
