"""`status` and `init`: where the store is, what is in it, how the daemon and its sources stand."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.command import Command
from automations.cli.table import clean, suspension
from automations.core.plan.health import QUIET, once

if TYPE_CHECKING:
    from automations.cli.context import Context


def run(context: "Context", _: Mapping[str, Any]) -> int:
    """Print the contract's status; opening the store creates it."""
    status = context.runtime.inspect.status()
    if context.json:
        context.document(status)
    else:
        context.say(context.hinted("\n".join(clean(line) for line in card(status))))
    return 0


def card(status: Mapping[str, Any]) -> Iterator[str]:
    """The status as a short card for a person."""
    counts, daemon = status["counts"], status["daemon"]
    yield f"data root    {status['dataDir']}"
    yield f"store        {status['dbPath']} (serial {status['serial']})"
    yield from _daemons(status)
    yield f"automations  {counts['automations']}, {counts['webhookRoutes']} webhook routes"
    yield f"runs         {counts['runs']}; {counts['queuedActions']} actions queued, {counts['deadActions']} dead or rejected"
    for source in status["sources"]:
        yield ""
        stands = f"{source['sync']}, {source['health']}"
        where = f"from {source['root']}" if "root" in source else "and nobody has looked at its files yet"
        yield f"source {source['name']}: {stands}, {source['automations']} automations {where}"
        if "leader" in source and "daemons" in status:
            yield f"  followed by {source['leader']['leaseId']} since {source['leader']['since']}"
        yield from _conditions(source["conditions"])
        for each in source.get("terminating", ()):
            late = " (Stalled: longer than its drainTimeout)" if "Stalled" in each["conditions"] else ""
            yield f"  terminating: {each['id']}: {each['conditions']['Terminating']['message']}{late}"
        for each in source.get("suspended", ()):
            yield f"  suspended: {each['id']}, since {each['since']}, {suspension(each)}"
    for paused in status.get("pausedSchedules", ()):
        yield f"schedule {paused['automationId']}/{paused['trigger']}: paused after {paused['failures']} failed runs"
        yield f"  go on with: automations schedules resume {paused['automationId']}"
    for service in daemon.get("metadata", {}).get("services", []) if daemon["active"] else []:
        if service["state"] != "running":
            yield f"  service {service['name']}: {service['state']}: {service.get('error', '')}"


def _conditions(conditions: Mapping[str, Any]) -> Iterator[str]:
    """Those that are not as they should be."""
    wrong = {
        name: each for name, each in conditions.items() if each["status"] != ("False" if name in QUIET else "True")
    }
    for (name, each), message in zip(wrong.items(), once([each["message"] for each in wrong.values()]), strict=True):
        yield f"  {name}={each['status']} ({each['reason']}) since {each['since']}"
        if message:
            yield f"    {message}"


def _daemons(status: Mapping[str, Any]) -> Iterator[str]:
    daemon = status["daemon"]
    if daemon["active"]:
        yield f"daemon       running: {daemon['leaseId']}, last heartbeat {daemon['heartbeatAt']}"
    else:
        yield "daemon       not running"
    for other in status.get("daemons", ()):
        if other != daemon["leaseId"]:
            yield f"             running: {other}"


COMMANDS = (
    Command(("status",), "Where the store is and what is in it.", run, quick=True),
    Command(("init",), "Create the store (status does as well).", run, quick=True),
)
