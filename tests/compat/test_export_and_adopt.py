"""What was made imperatively lives beside what files declare, until somebody writes it out and lets a source take it over."""

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from automations.core.canonical import as_written, decode, encode
from automations.core.spec import build
from automations.core.spec.example import example_automation_spec
from automations.core.spec.reader import read
from automations.core.spec.writer import MODELINE, to_yaml
from command_line import SPEC, CommandLine
from samples import spec

ID = "tickets.escalate-critical"
FILE = f"{ID}.yaml"


@pytest.fixture
def made(automations: CommandLine) -> CommandLine:
    """The example, made imperatively, beside an empty folder of specs."""
    automations.specs.mkdir()
    automations.json("create", "-", stdin=json.dumps(example_automation_spec()).encode())
    return automations


def owner(automations: CommandLine, identity: str = ID) -> tuple[str, int]:
    """Who owns an automation, and its generation."""
    record = automations.json("show", identity)
    return record["owner"], record["generation"]


# Beside each other


def test_what_was_made_here_is_visible_and_no_source_prunes_it(made: CommandLine) -> None:
    made.applied(["declared"])
    assert [(each["id"], each["owner"]) for each in made.json("list")] == [(ID, "api"), ("declared", "source:default")]
    (made.specs / "declared.yaml").unlink()
    assert made.json("apply", "--auto-approve", "--allow-deletes", "1")["summary"]["delete"] == 1
    assert [each["id"] for each in made.json("list")] == [ID]
    event = {"id": "e", "source": "open-events", "type": "ticket.created", "data": {"priority": "critical"}}
    assert len(made.json("events", "send", "--event-json", json.dumps(event))["materialized"]) == 1


def test_what_a_source_owns_is_refused_naming_it(automations: CommandLine) -> None:
    automations.applied(["declared"])
    spec = {**example_automation_spec(), "id": "declared"}
    said = automations.refused("create", "-", status=1, stdin=json.dumps(spec).encode())
    assert said["error"] == "automation declared is owned by source:default"
    assert "declared.yaml" in said["hint"]


def test_a_file_that_wants_the_same_id_is_an_error_until_it_is_adopted(made: CommandLine) -> None:
    made.json("export", "--out", "automations.d")
    ended = made("--json", "plan")
    assert (ended.status, ended.document["summary"]["adopt"]) == (1, 0)
    (finding,) = [each for each in ended.document["diagnostics"] if each["severity"] == "error"]
    assert finding["message"] == f"automation {ID} is owned by api"
    assert finding["hint"].endswith(f"automations adopt {ID} --source default")
    assert made("apply", "--auto-approve").status == 1
    assert owner(made) == ("api", 1)


# Taking over


def test_an_export_of_what_a_source_owns_does_not_say_how_to_take_it_into_another(made: CommandLine) -> None:
    made.write("theirs")
    made.json("apply", "--source", "two", "--auto-approve")
    lines = made("export", ID, "theirs", "--out", "ex").out.splitlines()
    assert lines == [
        "wrote 2 files into ex",
        f"next: automations adopt {ID} --path ex",
        "theirs: owned by source:two; another source takes over with: automations adopt theirs --path ex --source NAME",
    ]


def test_what_is_exported_plans_to_no_change_after_adoption(made: CommandLine) -> None:
    before = made.json("show", ID)
    written = made("export", "--out", "automations.d")
    assert written.out.splitlines() == [
        "wrote 1 file into automations.d",
        f"next: automations adopt {ID} --path automations.d",
    ]
    adopted = made.json("adopt", ID)
    assert (adopted["ok"], adopted["summary"]["adopt"], len(adopted["changes"])) == (True, 1, 1)
    assert made.json("plan")["changes"] == []
    after = made.json("show", ID)
    assert (after["owner"], after["file"]) == ("source:default", FILE)
    same = ("spec", "digest", "generation", "createdAt")
    assert [after[key] for key in same] == [before[key] for key in same]


@pytest.fixture
def differing(made: CommandLine) -> CommandLine:
    """What was made here, exported, and changed in its file."""
    made.json("export", "--out", "automations.d")
    file = made.specs / FILE
    file.write_text(file.read_text().replace("version: 1.0.0", "version: 1.1.0", 1))
    return made


def test_an_adopted_automation_that_differs_becomes_a_new_generation(differing: CommandLine) -> None:
    ended = differing("adopt", ID, "--auto-approve")
    assert (ended.status, "taken over from api; version changed" in ended.out) == (0, True)
    assert owner(differing) == ("source:default", 2)


