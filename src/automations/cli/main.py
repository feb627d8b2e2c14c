"""The entry points: find the command, parse, run, and turn every failure into one line and an exit status.

This is the one error boundary of the command line. Bad input never shows a traceback; a bug writes a crash report into the
data root, names it, and exits 70.
"""

import atexit
import gc
import json
import os
import sys
from collections.abc import Sequence
from functools import partial

from automations import __version__
from automations.cli import registry
from automations.cli.command import Command
from automations.cli.context import Context, drop_output
from automations.cli.globals import VALUED, Globals, lift
from automations.errors import AutomationsError, StoreDamaged
from automations.settings import NOTHING_SAID, Settings, load

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
    # What is left at the end goes with the process; looking through all of it for cycles would take milliseconds.
    atexit.register(gc.freeze)
    _ready_streams()
    as_json = any(word in ("--json", "-j") for word in argv)
    settings: Settings | None = None
    given = Globals()
    try:
        known = _known(argv, daemon=program == "automations-daemon")
        given = lift(argv, valued=_valued(known))
        as_json = given.json
        settings = load(words=given.words)
        status = _run(program, known, given=given, settings=settings)
        sys.stdout.flush()
    except AutomationsError as error:
        error.hint = _hinted(given, error.hint)
        _tell(program, error, as_json=as_json)
        return error.exit_status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        drop_output()  # the reader went away, as `| head` does
        return 0
    except Exception as bug:  # noqa: BLE001  # the boundary: a bug becomes a report, never a traceback
        from automations.cli.crash import outside, report

        known_cause = outside(bug)
        if known_cause:
            drop_output()
            _tell(program, known_cause, as_json=as_json)
            return known_cause.exit_status
        data_dir = settings.data_dir if settings else None
        _tell(program, report(bug, program=program, argv=argv, data_dir=data_dir), as_json=as_json)
        return BUG
    return status


def _run(program: str, known: tuple[Command, ...], *, given: Globals, settings: Settings) -> int:
    if given.rest[:1] and given.rest[0] in _VERSION_WORDS:
        print(json.dumps({"version": __version__}) if given.json else __version__)
        return 0
    context = Context(settings, json=given.json, verbose=given.verbose)
    context.hinted = partial(_hinted, given)
    try:
        command = registry.among(known, given.rest)
        if command and command.quick and not {"--help", "-h"} & set(given.rest):
            from automations.cli.quick import parse

            return command.run(context, parse(command, given.rest[len(command.words) :]))
        return _typer(program, given, context=context)
    except StoreDamaged as damage:
        from automations.services.damage import located

        raise located(context.runtime.database, damage) from None
    finally:
        context.close()


def _hinted(given: Globals, text: str) -> str:
    """A hint whose commands can be pasted: they say where, as this command line did."""
    if given.words == NOTHING_SAID and not any(word.startswith("--source") for word in given.rest):
        return text
    from automations.cli.repeated import repeated, said

    return repeated(text, said(given.words, given.rest))


def _typer(program: str, given: Globals, *, context: Context) -> int:
    from automations.cli.application import run

    commands = registry.daemon_commands() if program == "automations-daemon" else registry.every_command()
    return run(program, commands, words=given.rest, context=context)


def _known(argv: Sequence[str], *, daemon: bool) -> tuple[Command, ...]:
    """The commands of the file that the first plain word names; reading the others would cost start-up."""
    if daemon:
        return registry.daemon_commands()
    words = iter(argv)
    for word in words:
        if word in VALUED:
            next(words, None)
        elif word in registry.FILES:
            return registry.commands_of(registry.FILES[word])
    return ()


def _valued(commands: tuple[Command, ...]) -> frozenset[str]:
    return frozenset(option.name for command in commands for option in command.options if option.kind != "flag")


def _ready_streams() -> None:
    """A closed stream (`>&-`) reads and writes nothing, and a character that a terminal cannot show is escaped."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115  # for good, not a file
        elif mode == "w" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _tell(program: str, error: AutomationsError, *, as_json: bool) -> None:
    from automations.cli.table import clean

    lines = [f"{program}: {error.message}"]
    lines += [f"  {diagnostic}" for diagnostic in getattr(error, "diagnostics", ())]
    lines += [f"  {error.hint}"] if error.hint else []
    text = json.dumps(error.document(), ensure_ascii=False) if as_json else "\n".join(map(clean, lines))
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        drop_output(sys.stderr)  # stderr is gone as well; the exit status still tells
