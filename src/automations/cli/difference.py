"""`diff` and `drift`: how what is bound differs from its file, from an earlier generation, and from a whole directory."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command, Option
from automations.cli.plan import PATH, SOURCE, WHERE, planned
from automations.cli.table import counted, table

if TYPE_CHECKING:
    from automations.cli.context import Context
    from automations.core.plan.diff import Field
    from automations.core.plan.plan import Plan


def run_diff(context: "Context", given: Mapping[str, Any]) -> int:
    """What is bound against the file, or an earlier generation against what is bound."""
    from automations.adapters.redaction import Redactor
    from automations.core.plan.render.words import field_text, printable
    from automations.services.plan.difference import against_file, against_generation

    identity, database = given["id"], context.runtime.database
    if given["revision"] is not None:
        found = against_generation(database, identity, given["revision"])
    else:
        from automations.cli.desired import declared, directory

        path = directory(context, given["path"], source=given["source"])
        _, catalogue = declared(context, path, source=given["source"])
        found = against_file(database, identity, catalogue)
    hide = Redactor(context.runtime.secrets.known())
    if context.json:
        fields = [_field(each) for each in found.fields]
        context.document(hide.plain({"id": identity, "before": found.before, "after": found.after, "fields": fields}))
        return 0
    context.say(hide.text(printable(f"{identity}: {found.before} → {found.after}")))
    for each in found.fields:
        context.say(hide.text(f"    {printable(field_text(each))}"))
    if not found.fields:
        context.say("    no difference")
    return 0


def _field(each: "Field") -> dict[str, Any]:
    from automations.core.plan.diff import ABSENT
    from automations.core.plan.render.words import HIDDEN, concealed, revealed

    body: dict[str, Any] = {"path": each.label}
    for name, value in (("before", each.before), ("after", each.after)):
        if value is not ABSENT:
            body[name] = HIDDEN if concealed(each, value) else revealed(value)
    return body


def run_drift(context: "Context", given: Mapping[str, Any]) -> int:
    """Everything in which the state is not what the files say; 0 for none, 2 with --detailed-exitcode for some.

    What bad files say is compared with nothing: their errors are told behind it. Raises SpecInvalid.
    """
    from automations.services.plan.difference import drift

    _, made = planned(context, {**given, "adopt": (), "unprotect": ()})
    found = drift(context.runtime.database, context.runtime.bindings, made)
    if context.json:
        context.document(found)
    elif found:
        rows = [(each["id"], each["drift"], each["reason"]) for each in found]
        context.say(table(("ID", "DRIFT", "REASON"), rows))
    else:
        among = "no drift" if made.sound else "no drift among what is valid"
        context.say(f"{among}: {counted(made.unchanged, 'declaration')} bound as declared")
    _check_all_compared(context, made, given)
    return 2 if found and given["detailed_exitcode"] else 0


def _check_all_compared(context: "Context", made: "Plan", given: Mapping[str, Any]) -> None:
    """Raises SpecInvalid with every error of the files, when there is one."""
    import shlex

    from automations.cli.apply import check_sound
    from automations.cli.desired import directory

    path = directory(context, given["path"], source=given["source"])
    check_sound(
        made, shown_by=f"automations plan {shlex.quote(path)}", so="what bad files declare was compared with nothing"
    )


COMMANDS = (
    Command(
        ("diff",),
        "Show how an automation differs from its file, or from an earlier generation.",
        run_diff,
        arguments=(Argument("id", "An automation id."),),
        options=(
            Option(
                "--revision",
                "Show what changed since this generation, instead of what the file would change.",
                "number",
            ),
            Option("--path", WHERE),
            SOURCE,
        ),
    ),
    Command(
        ("drift",),
        "List where the state is not what the files say.",
        run_drift,
        arguments=(PATH,),
        options=(
            SOURCE,
            Option("--detailed-exitcode", "Exit 0 for no drift, 2 for some.", "flag", default=False),
        ),
    ),
)
