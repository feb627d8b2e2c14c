"""`rollback`: one automation back to an earlier generation, with the YAML to commit so that it stays so."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from automations.cli.apply import ALLOW, APPROVE, LOCK_TIMEOUT, approve, told
from automations.cli.command import Argument, Command, Option
from automations.errors import UsageError

if TYPE_CHECKING:
    from automations.cli.context import Context
    from automations.services.plan.rollback import Rollback


def run(context: "Context", given: Mapping[str, Any]) -> int:
    """Plan, ask on a terminal, commit; exit statuses as those of apply."""
    from automations.cli.locked import locked
    from automations.services.plan.apply import Alongside, Authority
    from automations.services.plan.rollback import rollback_to

    identity, generation = given["id"], given["to"]
    if generation is None:
        raise UsageError("rollback takes --to, a generation", hint=f"see: automations history {identity}")
    runtime = context.runtime
    with locked(context, purpose=f"rollback {identity}", seconds=given["lock_timeout"]) as keeper:
        where = partial(_where, context)
        found = rollback_to(runtime.database, identity, generation, now=runtime.clock.now(), where=where)
        authority = Authority(context.settings.actor, allow_deletes=given["allow_deletes"])
        command = f"automations rollback {identity} --to {generation}"
        approve(context, found.plan, authority=authority, command=command, asks=not given["auto_approve"])
        sure = Authority(authority.actor, authority.allow_deletes, keeper.kept())
        applied = runtime.apply.strict(
            found.plan, sure, prefix=found.prefix, alongside=Alongside(rejection=found.rejection)
        )
    if context.json:
        _document(context, found, serial=applied.serial)
    else:
        told(context, found.plan, applied)
        _advice(context, found)
    return 0


def _where(context: "Context", source: str, root: str | None, file: str) -> str:
    """What makes a file's name one that can be opened from here, as `plan` shows it; nothing where it does not lie there."""
    from pathlib import Path

    from automations.adapters.files import DirectoryTree
    from automations.cli.desired import directory, from_here

    configured = source in {each.name for each in context.settings.sources}
    path = directory(context, None, source=source) if configured or root is None else from_here(root)
    return DirectoryTree(Path(path), shown=path).prefix if Path(path, file).is_file() else ""


def _document(context: "Context", found: "Rollback", *, serial: int) -> None:
    from automations.cli.rendered import document_of

    shown = document_of(context, found.plan)
    body = {"ok": True, "serial": serial, "summary": shown["summary"], "changes": shown["changes"]}
    body |= {"file": found.file, "yaml": found.text}
    if found.plan.changes and found.rejection is not None:
        body["rejected"] = found.rejection.digest
    context.document(body)


def _advice(context: "Context", found: "Rollback") -> None:
    if not found.plan.changes:
        context.say("That is what is bound already.")
    elif found.rejection is not None:
        context.say(
            f"\nThe loop holds back what was rejected until {found.file} declares something else. To make it stay, commit:\n"
        )
        from automations.cli.table import clean

        context.say("\n".join(clean(line) for line in found.text.rstrip("\n").split("\n")))


COMMANDS = (
    Command(
        ("rollback",),
        "Take an automation back to an earlier generation.",
        run,
        arguments=(Argument("id", "An automation id."),),
        options=(
            Option("--to", "The generation, as `history` lists it.", "number", required=True),
            APPROVE,
            ALLOW,
            LOCK_TIMEOUT,
        ),
    ),
)
