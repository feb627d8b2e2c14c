"""`import-store`: the original program's database, brought into this store."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command
from automations.cli.table import clean, table

if TYPE_CHECKING:
    from automations.cli.context import Context

_HEADER = ("", "IMPORTED", "ALREADY HERE")


def run(context: "Context", given: Mapping[str, Any]) -> int:
    """Import; what was brought over, what was here, and what was left out and why."""
    from automations.adapters.original_store import OriginalStore
    from automations.store.sqlite_file import APPLICATION_ID

    path = Path(given["path"])
    with OriginalStore.open(path, ours=APPLICATION_ID) as original:
        _require_apart(path, context)
        service = context.runtime.import_store
        tell = lambda looked: context.note(f"{looked} runs looked at")  # noqa: E731  # one line of progress
        report = service.bring(original, actor=context.settings.actor, tell=tell)
    document = report.document()
    if context.json:
        context.document(document)
        return 0
    imported, already = document["imported"], document["already"]
    context.say(table(_HEADER, [(kind, str(count), str(already[kind])) for kind, count in imported.items()]))
    for title, entries in (("left out", document["skipped"]), ("changed", document["notes"])):
        for each in entries:
            context.say(clean(f"{title}: {each['table']} {each['id']}: {each['reason']}"))
    return 0


def _require_apart(path: Path, context: "Context") -> None:
    """The original's usual place is ours too. Raises InvalidInput where it lies where our store would be."""
    from automations.errors import InvalidInput

    url = context.settings.store_url
    if url.startswith("sqlite:///") and Path("/" + url.removeprefix("sqlite:").lstrip("/")).resolve() == path.resolve():
        raise InvalidInput(
            f"{path} lies where this program keeps its own store",
            hint=f"stop the original, then move its files away: mv {path} {path.with_name('original.db')} "
            "(and those named like it with -wal and -shm, if they are there), or choose another --dir",
        )


COMMANDS = (
    Command(
        ("import-store",),
        "Bring the automations.db of the original program into this store; twice does no harm.",
        run,
        arguments=(Argument("path", "The original's automations.db; it is only read."),),
    ),
)
