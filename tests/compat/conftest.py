"""Two ways to our command line: in this process for tables, as real processes for the page as it is written."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from command_line import CommandLine
from processes import announced, end_all

BIN = Path(sys.executable).parent
PATIENCE = 60.0


@pytest.fixture
def automations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """In this process; nothing exists yet but the directory that commands run in."""
    made = CommandLine(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HASNA_AUTOMATIONS_DIR", str(made.root))
    monkeypatch.setenv("AUTOMATIONS_ACTOR", "tester")
    return made


@dataclass
class Shell:
    """A shell in a folder of its own, with our programs on its path."""

    folder: Path
    environment: dict[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def __call__(self, line: str, *, status: int = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a line as it is written; it must end with this status."""
        ended = subprocess.run(
            ["bash", "-c", line], cwd=self.folder, env=self.environment, input=stdin,
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert ended.returncode == status, (line, ended.returncode, ended.stdout, ended.stderr)
        return ended

    def json(self, line: str) -> Any:
        """Run a line that succeeds; the one document that it prints, and nothing on stderr."""
        ended = self(line)
        assert ended.stderr == ""
        return json.loads(ended.stdout)

    def refused(self, line: str, *, status: int = 1) -> str:
        """Run a line that fails under --json: the error's text; stdout is empty."""
        ended = self(line, status=status)
        assert ended.stdout == ""
        body = json.loads(ended.stderr)
        assert (body["ok"], set(body) - {"hint"}) == (False, {"ok", "error", "code"})
        return str(body["error"])

    def start(self, line: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
        """Start a daemon and wait for the document that it prints."""
        log = (self.folder / "daemon.log").open("a")
        process = subprocess.Popen(
            ["bash", "-c", f"exec {line}"], cwd=self.folder, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
        log.close()
        self.started.append(process)
        document = announced(process)
        if document is None:
            pytest.fail(f"{line} printed no document: {(self.folder / 'daemon.log').read_text()}")
        return process, document

    def stop(self) -> None:
        """End whatever still runs."""
        end_all(self.started)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """An empty folder with a data root beside what lines write."""
    environment = {key: value for key, value in os.environ.items() if "AUTOMATIONS" not in key}
    environment["HASNA_AUTOMATIONS_DIR"] = str(tmp_path / "root")
    environment["PATH"] = f"{tmp_path / 'bin'}{os.pathsep}{BIN}{os.pathsep}{environment['PATH']}"
    (tmp_path / "bin").mkdir()
    made = Shell(tmp_path, environment)
    yield made
    made.stop()
