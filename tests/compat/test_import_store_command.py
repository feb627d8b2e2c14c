"""import-store as it is typed."""

from pathlib import Path

import pytest

from command_line import CommandLine
from original_database import OriginalDatabase, built


@pytest.fixture
def automations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """A command line in an empty directory."""
    made = CommandLine(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HASNA_AUTOMATIONS_DIR", str(made.root))
    return made


def fill(there: OriginalDatabase) -> None:
    there.automation("q")
    there.automation("odd", unknownField=1)
    there.run("r1", "q")
    there.action("r1")


def test_an_import_is_reported_as_json_and_its_queue_goes_on(automations: CommandLine) -> None:
    built(automations.folder / "o.db", fill)
    report = automations.json("import-store", "o.db")
    assert set(report) == {"imported", "skipped", "already", "notes"}
    assert report["imported"] == {"automations": 1, "runs": 1, "actions": 1, "replayRequests": 0, "webhookRoutes": 0}
    assert [set(each) for each in report["skipped"]] == [{"table", "id", "reason"}]
    claimed = automations.json("queue", "claim", "--runner", "open-loops:1")
    done = automations.json("queue", "complete", claimed["id"], "--runner", "open-loops:1")
    assert (claimed["id"], done["status"]) == ("r1.a", "succeeded")
    assert automations.json("runs", "show", "r1")["status"] == "succeeded"
    assert automations.json("import-store", "o.db")["already"]["runs"] == 1


def test_an_import_is_a_table_for_people_with_what_was_left_out(automations: CommandLine) -> None:
    built(automations.folder / "o.db", fill)
    ended = automations("import-store", "o.db")
    assert (ended.status, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert [line.split() for line in lines[1:4]] == [
        ["automations", "1", "0"],
        ["runs", "1", "0"],
        ["actions", "1", "0"],
    ]
    assert lines[-1].startswith("left out: automations odd: its spec is refused")


def test_the_originals_file_at_our_own_place_is_left_untouched_with_a_way_out(automations: CommandLine) -> None:
    automations.root.mkdir()
    path = built(automations.root / "automations.db", fill)
    before = path.read_bytes()
    refused = automations.refused("import-store", str(path), status=1)
    assert "lies where this program keeps its own store" in refused["error"]
    assert f"mv {path}" in refused["hint"]
    assert "import-store" in automations.refused("status", status=1)["hint"]
    assert path.read_bytes() == before
    report = automations.json("--dir", str(automations.folder / "new"), "import-store", str(path))
    assert report["imported"]["runs"] == 1


def test_what_is_no_store_of_the_originals_is_one_line_and_makes_no_store(automations: CommandLine) -> None:
    (automations.folder / "o.db").write_text("no")
    refused = automations.refused("import-store", "o.db", status=1)
    assert refused["code"] == "store_incompatible"
    assert not automations.root.exists()
    automations.refused("import-store", status=2)
