"""The page for people who come from the original: what it shows is run, in order, and what it names exists."""

import re
from pathlib import Path

from automations.cli.registry import every_command
from compat.conftest import Shell

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "coming-from-hasna-automations.md"
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"`automations (?!-)([a-z-]+(?: [a-z-]+)?)")


def test_every_block_on_the_page_works_in_order(shell: Shell) -> None:
    blocks = BLOCK.findall(PAGE.read_text())
    assert [kind for kind, _ in blocks] == ["sh", "python", "sh"]
    for kind, text in blocks:
        ended = shell(f"set -eu\n{text}" if kind == "sh" else "python -", stdin="" if kind == "sh" else text)
        assert ended.stderr == ""
    assert shell.json("automations --json show tickets.escalate-critical")["owner"] == "source:default"


def test_every_command_that_the_page_names_exists() -> None:
    known = {command.words for command in every_command()}
    named = {tuple(found.split()) for found in NAMED.findall(PAGE.read_text())}
    assert named
    assert {words for words in named if words not in known and words[:1] not in known} == set()