def test_what_an_adoption_changes_beside_the_owner_is_agreed_to_as_with_apply(differing: CommandLine) -> None:
    said = differing.refused("adopt", ID, status=4)
    assert said["error"] == "1 change to approve, and nobody is here to do it"
    assert said["hint"] == f"look at the plan, then: automations adopt {ID} --auto-approve"
    assert owner(differing) == ("api", 1)


@pytest.mark.parametrize(("answer", "status", "left"), [(b"n\n", 4, ("api", 1)), (b"y\n", 0, ("source:default", 2))])
def test_a_person_at_a_terminal_is_asked_what_an_adoption_changes(
    differing: CommandLine, answer: bytes, status: int, left: tuple[str, int]
) -> None:
    assert differing("adopt", ID, stdin=answer, terminal=True).status == status
    assert owner(differing) == left


def test_an_adoption_that_switches_off_too_much_is_refused_until_the_number_is_said(made: CommandLine) -> None:
    made.applied(["one", "two"])
    for name in ("one", "two"):
        file = made.specs / f"{name}.yaml"
        file.write_text(file.read_text() + "status: paused\n")
    said = made.refused("adopt", "one", "two", "--source", "team", status=4)
    assert said["hint"] == "if that is meant: automations adopt one two --source team --allow-deletes=2"
    words = ("adopt", "one", "two", "--source", "team", "--auto-approve", "--allow-deletes", "2")
    assert made(*words).status == 0


def test_adopting_changes_nothing_else(made: CommandLine) -> None:
    made.applied(["gone", "changed"])
    (made.specs / "gone.yaml").unlink()
    made.write("changed", SPEC.replace("1.0.0", "2.0.0"))
    made.write("new")
    made.write("broken", "id: [")
    made.json("export", ID, "--out", "automations.d")
    assert [each["id"] for each in made.json("adopt", ID)["changes"]] == [ID]
    assert {each["id"]: each["spec"]["version"] for each in made.json("list")} == {
        ID: "1.0.0", "gone": "1.0.0", "changed": "1.0.0",
    }  # fmt: skip


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_a_plan_may_take_over_as_part_of_a_whole(made: CommandLine, command: str) -> None:
    made.json("export", "--out", "automations.d")
    made.write("new")
    words = ("--auto-approve",) if command == "apply" else ()
    shown = made.json(command, "--adopt", ID, *words)
    assert (shown["summary"]["adopt"], shown["summary"]["create"]) == (1, 1)
    assert owner(made) == ("source:default" if command == "apply" else "api", 1)


def test_another_source_may_take_over_what_a_source_owned(automations: CommandLine) -> None:
    automations.applied(["declared"])
    assert automations.json("adopt", "declared", "--source", "team")["summary"]["adopt"] == 1
    assert owner(automations, "declared") == ("source:team", 1)


def test_adopting_again_is_no_mistake(made: CommandLine) -> None:
    made.json("export", "--out", "automations.d")
    made.json("adopt", ID)
    assert made.json("adopt", ID)["changes"] == []
    assert made("adopt", ID).out == "nothing to take over: source default owns them already\n"


def test_only_what_is_declared_and_bound_can_be_adopted(made: CommandLine) -> None:
    said = made.refused("adopt", ID, status=1)
    assert said["error"] == f"automation {ID} is declared in none of these files, or not validly"
    assert said["hint"].endswith(f"automations export {ID} --out automations.d")
    made.write("new")
    assert made.refused("adopt", "new", status=1)["error"] == "automation not found: new"


# Writing out


def test_an_export_is_the_spec_in_its_authors_order_after_the_modeline(made: CommandLine) -> None:
    text = made("export").out
    first, rest = text.split("\n", 1)
    assert first + "\n" == MODELINE
    assert list(yaml.safe_load(rest)) == list(example_automation_spec())
    (exported,) = made.json("export")
    assert exported == {"id": ID, "owner": "api", "file": FILE, "yaml": text}


def test_any_automation_is_exported_by_name(made: CommandLine) -> None:
    made.applied(["declared"])
    assert [each["id"] for each in made.json("export")] == [ID]
    assert [each["id"] for each in made.json("export", "declared", ID, "declared")] == ["declared", ID]
    assert made("export", "declared", ID).out.count("\n---\n") == 1
    assert made.refused("export", "nope", status=1)["error"] == "automation not found: nope"


