"""`runtimes`: who can carry actions out, and how they take part."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.command import Command

if TYPE_CHECKING:
    from automations.cli.context import Context

_RUNNER = "--runner open-loops:<worker-id>"
RUNTIMES = (
    {
        "kind": "open-loops",
        "name": "open-loops-runtime",
        "description": (
            "OpenLoops may claim queued actions, or take explicitly exported event envelopes. Agent workflows stay its own."
        ),
        "handoff": "claim-queue",
        "metadata": {
            "queueClaim": {
                "statusCommand": "automations status",
                "claimCommand": f"automations queue claim {_RUNNER}",
                "completeCommand": f"automations queue complete <action-id> {_RUNNER}",
                "failCommand": f"automations queue fail <action-id> {_RUNNER} --code <code> --message <message>",
            },
            "eventEnvelope": {
                "exportCommand": "automations webhooks event <route-id-or-path> --body-json <json>",
                "openLoopsCommand": "loops events handle generic",
                "pipeExample": (
                    "automations --json webhooks event <route> --body-json '<json>' | loops --json events handle generic"
                ),
                "boundary": (
                    "The hand-off of envelopes is the operator's explicit choice: OpenLoops owns agent workflows, their "
                    "admission and their artifacts; automations owns specs, runs, the queue, approvals and replay."
                ),
            },
        },
    },
    {
        "kind": "local",
        "name": "local-runtime",
        "description": "The daemon and workers carry out local-shell, http and python bindings, and mcp with its extra.",
        "handoff": "in-process",
        "metadata": {"command": "automations-daemon serve", "workerCommand": "automations worker"},
    },
    {
        "kind": "external",
        "name": "external-runtime",
        "description": "Any program may claim actions that have no executable binding here, and report how they ended.",
        "handoff": "claim-queue",
        "metadata": {"queueClaim": {"claimCommand": "automations queue claim --runner <name>"}},
    },
)


def run(context: "Context", _: Mapping[str, Any]) -> int:
    """Print the runtimes."""
    if context.json:
        context.document(RUNTIMES)
    else:
        context.say("\n\n".join("\n".join(_card(each)) for each in RUNTIMES))
    return 0


def _card(runtime: Mapping[str, Any]) -> Iterator[str]:
    yield f"{runtime['kind']}  ({runtime['handoff']})"
    yield f"  {runtime['description']}"
    for name, value in _lines(runtime["metadata"]):
        yield f"  {name:<15} {value}"


def _lines(metadata: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The commands, by what they do; sentences without a name of theirs."""
    for name, value in metadata.items():
        if isinstance(value, dict):
            yield from _lines(value)
        else:
            yield name.removesuffix("Command"), value


COMMANDS = (Command(("runtimes",), "Who can carry actions out, and how.", run, quick=True),)
