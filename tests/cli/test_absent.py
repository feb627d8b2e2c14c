"""Paths that lead to nothing: one wording in every command, where it was looked for, and what to do."""

import json
from pathlib import Path

import pytest

from command_line import CommandLine

TAKES_A_PATH = [
    "plan {}",
    "apply {}",
    "apply {}.json",
    "validate {}",
    "validate {}.yaml",
    "fmt {}",
    "fmt {}.yaml",
    "test {}",
    "drift {}",
    "create {}.yaml",
    "simulate {}.yaml",
    "events send {}.json",
    "plan automations.d --events {}.jsonl",
    "worker {}",
    "import-store {}.db",
    "--config {}.toml status",
]


@pytest.mark.parametrize("words", TAKES_A_PATH)
def test_every_command_says_the_same_of_a_path_that_leads_to_nothing(automations: CommandLine, words: str) -> None:
    automations.write("a")
    ended = automations(*words.format("nowhere").split())
    name = next(word for word in words.format("nowhere").split() if "nowhere" in word)
    message, hint = ended.err.splitlines()
    assert (ended.status, message) == (1, f"automations: {name} is not there (looked in {automations.folder})")
    assert hint.strip()


@pytest.mark.parametrize("command", ["plan", "apply", "validate", "fmt", "test", "drift"])
def test_where_specs_are_looked_for_unasked_their_absence_says_how_to_begin(
    automations: CommandLine, command: str
) -> None:
    hint = automations.refused(command, status=1)["hint"]
    assert "automations spec example > automations.d/example.json" in hint


def test_what_the_hint_says_is_a_beginning(automations: CommandLine) -> None:
    automations.specs.mkdir()
    (automations.specs / "example.json").write_text(automations("spec", "example").out)
    assert automations("apply", "--auto-approve").status == 0


def remarks(err: str) -> list[tuple[str, str]]:
    said = [json.loads(line) for line in err.splitlines()]
    return [(each["message"], each["hint"]) for each in said if each["event"] == "daemon.remark"]


def test_a_daemon_without_a_directory_says_so_and_which_it_could_have(automations: CommandLine) -> None:
    (said,) = remarks(automations("run", "--once", daemon=True).err)
    message = f"no directory of specs was named, so none is reconciled (and there is no {automations.specs})"
    assert said == (message, "to reconcile one: automations-daemon run DIRECTORY")
    automations.write("a")
    (said,) = remarks(automations("run", "--once", daemon=True).err)
    assert said[1] == "to reconcile the one here: automations-daemon run automations.d"
    assert remarks(automations("run", "--once", "automations.d", daemon=True).err) == []


def test_a_daemon_whose_directory_is_none_or_empty_says_what_it_looked_at(
    automations: CommandLine, tmp_path: Path
) -> None:
    (missing,) = remarks(automations("run", "--once", "nowhere", daemon=True).err)
    assert missing[0] == f"nowhere is not there (looked in {tmp_path})"
    (tmp_path / "file").write_text("x")
    (file,) = remarks(automations("run", "--once", "file", daemon=True).err)
    assert file[0] == f"{tmp_path / 'file'} is not a directory"
    (tmp_path / "empty" / ".hidden").mkdir(parents=True)
    (tmp_path / "empty" / ".hidden" / "a.yaml").write_text("x")
    (tmp_path / "empty" / "notes.txt").write_text("x")
    (empty,) = remarks(automations("run", "--once", "empty", daemon=True).err)
    assert empty[0].startswith(f"{tmp_path / 'empty'} holds no specs yet")
    (tmp_path / "empty" / "deeper").mkdir()
    (tmp_path / "empty" / "deeper" / "a.yml").write_text("x")
    assert remarks(automations("run", "--once", "empty", daemon=True).err) == []
