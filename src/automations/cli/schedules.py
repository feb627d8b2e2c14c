"""`schedules`: when schedules fire, what they skipped, and firing what was missed."""

import sys
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command, Option
from automations.cli.given import given_time
from automations.cli.table import clean, counted, suspension, table
from automations.cli.unattended import tell_unattended
from automations.errors import InvalidInput, UsageError

if TYPE_CHECKING:
    from automations.cli.context import Context

MOST = 1000
ID = Argument("id", "An automation id.")
TRIGGER = Option("--trigger", "Only this one of its triggers.")


def run_list(context: "Context", _: Mapping[str, Any]) -> int:
    """Every schedule of every automation."""
    from automations.services.trigger.schedule_view import every_schedule

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
                each.get("nextDue", _standing(each)),
                each.get("nextLocal", each.get("paused", {}).get("reason", "")),
                each.get("lastRun", {}).get("status", ""),
                ", ".join(skip["reason"] for skip in each["skipped"]),
            )
            for each in records
        ]
        head = ("AUTOMATION", "TRIGGER", "WHEN", "ZONE", "NEXT", "LOCAL", "LAST RUN", "SKIPPED LAST")
        context.say(table(head, rows))
        for each in records:
            if "paused" in each:
                context.say(f"paused since {each['paused']['since']}: {each['paused']['resume']}")
        held = {each["automationId"]: each["suspended"] for each in records if "suspended" in each}
        for identity, pause in held.items():
            context.say(clean(f"{identity} is suspended {suspension(pause)}; to go on: {pause['resume']}"))
    else:
        context.say("no schedules; add a trigger of kind schedule to a spec")
    return 0


def _standing(schedule: Mapping[str, Any]) -> str:
    """Why a schedule has no next fire, in a word."""
    return "suspended" if "suspended" in schedule and schedule["status"] == "active" else str(schedule["status"])


def run_next(context: "Context", given: Mapping[str, Any]) -> int:
    """The next slots of an automation, in local time and UTC."""
    from automations.services.trigger.schedule_view import asleep, next_slots

    runtime = context.runtime
    _at_most(given["count"], "--count")
    after = given_time(context, given["after"], "--after")
    found = next_slots(
        runtime.database, given["id"], after=runtime.clock.now() if after is None else after, count=given["count"]
    )
    if context.json:
        context.document(found)
    else:
        rows = [(each["nominalTime"], each["localTime"], each["trigger"], each.get("reason", "")) for each in found]
        context.say(table(("UTC", "LOCAL", "TRIGGER", "CLOCK CHANGE"), rows))
        for trigger, why in asleep(runtime.database, given["id"], now=runtime.clock.now()).items():
            context.note(clean(f"as things are, trigger {trigger} will not fire then: {why}"))
    return 0


def run_misfires(context: "Context", given: Mapping[str, Any]) -> int:
    """Slots that did not fire, newest first."""
    from automations.services.trigger.schedule_view import misfires

    limit = given["limit"]
    _at_most(limit, "--limit")
    before = given_time(context, given["cursor"], "--cursor")
    found = misfires(context.runtime.database, given["id"], before=before, limit=limit)
    if context.json:
        context.document(found)
    elif found:
        rows = [
            (each["nominalTime"], each["localTime"], each["trigger"], each["reason"], each["recordedAt"])
            for each in found
        ]
        context.say(table(("UTC", "LOCAL", "TRIGGER", "REASON", "RECORDED"), rows))
        if len(found) == limit:
            context.note(
                f"more: automations schedules misfires {given['id']} --limit {limit} --cursor {found[-1]['nominalTime']}"
            )
    else:
        context.say(f"no schedule of {given['id']} skipped anything")
    return 0


def run_resume(context: "Context", given: Mapping[str, Any]) -> int:
    """Let schedules that paused themselves go on."""
    resumed = context.runtime.schedule_pause.resume(
        given["id"], trigger=given["trigger"], catch_up=given["catch_up"], actor=context.settings.actor
    )
    if context.json:
        context.document(resumed)
    else:
        how = "and catches up as its spec says" if given["catch_up"] else "from now on"
        for each in resumed:
            context.say(f"{each['automationId']}: schedule {each['trigger']} goes on {how}")
    return 0


