"""Commands in hints are told with the options that said where: without them they would lead to another store or source.

This is done where hints are printed, to errors, to what is noted on stderr and to how sources stand, so that no message has to
think of it.
"""

import re
import shlex
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from automations.cli import registry
from automations.cli.command import Command
from automations.settings import Words

_PROGRAM = re.compile(r"(?<![\w(/.-])(automations|automations-daemon) ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)?)")
_DAEMON = ("run", "serve")
_CREDENTIALS = re.compile(r"//[^/@]*@|[?&]password=")


class Said(NamedTuple):
    """What a command line said about where: global options, and the source that it named (None unless exactly one)."""

    words: Words = Words()
    source: str | None = None


def said(words: Words, rest: Sequence[str]) -> Said:
    """What these words say; `rest` are those that are no global options."""
    named = [value for word, value in pairwise(rest) if word == "--source"]
    named += [word.removeprefix("--source=") for word in rest if word.startswith("--source=")]
    return Said(words, named[0] if len(named) == 1 else None)


def repeated(text: str, given: Said) -> str:
    """The text with these options in each command that it tells to run. A URL that may hold a password is not repeated."""
    where = "".join(f" {name} {shlex.quote(value)}" for name, value in _where(given.words))
    if not where and given.source is None:
        return text
    return _PROGRAM.sub(lambda found: _told(found, where, given.source, after=text[found.end() :]), text)


def _where(words: Words) -> list[tuple[str, str]]:
    options = (("--config", words.config), ("--dir", words.directory), ("--store", words.store))
    return [(name, value) for name, value in options if value is not None and not _CREDENTIALS.search(value)]


def _told(found: "re.Match[str]", where: str, source: str | None, *, after: str) -> str:
    program, words = found[1], tuple(found[2].split())
    if program == "automations-daemon":
        return f"{program}{where} {found[2]}" if words[0] in _DAEMON else found[0]
    command = _command(words)
    if command is None:
        return found[0]
    more = words[len(command.words) :]
    takes = any(option.name == "--source" for option in command.options) and "--source" not in after
    chosen = f" --source {shlex.quote(source)}" if takes and source is not None else ""
    return f"{program}{where} {' '.join(command.words)}{chosen}{''.join(f' {word}' for word in more)}"


def _command(words: tuple[str, ...]) -> Command | None:
    file = registry.FILES.get(words[0])
    return None if file is None else registry.among(registry.commands_of(file), words)
