"""What a command is: one declaration that feeds the quick parser, typer's help and completion, and the reference docs.

Importing this (and a command's own file) must stay cheap: runners call `queue claim` and `status` in loops. Handlers import
what they need when they run.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from automations.cli.context import Context

Kind = Literal["text", "number", "flag"]
"""What an option takes: text, a whole number, or nothing."""


@dataclass(frozen=True, slots=True)
class Argument:
    """A word on the command line without a dash. Optional when it has a default (or `required` is False)."""

    name: str
    help: str
    default: str | None = None
    required: bool = True


@dataclass(frozen=True, slots=True)
class Option:
    """`--name value` or `--name=value`; a `flag` takes no value; `many` may be given more than once."""

    name: str
    help: str
    kind: Kind = "text"
    default: Any = None
    many: bool = False

    @property
    def key(self) -> str:
        """Its name in the handler's arguments: `--runner-id` is `runner_id`."""
        return self.name.removeprefix("--").replace("-", "_")


Handler = Callable[["Context", Mapping[str, Any]], int]
"""Takes the context and parsed values by name; returns the exit status."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command. `quick` ones are parsed without typer, because programs call them in loops."""

    words: tuple[str, ...]
    help: str
    run: Handler
    arguments: tuple[Argument, ...] = ()
    options: tuple[Option, ...] = ()
    quick: bool = False
    aliases: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        """As it is typed: `queue claim`."""
        return " ".join(self.words)
