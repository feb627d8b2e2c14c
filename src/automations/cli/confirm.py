"""Asking a person before much is done at once."""

import sys
from typing import TYPE_CHECKING

from automations.errors import Refused, UsageError

if TYPE_CHECKING:
    from automations.cli.context import Context


def confirmed(context: "Context", what: str, *, yes: bool, reason: str | None) -> str:
    """The reason, once somebody agreed to `what`. Raises UsageError without a reason, Refused when nobody agreed."""
    if not reason:
        raise UsageError(f"{what} wants a reason", hint="add: --reason WHY; it is kept with every request")
    if yes:
        return reason
    if context.json or not sys.stdin.isatty():
        raise Refused(f"{what}, and nobody is here to agree", hint="look at it with --dry-run, then add: --yes")
    import typer

    try:
        agreed = typer.confirm(f"{what}?", default=False)
    except typer.Abort:
        raise KeyboardInterrupt from None  # the end of input, which leaves as Ctrl-C does
    if not agreed:
        raise Refused("nothing was replayed")
    return reason
