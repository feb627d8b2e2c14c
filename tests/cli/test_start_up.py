"""Programs call short commands in loops, so what those import is held here; `make bench` measures what it costs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import CommandLine

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


def test_a_report_of_failure_builds_no_spec_and_loads_no_second_json(automations: CommandLine) -> None:
    (automations.folder / "example.json").write_text(json.dumps(automations.json("spec", "example")))
    event = {"id": "e1", "source": "open-events", "type": "ticket.created", "data": {"priority": "critical"}}
    automations.json("simulate", "example.json", "--persist", "--event-json", json.dumps(event))
    claimed = automations.json("queue", "claim", "--runner", "r1")
    words = ["--dir", str(automations.root), "queue", "fail", claimed["id"], "--runner", "r1"]
    done = subprocess.run([sys.executable, "-c", CODE, *words], capture_output=True, text=True, check=True)
    status, *modules = done.stderr.split()
    assert status == "0"
    assert json.loads(done.stdout)["status"] == "retrying"
    assert (DEAR | {"orjson", "dataclasses"}) & set(modules) == set()
