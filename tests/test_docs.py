"""The documentation is held to the program: links lead somewhere, every code has its section, examples show what they say."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from automations.core.run.states import ActionStatus, RunStatus
from automations.core.spec import explain
from automations.services.spec.catalogue import catalogue_of_files

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "automations"
REFERENCE = ROOT / "docs" / "reference"
PAGES = sorted((*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))

LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
SECTION = re.compile(r"^### (\S+/\S+)\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
EXAMPLE = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DIAGNOSTIC = re.compile(r"(?:yaml|spec|action|plan|file|test|config)/[a-z]+(?:-[a-z]+)*")
HAZARD = re.compile(r"AU\d{3}")

SOUND = {
    "schemaVersion": 'schemaVersion: "1.0"\n',
    "id": "id: an-example\n",
    "name": "name: An example\n",
    "version": "version: 1.0.0\n",
    "triggers": "triggers:\n  - {kind: event, source: ci, type: build}\n",
    "actions": "actions:\n  - {id: only, actionId: ci.build}\n",
}
"""What an example leaves out."""


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = HEADING.findall(FENCE.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = unquote(link).partition("#")
        target = (page.parent / place) if place else page
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"{link}: {target.name} has no such heading"


def test_the_generated_reference_is_up_to_date() -> None:
    ended = subprocess.run(
        [sys.executable, ROOT / "docs" / "generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def texts() -> Iterator[str]:
    """Every string in the source that is no docstring; an f-string by its fixed parts."""
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text())
        said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
                yield node.value


def structural_codes() -> set[str]:
    """What the explanations of a schema's refusals call themselves, without their common `spec/`."""
    found = set()
    for node in ast.walk(ast.parse(Path(explain.__file__).read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"_Problem", "partial"}:
            named = [each.value for each in node.keywords if each.arg == "code"]
            first = [*named, *node.args][0] if node.args or named else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                found.add(f"spec/{first.value}")
    return found


def sections() -> dict[str, str]:
    """The text under each code's heading."""
    return dict(SECTION.findall((REFERENCE / "diagnostics.md").read_text()))


def test_every_diagnostic_has_its_section_and_every_section_its_diagnostic() -> None:
    codes = {text for text in texts() if DIAGNOSTIC.fullmatch(text)} | structural_codes()
    assert set(sections()) == codes


def test_sections_are_in_order_and_say_how_to_fix_it() -> None:
    names = list(sections())
    groups = list(dict.fromkeys(name.partition("/")[0] for name in names))
    assert names == sorted(names, key=lambda name: (groups.index(name.partition("/")[0]), name))
    for name, text in sections().items():
        prose = FENCE.sub("", text)
        assert "To fix it" in prose or "To be rid of it" in prose or "report it" in prose, name


@pytest.mark.parametrize("code", [name for name, text in sections().items() if EXAMPLE.search(text)])
def test_an_example_is_found_to_be_what_its_section_is_about(code: str) -> None:
    files = [
        (f"{number}.yaml", completed(example).encode())
        for number, example in enumerate(EXAMPLE.findall(sections()[code]))
    ]
    found = {diagnostic.code for diagnostic in catalogue_of_files(files).diagnostics}
    assert found - {"spec/no-manifest", "spec/not-executed"} <= {code}, "an example shows one thing only"
    assert code in found


def completed(example: str) -> str:
    """A part of a spec with the rest of it; a manifest, or a file without any key, as it is."""
    keys = re.findall(r"^(\w+):", example, re.MULTILINE)
    if not keys or "executorBindings" in keys:
        return example
    return "".join(text for key, text in SOUND.items() if key not in keys) + example


def test_every_hazard_has_its_section_and_every_section_its_hazard() -> None:
    page = (REFERENCE / "hazards.md").read_text()
    documented = {title for title in HEADING.findall(page) if HAZARD.fullmatch(title)}
    assert documented == {text for text in texts() if HAZARD.fullmatch(text)}


@pytest.mark.parametrize(("section", "states"), [("a run", RunStatus), ("an action", ActionStatus)])
def test_the_page_on_runs_tells_every_state_which_are_over_and_how_each_is_reached(section: str, states: Any) -> None:
    page = (REFERENCE / "runs.md").read_text()
    table = page.split(f"\n## States of {section}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| .+ \| (yes)? ?\|$", table, re.MULTILINE)
    assert {name: over == "yes" for name, over in rows} == {str(each): each.final for each in states}
    ways = page.split(f"\n## Transitions of {section}\n")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| .+ \| `(\w+)` \| ", ways, re.MULTILINE)) == {str(each) for each in states}


def test_every_reference_page_is_linked_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    assert [page.name for page in sorted(REFERENCE.glob("*.md")) if f"(docs/reference/{page.name})" not in readme] == []
