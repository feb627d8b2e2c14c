"""The entry points: find the command, parse, run, and turn every failure into one line and an exit status.

This is the one error boundary of the command line. Bad input never shows a traceback; a bug writes a crash report into the
data root, names it, and exits 70.
"""

import json
import sys
from collections.abc import Sequence

from automations import __version__
from automations.cli import registry
from automations.cli.command import Command
from automations.cli.context import Context
from automations.cli.globals import Globals, lift
from automations.errors import AutomationsError
from automations.settings import Settings, load

INTERRUPTED = 130
BUG = 70
_VERSION_WORDS = ("version", "-v", "--version")


def main(argv: Sequence[str] | None = None) -> int:
    """`automations`; the exit status."""
    return _boundary("automations", sys.argv[1:] if argv is None else argv)


def daemon_main(argv: Sequence[str] | None = None) -> int:
    """`automations-daemon`; the exit status."""
    return _boundary("automations-daemon", sys.argv[1:] if argv is None else argv)


def _boundary(program: str, argv: Sequence[str]) -> int:
    as_json = any(word in ("--json", "-j") for word in argv)
    settings = load()
    try:
        return _run(program, argv, settings)
    except AutomationsError as error:
        _tell(program, error, as_json=as_json)
        return error.exit_status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader went away, as `| head` does; what is left must not complain again at exit.
        sys.stdout = None  # the interpreter flushes it on exit otherwise
        return 0
    except Exception as bug:  # noqa: BLE001  # the boundary: a bug becomes a report, never a traceback
        from automations.cli.crash import report

        _tell(program, report(bug, program=program, argv=argv, data_dir=settings.data_dir), as_json=as_json)
        return BUG


def _run(program: str, argv: Sequence[str], settings: Settings) -> int:
    daemon = program == "automations-daemon"
    known = _known(argv, daemon=daemon)
    given = lift(argv, valued=_valued(known))
    if given.rest[:1] and given.rest[0] in _VERSION_WORDS:
        print(json.dumps({"version": __version__}) if given.json else __version__)
        return 0
    chosen = settings.over(directory=given.directory, store=given.store, actor=given.actor)
    context = Context(chosen, given.json, given.verbose)
    try:
        command = registry.among(known, given.rest)
        if command and command.quick and not {"--help", "-h"} & set(given.rest):
            from automations.cli.quick import parse

            return command.run(context, parse(command, given.rest[len(command.words) :]))
        return _typer(program, given, context=context)
    finally:
        context.close()


def _typer(program: str, given: Globals, *, context: Context) -> int:
    from automations.cli.application import run

    commands = registry.daemon_commands() if program == "automations-daemon" else registry.every_command()
    return run(program, commands, given.rest, context=context)


def _known(argv: Sequence[str], *, daemon: bool) -> tuple[Command, ...]:
    """The commands of the file that the first plain word names; reading the others would cost start-up."""
    if daemon:
        return registry.daemon_commands()
    for word in argv:
        if word in registry.FILES:
            return registry.commands_of(registry.FILES[word])
    return ()


def _valued(commands: tuple[Command, ...]) -> frozenset[str]:
    return frozenset(option.name for command in commands for option in command.options if option.kind != "flag")


def _tell(program: str, error: AutomationsError, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(error.document(), ensure_ascii=False), file=sys.stderr)
        return
    print(f"{program}: {error.message}", file=sys.stderr)
    for diagnostic in getattr(error, "diagnostics", ()):
        print(f"  {diagnostic}", file=sys.stderr)
    if error.hint:
        print(f"  {error.hint}", file=sys.stderr)
