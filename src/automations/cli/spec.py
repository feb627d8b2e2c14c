"""`spec example`: a spec to start from."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.command import Command

if TYPE_CHECKING:
    from automations.cli.context import Context


def run_example(context: "Context", _: Mapping[str, Any]) -> int:
    """Print the example spec as JSON (which is YAML)."""
    from automations.core.spec.example import example_automation_spec

    context.document(example_automation_spec())
    return 0


COMMANDS = (Command(("spec", "example"), "Print an example spec.", run_example, quick=True),)
