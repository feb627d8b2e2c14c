"""`runs cancel` and `queue cancel`: end work early, and say who did and why."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.action_card import state_of, title
from automations.cli.command import Argument, Command, Option

if TYPE_CHECKING:
    from automations.cli.context import Context

REASON = Option("--reason", "Why; kept with the run, the action and the audit.")


def cancel_run(context: "Context", given: Mapping[str, Any]) -> int:
    """Cancel a run."""
    from automations.core.record import run_record

    row = context.runtime.cancel.run(
        context.runtime.short_ids.run(given["id"]), actor=context.settings.actor, reason=given["reason"]
    )
    if context.json:
        context.document(run_record(row))
    elif row["completed_at"] is None:
        context.say(f"run {row['id']} is being cancelled: what runs is asked to stop, then its finally steps run")
    else:
        context.say(f"run {row['id']}: {row['status']}")
    return 0


def cancel_action(context: "Context", given: Mapping[str, Any]) -> int:
    """Cancel one action."""
    from automations.core.record import action_record

    row = context.runtime.cancel.action(
        context.runtime.short_ids.action(given["id"]), actor=context.settings.actor, reason=given["reason"]
    )
    record = action_record(row)
    if context.json:
        context.document(record)
    elif row["completed_at"] is None:
        context.say(f"{title(record)}: its runner is asked to stop")
    else:
        context.say(f"{title(record)}: {state_of(record)}")
    return 0


RUN = Command(
    ("runs", "cancel"),
    "Cancel a run: what waits at once, what runs is asked to stop; then its finally steps run.",
    cancel_run,
    arguments=(Argument("id", "A run id."),),
    options=(REASON,),
    quick=True,
)
ACTION = Command(
    ("queue", "cancel"),
    "Cancel one action; its run goes on as after a failure of that step.",
    cancel_action,
    arguments=(Argument("id", "An action id."),),
    options=(REASON,),
    quick=True,
)
