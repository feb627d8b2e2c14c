"""The house rules that no linter knows, read from the source as syntax trees.

Where a rule has exceptions they are a table here, and a test holds the table exact: what was put right must leave it.
"""

import ast
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "automations"
TESTS = ROOT / "tests"

LONGEST_FUNCTION = 60
LONG_FUNCTION = 45
LONGEST_MODULE = 450
MOST_PARAMETERS = 5
MOST_POSITIONAL = 2
WIDE = 4
"""Public functions with this many parameters or more take all but the first two by keyword."""

HANDED_IN = {"self", "cls", "tx", "database"}
"""Not counted: the object itself, and the transaction that every statement is written in, or where it begins."""
LONG_FUNCTIONS: dict[str, str] = {
    "core/trigger/webhook.py:normalise": "one row for each part of an envelope; to divide it would hide the table",
}
MANY_PARAMETERS: dict[str, str] = {
    "core/trigger/webhook.py:normalise": "the four parts of a request, the route and the instant",
}
MANY_POSITIONAL: dict[str, str] = {
    "core/run/queue.py:fail": "reads as one sentence: fail(action, failure, policy)",
    "services/reconcile/reconcile.py:Reconciler.__init__": "a source, its tree, the other parts",
}

NO_HOME_FOR_ANYTHING = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}
EXPLAINED = re.compile(r"#\s*(?:noqa: [A-Z0-9]+(?:, ?[A-Z0-9]+)*|type: ignore\[[a-z, -]+\])(?P<rest>.*)")
EXEMPTION = re.compile(r"#\s*(?:noqa|type:\s*ignore)")
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")


class Function(NamedTuple):
    """A function or method as written."""

    name: str
    node: ast.FunctionDef | ast.AsyncFunctionDef
    public: bool

    @property
    def lines(self) -> int:
        """Lines from `def` to its end."""
        return (self.node.end_lineno or self.node.lineno) - self.node.lineno + 1

    @property
    def positional(self) -> list[str]:
        """What it takes by position."""
        return [each.arg for each in (*self.node.args.posonlyargs, *self.node.args.args) if each.arg not in HANDED_IN]

    @property
    def parameters(self) -> int:
        """How much it takes."""
        return len(self.positional) + len(self.node.args.kwonlyargs)


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def scripts() -> list[Path]:
    return sorted((*modules(), *TESTS.rglob("*.py"), *(ROOT / "docs").rglob("*.py")))


def functions(path: Path) -> Iterator[Function]:
    def walk(node: ast.AST, prefix: str, *, public: bool) -> Iterator[Function]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                yield from walk(child, f"{prefix}{child.name}.", public=public and not child.name.startswith("_"))
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                open_to_all = public and (not child.name.startswith("_") or child.name == "__init__")
                yield Function(prefix + child.name, child, open_to_all)
                yield from walk(child, f"{prefix}{child.name}.", public=False)
            else:
                yield from walk(child, prefix, public=public)

    yield from walk(tree(path), f"{path.relative_to(SOURCE)}:", public=True)


def every_function() -> list[Function]:
    return [function for path in modules() for function in functions(path)]


def test_every_module_opens_with_what_it_is_and_why() -> None:
    for path in modules():
        text = ast.get_docstring(tree(path)) or ""
        assert "." in text, f"{path}: a module opens with a sentence"
        assert text[0].isupper() or text[0] in "`_/", f"{path}: a sentence begins with a capital letter"


def test_no_module_is_long() -> None:
    lengths = {str(path.relative_to(SOURCE)): len(path.read_text().splitlines()) for path in modules()}
    assert {name: length for name, length in lengths.items() if length > LONGEST_MODULE} == {}


def test_no_function_is_long() -> None:
    lengths = {function.name: function.lines for function in every_function()}
    assert {name: length for name, length in lengths.items() if length >= LONGEST_FUNCTION} == {}
    assert {name for name, length in lengths.items() if length > LONG_FUNCTION} == set(LONG_FUNCTIONS)


def test_no_function_takes_more_than_five_things_and_a_transaction() -> None:
    assert {each.name for each in every_function() if each.parameters > MOST_PARAMETERS} == set(MANY_PARAMETERS)


def test_public_functions_with_many_parameters_take_all_but_two_by_keyword() -> None:
    wide = [each for each in every_function() if each.public and each.parameters >= WIDE]
    assert {each.name for each in wide if len(each.positional) > MOST_POSITIONAL} == set(MANY_POSITIONAL)


