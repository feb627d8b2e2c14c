"""`adopt`: let a source take over automations that were made imperatively, or by another source."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command, Option
from automations.cli.plan import PATH, SOURCE

if TYPE_CHECKING:
    from automations.cli.context import Context


def run(context: "Context", given: Mapping[str, Any]) -> int:
    """Take over exactly the named ones and change nothing else."""
    from automations.cli.desired import declared
    from automations.core.plan.plan import Request
    from automations.core.plan.render.document import document
    from automations.core.plan.render.human import human
    from automations.services.adopt import takeover
    from automations.services.apply import Authority

    snapshot, catalogue = declared(context, given["path"], source=given["source"])
    request = Request(given["source"], revision=snapshot.revision, adopt=frozenset(given["ids"]))
    runtime = context.runtime
    made = takeover(runtime.database, catalogue, request, prefix=snapshot.prefix)
    applied = runtime.apply.strict(made, Authority(context.settings.actor), prefix=snapshot.prefix)
    if context.json:
        shown = document(made, now=runtime.clock.now())
        context.document(
            {"ok": True, "serial": applied.serial, "summary": shown["summary"], "changes": shown["changes"]}
        )
    elif made.changes:
        context.say(human(made, color=context.color))
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
        options=(Option("--path", PATH.help, default=PATH.default), SOURCE),
    ),
)
