"""`runs watch`: a run as it happens, until it is over; or every run, until somebody had enough."""

from collections.abc import Iterator, Mapping
from time import sleep
from typing import TYPE_CHECKING, Any

from automations.cli.table import clean
from automations.cli.unattended import tell_unattended
from automations.errors import UsageError

if TYPE_CHECKING:
    from automations.cli.context import Context

EVERY = 0.3
"""Seconds between two looks: a person does not see the difference, and a store does not feel it."""
NEWEST = 200
"""Runs that are looked at when all are watched; more than that no person can follow."""


def run_watch(context: "Context", given: Mapping[str, Any]) -> int:
    """With a run: its moments as they come; 0 when it succeeds, 1 when it ends otherwise. Without: all runs, until Ctrl-C."""
    if given["id"] is None:
        if context.json:
            raise UsageError("--json watches one run", hint="give a run id; see: automations runs list")
        return _all(context)
    return _one(context, context.runtime.short_ids.run(given["id"]))


def _one(context: "Context", run_id: str) -> int:
    from automations.core.run.states import OVER
    from automations.core.run.timeline import timeline

    told: set[tuple[str, str | None, str]] = set()
    if "completedAt" not in context.runtime.inspect.run(run_id):
        tell_unattended(context)
    while True:
        record = context.runtime.inspect.run(run_id)
        for moment in timeline(record):
            key = (moment.at, moment.step, moment.text)
            if key not in told and not context.json:
                context.say(f"{moment.at}  {moment.step or '':<16}  {clean(moment.text)}")
                context.out.flush()
            told.add(key)
        if record["status"] in OVER:
            if context.json:
                context.document(record)
            return 0 if record["status"] == "succeeded" else 1
        sleep(EVERY)


def _all(context: "Context") -> int:
    from automations.services.inspect import Filter

    known: dict[str, str] = {}
    first = True
    while True:
        records = context.runtime.inspect.runs(Filter(limit=NEWEST))
        for line in _news(reversed(records), known, first=first):
            context.say(line)
        context.out.flush()
        first = False
        sleep(EVERY)


def _news(records: Any, known: dict[str, str], *, first: bool) -> Iterator[str]:
    """A line for each run that stands otherwise than at the last look; at the first one only for those that are not over."""
    for record in records:
        status, over = record["status"], "completedAt" in record
        if known.get(record["id"]) != status and not (first and over):
            yield f"{record['updatedAt']}  {record['id']}  {record['automationId']}: {status}"
        known[record["id"]] = status
