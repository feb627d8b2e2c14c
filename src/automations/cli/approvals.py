"""`approvals list`, `approve` and `reject`: what waits for a person, and the person's word."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.command import Command
from automations.cli.queue import ACTION, REASON, actions_table, run_approve, run_reject

if TYPE_CHECKING:
    from automations.cli.context import Context


def run_list(context: "Context", _: Mapping[str, Any]) -> int:
    """Actions that wait for an approval, oldest first."""
    records = context.runtime.inspect.waiting()
    if context.json:
        context.document(records)
    else:
        context.say(actions_table(records) if records else "nothing waits for an approval")
    return 0


COMMANDS = (
    Command(("approvals", "list"), "List actions that wait for an approval.", run_list, quick=True),
    Command(
        ("approvals", "approve"), "Approve an action that waits for it.", run_approve, arguments=(ACTION,), quick=True
    ),
    Command(
        ("approvals", "reject"),
        "Reject an action that waits for approval; it will never run.",
        run_reject,
        arguments=(ACTION,),
        options=(REASON,),
        quick=True,
    ),
)
