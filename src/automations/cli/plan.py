"""`plan`: what applying a directory of specs would change, and what that does to work in flight. Writes nothing."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command, Option
from automations.cli.rendered import FORMATS
from automations.errors import UsageError

if TYPE_CHECKING:
    from automations.cli.context import Context
    from automations.core.plan.plan import Plan
    from automations.core.spec.snapshot import Snapshot

WHERE = "The directory of specs (default: the source's `path` in the settings, else automations.d)."
PATH = Argument("path", WHERE, required=False)
SOURCE = Option("--source", "The name that these automations are owned under.", default="default")
ADOPT = Option("--adopt", "Take over this automation from another owner; may be given more than once.", many=True)
UNPROTECT = Option("--unprotect", "Let this protected automation be deleted; may be given more than once.", many=True)


def run(context: "Context", given: Mapping[str, Any]) -> int:
    """Print the plan; 0, or with --detailed-exitcode 0 none, 2 changes, 3 changes that destroy; 1 for invalid specs."""
    from automations.cli.rendered import text_of

    if given["format"] not in FORMATS:
        raise UsageError(f"unknown format: {given['format']}", hint=f"one of: {', '.join(FORMATS)}")
    if given["out"] is not None:
        from automations.adapters.replacing import check_name

        check_name(given["out"], option="--out")
    snapshot, made = planned(context, given)
    form = "json" if context.json and given["format"] != "sarif" else given["format"]
    text = text_of(context, made, form=form, replayed=_replayed(context, given, made))
    if given["out"] is not None and made.sound:
        from automations.cli.plan_file import write_plan

        write_plan(context, made, prefix=snapshot.prefix, path=given["out"])
    context.say(text)
    if not made.sound:
        return 1
    if given["out"] is not None and form == "human":
        import shlex

        context.say(f"\nSaved. To apply exactly this: automations apply {shlex.quote(given['out'])}")
    if not given["detailed_exitcode"] or not made.changes:
        return 0
    in_use = any(each.code == "AU332" for each in made.hazards)  # a version that nothing uses any more may go
    return 3 if made.deletes or made.destroys or in_use else 2


def _replayed(context: "Context", given: Mapping[str, Any], made: "Plan") -> dict[str, Any] | None:
    """What recorded events would start under the plan, if anybody asks. Raises UsageError, InvalidInput."""
    if given["replay"] is None and given["events"] is None:
        return None
    from automations.services.plan.what_if import recorded, stored, what_if

    now, database = context.runtime.clock.now(), context.runtime.database
    if given["events"] is not None:
        from automations.cli.event_file import event_documents, taken

        if given["replay"] is not None:
            raise UsageError("plan takes --replay or --events, not both", hint="--events FILE needs no history")
        envelopes = taken(event_documents(given["events"]), partial(recorded, now=now))
        found = what_if(database, made, envelopes)
        return {"origin": "standard input" if given["events"] == "-" else given["events"], **found}
    from automations.core.instant import parse_duration

    try:
        since = now - parse_duration(given["replay"])
    except ValueError as problem:
        raise UsageError(f"--replay takes a duration: {problem}", hint="such as --replay 7d") from None
    return {"origin": f"the last {given['replay']}", **what_if(database, made, stored(database, since=since))}


def planned(context: "Context", given: Mapping[str, Any]) -> "tuple[Snapshot, Plan]":
    """The plan for a directory, and the snapshot that it was made from.

    Raises InvalidInput for an untrusted tree, UsageError for a name that is nothing to take over or to unprotect.
    """
    from automations.adapters.collector import collector_paused
    from automations.cli.desired import SOURCE as DEFAULT
    from automations.cli.desired import declared, directory
    from automations.core.plan.plan import Request
    from automations.services.plan.plan import plan

    source = DEFAULT if given["source"] is None else given["source"]
    with collector_paused():
        path = directory(context, given["path"], source=source)
        snapshot, catalogue = declared(context, path, source=source)
        request = Request(
            source,
            revision=snapshot.revision,
            adopt=frozenset(given["adopt"]),
            unprotect=frozenset(given["unprotect"]),
            now=context.runtime.clock.now(),
        )
        made = plan(context.runtime.database, catalogue, request, prefix=snapshot.prefix)
    if made.misnamed:
        raise UsageError(made.misnamed.message, hint=made.misnamed.hint)
    return snapshot, made


COMMANDS = (
    Command(
        ("plan",),
        "Show what applying a directory of specs would change.",
        run,
        arguments=(PATH,),
        options=(
            SOURCE,
            ADOPT,
            UNPROTECT,
            Option("--replay", "Play the stored events of this long ago (such as 7d) through old and new triggers."),
            Option("--events", "Play the events of a file (JSON lines or an array; - for standard input) instead."),
            Option("--out", "A file to keep the plan in, for `apply`; it holds no secret."),
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
