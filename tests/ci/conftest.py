"""A repository with real history, a store, a forge, and the program installed as a pipeline installs it."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from forge import Forge
from wheel import built

SPEC = """\
schemaVersion: "1.0"
id: {id}
name: {name}
version: 1.0.0
triggers:
  - {{kind: event, source: test, type: ticket}}
actions:
  - {{id: only, actionId: x.do}}
"""


@dataclass
class Project:
    """A scratch repository of specs whose main branch is applied to a store."""

    folder: Path
    store: str
    forge: Forge
    environment: dict[str, str] = field(default_factory=dict)

    def git(self, *words: str) -> str:
        """Run git in the repository; what it prints."""
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *identity, *words], cwd=self.folder, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def write(self, identity: str, name: str = "A name") -> None:
        """Put a spec into the working tree."""
        (self.folder / "automations.d").mkdir(exist_ok=True)
        (self.folder / "automations.d" / f"{identity}.yaml").write_text(SPEC.format(id=identity, name=name))

    def commit(self, message: str) -> str:
        """Commit everything; the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def branch(self, name: str) -> None:
        """Begin a branch off main."""
        self.git("checkout", "--quiet", "-b", name, "main")

    def pull_request(self, branch: str) -> str:
        """Check out what a forge checks out for a pull request: the merge of a branch into main, on no branch."""
        self.git("checkout", "--quiet", "--detach", "main")
        self.git("merge", "--quiet", "--no-ff", "--message", f"Merge {branch} into main", branch)
        return self.git("rev-parse", "HEAD")

    def merge(self, branch: str) -> str:
        """Merge a branch into main, and check main out."""
        self.git("checkout", "--quiet", "main")
        self.git("merge", "--quiet", "--no-ff", "--message", f"Merge {branch}", branch)
        return self.git("rev-parse", "HEAD")

    def bash(self, script: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run shell as both forges do: bash that ends at the first error, in the repository."""
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            env={**self.environment, **variables},
        )


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that pipelines install."""
    return built(tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Two automations on main; nothing is applied yet."""
    folder = tmp_path / "project"
    folder.mkdir()
    plain = {key: value for key, value in os.environ.items() if key in {"HOME", "PATH", "LANG", "TMPDIR"}}
    plain |= {key: value for key, value in os.environ.items() if key.startswith("PIP_")}
    with Forge() as forge:
        made = Project(folder, f"sqlite:///{tmp_path}/store.db", forge, plain)
        made.environment |= {"HASNA_AUTOMATIONS_DIR": str(tmp_path / "root")}
        made.git("init", "--quiet", "--initial-branch", "main")
        for identity in ("one", "two", "three"):
            made.write(identity)
        made.commit("Three automations")
        yield made
