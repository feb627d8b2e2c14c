"""`adopt`: let a source take over automations that were made imperatively, or by another source."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command, Option
from automations.cli.plan import SOURCE, WHERE

if TYPE_CHECKING:
    from automations.cli.context import Context


def run(context: "Context", given: Mapping[str, Any]) -> int:
    """Take over exactly the named ones and change nothing else."""
    from automations.cli.desired import declared, directory
    from automations.cli.locked import locked
    from automations.cli.rendered import document_of, text_of
    from automations.core.plan.plan import Request
    from automations.services.plan.adopt import takeover
    from automations.services.plan.apply import Authority

    with locked(context, purpose=f"adopt {' '.join(given['ids'])}", seconds=0) as keeper:
        path = directory(context, given["path"], source=given["source"])
        snapshot, catalogue = declared(context, path, source=given["source"])
        now = context.runtime.clock.now()
        request = Request(given["source"], revision=snapshot.revision, adopt=frozenset(given["ids"]), now=now)
        made = takeover(context.runtime.database, catalogue, request, prefix=snapshot.prefix)
        authority = Authority(context.settings.actor, lock=keeper.kept())
        applied = context.runtime.apply.strict(made, authority, prefix=snapshot.prefix)
    if context.json:
        shown = document_of(context, made)
        context.document(
            {"ok": True, "serial": applied.serial, "summary": shown["summary"], "changes": shown["changes"]}
        )
    elif made.changes:
        context.say(text_of(context, made) + "\n")
        context.say(f"Taken over at serial {applied.serial}.")
    else:
        context.say(f"nothing to take over: source {given['source']} owns them already")
    return 0


COMMANDS = (
    Command(
        ("adopt",),
        "Let a source take over automations that others own.",
        run,
        arguments=(Argument("ids", "Automation ids that files declare.", many=True),),
        options=(Option("--path", WHERE), SOURCE),
    ),
)