@pytest.mark.parametrize("odd", ["pipe", "link to nothing"])
def test_an_export_waits_for_no_pipe_and_writes_through_no_link(made: CommandLine, odd: str) -> None:
    file = made.folder / "out" / FILE
    file.parent.mkdir()
    if odd == "pipe":
        os.mkfifo(file)
    else:
        file.symlink_to(made.folder / "elsewhere.yaml")
    error = made.refused("export", "--out", "out", status=4)
    assert error["error"] == f"out/{FILE} is there and is no regular file"
    assert not (made.folder / "elsewhere.yaml").exists()


def test_an_export_into_a_folder_without_a_name_is_a_slip(made: CommandLine) -> None:
    assert made.refused("export", "--out", "", status=2)["error"] == "--out is empty"


def test_an_export_overwrites_nothing(made: CommandLine) -> None:
    file = made.specs / FILE
    file.write_bytes(b"\xff mine")
    assert made.refused("export", "--out", "automations.d", status=4)["error"] == (
        f"automations.d/{FILE} is there and says something else"
    )
    assert file.read_bytes() == b"\xff mine"
    file.unlink()
    assert made("export", "--out", "automations.d").status == made("export", "--out", "automations.d").status == 0
    made.folder.joinpath("file").write_text("")
    assert made.refused("export", "--out", "file", status=1)["error"].startswith("cannot write file")


MISREAD = [
    "on", "off", "yes", "no", "y", "n", "NO", "null", "~", "true", "True", "", " ", "12", "012", "0o14", "0x1F", "1e3", "1.5",
    ".5", "+.inf", ".nan", "12:30", "12:30:45", "2024-01-02", "2024-01-02T03:04:05Z", "1_000", "=", "<<", "-", "- a", "? a",
    "a: b", "a #b", "#a", "&a", "*a", "!a", "|", ">", "%a", "@a", "`a", "{a}", "[a]", "'a'", '"a"', "a\nb", "\n", "a\n\n",
    " a\nb", "a \nb", "\ta", "a\tb", "\x07", "\x85", "\u2028", "é", "😀", "---", "...", "a" * 300, "99999999999999999999",
    "${{ event.data.x }}", "secret://a/b", "1.0.0",
]  # fmt: skip
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXT | st.sampled_from(MISREAD)
KEYS = TEXT | st.sampled_from(MISREAD)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


@given(st.dictionaries(KEYS, VALUES, max_size=5))
@example({"a": 1.0, "b": -0.0, "c": 2**63 - 1, "d": 1e300, "é": "\u2028"})
def test_what_a_file_is_built_into_is_what_its_stored_text_is_built_into(value: dict[str, Any]) -> None:
    """So the daemon may bind the models that it has just committed, and read none of them back."""
    reading = read(to_yaml(spec("a", vars=value)).encode(), "x.yaml")
    assert reading.document is not None
    made = build.automation(reading.document.value)
    assert build.automation(decode(as_written(made.spec))) == made


@given(st.dictionaries(KEYS, VALUES, max_size=5))
@example({word: word for word in MISREAD})
@example({"list": [{"a": [], "b": {}}, [[1, 2.0], -0.0, 1e300]]})
def test_what_is_written_reads_back_as_it_was(value: dict[str, Any]) -> None:
    reading = read(to_yaml(value).encode(), "x.yaml")
    assert reading.diagnostics == ()
    assert reading.document is not None
    assert as_written(reading.document.value) == as_written(value)


@pytest.mark.parametrize("word", MISREAD)
def test_no_reader_of_yaml_takes_a_text_for_something_else(word: str) -> None:
    text = to_yaml({"key": word, word: "value", "list": [word]})
    assert yaml.safe_load(text) == {"key": word, word: "value", "list": [word]}
    assert encode(yaml.safe_load(text)["key"]) == encode(word)


def test_numbers_stay_what_they_are_for_older_readers() -> None:
    value = {"whole": 1, "float": 1.0, "small": 1e-7, "large": 1e22, "null": None, "yes": True}
    read_back = yaml.safe_load(to_yaml(value))
    assert encode(read_back) == encode(value)
    assert math.isclose(read_back["small"], 1e-7)


def test_texts_of_several_lines_are_blocks_and_nothing_is_an_alias() -> None:
    shared = {"script": "set -e\nmake all\n"}
    text = to_yaml({"one": shared, "two": shared})
    assert "  script: |\n    set -e\n    make all\n" in text
    assert "&" not in text


def test_every_example_of_ours_survives_export(automations: CommandLine) -> None:
    examples = Path(__file__).resolve().parents[2] / "automations.d"
    for file in sorted(examples.glob("*.yaml")):
        first = read(file.read_bytes(), file.name).document
        assert first is not None
        second = read(to_yaml(first.value).encode(), file.name).document
        assert second is not None
        assert as_written(second.value) == as_written(first.value), file
