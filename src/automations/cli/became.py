"""What became of an automation that is asked for by id: renamed, deleted, or never there."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from automations.cli.context import Context


def tell_became(context: "Context", name: str | None) -> None:
    """A remark beside a list, where the id is not that of something bound."""
    said = context.runtime.inspect.became(name) if name is not None else ""
    if said:
        context.note(said)
