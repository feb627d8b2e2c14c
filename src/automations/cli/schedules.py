"""`schedules list` and `schedules next`: when schedules fire, and what they skipped."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command, Option
from automations.cli.table import table
from automations.errors import InvalidInput, UsageError

if TYPE_CHECKING:
    from automations.cli.context import Context

MOST = 1000


def run_list(context: "Context", _: Mapping[str, Any]) -> int:
    """Every schedule of every automation."""
    from automations.services.schedule_view import every_schedule

    records = every_schedule(context.runtime.database, now=context.runtime.clock.now())
    if context.json:
        context.document(records)
    elif records:
        rows = [
            (
                each["automationId"],
                each["trigger"],
                each.get("cron") or f"every {each['every']}",
                each["timezone"],
                each.get("nextDue", each["status"]),
                ", ".join(skip["reason"] for skip in each["skipped"]),
            )
            for each in records
        ]
        context.say(table(("AUTOMATION", "TRIGGER", "WHEN", "ZONE", "NEXT", "SKIPPED LAST"), rows))
    else:
        context.say("no schedules; add a trigger of kind schedule to a spec")
    return 0


def run_next(context: "Context", given: Mapping[str, Any]) -> int:
    """The next slots of an automation, in local time and UTC."""
    from automations.core.instant import parse_iso
    from automations.services.schedule_view import next_slots

    runtime = context.runtime
    if not 1 <= given["count"] <= MOST:
        raise UsageError(f"--count takes 1 to {MOST}, not {given['count']}")
    try:
        after = runtime.clock.now() if given["after"] is None else parse_iso(given["after"])
    except ValueError as problem:
        raise InvalidInput(f"--after: {problem}", hint="such as: --after 2026-03-28T00:00:00Z") from None
    found = next_slots(runtime.database, given["id"], after=after, count=given["count"])
    if context.json:
        context.document(found)
    else:
        rows = [(each["nominalTime"], each["localTime"], each["trigger"]) for each in found]
        context.say(table(("UTC", "LOCAL", "TRIGGER"), rows))
    return 0


COMMANDS = (
    Command(("schedules", "list"), "List schedules, when they fire next, and what they skipped.", run_list),
    Command(
        ("schedules", "next"),
        "When an automation fires next.",
        run_next,
        arguments=(Argument("id", "An automation id."),),
        options=(
            Option("--after", "Count from this time (default: now)."),
            Option("--count", "How many.", "number", 5),
        ),
    ),
)