def run_backfill(context: "Context", given: Mapping[str, Any]) -> int:
    """Fire the slots of a time that has passed, each once."""
    from automations.services.trigger.backfill import Period

    if given["from_"] is None or given["to"] is None:
        raise UsageError("schedules backfill needs --from and --to", hint="such as: --from 7d --to 1h")
    if given["max"] < 1:
        raise UsageError(f"--max takes a number from 1 on, not {given['max']}")
    since, until = given_time(context, given["from_"], "--from"), given_time(context, given["to"], "--to")
    assert since is not None  # noqa: S101  # both were given
    assert until is not None  # noqa: S101  # both were given
    period = Period(since, until, given["max"], given["trigger"])
    backfill = context.runtime.backfill
    slots = backfill.plan(given["id"], period)
    wanted = sum(each["outcome"] == "would_start" for each in slots)
    if not given["dry_run"]:
        question = f"start {counted(wanted, 'run')} of {given['id']}{_by_trigger(slots, 'would_start')}?"
        if wanted and not (given["yes"] or _confirmed(context, question)):
            return 1
        slots = backfill.run(given["id"], period, actor=context.settings.actor)
    if context.json:
        context.document(slots)
    elif slots:
        rows = [
            (
                each["nominalTime"],
                each["localTime"],
                each["trigger"],
                each["outcome"],
                each.get("runId", each.get("reason", "")),
            )
            for each in slots
        ]
        context.say(table(("UTC", "LOCAL", "TRIGGER", "OUTCOME", "RUN"), rows))
        context.note(_counts(slots))
        if any(each["outcome"] == "started" for each in slots):
            tell_unattended(context)
    else:
        context.say("no slot lies in that time")
    return 0


def _counts(slots: list[dict[str, Any]]) -> str:
    """How many slots came to what, by schedule where there are several."""
    said = {"would_start": "would start", "started": "started", "fired_before": "fired before", "skipped": "skipped"}
    counts = Counter(str(each["outcome"]) for each in slots)
    return "; ".join(f"{number} {said[word]}{_by_trigger(slots, word)}" for word, number in counts.items())


def _by_trigger(slots: list[dict[str, Any]], outcome: str) -> str:
    """How many slots of each schedule came to this, in brackets; empty where there is one schedule."""
    if len({each["trigger"] for each in slots}) < 2:
        return ""
    counts = Counter(str(each["trigger"]) for each in slots if each["outcome"] == outcome)
    return f" (by trigger: {', '.join(f'{trigger} {number}' for trigger, number in counts.items())})"


def _confirmed(context: "Context", question: str) -> bool:
    """Ask on a terminal; elsewhere the answer must be given beforehand. Raises InvalidInput."""
    if context.json or not sys.stdin.isatty():
        hint = "say --yes to do it, --dry-run to see it, --trigger ID for one schedule alone"
        raise InvalidInput(f"this would {question.removesuffix('?')}", hint=hint)
    context.err.write(f"{question} [y/N] ")
    context.err.flush()
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    context.note("nothing was started")
    return False


def _at_most(number: int, option: str) -> None:
    if not 1 <= number <= MOST:
        raise UsageError(f"{option} takes 1 to {MOST}, not {number}")


COMMANDS = (
    Command(
        ("schedules", "list"), "List schedules, when they fire next, how they went, and what they skipped.", run_list
    ),
    Command(
        ("schedules", "next"),
        "When an automation fires next.",
        run_next,
        arguments=(ID,),
        options=(
            Option("--after", "Count from this time (default: now)."),
            Option("--count", "How many.", "number", 5),
        ),
    ),
    Command(
        ("schedules", "misfires"),
        "List slots that did not fire, and why.",
        run_misfires,
        arguments=(ID,),
        options=(
            Option("--limit", "How many.", "number", 50),
            Option("--cursor", "Only slots before this time; printed under a full page."),
        ),
    ),
    Command(
        ("schedules", "resume"),
        "Let schedules go on that paused themselves after failed runs.",
        run_resume,
        arguments=(ID,),
        options=(
            TRIGGER,
            Option("--catch-up", "Catch up what passed meanwhile, as the spec says.", "flag", default=False),
        ),
    ),
    Command(
        ("schedules", "backfill"),
        "Fire the slots of a time that has passed, each once.",
        run_backfill,
        arguments=(ID,),
        options=(
            Option("--from", "From this time on: a time, or how long ago, such as 7d.", required=True),
            Option("--to", "Up to this time: a time, or how long ago, such as 1h.", required=True),
            TRIGGER,
            Option("--dry-run", "Only list them.", "flag", default=False),
            Option("--max", "Refuse when there are more slots than this.", "number", 100),
            Option("--yes", "Do not ask.", "flag", default=False),
        ),
    ),
)
