"""The pipeline files are what their forges take, and their shell is sound: schemas and shellcheck."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from wheel import ROOT

CI = ROOT / "docs" / "ci"
BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("github/action.yml", ["--builtin-schema", "vendor.github-actions"]),
        ("github/workflow.yml", ["--builtin-schema", "vendor.github-workflows"]),
        ("gitlab.yml", ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"]),
    ],
)
def test_a_template_is_what_its_forge_takes(file: str, words: list[str]) -> None:
    done = subprocess.run([BIN / "check-jsonschema", *words, CI / file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def scripts() -> Iterator[tuple[str, str]]:
    for step in yaml.safe_load((CI / "github" / "action.yml").read_text())["runs"]["steps"]:
        yield f"github {step['name']}", step["run"]
    for name, job in yaml.safe_load((CI / "gitlab.yml").read_text()).items():
        if isinstance(job, dict) and "script" in job:
            yield f"gitlab {name}", "\n".join(job["script"])


@pytest.mark.parametrize(("name", "script"), list(scripts()), ids=[name for name, _ in scripts()])
def test_the_shell_of_a_template_is_sound(name: str, script: str) -> None:
    checker = shutil.which("shellcheck", path=str(BIN))
    if checker is None and os.environ.get("CI") != "true":
        pytest.skip("there is no shellcheck for this platform")
    assert checker, "CI has the development tools"
    shell = "bash" if name.startswith("github") else "sh"
    words = [checker, "--shell", shell, "--format", "json", "--severity", "warning", "-"]
    done = subprocess.run(words, input=script, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout) == []


TOLD = [
    ROOT / "README.md",
    *(file for file in sorted((ROOT / "docs").rglob("*")) if file.suffix in {".md", ".yml", ".yaml"}),
]
BY_NAME = re.compile(
    r"""(?:pipx?|uv) install\b[^\n|`]*?[ '"]automations(?:\[[\w,]*\])?['"]?(?!\s*@)(?=\s|[`|]|$)""", re.MULTILINE
)


@pytest.mark.parametrize("file", TOLD, ids=lambda file: file.name)
def test_nobody_is_told_to_install_whatever_the_public_index_has_under_our_name(file: Path) -> None:
    assert BY_NAME.findall(file.read_text()) == []


@pytest.mark.parametrize(
    ("line", "bad"),
    [
        ("pip install automations", True),
        ("/opt/bin/pip install -q 'automations[postgres]'", True),
        ("`pip install 'automations[mcp]'`), or", True),
        ("pip install '.[postgres]'", False),
        ('pip install "$AUTOMATIONS_PACKAGE"', False),
        ("pip install 'automations[mcp] @ git+https://git.example.com/automations.git@v1'", False),
    ],
)
def test_installing_by_name_is_told_from_installing_what_was_chosen(line: str, bad: bool) -> None:
    assert bool(BY_NAME.search(line)) is bad
