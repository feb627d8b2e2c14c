"""`fmt`: specs in their one canonical form, comments and meaning kept. Needs no store."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from automations.cli.command import Argument, Command, Option
from automations.cli.table import clean, counted
from automations.errors import InvalidInput

if TYPE_CHECKING:
    from automations.cli.context import Context
    from automations.core.spec.formatter import Formatted

LARGEST = 1 << 20


class _Given(NamedTuple):
    """A file to format: as it is shown, where it lies (standard input lies nowhere), what it says."""

    name: str
    path: Path | None
    raw: bytes


def run(context: "Context", given: Mapping[str, Any]) -> int:
    """Format; 1 when a file has no canonical form (or, with --check, is not in it), else 0."""
    from automations.core.spec.formatter import formatted

    only_look = given["check"] or given["diff"]
    rows = []
    for file in _files(given["path"]):
        found = formatted(file.raw, file.name)
        rows.append(_row(file, found, diff=given["diff"]))
        if found.text is not None and not only_look and file.path is not None:
            _write(file, found.text, rows[-1])
        if found.text is not None and not only_look and file.path is None and not context.json:
            context.out.write(found.text)
    _show(context, rows, given=given)
    bad = {"unreadable", "refused", *(("unformatted",) if given["check"] else ())}
    return 1 if any(row["outcome"] in bad for row in rows) else 0


def _files(path: str) -> Iterator[_Given]:
    """The YAML files of a path. Raises InvalidInput for one that cannot be read."""
    from automations.adapters.files import one_file
    from automations.cli.desired import is_folder, snapshot_of

    if path == "-":
        yield _Given("-", None, sys.stdin.buffer.read(LARGEST + 1))
    elif path.lower().endswith(".json") and not is_folder(path):
        raise InvalidInput(f"{path} is JSON; fmt writes YAML", hint="any formatter of JSON does")
    elif path and not is_folder(path):
        yield _Given(path, Path(path), one_file(Path(path)).files[0].load())
    else:
        snapshot = snapshot_of(path, absent="file_unreadable")
        for file in snapshot.files:
            if not file.name.lower().endswith(".json"):
                yield _Given(snapshot.prefix + file.name, Path(snapshot.root, file.name), file.load())


def _row(file: _Given, found: "Formatted", *, diff: bool) -> dict[str, Any]:
    """What became of a file, as JSON shows it."""
    if found.text is None and found.diagnostics:
        return {
            "file": file.name,
            "outcome": "unreadable",
            "diagnostics": [each.document() for each in found.diagnostics],
        }
    if found.text is None:
        return {"file": file.name, "outcome": "refused", "reason": found.reason}
    remark = {"remark": found.remark} if found.remark else {}
    if found.text.encode() == file.raw:
        return {"file": file.name, "outcome": "unchanged", **remark}
    row = {"file": file.name, "outcome": "unformatted", **remark}
    return {**row, "diff": _difference(file, found.text)} if diff else row


def _write(file: _Given, text: str, row: dict[str, Any]) -> None:
    from automations.adapters.replacing import replace

    assert file.path is not None  # noqa: S101  # standard input is not written back
    if row["outcome"] == "unformatted":
        replace(file.path, file.raw, text.encode())
        row["outcome"] = "formatted"


def _difference(file: _Given, text: str) -> str:
    import difflib

    before = file.raw.decode().splitlines(keepends=True)
    lines = difflib.unified_diff(before, text.splitlines(keepends=True), f"a/{file.name}", f"b/{file.name}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _show(context: "Context", rows: list[dict[str, Any]], *, given: Mapping[str, Any]) -> None:
    if context.json:
        context.document({"files": rows})
        return
    piped = given["path"] == "-" and not given["check"] and not given["diff"]
    say = context.note if given["path"] == "-" or given["diff"] else context.say
    for row in rows:
        if "diff" in row:
            context.out.write(row["diff"])
        for each in row.get("diagnostics", ()):
            say(clean(f"{row['file']}:{each['line']}:{each['column']}: {each['message']} [{each['code']}]"))
        if "remark" in row:
            context.note(clean(f"{row['file']}: {row['remark']}"))
        if row["outcome"] == "refused":
            say(clean(f"{row['file']}: left as it is: {row['reason']}"))
        elif row["outcome"] != "unchanged" and not piped and not given["diff"]:
            say(clean(f"{row['outcome']}: {row['file']}"))
    if not piped and not given["diff"]:
        changed = sum(row["outcome"] in ("formatted", "unformatted") for row in rows)
        done = "not in canonical form" if given["check"] else "rewritten"
        say(f"{counted(len(rows), 'file')}, {changed} {done}")


COMMANDS = (
    Command(
        ("fmt",),
        "Rewrite specs in their canonical form; comments and meaning stay.",
        run,
        arguments=(
            Argument("path", "A YAML file, a folder, or - for standard input to output.", default="automations.d"),
        ),
        options=(
            Option("--check", "Write nothing; exit 1 when a file is not in its canonical form.", "flag", default=False),
            Option("--diff", "Write nothing; print what would change.", "flag", default=False),
        ),
        quick=True,
    ),
)
