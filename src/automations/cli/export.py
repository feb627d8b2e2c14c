"""`export`: automations as YAML files, ready to be declared and adopted."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command, Option
from automations.cli.table import counted
from automations.errors import InvalidInput, Refused, UsageError

if TYPE_CHECKING:
    from automations.cli.context import Context


def run(context: "Context", given: Mapping[str, Any]) -> int:
    """Without ids, all that are owned by `api`; without --out, onto standard output."""
    from automations.core.plan.state import API_OWNER
    from automations.core.spec.writer import to_yaml

    if given["out"] == "":  # a script's variable that was never set; it must not mean the current directory
        raise UsageError("--out is empty", hint="such as --out automations.d")
    inspect = context.runtime.inspect
    named = [inspect.automation(identity) for identity in dict.fromkeys(given["ids"])]
    records = named or [each for each in inspect.automations() if each["owner"] == API_OWNER]
    texts = {f"{each['id']}.yaml": to_yaml(each["spec"]) for each in records}
    if given["out"] is not None:
        _write(Path(given["out"]), texts)
    if context.json:
        shown = [
            {"id": each["id"], "owner": each["owner"], "file": file, "yaml": text}
            for each, (file, text) in zip(records, texts.items(), strict=True)
        ]
        context.document(shown)
    elif given["out"] is None:
        context.say("---\n".join(texts.values()).rstrip("\n"))
    else:
        context.say(f"wrote {counted(len(texts), 'file')} into {given['out']}")
        for line in _next(records, given["out"]):
            context.say(line)
    return 0


def _next(records: list[dict[str, Any]], out: str) -> Iterator[str]:
    """What to do with the files: adopt what nobody owns; who takes over what a source owns is for the person to say."""
    from automations.core.plan.state import API_OWNER

    loose = [each["id"] for each in records if each["owner"] == API_OWNER]
    if loose:
        yield f"next: automations adopt {shlex.join((*loose, '--path', out))}"
    for owner in sorted({each["owner"] for each in records} - {API_OWNER}):
        theirs = [each["id"] for each in records if each["owner"] == owner]
        command = f"automations adopt {shlex.join((*theirs, '--path', out))} --source NAME"
        yield f"{', '.join(theirs)}: owned by {owner}; another source takes over with: {command}"


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    """Write what is not there yet, all or nothing. Raises Refused where a file says something else."""
    files = {folder / name: text.encode() for name, text in texts.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        standing = [file for file in files if file.is_symlink() or file.exists()]
        odd = [file for file in standing if not file.is_file()]  # a pipe would keep whoever reads it waiting
        if odd:
            raise Refused(f"{odd[0]} is there and is no regular file", hint="give another --out folder")
        taken = [file for file in standing if file.read_bytes() != files[file]]
        if taken:
            raise Refused(f"{taken[0]} is there and says something else", hint="give another --out folder")
        for file, raw in files.items():
            if file not in standing:
                file.write_bytes(raw)
    except OSError as problem:
        place = problem.filename or folder
        raise InvalidInput(f"cannot write {place}: {problem.strerror}", hint="give another --out folder") from None


COMMANDS = (
    Command(
        ("export",),
        "Write automations as YAML.",
        run,
        arguments=(Argument("ids", "Automation ids (default: all made imperatively).", required=False, many=True),),
        options=(Option("--out", "A folder for one file each (default: standard output)."),),
    ),
)
