"""`reconcile`: one round of the loop now, here, against the store; a running daemon takes in what it commits within a second."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.command import Command, Option
from automations.cli.table import clean
from automations.errors import NotFound, UsageError

if TYPE_CHECKING:
    from automations.cli.context import Context
    from automations.services.reconcile.reconcile import Round
    from automations.settings import SourceSettings

MOST_RACES = 20
PAUSE = 0.1
"""Seconds between looks at a tree in which somebody is writing; the loop itself bounds how often."""


def run(context: "Context", given: Mapping[str, Any]) -> int:
    """A round for every source, or one; 1 when a tree could not be read or its changes not committed."""
    number = given["confirm_deletes"]
    chosen = _chosen(context, given["source"])
    if number is not None and len(chosen) != 1:
        raise UsageError("--confirm-deletes needs one source", hint="name it with --source")
    rounds = [(source, _round(context, source, number, heal=given["heal"])) for source in chosen]
    if context.json:
        context.document([record(source.name, found) for source, found in rounds])
    else:
        lines = (clean(line) for source, found in rounds for line in card(source, found))
        context.say(context.hinted("\n".join(lines)))
    return 0 if all(found.outcome in ("settled", "suspended") for _, found in rounds) else 1


def _chosen(context: "Context", name: str | None) -> tuple["SourceSettings", ...]:
    """Sources of the settings file, else as their daemon knows them. Raises NotFound."""
    from automations.services.reconcile.sync_view import known_sources
    from automations.settings import SourceSettings

    known = {each["name"]: SourceSettings(**each) for each in known_sources(context.runtime.database)}
    known |= {each.name: each for each in context.settings.sources}
    if name is not None and name not in known:
        raise NotFound(f"source not found: {name}", hint=f"sources: {', '.join(known) or 'none yet'}")
    if not known:
        raise NotFound(
            "no source is known yet", hint="start automations-daemon with a directory, or: automations apply"
        )
    return tuple(each for each in known.values() if name in (None, each.name))


def _round(context: "Context", source: "SourceSettings", number: int | None, *, heal: bool) -> "Round":
    from time import sleep

    reconciler = context.runtime.reconciler(source)
    reconciler.watch_healthy = None
    reconciler.actor = context.settings.actor
    reconciler.heal_once = heal
    raced = 0
    while True:
        found = reconciler.reconcile(afresh=True, confirm=number)
        raced += found.outcome == "raced"
        if found.outcome not in ("unsettled", "raced") or raced > MOST_RACES:
            return found
        sleep(PAUSE)


def record(name: str, found: "Round") -> dict[str, Any]:
    """`{source, outcome, message?, summary?, withheld?, protected?, reason?, toConfirm?, errors?, healed?, drifted?}`.

    `healed` and `drifted` say by name what differed from the applied specs and was put right, or was left.
    """
    shown: dict[str, Any] = {"source": name, "outcome": found.outcome, "message": found.message or None}
    if found.plan is not None:
        errors = [each.document() for each in found.plan.diagnostics if each.severity == "error"]
        shown |= {
            "summary": found.plan.summary(),
            "withheld": [change.id for change in (*found.plan.withheld, *found.plan.held_back)] or None,
            "protected": list(found.plan.protected) or None,
            "reason": found.verdict.reason,
            "toConfirm": found.verdict.count or None,
            "errors": errors or None,
            "healed": found.healed or None,
            "drifted": found.drifted or None,
        }
    return {key: value for key, value in shown.items() if value is not None}


def card(source: "SourceSettings", found: "Round") -> Iterator[str]:
    """A round for a person."""
    from automations.core.plan.render.words import summary_line
    from automations.services.reconcile.next_steps import NextSteps

    name, steps = source.name, NextSteps(source.name, source.path)
    if found.plan is None:
        yield f"source {name}: {found.outcome}: {found.message}"
        return
    done = summary_line(found.plan).replace("Plan: ", "Done: ")
    if found.healed:
        done = f"{len(found.healed)} put right. {done.replace('No changes', 'No other changes')}"
    yield f"source {name}: {done}"
    for identity, words in found.healed.items():
        yield f"  put right: {identity}: {words}"
    for identity, words in found.drifted.items():
        yield f"  drifted: {identity}: {words}"
    if found.drifted:
        yield f"    put it right with: automations reconcile --source {name} --heal"
    for change in found.plan.changes:
        yield f"  {change.action} {change.id}: {change.reason}"
    for change in (*found.plan.withheld, *found.plan.held_back):
        yield f"  waits: {change.action} {change.id}: {change.reason}"
    for identity in found.plan.protected:
        yield f"  stays: {identity}: {steps.protected(identity)}"
    if waits := steps.waits(found.verdict):
        yield f"  {waits}"
    for each in found.plan.diagnostics:
        if each.severity == "error":
            yield f"  {each.span}: {each.message}"


COMMANDS = (
    Command(
        ("reconcile",),
        "Look at the sources now, and bring the state to what they say.",
        run,
        options=(
            Option("--source", "Only this source."),
            Option("--heal", "Put right what drifted, whatever self_heal of the source says.", "flag", default=False),
            Option("--confirm-deletes", "Let exactly this many removals happen that the loop holds back.", "number"),
        ),
    ),
)
