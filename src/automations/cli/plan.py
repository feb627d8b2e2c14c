"""`plan`: what applying a directory of specs would change, and what that does to work in flight. Writes nothing."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command, Option
from automations.errors import UsageError

if TYPE_CHECKING:
    from automations.cli.context import Context

PATH = Argument("path", "The directory of specs.", default="automations.d")
SOURCE = Option("--source", "The name that these automations are owned under.", default="default")
ADOPT = Option("--adopt", "Take over this automation from another owner; may be given more than once.", many=True)
FORMATS = ("human", "json", "markdown", "github")


def run(context: "Context", given: Mapping[str, Any]) -> int:
    """Print the plan; 0, or with --detailed-exitcode 0 none, 2 changes, 3 changes that destroy; 1 for invalid specs."""
    from automations.cli.desired import declared
    from automations.core.plan.plan import Request
    from automations.core.plan.render.document import document
    from automations.core.plan.render.github import github
    from automations.core.plan.render.human import human
    from automations.core.plan.render.markdown import markdown
    from automations.services.plan import plan

    if given["format"] not in FORMATS:
        raise UsageError(f"unknown format: {given['format']}", hint=f"one of: {', '.join(FORMATS)}")
    snapshot, catalogue = declared(context, given["path"], source=given["source"])
    request = Request(given["source"], revision=snapshot.revision, adopt=frozenset(given["adopt"]))
    made = plan(context.runtime.database, catalogue, request, prefix=snapshot.prefix)
    if context.json or given["format"] == "json":
        context.document(document(made, now=context.runtime.clock.now()))
    elif given["format"] == "markdown":
        context.say(markdown(made).rstrip("\n"))
    elif given["format"] == "github":
        context.say(github(made).rstrip("\n"))
    else:
        context.say(human(made, color=context.color).rstrip("\n"))
    if not made.sound:
        return 1
    if not given["detailed_exitcode"] or not made.changes:
        return 0
    return 3 if any(change.action == "delete" for change in made.changes) else 2


COMMANDS = (
    Command(
        ("plan",),
        "Show what applying a directory of specs would change.",
        run,
        arguments=(PATH,),
        options=(
            SOURCE,
            ADOPT,
            Option("--format", f"How to print it: {' or '.join(FORMATS)}.", default="human"),
            Option(
                "--detailed-exitcode",
                "Exit 0 for no changes, 2 for changes, 3 when something is destroyed.",
                "flag",
                default=False,
            ),
        ),
        quick=True,
    ),
)
