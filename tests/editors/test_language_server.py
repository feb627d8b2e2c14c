"""What an editor shows: the real yaml-language-server agrees with `validate`, and knows every key.

`make test` installs the server where node and npm are. It reads the schemas from files; it has no other source of them.
"""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from automations.cli.schema import FILES
from automations.core.diagnostic import Diagnostic
from automations.core.spec.reader import read
from automations.core.spec.structure import check, kind_of
from language_server import Finding, LanguageServer

ROOT = Path(__file__).resolve().parents[2]
SERVER = ROOT / ".venv" / ".yamlls" / "node_modules" / "yaml-language-server" / "bin" / "yaml-language-server"
CORPUS = ROOT / "tests" / "data" / "specs"
GOOD = [*sorted((CORPUS / "valid").iterdir()), *sorted((ROOT / "automations.d").rglob("*.yaml"))]
BAD = sorted((CORPUS / "invalid").iterdir())

HEAD = 'schemaVersion: "1.0"\nid: a\nname: A\nversion: 1.0.0\n'
SPEC = HEAD + "triggers:\n  - kind: event\n    source: x\nactions:\n  - id: a\n    actionId: x.y\n"
ACTION = "id: a\nname: A\nversion: 1.0.0\ninputSchema: {}\nexecutorBindings:\n"
PLACES = (
    ("automations.d/empty.yaml", "|", {"automation", "schemaVersion", "triggers", "concurrency"}),
    ("automations.d/top.yaml", SPEC + "st|\n", {"status", "timeout", "lifecycle", "finally"}),
    ("automations.d/status.yaml", SPEC + "status: |\n", {"active", "paused", "archived"}),
    (
        "automations.d/kind.yaml",
        HEAD + "triggers:\n  - kind: |\nactions: []\n",
        {"event", "webhook", "schedule", "manual", "api"},
    ),
    ("automations.d/trigger.yaml", HEAD + "triggers:\n  - |\nactions: []\n", {"kind", "schedule trigger"}),
    (
        "automations.d/schedule.yaml",
        HEAD + "triggers:\n  - kind: schedule\n    c|\nactions: []\n",
        {"cron", "every", "timezone", "catchUp"},
    ),
    (
        "automations.d/signature.yaml",
        HEAD + "triggers:\n  - kind: webhook\n    route:\n      signature:\n        preset: |\nactions: []\n",
        {"github", "stripe", "slack"},
    ),
    ("automations.d/step.yaml", SPEC + "    |\n", {"step after another", "dependsOn", "when", "retry", "onFailure"}),
    ("automations.d/retry.yaml", SPEC + "    retry:\n      jitter: |\n", {"none", "equal", "full"}),
    ("automations.d/overlap.yaml", SPEC + "concurrency:\n  overlap: |\n", {"queue", "skip", "cancel-running"}),
    ("automations.d/lifecycle.yaml", SPEC + "lifecycle:\n  on|\n", {"protect", "renamedFrom", "onDelete"}),
    ("automations.d/actions/kind.yaml", ACTION + "  - kind: |\n", {"local-shell", "http", "python", "mcp"}),
    ("automations.d/actions/shell.yaml", ACTION + "  - kind: local-shell\n    in|\n", {"inputMode", "command", "args"}),
    (
        "automations.d/case.test.yaml",
        "automation: a\ncases:\n  - name: x\n    expect:\n      |\n",
        {"fires", "runs", "steps"},
    ),
)
HOVERED = (
    "status",
    "filter",
    "signature",
    "cron",
    "dependsOn",
    "when",
    "retry",
    "approval",
    "concurrency",
    "lifecycle",
)


def schema_of(file: Path) -> str:
    document = read(file.read_bytes(), file.name).document
    assert document is not None
    return kind_of(document) or "automation"


def ours(file: Path) -> tuple[Diagnostic, ...]:
    document = read(file.read_bytes(), file.name).document
    assert document is not None
    return check(document, schema_of(file))


def named(file: Path) -> str:
    return str(file.relative_to(ROOT))


def settings() -> dict[str, Any]:
    """Those of this repository; JSON files, which editors check otherwise, are shown to this server as well."""
    found: dict[str, Any] = json.loads((ROOT / ".vscode" / "settings.json").read_text())
    for file in (*GOOD, *BAD):
        if file.suffix == ".json":
            found["yaml.schemas"][f"./schemas/{schema_of(file)}.schema.json"].append(named(file))
    return found


@pytest.fixture(scope="module")
def server() -> Iterator[LanguageServer]:
    """The server with every file of the corpus open."""
    node = shutil.which("node")
    if node is None or not SERVER.is_file():
        lacking = "yaml-language-server is not installed: `make test` does it where node and npm are"
        assert os.environ.get("CI") != "true", lacking
        pytest.skip(lacking)
    with LanguageServer([node, str(SERVER), "--stdio"], ROOT, settings()) as started:
        yield started


