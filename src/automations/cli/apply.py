"""`apply`: commit a directory of specs to the state, in one transaction, after showing what that means."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.command import Command, Option
from automations.cli.plan import ADOPT, PATH, SOURCE
from automations.cli.table import counted
from automations.errors import Refused

if TYPE_CHECKING:
    from automations.cli.context import Context
    from automations.core.plan.plan import Plan


def run(context: "Context", given: Mapping[str, Any]) -> int:
    """Plan, ask on a terminal, commit. Exit 4 refused by a safety rule, 5 stale."""
    from automations.cli.desired import declared
    from automations.core.plan.plan import Request
    from automations.core.plan.render.document import document
    from automations.core.plan.render.human import human, summary_line
    from automations.errors import SpecInvalid
    from automations.services.apply import Authority, check_hazards
    from automations.services.plan import plan

    snapshot, catalogue = declared(context, given["path"], source=given["source"])
    request = Request(given["source"], revision=snapshot.revision, adopt=frozenset(given["adopt"]))
    runtime = context.runtime
    made = plan(runtime.database, catalogue, request, prefix=snapshot.prefix)
    if not made.sound:
        errors = tuple(each for each in made.diagnostics if each.severity == "error")
        raise SpecInvalid(
            "the specs have errors; nothing was applied", errors, hint=f"see: automations validate {given['path']}"
        )
    authority = Authority(context.settings.actor, allow_deletes=given["allow_deletes"])
    if not context.json:
        context.say(human(made, color=context.color))
    check_hazards(made, authority)
    if made.changes and not given["auto_approve"]:
        _ask(made, as_json=context.json)
    applied = runtime.apply.strict(made, authority, prefix=snapshot.prefix)
    if context.json:
        shown = document(made, now=runtime.clock.now())
        context.document(
            {"ok": True, "serial": applied.serial, "summary": shown["summary"], "changes": shown["changes"]}
        )
    elif made.changes:
        context.say(f"Applied at serial {applied.serial}. {summary_line(made).replace('Plan: ', 'Done: ')}")
    return 0


def _ask(made: "Plan", *, as_json: bool) -> None:
    """Ask a person; without one, say what to add. Raises Refused."""
    if as_json or not sys.stdin.isatty():
        raise Refused(
            f"{counted(len(made.changes), 'change')} to approve, and nobody is here to do it",
            hint="look at the plan, then: automations apply --auto-approve",
        )
    import typer

    try:
        agreed = typer.confirm("Apply these changes?", default=False)
    except typer.Abort:
        raise KeyboardInterrupt from None  # the end of input, which leaves as Ctrl-C does
    if not agreed:
        raise Refused("not applied", hint="nothing was changed")


COMMANDS = (
    Command(
        ("apply",),
        "Commit a directory of specs to the state.",
        run,
        arguments=(PATH,),
        options=(
            SOURCE,
            ADOPT,
            Option("--auto-approve", "Do not ask.", "flag", default=False),
            Option(
                "--allow-deletes", "Allow exactly this many deletes where a safety rule would refuse them.", "number"
            ),
        ),
        quick=True,
    ),
)
