"""`schema`: print a JSON Schema, for editors and other tools."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command
from automations.errors import UsageError

if TYPE_CHECKING:
    from automations.cli.context import Context

NAMES = ("automation", "action", "test")


def run(context: "Context", given: Mapping[str, Any]) -> int:
    """Print the schema as it is shipped."""
    from automations.core.spec.schemas import text

    if given["name"] not in NAMES:
        raise UsageError(f"unknown schema: {given['name']}", hint=f"one of: {', '.join(NAMES)}")
    context.say(text(given["name"]).rstrip("\n"))
    return 0


COMMANDS = (
    Command(
        ("schema",),
        "Print a JSON Schema.",
        run,
        arguments=(Argument("name", f"One of {', '.join(NAMES)}.", default="automation"),),
    ),
)
