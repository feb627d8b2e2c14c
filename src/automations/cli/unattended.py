"""A remark for people who begin work, or wait for some, on a store where no daemon runs: else nothing says why it stands."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from automations.cli.context import Context


def tell_unattended(context: "Context") -> None:
    """Say on a terminal that no daemon runs, and how to start one; nothing to programs, nor where a lease says that one lives."""
    if context.json or not context.err.isatty() or context.runtime.inspect.attended():
        return
    context.note(f"no daemon runs on this store, so nothing of it goes on until one does: {_start(context)}")


def _start(context: "Context") -> str:
    """A command that starts one here: the settings may name its directories."""
    from automations.cli.desired import DEFAULT

    named = "" if context.settings.sources else f" {DEFAULT if Path(DEFAULT).is_dir() else 'DIRECTORY'}"
    return f"automations-daemon serve{named}"
