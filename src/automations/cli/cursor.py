"""`--cursor`: where the page after another one starts. Apart from what else is given, because lists are asked for in loops."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from automations.errors import InvalidInput

if TYPE_CHECKING:
    from automations.cli.context import Context

_OUR_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def given_cursor(context: "Context", given: Mapping[str, Any], kind: Literal["run", "action", "event"]) -> str | None:
    """The row that a page starts after: an id as lists print them, whether what it named is still kept or not.

    Anything else has to name one that is, as everywhere. Raises InvalidInput, NotFound.
    """
    text: str | None = given["cursor"]
    if text is None or _OUR_ID.fullmatch(text):
        return text
    if not text:
        raise InvalidInput("--cursor is empty", hint="it is printed under a full page")
    ids = context.runtime.short_ids
    if kind == "run":
        return ids.run(text)
    return ids.action(text) if kind == "action" else _row_of(context, ids.event(text))


def _row_of(context: "Context", event: str) -> str:
    """The row of an event that its own id names."""
    from automations.services.trigger.event_view import event_show

    return str(event_show(context.runtime.database, event)["eventId"])
