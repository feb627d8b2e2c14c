"""`trigger`: start a run by name."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command, Option
from automations.errors import InvalidInput

if TYPE_CHECKING:
    from automations.cli.context import Context


def run(context: "Context", given: Mapping[str, Any]) -> int:
    """Start a run through the automation's manual trigger; its record."""
    from automations.core.strict_json import parse

    try:
        inputs = parse(given["input_json"])
    except InvalidInput as problem:
        raise InvalidInput(f"--input-json: {problem.message}", hint=problem.hint, code="malformed_json") from problem
    if not isinstance(inputs, dict):
        raise InvalidInput("--input-json must be a JSON object", hint='such as: {"ref": "main"}', code="malformed_json")
    runtime = context.runtime
    reference = runtime.start.manual(given["id"], inputs, actor=context.settings.actor)
    if context.json:
        context.document(runtime.inspect.run(reference["runId"]))
    else:
        context.say(f"{reference['automationId']}: run {reference['runId']}")
    return 0


COMMANDS = (
    Command(
        ("trigger",),
        "Start a run through an automation's manual trigger.",
        run,
        arguments=(Argument("id", "An automation id."),),
        options=(Option("--input-json", "The run's inputs, a JSON object.", default="{}"),),
    ),
)
