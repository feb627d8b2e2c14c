"""A command line in an empty directory."""

from pathlib import Path

import pytest

from command_line import CommandLine


@pytest.fixture
def automations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Nothing exists yet but the directory that commands run in."""
    made = CommandLine(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HASNA_AUTOMATIONS_DIR", str(made.root))
    monkeypatch.setenv("AUTOMATIONS_ACTOR", "tester")
    return made
