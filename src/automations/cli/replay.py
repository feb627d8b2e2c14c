"""`runs replay`: a run tried again, or all that a filter finds."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command, Option
from automations.cli.table import clean, counted, table
from automations.cli.unattended import tell_unattended
from automations.errors import UsageError

if TYPE_CHECKING:
    from automations.cli.context import Context
    from automations.services.run.replay import Wanted

FILTERS = (
    Option("--automation", "Many: only runs of this automation."),
    Option("--status", "Many: only runs with this status (without it: failed)."),
    Option("--error-code", "Many: only runs that ended with this error code."),
    Option("--since", "Many: only runs made since then: an instant, or a time ago such as 2h."),
)


def run_replay(context: "Context", given: Mapping[str, Any]) -> int:
    """Try a run again in one of three ways, or all runs that a filter finds."""
    wanted = _wanted(given)
    filtered = any(given[each.key] is not None for each in FILTERS)
    if given["id"] is None:
        if not filtered:
            raise UsageError("runs replay requires a run id, or a filter", hint="see: automations runs replay --help")
        return _replay_many(context, given, wanted)
    if filtered:
        raise UsageError("give a run id or a filter, not both")
    run_id = context.runtime.short_ids.run(given["id"])
    found = context.runtime.replay.run(run_id, wanted, actor=context.settings.actor, dry_run=given["dry_run"])
    if context.json:
        context.document(found)
    else:
        _tell(context, found)
        if not given["current"]:
            _of_today(context, found)
        if not found["dryRun"]:
            tell_unattended(context)
    return 0


def _of_today(context: "Context", found: Mapping[str, Any]) -> None:
    """Say that a run goes by a spec that was changed since, and how it would go by the one of today."""
    from automations.errors import NotFound

    runtime = context.runtime
    try:
        today = runtime.inspect.automation_of(found["runId"])["generation"]
    except NotFound:  # a dry run's new run, or an automation that is gone
        return
    if today > found["generation"]:
        again = f"automations runs replay {found.get('replayOf', found['runId'])} --mode {found['mode']} --current"
        context.note(f"it goes by generation {found['generation']}, which it began with; by today's, {today}: {again}")


def _wanted(given: Mapping[str, Any]) -> "Wanted":
    from automations.core.run.replay import Mode
    from automations.services.run.replay import Wanted

    if given["mode"] not in set(Mode):
        raise UsageError(f"no replay has the mode {given['mode']}", hint=f"one of: {', '.join(Mode)}")
    return Wanted(Mode(given["mode"]), given["current"], given["from_"], given["reason"])


def _tell(context: "Context", found: Mapping[str, Any]) -> None:
    would = "would be" if found["dryRun"] else "is"
    if "replayOf" in found:
        context.say(f"run {found['replayOf']} {would} replayed whole, as a new run")
    else:
        context.say(f"run {found['runId']} {would} replayed: {found['mode']}")
    if not found["dryRun"]:
        context.say(f"  see: automations runs show {found['runId']}")
    context.say(f"  it {would} {clean(found['status'])}, on generation {found['generation']}")
    context.say(table(("STEP", "STATUS"), [(each["stepId"], each["status"]) for each in found["steps"]]))


def _replay_many(context: "Context", given: Mapping[str, Any], wanted: "Wanted") -> int:
    from automations.cli.confirm import confirmed
    from automations.cli.dlq import since
    from automations.services.inspect import Filter

    asked = Filter(given["automation"], given["status"] or "failed", None, 500)
    records = context.runtime.inspect.runs_of(asked, since=since(context, given["since"]), code=given["error_code"])
    ids = [each["id"] for each in reversed(records)]  # the oldest first, as they came
    if not context.json:
        context.say(f"{counted(len(ids), 'run')} to replay: {wanted.mode}")
    if given["dry_run"] or not ids:
        if context.json:
            context.document({"dryRun": given["dry_run"], "matched": len(ids), "ids": ids})
        return 0
    confirmed(context, f"replay {counted(len(ids), 'run')}", yes=given["yes"], reason=given["reason"])
    done = context.runtime.replay.runs(ids, wanted, actor=context.settings.actor)
    if context.json:
        context.document({"dryRun": False, "matched": len(ids), **done})
    else:
        context.say(f"replayed {counted(len(done['replayed']), 'run')}, skipped {len(done['skipped'])}")
        for each in done["skipped"]:
            context.say(f"  {clean(each['error'])}")
    return 0


COMMAND = Command(
    ("runs", "replay"),
    "Try a run again, or all runs that a filter finds.",
    run_replay,
    arguments=(Argument("id", "A run id; without one give a filter.", required=False),),
    options=(
        Option(
            "--mode",
            "failed-actions: what failed, in the same run; dead-actions: only what had its attempts; "
            "entire-run: everything, as a new run.",
            default="failed-actions",
        ),
        Option(
            "--current",
            "With today's spec and manifests instead of those that the run started with.",
            "flag",
            default=False,
        ),
        Option("--from", "With entire-run: begin at this step, and keep what succeeded before it."),
        Option("--reason", "Why."),
        Option("--dry-run", "Do nothing; show what would happen.", "flag", default=False),
        Option("--yes", "Do not ask before replaying many.", "flag", default=False),
        *FILTERS,
    ),
    quick=True,
)