def test_nothing_is_named_for_being_a_place_for_anything() -> None:
    names = {part for path in modules() for part in path.relative_to(SOURCE).with_suffix("").parts}
    names |= {path.stem for path in TESTS.rglob("*.py")}
    assert names & NO_HOME_FOR_ANYTHING == set()
    words = {word for name in names for word in name.split("_")}
    assert words & NO_HOME_FOR_ANYTHING == set()


def test_public_classes_and_functions_have_docstrings() -> None:
    bare = []
    for path in modules():
        bare += [each.name for each in functions(path) if each.public and _needs_words(each.node)]
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not ast.get_docstring(node):
                bare.append(f"{path.relative_to(SOURCE)}:{node.name}")
    assert bare == []


def _needs_words(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """A `__init__` is its class's to document; an overload's words are at its implementation."""
    decorators = {getattr(each, "id", getattr(each, "attr", "")) for each in node.decorator_list}
    return node.name != "__init__" and "overload" not in decorators and not ast.get_docstring(node)


def test_every_exemption_says_why_on_its_line() -> None:
    bare = []
    for path in scripts():
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if path == Path(__file__) or not EXEMPTION.search(line):
                continue
            found = EXPLAINED.search(line)
            if not found or not re.search(r"[A-Za-z]{2}", found["rest"]):
                bare.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert bare == []


def test_nothing_is_left_for_later() -> None:
    texts = [*scripts(), *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "Makefile", ROOT / "pyproject.toml"]
    assert [str(path) for path in texts if UNFINISHED.search(path.read_text())] == []


def test_only_settings_reads_the_environment() -> None:
    readers = set()
    for path in modules():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv", "environb"}:
                readers.add(path.name)
            if isinstance(node, ast.ImportFrom) and node.module == "os":
                readers |= {path.name for each in node.names if each.name in {"environ", "getenv", "environb"}}
    assert readers == {"settings.py"}


def test_the_daemon_and_what_it_drives_never_sleep() -> None:
    """They wait for events, which a stop can end at once."""
    sleepers = [path.relative_to(SOURCE) for path in modules() if any(_sleeps(tree(path)))]
    assert [path for path in sleepers if path.parts[0] in {"core", "services", "daemon", "web"}] == []


def _sleeps(node: ast.AST, *, polling: bool = False) -> Iterator[tuple[int, bool]]:
    """Every `sleep(…)` but asyncio's `sleep(0)`, which yields: its line, and whether a loop around it polls something."""
    for child in ast.iter_child_nodes(node):
        inside = polling or isinstance(child, ast.While)
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            inside = False
        if isinstance(child, ast.Call):
            named = getattr(child.func, "attr", getattr(child.func, "id", ""))
            yields = child.args and isinstance(child.args[0], ast.Constant) and child.args[0].value == 0
            if named == "sleep" and not yields:
                yield child.lineno, inside
        yield from _sleeps(child, polling=inside)


def test_a_test_waits_for_conditions_and_never_for_time() -> None:
    """A pause may only be what a loop does between two looks at a condition."""
    for path in sorted(TESTS.rglob("*.py")):
        for line, polling in _sleeps(tree(path)):
            assert polling, f"{path}:{line} sleeps; wait for a condition"


def test_nothing_names_the_machine_it_was_written_on() -> None:
    names = [str(ROOT), sys.prefix, str(Path.home() / ".")]
    names += [socket.gethostname()] if len(socket.gethostname()) > 8 else []
    here = [name for name in names if len(Path(name).parts) > 2 or "/" not in name]
    wanted = re.compile("|".join(rf"{re.escape(name)}(?![\w-])" for name in here) or r"(?!)")
    for path in _texts():
        found = wanted.search(path.read_text(errors="replace"))
        assert not found, f"{path.relative_to(ROOT)} names {found and found.group()}"


def _texts() -> Iterator[Path]:
    for folder in ("src", "tests", "docs", "schemas", "automations.d", ".ci", ".github"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith("."):
                yield path
    yield from (path for path in sorted(ROOT.iterdir()) if path.is_file() and path.suffix in {".md", ".toml", ""})


@pytest.mark.parametrize("program", ["main", "daemon_main"])
def test_every_entry_point_that_the_package_promises_exists(program: str) -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert f"automations.cli.main:{program}" in text
    assert any(each.name == f"cli/main.py:{program}" for each in every_function())
