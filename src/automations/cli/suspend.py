"""`suspend` and `resume`: a suspension by hand, laid over what the files say."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command, Option
from automations.errors import UsageError

if TYPE_CHECKING:
    from automations.cli.context import Context


def run_suspend(context: "Context", given: Mapping[str, Any]) -> int:
    """Suspend an automation or a source; its record."""
    until = None if given["until"] is None else _instant(given["until"], now=context.clock.now())
    record = context.runtime.suspend.suspend(
        given["name"], reason=given["reason"], until=until, actor=context.settings.actor
    )
    if context.json:
        context.document(record)
    else:
        ending = f"until {record['until']}" if "until" in record else f"until: automations resume {record['name']}"
        context.say(f"{record['name']} is suspended {ending}")
    return 0


def run_resume(context: "Context", given: Mapping[str, Any]) -> int:
    """End a suspension."""
    record = context.runtime.suspend.resume(given["name"], actor=context.settings.actor)
    if context.json:
        context.document(record)
    else:
        context.say(f"{record['name']} is no longer suspended")
    return 0


def _instant(text: str, *, now: int) -> int:
    """An instant as RFC 3339 text, or a duration from now. Raises UsageError."""
    from automations.core.instant import parse_duration, parse_iso

    try:
        return now + parse_duration(text)
    except ValueError:
        pass
    try:
        return parse_iso(text)
    except ValueError:
        raise UsageError(
            f"--until {text} is neither an instant nor a duration", hint="such as 2026-11-30T08:00:00Z, or 90m"
        ) from None


NAME = Argument("name", "An automation's id, or source:NAME.")
COMMANDS = (
    Command(
        ("suspend",),
        "Suspend an automation, or the loop of a source, until it is resumed.",
        run_suspend,
        arguments=(NAME,),
        options=(
            Option("--reason", "Why, for whoever finds it later.", default="", required=True),
            Option("--until", "When it ends by itself: an instant (RFC 3339) or a duration from now."),
        ),
    ),
    Command(("resume",), "End a suspension.", run_resume, arguments=(NAME,)),
)
