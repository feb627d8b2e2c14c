"""`dlq list` and `dlq replay`: what was given up, and trying it again."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command, Option
from automations.cli.table import table

if TYPE_CHECKING:
    from automations.cli.context import Context


def run_list(context: "Context", _: Mapping[str, Any]) -> int:
    """Dead and rejected actions, oldest first."""
    records = context.runtime.inspect.dead_letters()
    if context.json:
        context.document(records)
    elif records:
        rows = [
            (
                each["id"],
                each["invocation"]["automationId"],
                each["stepId"],
                str(each["attempt"]),
                each["deadLetter"]["reason"],
            )
            for each in records
        ]
        context.say(table(("ACTION", "AUTOMATION", "STEP", "ATTEMPTS", "REASON"), rows))
    else:
        context.say("no dead letters")
    return 0


def run_replay(context: "Context", given: Mapping[str, Any]) -> int:
    """Put a dead action back into the queue; its run goes on."""
    from automations.core.record import action_record

    row = context.runtime.operate.replay(given["id"], actor=context.settings.actor, reason=given["reason"])
    context.document(action_record(row))
    return 0


COMMANDS = (
    Command(("dlq", "list"), "List dead actions.", run_list, quick=True),
    Command(
        ("dlq", "replay"),
        "Put a dead action back into the queue.",
        run_replay,
        arguments=(Argument("id", "An action id."),),
        options=(Option("--reason", "Why."),),
        quick=True,
    ),
)
