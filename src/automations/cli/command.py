"""What a command is: one declaration that feeds the quick parser, typer's help and completion, and the reference docs.

Importing this (and a command's own file) must stay cheap: runners call `queue claim` and `status` in loops. Handlers import
what they need when they run, and what short commands share is made of NamedTuples: `dataclasses` brings in `inspect`, which
takes as long to import as the interpreter to start.
"""

from collections.abc import Callable, Mapping
from keyword import iskeyword
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from automations.cli.context import Context

Kind = Literal["text", "number", "flag"]
"""What an option takes: text, a whole number, or nothing."""


class Argument(NamedTuple):
    """A word on the command line without a dash. Optional when it has a default (or `required` is False).

    A `many` one takes every word that is left, as a tuple; only typer reads those, so its command is not `quick`.
    """

    name: str
    help: str
    default: str | None = None
    required: bool = True
    many: bool = False


class Option(NamedTuple):
    """`--name value` or `--name=value`; a `flag` takes no value; `many` may be given more than once.

    `required` is for help and reference: the command itself refuses to go on without it, in its own words.
    """

    name: str
    help: str
    kind: Kind = "text"
    default: Any = None
    many: bool = False
    required: bool = False

    @property
    def key(self) -> str:
        """Its name in the handler's arguments: `--runner-id` is `runner_id`, and `--from` is `from_`, which Python can say."""
        key = self.name.removeprefix("--").replace("-", "_")
        return f"{key}_" if iskeyword(key) else key


Handler = Callable[["Context", Mapping[str, Any]], int]
"""Takes the context and parsed values by name; returns the exit status."""


class Command(NamedTuple):
    """One command. `quick` ones are parsed without typer, because programs call them: in loops, in hooks, in pipelines."""

    words: tuple[str, ...]
    help: str
    run: Handler
    arguments: tuple[Argument, ...] = ()
    options: tuple[Option, ...] = ()
    quick: bool = False
    aliases: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As it is typed: `queue claim`."""
        return " ".join(self.words)
