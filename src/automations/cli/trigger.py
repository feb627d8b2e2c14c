"""`trigger`: start a run by name."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command, Option
from automations.cli.table import clean
from automations.cli.unattended import tell_unattended
from automations.errors import InvalidInput, UsageError

if TYPE_CHECKING:
    from automations.cli.context import Context
    from automations.core.run.inputs import Question


def run(context: "Context", given: Mapping[str, Any]) -> int:
    """Start a run through the automation's manual trigger; its record."""
    from automations.core.run.inputs import missing, typed, unlisted

    runtime = context.runtime
    schema = runtime.start.accepts(given["id"])
    inputs = _document(given["input_json"])
    for word in given["input"] or ():
        name, separator, text = word.partition("=")
        if not separator or not name:
            raise UsageError(f"--input takes name=value, not {word!r}", hint="such as: --input ref=main")
        if name in inputs:
            raise UsageError(f"input {name} is given twice", hint="give each input once, by --input or in --input-json")
        inputs[name] = typed(schema, name, text)
    if not context.json and sys.stdin.isatty():
        for question in missing(schema, inputs):
            inputs[question.name] = _asked(context, schema, question)
    reference = runtime.start.manual(given["id"], inputs, actor=context.settings.actor)
    if context.json:
        context.document(runtime.inspect.run(reference["runId"]))
    else:
        context.say(f"{reference['automationId']}: run {reference['runId']}")
    for name, hint in unlisted(schema, inputs).items():
        context.note(clean(f"its spec lists no input {name}, which was passed on all the same; {hint}"))
    tell_unattended(context)
    return 0


def _document(text: str) -> dict[str, Any]:
    from automations.core.strict_json import parse

    try:
        inputs = parse(text)
    except InvalidInput as problem:
        raise InvalidInput(f"--input-json: {problem.message}", hint=problem.hint, code="malformed_json") from problem
    if not isinstance(inputs, dict):
        raise InvalidInput("--input-json must be a JSON object", hint='such as: {"ref": "main"}', code="malformed_json")
    return inputs


def _asked(context: "Context", schema: Mapping[str, Any], question: "Question") -> Any:
    """Ask a person until the answer is of the right type. Raises KeyboardInterrupt at the end of input."""
    from automations.core.run.inputs import typed

    while True:
        context.err.write(clean(f"{question.text}: "))
        context.err.flush()
        line = sys.stdin.readline()
        if not line:
            raise KeyboardInterrupt  # the end of input, which leaves as Ctrl-C does
        text = line.strip()
        if not text:
            continue
        try:
            value = typed(schema, question.name, text)
        except InvalidInput as problem:
            context.note(problem.message)
            continue
        if not question.choices or value in question.choices:
            return value
        context.note("that is none of the choices")


COMMANDS = (
    Command(
        ("trigger",),
        "Start a run through an automation's manual trigger; on a terminal it asks for inputs that are missing.",
        run,
        arguments=(Argument("id", "An automation id."),),
        options=(
            Option("--input-json", "The run's inputs, a JSON object.", default="{}"),
            Option("--input", "One input as name=value; its type is the spec's.", many=True),
        ),
    ),
)
