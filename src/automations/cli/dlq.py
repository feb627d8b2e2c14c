"""`dlq list`, `show` and `replay`: what was given up, why, and trying it again, one or many."""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.action_card import card, state_of, title, why_dead
from automations.cli.became import tell_became
from automations.cli.command import Argument, Command, Option
from automations.cli.cursor import given_cursor
from automations.cli.table import clean, counted, table
from automations.cli.unattended import tell_unattended
from automations.errors import InvalidInput, UsageError

if TYPE_CHECKING:
    from automations.cli.context import Context
    from automations.services.run.dead_letters import Letters

MOST = 1000
SHOWN = 60
"""Characters of a reason in a table."""

FILTERS = (
    Option("--automation", "Only those of this automation."),
    Option("--action", "Only actions of this id, or of ids like todos.* (one * stands for anything)."),
    Option("--reason-contains", "Only those whose reason or last error says this."),
    Option("--error-code", "Only those whose last error has this code."),
    Option("--since", "Only those given up since then: an instant, or a time ago such as 2h."),
)


def run_list(context: "Context", given: Mapping[str, Any]) -> int:
    """Dead and rejected actions, oldest first, a page at a time."""
    limit = given["limit"]
    if not 1 <= limit <= MOST:
        raise UsageError(f"--limit takes 1 to {MOST}, not {limit}")
    after = given_cursor(context, given, "action")
    records = context.runtime.inspect.dead_letters(letters(context, given), after=after, limit=limit)
    if context.json:
        context.document(records)
    elif records:
        rows = [
            (
                each["id"],
                each["invocation"]["automationId"],
                each["stepId"],
                each["actionId"],
                state_of(each),
                str(each["deadLetter"]["attempts"]),
                why_dead(each)[:SHOWN],
            )
            for each in records
        ]
        context.say(table(("ACTION", "AUTOMATION", "STEP", "DOES", "STATE", "ATTEMPTS", "REASON"), rows))
    else:
        context.say("no such dead letters" if filtered(given) or given["cursor"] else "no dead letters")
    if not context.json:
        tell_became(context, given["automation"])
    if len(records) == limit and not context.json:
        chosen = "".join(f" {each.name} {_quoted(given[each.key])}" for each in FILTERS if given[each.key])
        context.note(f"more: automations dlq list{chosen} --limit {limit} --cursor {records[-1]['id']}")
    return 0


def run_show(context: "Context", given: Mapping[str, Any]) -> int:
    """One dead action: what it was given, every attempt, every replay."""
    record = context.runtime.inspect.action(context.runtime.short_ids.action(given["id"], listed="dlq list"))
    if "deadLetter" not in record:
        raise InvalidInput(
            f"queued action is not dead: {given['id']}", hint=f"see: automations queue show {given['id']}"
        )
    if context.json:
        context.document(record)
    else:
        context.say("\n".join(card(record)))
    return 0


def run_replay(context: "Context", given: Mapping[str, Any]) -> int:
    """Put a dead action back into the queue, or all that a filter finds; their runs go on."""
    if given["id"] is None:
        return _replay_many(context, given)
    if filtered(given):
        raise UsageError("give an action id or a filter, not both")
    if given["dry_run"]:
        raise UsageError("--dry-run is for filters", hint=f"see: automations dlq show {given['id']}")
    from automations.core.record import action_record

    action_id = context.runtime.short_ids.action(given["id"], listed="dlq list")
    row = context.runtime.replay.action(action_id, actor=context.settings.actor, reason=given["reason"])
    if context.json:
        context.document(action_record(row))
    else:
        context.say(f"{title(action_record(row))}: {_AGAIN.get(row['status'], 'begun again')}; its run goes on")
        context.say(f"  see: automations runs show {row['run_id']}")
        tell_unattended(context)
    return 0


_AGAIN = {
    "queued": "back in the queue",
    "retrying": "back in the queue",
    "waiting_approval": "its approval is asked for again",
    "blocked": "it goes on when it is its run's turn",
}
"""What a replayed action does now, by its status."""


def _replay_many(context: "Context", given: Mapping[str, Any]) -> int:
    from automations.cli.confirm import confirmed
    from automations.services.run.dead_letters import replayable

    if not filtered(given):
        raise UsageError("dlq replay requires an action id", hint="or a filter; see: automations dlq replay --help")
    found = replayable(context.runtime.database, letters(context, given))
    if not context.json:
        context.say(f"{counted(len(found), 'dead action')} to replay")
        by = Counter((row["automation_id"], row["step_id"]) for row in found)
        if by:
            rows = [(automation, step, str(number)) for (automation, step), number in sorted(by.items())]
            context.say(table(("AUTOMATION", "STEP", "COUNT"), rows))
    if given["dry_run"] or not found:
        if context.json:
            context.document({"dryRun": given["dry_run"], "matched": len(found), "ids": [row["id"] for row in found]})
        return 0
    reason = confirmed(context, f"replay {counted(len(found), 'action')}", yes=given["yes"], reason=given["reason"])
    done = context.runtime.replay.actions([row["id"] for row in found], actor=context.settings.actor, reason=reason)
    if context.json:
        context.document({"dryRun": False, "matched": len(found), **done})
    else:
        context.say(f"replayed {counted(len(done['replayed']), 'action')}, skipped {len(done['skipped'])}")
        for each in done["skipped"]:
            context.say(f"  {clean(each['error'])}")
    return 0


def filtered(given: Mapping[str, Any]) -> bool:
    """Whether any filter was given."""
    return any(given[each.key] is not None for each in FILTERS)


def letters(context: "Context", given: Mapping[str, Any]) -> "Letters":
    """The filter that was given. Raises UsageError, InvalidInput."""
    from automations.services.run.dead_letters import Letters
    from automations.services.run.queue import pattern

    return Letters(
        automation_id=given["automation"],
        action=None if given["action"] is None else pattern(given["action"]),
        reason=given["reason_contains"],
        code=given["error_code"],
        since=since(context, given["since"]),
    )


def since(context: "Context", text: str | None) -> int | None:
    """An instant (microseconds) from RFC 3339 text, or a duration before now. Raises UsageError."""
    from automations.core.instant import parse_duration, parse_iso

    if text is None:
        return None
    try:
        return context.clock.now() - parse_duration(text)
    except ValueError:
        pass
    try:
        return parse_iso(text)
    except ValueError:
        raise UsageError(
            f"--since takes an instant or a time ago, not {text[:40]!r}", hint="such as: 2h, or 2026-11-26T06:00:00Z"
        ) from None


def _quoted(value: str) -> str:
    import shlex

    return shlex.quote(value)


COMMANDS = (
    Command(
        ("dlq", "list"),
        "List dead actions, oldest first.",
        run_list,
        options=(
            *FILTERS,
            Option("--limit", "How many.", "number", MOST),
            Option("--cursor", "Only those after this one; printed under a full page."),
        ),
        quick=True,
    ),
    Command(
        ("dlq", "show"),
        "Show a dead action: its input, its attempts, its replays.",
        run_show,
        arguments=(Argument("id", "An action id."),),
        quick=True,
    ),
    Command(
        ("dlq", "replay"),
        "Put a dead action back into the queue, or all that a filter finds.",
        run_replay,
        arguments=(Argument("id", "An action id; without one give a filter.", required=False),),
        options=(
            *FILTERS,
            Option("--reason", "Why."),
            Option("--dry-run", "Only say what would be replayed.", "flag", default=False),
            Option("--yes", "Do not ask.", "flag", default=False),
        ),
        quick=True,
    ),
)
