"""Global options: accepted before the command and after it, in any of their spellings."""

from collections.abc import Sequence
from typing import NamedTuple

from automations.cli.command import Option
from automations.errors import UsageError
from automations.settings import Words

GLOBAL_OPTIONS = (
    Option("--json", "One JSON document on stdout, nothing else (short: -j).", "flag", default=False),
    Option("--dir", "Data root (default: HASNA_AUTOMATIONS_DIR, else ~/.hasna/automations)."),
    Option("--store", "Store URL: sqlite:///path or postgresql://…"),
    Option(
        "--config", "The settings file (default: AUTOMATIONS_CONFIG, else automations.toml here or in the data root)."
    ),
    Option("--actor", "Who is recorded for a change (default: the OS user)."),
    Option("--verbose", "Tell on stderr what is done, a line for each thing.", "flag", default=False),
)
VALUED = ("--dir", "--store", "--config", "--actor")
"""Those of them that take a value."""
_FLAGS = {"--json": "--json", "-j": "--json", "--verbose": "--verbose"}


class Globals(NamedTuple):
    """What the global options said."""

    json: bool = False
    verbose: bool = False
    words: Words = Words()
    rest: tuple[str, ...] = ()


def lift(argv: Sequence[str], *, valued: frozenset[str]) -> Globals:
    """Take the global options out of a command line, wherever they stand before `--`.

    `valued` are the options of all commands that take a value, so that `--message --json` keeps its value. Raises UsageError
    for a global option without its value, or with an empty one.
    """
    flags: set[str] = set()
    values: dict[str, str] = {}
    rest: list[str] = []
    words = iter(enumerate(argv))
    for index, word in words:
        name, equals, value = word.partition("=")
        if word == "--":
            rest.extend(argv[index:])
            break
        if word in _FLAGS:
            flags.add(_FLAGS[word])
        elif name in VALUED:
            if not equals:
                following = next(words, None)
                value = following[1] if following else ""
            if not value:  # an empty one is a script's variable that was never set
                raise UsageError(f"{name} requires a value", hint=f"such as: {name} VALUE")
            values[name] = value
        else:
            rest.append(word)
            if word in valued:
                rest.extend(following[1] for following in [next(words, None)] if following)
    return Globals(
        json="--json" in flags,
        verbose="--verbose" in flags,
        words=Words(values.get("--config"), values.get("--dir"), values.get("--store"), values.get("--actor")),
        rest=tuple(rest),
    )
