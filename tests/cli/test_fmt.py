"""`fmt`: writes in one step and only what changes, or only looks; what cannot be read stays as it is."""

import stat
import subprocess
from pathlib import Path

import pytest

from automations.adapters.replacing import replace
from automations.errors import Conflict
from command_line import SPEC, CommandLine

ODD = "# kept\nversion:   1.0.0 # why\nid: one\n"
EVEN = "# kept\nid: one\nversion: 1.0.0  # why\n"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def odd(automations: CommandLine) -> Path:
    """A file in another form, beside one in the canonical form."""
    automations.write("even", EVEN.replace("one", "even"))
    return automations.write("odd", ODD)


def test_a_folder_is_rewritten_where_it_must_be(automations: CommandLine, odd: Path) -> None:
    ended = automations("fmt")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == "formatted: automations.d/odd.yaml\n2 files, 1 rewritten\n"
    assert odd.read_text() == EVEN
    assert automations("fmt").out == "2 files, 0 rewritten\n"
    assert not automations.root.exists()


def test_a_check_writes_nothing_and_tells_by_its_status(automations: CommandLine, odd: Path) -> None:
    ended = automations("fmt", "--check", "automations.d")
    assert (ended.status, ended.out) == (1, "unformatted: automations.d/odd.yaml\n2 files, 1 not in canonical form\n")
    assert odd.read_text() == ODD
    automations("fmt", str(odd))
    assert automations("fmt", "--check").status == 0


def test_a_diff_writes_nothing_and_is_one_that_patch_applies(automations: CommandLine, odd: Path) -> None:
    ended = automations("fmt", "--diff")
    assert (ended.status, ended.err) == (0, "")
    assert odd.read_text() == ODD
    subprocess.run(["git", "apply", "-p1"], input=ended.out, text=True, check=True, cwd=automations.folder)
    assert odd.read_text() == EVEN
    odd.write_text(ODD)
    assert automations("fmt", "--diff", "--check").status == 1


def test_standard_input_goes_to_standard_output(automations: CommandLine) -> None:
    ended = automations("fmt", "-", stdin=ODD.encode())
    assert (ended.status, ended.out, ended.err) == (0, EVEN, "")
    ended = automations("fmt", "-", stdin=b"id: [\n")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith("-:2:1: ")
    ended = automations("fmt", "-", "--check", stdin=ODD.encode())
    assert (ended.status, ended.out) == (1, "")


def test_what_cannot_be_read_stays_and_does_not_stop_the_others(automations: CommandLine, odd: Path) -> None:
    bad = automations.write("bad", "id: [\n")
    refused = automations.write("refused", "%YAML 1.2\n---\nid: a\n")
    ended = automations("fmt")
    assert ended.status == 1
    assert "automations.d/bad.yaml:2:1: " in ended.out
    assert "automations.d/refused.yaml: left as it is: it has a %YAML or %TAG directive\n" in ended.out
    assert (bad.read_text(), refused.read_text(), odd.read_text()) == ("id: [\n", "%YAML 1.2\n---\nid: a\n", EVEN)


def test_json_says_what_became_of_each_file(automations: CommandLine, odd: Path) -> None:
    automations.write("bad", "id: [\n")
    ended = automations("--json", "fmt")
    assert ended.status == 1
    outcomes = {each["file"]: each["outcome"] for each in ended.document["files"]}
    assert outcomes == {
        "automations.d/bad.yaml": "unreadable",
        "automations.d/even.yaml": "unchanged",
        "automations.d/odd.yaml": "formatted",
    }
    assert ended.document["files"][0]["diagnostics"][0]["line"] == 2


def test_json_files_are_left_to_those_who_write_them(automations: CommandLine) -> None:
    automations.write("one", SPEC)
    (automations.specs / "two.json").write_text('{"id":   "two"}')
    assert [each["file"] for each in automations.json("fmt")["files"]] == ["automations.d/one.yaml"]
    refused = automations.refused("fmt", "automations.d/two.json", status=1)
    assert refused["error"] == "automations.d/two.json is JSON; fmt writes YAML"


def test_a_file_keeps_its_mode_and_a_link_stays_one(automations: CommandLine, odd: Path) -> None:
    odd.chmod(0o640)
    target = odd.rename(automations.folder / "target.yaml")
    odd.symlink_to(target)
    assert automations("fmt", str(odd)).status == 0
    assert odd.is_symlink()
    assert (target.read_text(), stat.S_IMODE(target.stat().st_mode)) == (EVEN, 0o640)
    assert names(automations.folder) == ["automations.d", "target.yaml"]


def test_a_file_that_was_changed_meanwhile_is_not_overwritten(odd: Path) -> None:
    with pytest.raises(Conflict):
        replace(odd, b"what it said before", EVEN.encode())
    assert odd.read_text() == ODD
    assert names(odd.parent) == ["even.yaml", "odd.yaml"]


@pytest.mark.parametrize("path", ["missing", "missing.yaml", ""])
def test_a_path_that_is_not_there_is_an_error(automations: CommandLine, path: str) -> None:
    assert automations.refused("fmt", path, status=1)["error"]


def test_keys_that_keep_their_order_are_told_beside_the_output(automations: CommandLine) -> None:
    automations.specs.mkdir()
    file = automations.specs / "anchored.yaml"
    file.write_text("metadata: &x {k: 1}\nid: a\nvars: *x\n")
    ended = automations("fmt", str(file))
    assert ended.status == 0
    assert "some keys keep their order, because an alias must stay below its anchor" in ended.err
    assert automations.json("fmt", "--check", str(file))["files"][0]["remark"].startswith("some keys keep")