@pytest.fixture(scope="module")
def findings(server: LanguageServer) -> dict[Path, list[Finding]]:
    """What the server says of each file of the corpus."""
    for file in (*GOOD, *BAD):
        server.open(named(file), file.read_text())
    return {file: server.findings(named(file)) for file in (*GOOD, *BAD)}


@pytest.mark.parametrize("file", GOOD, ids=named)
def test_a_good_file_has_no_findings(findings: dict[Path, list[Finding]], file: Path) -> None:
    assert findings[file] == []
    assert ours(file) == ()


@pytest.mark.parametrize("file", BAD, ids=named)
def test_a_bad_file_has_findings_on_the_lines_that_validate_names(
    findings: dict[Path, list[Finding]], file: Path
) -> None:
    lines = {each.span.line for each in ours(file)}
    assert lines
    assert lines <= {each.line for each in findings[file]}


def test_the_corpus_has_many_bad_files() -> None:
    assert len(BAD) >= 40


@pytest.mark.parametrize(("name", "text", "wanted"), PLACES, ids=[name for name, _, _ in PLACES])
def test_what_belongs_at_a_place_is_offered_there(
    server: LanguageServer, name: str, text: str, wanted: set[str]
) -> None:
    before = text[: text.index("|")]
    server.open(name, text.replace("|", "", 1))
    server.findings(name)
    line, column = before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1
    offered = server.completions(name, line, column)
    assert wanted <= set(offered)
    assert all(offered[each].get("documentation") for each in wanted)


@pytest.fixture(scope="module")
def page(server: LanguageServer) -> tuple[str, str]:
    """The specification's own page as a file without a modeline: the folder says which schema it is."""
    text = (CORPUS / "valid" / "whole-page.yaml").read_text().partition("\n")[2]
    name = "automations.d/whole-page.yaml"
    server.open(name, text)
    assert server.findings(name) == []
    return name, text


@pytest.mark.parametrize("key", HOVERED)
def test_a_key_is_explained_where_the_pointer_rests(server: LanguageServer, page: tuple[str, str], key: str) -> None:
    name, text = page
    line = next(number for number, each in enumerate(text.splitlines(), 1) if each.strip(" -").startswith(f"{key}:"))
    column = text.splitlines()[line - 1].index(key) + 2
    shown = server.hover(name, line, column)
    assert "Example" in shown
    assert any(said and said in shown.replace("\\", "") for said in descriptions(key))


def descriptions(key: str) -> list[str]:
    found: list[str] = []

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            found.extend(
                each["description"] for name, each in part.get("properties", {}).items() if name == key and each
            )
            for each in part.values():
                walk(each)
        elif isinstance(part, list):
            for each in part:
                walk(each)

    walk(json.loads((ROOT / "schemas" / "automation.schema.json").read_text()))
    return found


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("automations.d/deep/a.yaml", "automation"),
        ("automations.d/a.yml", "automation"),
        ("automations.d/actions/deep/a.yaml", "action manifest"),
        ("automations.d/deep/a.test.yaml", "test file"),
        ("elsewhere/a.yaml", ""),
    ],
)
def test_without_a_modeline_the_folder_and_the_name_say_which_schema(
    server: LanguageServer, name: str, known: str
) -> None:
    server.open(name, "zebra: 1\n")
    lacking = {each.message for each in server.findings(name)}
    required = {"automation": "triggers", "action manifest": "executorBindings", "test file": "cases"}
    expected = {key for kind, key in required.items() if kind == known}
    assert {key for key in required.values() if f'Missing property "{key}".' in lacking} == expected


def test_every_example_says_where_its_schema_is() -> None:
    for file in sorted((ROOT / "automations.d").rglob("*.yaml")):
        first = file.read_text().partition("\n")[0]
        place = first.removeprefix("# yaml-language-server: $schema=")
        assert place != first, f"{file} has no modeline"
        assert (file.parent / place).resolve() == ROOT / "schemas" / f"{schema_of(file)}.schema.json"


def test_the_catalogue_and_the_settings_name_the_same_files() -> None:
    settings = json.loads((ROOT / ".vscode" / "settings.json").read_text())
    for schema, patterns in settings["yaml.schemas"].items():
        name = schema.removeprefix("./schemas/").removesuffix(".schema.json")
        catalogue = {each.replace("**/automations.d", "automations.d", 1) for each in FILES[name] if "json" not in each}
        assert {each.replace("!**/*.test", "!automations.d/**/*.test") for each in patterns} == catalogue
