"""`status` and `init`: an empty root becomes a store, by however many at once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import CommandLine

BIN = Path(sys.executable).parent
STATUS = {"service", "schemaVersion", "dataDir", "dbPath", "counts", "daemon"}
COUNTS = {"automations", "runs", "queuedActions", "deadActions", "replayRequests", "webhookRoutes"}


@pytest.mark.parametrize("word", ["status", "init"])
def test_an_empty_root_becomes_a_private_store(automations: CommandLine, word: str) -> None:
    status = automations.json(word)
    assert set(status) - {"serial", "sources"} == STATUS
    assert status["service"] == "automations"
    assert status["schemaVersion"] == "1.0"
    assert status["dataDir"] == str(automations.root)
    assert status["dbPath"] == str(automations.root / "automations.db")
    assert status["counts"] == dict.fromkeys(COUNTS, 0)
    assert status["daemon"] == {"active": False}
    assert automations.root.stat().st_mode & 0o777 == 0o700
    assert (automations.root / "automations.db").stat().st_mode & 0o077 == 0


def test_saying_it_again_changes_nothing(automations: CommandLine) -> None:
    first = automations.json("init")
    assert automations.json("init") == first == automations.json("status")


def test_the_card_for_a_person_names_the_root_and_the_store(automations: CommandLine) -> None:
    ended = automations("status")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith(f"data root    {automations.root}\n")
    assert "daemon       not running\n" in ended.out


def test_counts_follow_what_happens(automations: CommandLine) -> None:
    automations.applied(["one", "two"])
    automations.send(1)
    counts = automations.json("status")["counts"]
    assert counts == dict.fromkeys(COUNTS, 0) | {"automations": 2, "runs": 2, "queuedActions": 2}


@pytest.mark.parametrize("variable", ["AUTOMATIONS_DATA_DIR", "HASNA_AUTOMATIONS_DIR"])
def test_the_root_comes_from_either_variable(
    automations: CommandLine, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    other = automations.folder / "other"
    monkeypatch.delenv("HASNA_AUTOMATIONS_DIR")
    monkeypatch.setenv("AUTOMATIONS_DATA_DIR", str(automations.folder / "last"))
    monkeypatch.setenv(variable, str(other))
    assert automations.json("status")["dataDir"] == str(other)


def test_eight_processes_on_an_empty_root_all_succeed(automations: CommandLine) -> None:
    words = ["status", "init"] * 4
    started = [
        subprocess.Popen(
            [BIN / "automations", "--json", word],
            cwd=automations.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for word in words
    ]  # fmt: skip
    answers = [(*process.communicate(timeout=60), process.returncode) for process in started]
    assert [(err, status) for _, err, status in answers] == [("", 0)] * 8
    documents = [json.loads(out) for out, _, _ in answers]
    assert all(document == documents[0] for document in documents)
