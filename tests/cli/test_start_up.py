"""Programs call short commands in loops, so what those import is held here; `make bench` measures what it costs."""

import subprocess
import sys
from pathlib import Path

import pytest

DEAR = {
    "dataclasses",
    "inspect",
    "orjson",
    "hashlib",
    "random",
    "typer",
    "yaml",
    "httpx",
    "automations.core.spec.model",
}
"""Each takes a tenth of the interpreter's own start, or many times that."""

CODE = """
import sys
from automations.cli.main import main
status = main(sys.argv[1:])
print(status, *sys.modules, file=sys.stderr)
"""


@pytest.mark.parametrize(
    "command",
    ["status", "queue claim", "list", "runs list", "dlq list", "version"],
)
def test_a_short_command_imports_nothing_dear(command: str, tmp_path: Path) -> None:
    words = [sys.executable, "-c", CODE, "--json", "--dir", str(tmp_path), *command.split()]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    status, *modules = done.stderr.split()
    assert status == "0"
    assert DEAR & set(modules) == set()
