"""The hooks, run by the real pre-commit in a repository of specs: it clones, installs and runs them as it does for everybody."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ci.conftest import Project
from wheel import QUIET, ROOT

pytestmark = pytest.mark.timeout(600)  # packages are installed

BIN = Path(sys.executable).parent
HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
SHIPPED = ("src", "schemas", "pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml")
"""What of this checkout the hooks are installed from."""


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This checkout as a repository of hooks, with one commit."""
    folder = tmp_path_factory.mktemp("hooks")
    for name in SHIPPED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "Hooks"]):
        subprocess.run(["git", *identity, *words], cwd=folder, check=True)
    return folder


@pytest.fixture
def commit(project: Project, hooks: Path, tmp_path_factory: pytest.TempPathFactory) -> "Commit":
    """Commits in the project go through the hooks."""
    revision = subprocess.run(["git", "rev-parse", "HEAD"], cwd=hooks, capture_output=True, text=True, check=True)
    wanted = [{"id": each["id"]} for each in HOOKS]
    config = {"repos": [{"repo": str(hooks), "rev": revision.stdout.strip(), "hooks": wanted}]}
    (project.folder / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    made = Commit(project, tmp_path_factory.getbasetemp() / "pre-commit")
    installed = made.pre_commit("install", "--install-hooks")
    if installed.returncode and os.environ.get("CI") != "true":
        pytest.skip("pre-commit cannot install the hooks without a package registry")
    assert installed.returncode == 0, installed.stdout + installed.stderr
    return made


class Commit:
    """Tries commits; pre-commit keeps what it installed in `home`."""

    def __init__(self, project: Project, home: Path) -> None:
        self._project = project
        path = f"{BIN}:{project.environment['PATH']}"
        self._environment = {**project.environment, **QUIET, "PRE_COMMIT_HOME": str(home), "PATH": path}

    def pre_commit(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run pre-commit itself."""
        return self._run(str(BIN / "pre-commit"), *words)

    def __call__(self) -> "subprocess.CompletedProcess[str]":
        """Add everything and commit."""
        self._run("git", "add", "--all")
        return self._run(
            "git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "--message", "A commit"
        )

    def _run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            words, cwd=self._project.folder, env=self._environment, capture_output=True, text=True, check=False
        )


CASES = """\
automation: one
cases:
  - name: a ticket starts it
    event: {source: test, type: ticket}
    expect: {runs: RUNS}
"""


def test_commits_go_through_the_hooks(project: Project, commit: "Commit") -> None:
    specs = project.folder / "automations.d"
    assert {each["id"] for each in HOOKS} == {"automations-validate", "automations-fmt", "automations-test"}
    for file in specs.iterdir():  # as fmt writes them
        project.bash(f"{BIN}/automations fmt {file}")
    (specs / "one.test.yaml").write_text(CASES.replace("RUNS", "1"))
    done = commit()
    assert done.returncode == 0, done.stdout + done.stderr

    project.write("one", name="[")
    done = commit()
    assert done.returncode == 1
    assert "automations.d/one.yaml:" in done.stdout + done.stderr

    project.git("checkout", "--quiet", "--force", "HEAD")
    spec = (specs / "one.yaml").read_text()
    (specs / "one.yaml").write_text(spec.replace("name: A name", "name:    A name   # why"))
    done = commit()
    assert done.returncode == 1  # pre-commit stops when a hook has changed files
    assert "name: A name  # why\n" in (specs / "one.yaml").read_text()
    assert commit().returncode == 0

    (specs / "one.test.yaml").write_text(CASES.replace("RUNS", "2"))
    done = commit()
    assert done.returncode == 1
    assert "a ticket starts it" in done.stdout + done.stderr

    project.git("checkout", "--quiet", "--force", "HEAD")
    (specs / "one.yaml").unlink()  # and nothing else: what its cases are about is gone
    done = commit()
    assert done.returncode == 1, done.stdout + done.stderr
    assert "one.test.yaml" in done.stdout + done.stderr
    (specs / "one.test.yaml").unlink()
    assert commit().returncode == 0
