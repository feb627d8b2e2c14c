"""`apply`: commit a directory of specs to the state, in one transaction, after showing what that means."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command, Option
from automations.cli.plan import ADOPT, UNPROTECT, WHERE, planned
from automations.cli.table import counted
from automations.errors import InvalidInput, Refused, UsageError

if TYPE_CHECKING:
    from automations.cli.context import Context
    from automations.core.plan.plan import Plan
    from automations.services.plan.apply import Applied, Authority

PATH = Argument("path", f"A plan file, or {WHERE[0].lower()}{WHERE[1:]}", required=False)
SOURCE = Option("--source", "The name that these automations are owned under (default: default).")
APPROVE = Option("--auto-approve", "Do not ask.", "flag", default=False)
ALLOW = Option(
    "--allow-deletes",
    "Allow exactly this many deletes (and automations switched off) where a safety rule would refuse them.",
    "number",
)
TAKES = "apply takes a directory of specs, or what `plan --out` wrote"
LOCK_TIMEOUT = Option("--lock-timeout", "How many seconds to wait for the lock of another apply.", "number", 0)


def run(context: "Context", given: Mapping[str, Any]) -> int:
    """Plan, ask on a terminal, commit. Exit 4 refused by a safety rule, 5 stale, 6 lock not had."""
    from automations.cli.locked import locked
    from automations.services.plan.apply import Alongside, Authority

    given = {**given, "path": _meant(context, given)}
    with locked(context, purpose=f"apply {given['path']}", seconds=given["lock_timeout"]) as keeper:
        prefix, made, digest = _plan(context, given)
        authority = Authority(context.settings.actor, allow_deletes=given["allow_deletes"])
        asks = not given["auto_approve"]
        approve(context, made, authority=authority, command=same_command("apply", given), asks=asks)
        sure = Authority(authority.actor, authority.allow_deletes, keeper.kept())
        applied = context.runtime.apply.strict(made, sure, prefix=prefix, alongside=Alongside(digest))
    told(context, made, applied)
    return 0


def _meant(context: "Context", given: Mapping[str, Any]) -> str:
    """The plan file as it was named, or the directory."""
    from automations.cli.desired import directory

    path = given["path"]
    return path if path and Path(path).is_file() else directory(context, path, source=given["source"])


def _plan(context: "Context", given: Mapping[str, Any]) -> "tuple[str, Plan, str | None]":
    """The prefix and the plan of a directory, or those of a plan file with its digest."""
    path = given["path"]
    if Path(path).is_file():
        from automations.cli.plan_file import read_plan

        made, prefix, digest = read_plan(context, path)
        for name in ("source", "adopt", "unprotect"):
            if given[name]:
                message = f"apply takes no --{name} with a plan file: the plan says that already"
                raise UsageError(message, hint=f"automations apply {path}")
        return prefix, made, digest
    if Path(path).suffix not in ("", ".d") and not Path(path).exists():
        from automations.adapters.absent import absence

        raise InvalidInput(absence(path), hint=TAKES, code="file_unreadable")
    snapshot, made = planned(context, given)
    check_sound(made, shown_by=same_command("plan", given))
    return snapshot.prefix, made, None


def same_command(verb: str, given: Mapping[str, Any]) -> str:
    """`automations apply` or `plan` on what was given here, ready to be pasted."""
    import shlex

    words = ["automations", verb, given["path"]]
    words += ["--source", given["source"]] if given["source"] else []
    words += [word for name in ("adopt", "unprotect") for each in given[name] for word in (f"--{name}", each)]
    return shlex.join(words)


def check_sound(made: "Plan", *, shown_by: str, so: str = "nothing was applied") -> None:
    """Raises SpecInvalid with every error when there is one; `shown_by` is the command that tells of all, `so` what follows."""
    from automations.errors import SpecInvalid

    if not made.sound:
        errors = tuple(each for each in made.diagnostics if each.severity == "error")
        raise SpecInvalid(f"the specs have errors; {so}", errors, hint=f"see: {shown_by}")


def approve(context: "Context", made: "Plan", *, authority: "Authority", command: str, asks: bool) -> None:
    """Show the plan, hold it against the safety rules, and ask if it is to be asked. Raises Refused.

    `command` is what was given here, without what says yes.
    """
    from automations.cli.rendered import text_of
    from automations.services.plan.apply import check_hazards

    if not context.json:
        context.say(text_of(context, made) + "\n")
    count = authority.allow_deletes
    check_hazards(made, authority, command=command if asks else f"{command} --auto-approve")
    if made.changes and asks:
        agreed = "" if count is None else f" --allow-deletes={count}"
        _ask(made, say_yes=f"{command} --auto-approve{agreed}", as_json=context.json)


def told(context: "Context", made: "Plan", applied: "Applied") -> None:
    """Say what was done."""
    from automations.cli.rendered import document_of
    from automations.core.plan.render.words import done_line

    through = next((each for each in made.hazards if each.code == "AU106" and made.changes), None)
    if context.json:
        shown = document_of(context, made)
        answer = {key: shown[key] for key in ("summary", "changes", "hazards")}
        answer = {"ok": True, "serial": applied.serial} | answer
        context.document(answer | ({"throughSuspension": True} if through else {}))
    elif made.changes:
        context.say(f"Applied at serial {applied.serial}: {done_line(made)}")
    if through and not context.json:
        context.say(f"It was committed through the suspension of source {made.source}.")


def _ask(made: "Plan", *, say_yes: str, as_json: bool) -> None:
    """Ask a person; without one, say what to add. Raises Refused."""
    from automations.core.plan.render.words import summary_line

    if as_json or not sys.stdin.isatty():
        raise Refused(
            f"{counted(len(made.changes), 'change')} to approve, and nobody is here to do it",
            hint=f"look at the plan, then: {say_yes}",
        )
    import typer

    try:
        agreed = typer.confirm(f"{summary_line(made)} Apply these changes?", default=False)
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
        options=(SOURCE, ADOPT, UNPROTECT, APPROVE, ALLOW, LOCK_TIMEOUT),
        quick=True,
    ),
)
