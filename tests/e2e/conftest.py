"""A real daemon as a process of its own, and a way to wait for what it does."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from postgres_server import fresh_schema, postgres_server
from processes import announced, end_all

__all__ = ["postgres_server"]

BIN = Path(sys.executable).parent
PATIENCE = 30.0
"""Seconds that anything may take before a test gives up; nothing waits this long when all is well."""

OVER = {"succeeded", "failed", "dead", "cancelled", "timed_out", "superseded", "dropped"}
"""How runs end."""


def until(condition: Callable[[], Any], *, what: str, seconds: float = PATIENCE) -> Any:
    """Ask again and again until the answer is true, and give it; fail with `what` when it never is."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.01)  # whoever is waited for needs the processor too
    pytest.fail(f"waited {seconds:g} s in vain: {what}")


@dataclass
class Site:
    """A data root and a directory of specs, with everything one can do to them from outside."""

    folder: Path
    environment: dict[str, str]
    daemons: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def specs(self) -> Path:
        """The directory of specs."""
        return self.folder / "automations.d"

    def write(self, name: str, text: str) -> Path:
        """Put a file into the specs, by rename, as careful editors do."""
        file = self.specs / name
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f".{file.name}.draft")
        draft.write_text(text)
        draft.replace(file)
        return file

    def copy(self, directory: Path) -> None:
        """Put a whole directory of specs into the site's."""
        shutil.copytree(directory, self.specs, dirs_exist_ok=True)

    def automations(self, *words: str, check: bool = True) -> Any:
        """Run `automations --json …`; its document, or None when it printed none."""
        ended = self._command(words)
        assert not check or ended.returncode == 0, ended.stdout + ended.stderr
        return json.loads(ended.stdout) if ended.stdout else None

    def refused(self, *words: str) -> str:
        """Run `automations --json …`, which must be refused; its reason."""
        ended = self._command(words)
        assert ended.returncode != 0, ended.stdout
        return str(json.loads(ended.stderr)["error"])

    def _command(self, words: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BIN / "automations", "--json", *words],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def start(
        self, *words: str, program: str = "automations-daemon", through: tuple[str, ...] = ()
    ) -> tuple[subprocess.Popen[str], dict[str, Any]]:
        """Start a daemon (or what else stays) and wait for what it announces. `through` are words before the command."""
        log = (self.folder / "daemon.log").open("a")
        process = subprocess.Popen(
            [*through, str(BIN / program), "--json", *words],
            cwd=self.folder, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
        log.close()
        self.daemons.append(process)
        document = announced(process)
        if document is None:
            pytest.fail(f"the daemon did not start: {self.log()}")
        return process, document

    def log(self) -> str:
        """Everything that daemons logged so far."""
        return (self.folder / "daemon.log").read_text()

    def runs(self, **wanted: str) -> list[dict[str, Any]]:
        """Runs whose record has these values."""
        found: list[dict[str, Any]] = self.automations("runs", "list", "--limit", "1000")
        return [run for run in found if all(run.get(key) == value for key, value in wanted.items())]

    def send(self, event: dict[str, Any]) -> Any:
        """Hand in one event; the answer."""
        return self.automations("events", "send", "--event-json", json.dumps(event))

    def run(self, identity: str) -> dict[str, Any]:
        """The story of one run."""
        told: dict[str, Any] = self.automations("runs", "show", identity)
        return told

    def step(self, identity: str, step: str) -> dict[str, Any]:
        """One step of a run."""
        found: list[dict[str, Any]] = [each for each in self.run(identity)["actions"] if each["stepId"] == step]
        assert len(found) == 1, f"{step} is {len(found)} steps of {identity}"
        return found[0]

    def standing(self, identity: str, step: str) -> str:
        """Where a step of a run stands, in today's word for it where clients of the original are told another."""
        found = self.step(identity, step)
        return str(found.get("state", found["status"]))

    def over(self, identity: str) -> dict[str, Any]:
        """The story of a run when it has ended."""
        told: dict[str, Any] = until(lambda: self._ended(identity), what=f"run {identity} ends: {self.run(identity)}")
        return told

    def _ended(self, identity: str) -> dict[str, Any] | None:
        told = self.run(identity)
        return told if told["status"] in OVER else None

    def stop(self) -> None:
        """End whatever still runs."""
        end_all(self.daemons)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """An empty site; its daemons are stopped by their own process ids."""
    environment = {key: value for key, value in os.environ.items() if "AUTOMATIONS" not in key}
    environment["HASNA_AUTOMATIONS_DIR"] = str(tmp_path / "root")
    environment["PATH"] = f"{BIN}{os.pathsep}{environment['PATH']}"
    made = Site(tmp_path, environment)
    made.specs.mkdir()
    yield made
    made.stop()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def shared(request: pytest.FixtureRequest, site: Site) -> Iterator[Site]:
    """A site whose store is of either kind."""
    if request.param == "sqlite":
        yield site
        return
    with fresh_schema(request.getfixturevalue("postgres_server"), f"e2e_{os.getpid()}") as url:
        site.environment["AUTOMATIONS_STORE"] = url
        yield site
        site.stop()
