"""`worker`: carry actions out here, as a process of its own, against a store that others share."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automations.adapters.absent import absence
from automations.cli.command import Argument, Command, Option
from automations.errors import InvalidInput, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from automations.cli.context import Context
    from automations.settings import SourceSettings

MOST_AT_ONCE = 256
SHORTEST_LEASE_MS, LONGEST_LEASE_MS = 1_000, 24 * 3600 * 1000


def run(context: "Context", given: Mapping[str, Any]) -> int:
    """Claim and execute until a signal, or with --until-idle until nothing is left to do."""
    from automations.cli.daemon import announce, log_lines
    from automations.daemon.work import Options, Working
    from automations.services.run.queue import pattern

    concurrency, lease_ms = given["concurrency"], given["lease_ms"]
    if not 1 <= concurrency <= MOST_AT_ONCE:
        raise UsageError(f"--concurrency takes 1 to {MOST_AT_ONCE}, not {concurrency}")
    if not SHORTEST_LEASE_MS <= lease_ms <= LONGEST_LEASE_MS:
        raise UsageError(f"--lease-ms takes {SHORTEST_LEASE_MS} to {LONGEST_LEASE_MS}, not {lease_ms}")
    if given["runner"] == "":
        raise UsageError("--runner requires a value", hint="such as: --runner build-host-1")
    options = Options(
        workdir=_directory(given["path"], context.settings.sources),
        runner=given["runner"],
        only=tuple(map(pattern, given["action"])),
        concurrency=concurrency,
        lease_ms=lease_ms,
        until_idle=given["until_idle"],
    )
    working = Working(context.runtime, options)
    log_lines(context)
    working.hear_signals()
    facts = working.announcement()
    actions = {"actions": list(given["action"])} if given["action"] else {}
    text = f"automations worker {facts['runner']} ({', '.join(facts['executors'])}), {concurrency} at a time"
    announce(context, {"ok": True, "mode": "worker", **facts, **actions}, text=text)
    return working.run()


def _directory(named: str | None, sources: "Sequence[SourceSettings]") -> Path:
    """The directory that the command line names, else the one that a daemon here would reconcile, else this one."""
    path = Path(named or (sources[0].path if len(sources) == 1 else "."))
    if not path.is_dir():
        said = f"{path} is not a directory" if path.exists() else absence(path)
        raise InvalidInput(said, hint="name the directory that actions run below")
    return path.absolute()


COMMANDS = (
    Command(
        ("worker",),
        "Carry actions out here; any number of workers may share a store.",
        run,
        arguments=(
            Argument(
                "path",
                "Below it actions run (default: the daemon's directory of specs, else this one).",
                required=False,
            ),
        ),
        options=(
            Option("--runner", "The name it claims under (default: worker:<host>:<pid>)."),
            Option(
                "--action", "Only actions of this id, or of ids like todos.* (one * stands for anything).", many=True
            ),
            Option("--concurrency", "How many actions at a time.", "number", 8),
            Option("--lease-ms", "After how long without a sign of life others take over.", "number", 30_000),
            Option("--until-idle", "End when nothing is left to do.", "flag", default=False),
        ),
    ),
)
