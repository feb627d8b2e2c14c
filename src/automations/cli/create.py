"""`create`: one automation made imperatively, owned by `api`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command

if TYPE_CHECKING:
    from automations.cli.context import Context


def run(context: "Context", given: Mapping[str, Any]) -> int:
    """Create or update; the automation's record."""
    from automations.cli.given import given_bytes
    from automations.core.spec.catalogue import interpret

    interpreted = interpret(given_bytes(given["file"]), given["file"])
    record = context.runtime.author.create(interpreted, actor=context.settings.actor)
    if context.json:
        context.document(record)
    else:
        context.say(f"{record['id']}: generation {record['generation']}, owner {record['owner']}")
    return 0


COMMANDS = (
    Command(
        ("create",),
        "Create or update one automation, owned by `api`.",
        run,
        arguments=(Argument("file", "A spec file, or - for standard input."),),
        quick=True,
    ),
)
