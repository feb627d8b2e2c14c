"""`adopt`: let a source take over automations that were made imperatively, or by another source.

Where the file says what is bound, only the owner changes, and nobody is asked. Where it says something else that is committed as
well: then the plan is shown and agreed to as with `apply`.
"""

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.apply import ALLOW, APPROVE, approve
from automations.cli.command import Argument, Command, Option
from automations.cli.plan import SOURCE, WHERE

if TYPE_CHECKING:
    from automations.cli.context import Context


def run(context: "Context", given: Mapping[str, Any]) -> int:
    """Take over exactly the named ones, asking where that changes what they do. Exit 4 refused or not agreed to."""
    from automations.cli.desired import declared, directory
    from automations.cli.locked import locked
    from automations.cli.rendered import document_of
    from automations.core.plan.plan import Request
    from automations.services.plan.adopt import takeover
    from automations.services.plan.apply import Authority

    with locked(context, purpose=f"adopt {' '.join(given['ids'])}", seconds=0) as keeper:
        path = directory(context, given["path"], source=given["source"])
        snapshot, catalogue = declared(context, path, source=given["source"])
        now = context.runtime.clock.now()
        request = Request(given["source"], revision=snapshot.revision, adopt=frozenset(given["ids"]), now=now)
        made = takeover(context.runtime.database, catalogue, request, prefix=snapshot.prefix)
        authority = Authority(context.settings.actor, allow_deletes=given["allow_deletes"])
        asks = not given["auto_approve"] and any(change.fields for change in made.changes)
        if made.changes:
            approve(context, made, authority=authority, command=_same_command(given), asks=asks)
        sure = Authority(authority.actor, authority.allow_deletes, keeper.kept())
        applied = context.runtime.apply.strict(made, sure, prefix=snapshot.prefix)
    if context.json:
        shown = document_of(context, made)
        told = {key: shown[key] for key in ("summary", "changes", "hazards")}
        context.document({"ok": True, "serial": applied.serial} | told)
    elif made.changes:
        context.say(f"Taken over at serial {applied.serial}.")
    else:
        context.say(f"nothing to take over: source {given['source']} owns them already")
    return 0


def _same_command(given: Mapping[str, Any]) -> str:
    """What was given here, without what says yes, ready to be pasted."""
    words = ["automations", "adopt", *given["ids"]]
    words += ["--path", given["path"]] if given["path"] else []
    words += ["--source", given["source"]] if given["source"] != SOURCE.default else []
    return shlex.join(words)


COMMANDS = (
    Command(
        ("adopt",),
        "Let a source take over automations that others own.",
        run,
        arguments=(Argument("ids", "Automation ids that files declare.", many=True),),
        options=(Option("--path", WHERE), SOURCE, APPROVE, ALLOW),
    ),
)
