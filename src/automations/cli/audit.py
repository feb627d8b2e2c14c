"""`audit list`, `audit verify` and `history`: what was done, by whom, and whether the record is whole."""

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command, Option
from automations.cli.table import table
from automations.errors import UsageError

if TYPE_CHECKING:
    from automations.cli.context import Context

MOST = 1000


def run_list(context: "Context", given: Mapping[str, Any]) -> int:
    """Entries, newest first, a page at a time."""
    from automations.services.audit_view import entries
    from automations.store.audit import Wanted

    limit = given["limit"]
    if not 1 <= limit <= MOST:
        raise UsageError(f"--limit takes 1 to {MOST}, not {limit}")
    wanted = Wanted(given["actor"], given["action"], given["subject"], given["cursor"])
    records = entries(context.runtime.database, wanted, limit=limit)
    if context.json:
        context.document(records)
    elif records:
        rows = [(str(each["seq"]), each["at"], each["actor"], each["action"], each["subject"]) for each in records]
        context.say(table(("SEQ", "AT", "ACTOR", "ACTION", "SUBJECT"), rows))
        if len(records) == limit:
            names = ("actor", "action", "subject")
            chosen = "".join(f" --{name} {shlex.quote(given[name])}" for name in names if given[name])
            context.note(f"more: automations audit list{chosen} --limit {limit} --cursor {records[-1]['seq']}")
    else:
        context.say("no such entries" if wanted != Wanted() else "nothing was done yet")
    return 0


def run_verify(context: "Context", _: Mapping[str, Any]) -> int:
    """0 when every entry fits the chain, 1 when one was edited, removed or moved."""
    from automations.services.audit_view import verify

    found = verify(context.runtime.database)
    if context.json:
        context.document(found)
    elif found["ok"]:
        waiting = f"; {found['unsealed']} not sealed yet" if "unsealed" in found else ""
        context.say(f"whole: {found['entries']} entries, last {found.get('last', 'none')}{waiting}")
    elif "runs" in found:
        context.say("BROKEN: the chain is whole, but it does not fit the runs")
        context.say("\n".join(f"  run {each['run']}: {each['problem']}" for each in found["runs"]))
    else:
        context.say(
            f"BROKEN at entry {found['brokenAt']} of {found['entries']}: it, or one before it, is not what was written"
        )
    return 0 if found["ok"] else 1


def run_history(context: "Context", given: Mapping[str, Any]) -> int:
    """An automation's generations, or every change of definitions; newest first."""
    from automations.services.audit_view import history

    if given["id"] is None:
        return _commits(context, limit=given["limit"])
    records = history(context.runtime.database, given["id"])
    if context.json:
        context.document(records)
    else:
        rows = [
            (
                str(each["generation"]),
                each["appliedAt"],
                each["appliedBy"],
                each["digest"][:19],
                each.get("revision", ""),
            )
            for each in records
        ]
        context.say(table(("GENERATION", "APPLIED", "BY", "DIGEST", "REVISION"), rows))
    return 0


def _commits(context: "Context", *, limit: int) -> int:
    from automations.services.audit_view import commits

    if not 1 <= limit <= MOST:
        raise UsageError(f"--limit takes 1 to {MOST}, not {limit}")
    records = commits(context.runtime.database, limit=limit)
    if context.json:
        context.document(records)
        return 0
    rows = [
        (
            str(each.get("serial", "")),
            each["at"],
            each["actor"],
            each["action"],
            each["subject"],
            ", ".join(f"{count} {word}" for word, count in each.get("summary", {}).items() if count),
        )
        for each in records
    ]
    context.say(table(("SERIAL", "AT", "BY", "ACTION", "SUBJECT", "WHAT"), rows) if rows else "nothing was done yet")
    return 0


COMMANDS = (
    Command(
        ("audit", "list"),
        "List what was done, newest first.",
        run_list,
        options=(
            Option("--actor", "Only what this one did."),
            Option("--action", "Only this kind, such as approval.approve or run.end."),
            Option("--subject", "Only about this automation, run, action or route."),
            Option("--limit", "How many.", "number", 50),
            Option("--cursor", "Only entries before this one; printed under a full page.", "number"),
        ),
    ),
    Command(("audit", "verify"), "Check that the record is whole.", run_verify),
    Command(
        ("history",),
        "List an automation's generations, or every change of definitions.",
        run_history,
        arguments=(Argument("id", "An automation id.", required=False),),
        options=(Option("--limit", "How many changes.", "number", 50),),
    ),
)
