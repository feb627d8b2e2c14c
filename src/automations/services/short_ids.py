"""Ids as people type them: the whole of one, or enough of its beginning or end to tell it from all others.

Time-ordered ids begin alike, so most people take the end. Only what people type comes through here; the protocol of runners, the
library and the server take whole ids. An id that fits nothing is refused with the list to look at.
"""

from dataclasses import dataclass

from automations.errors import InvalidInput, NotFound
from automations.store import actions, events, runs
from automations.store.database import Database, Row, Transaction
from automations.store.short_ids import Kind, fitting

SHORTEST = 4
"""Characters from which on a part of an id is looked for."""
MOST_SHOWN = 5
_NOUNS: dict[Kind, str] = {"run": "run", "action": "queued action", "event": "event"}


@dataclass(frozen=True, slots=True)
class ShortIds:
    """Finds whole ids. Raises NotFound with the command that lists such ids, InvalidInput for a part of several."""

    database: Database

    def run(self, text: str) -> str:
        """A run's id."""
        return self._whole("run", text, listed="runs list")

    def action(self, text: str, *, listed: str = "queue list") -> str:
        """An action's id; `listed` is the command that lists those that are meant."""
        return self._whole("action", text, listed=listed)

    def event(self, text: str) -> str:
        """An event's row id, or its own id as it was typed."""
        return self._whole("event", text, listed="events list")

    def _whole(self, kind: Kind, text: str, *, listed: str) -> str:
        part = text.strip("…")
        with self.database.read() as tx:
            if _exists(tx, kind, text):
                return text
            if kind == "event" and (named := events.called(tx, text, most=MOST_SHOWN + 1)):
                return _only(named, text)
            found = fitting(tx, kind, part, most=MOST_SHOWN + 1) if len(part) >= SHORTEST else []
        if not found:
            raise NotFound(f"{_NOUNS[kind]} not found: {text}", hint=f"see: automations {listed}")
        if len(found) > 1:
            message = f"{text} is the beginning or the end of several {kind} ids: {_named(found)}"
            raise InvalidInput(message, hint="type more of it", code="ambiguous_id")
        return str(found[0]["id"])


def _only(found: list[Row], text: str) -> str:
    """The own id of an event, if it is that of one alone: two senders may use the same."""
    if len(found) > 1:
        hint = "type the id that stands before the brackets"
        raise InvalidInput(f"{text} is the id of several events: {_named(found)}", hint=hint, code="ambiguous_id")
    return text


def _named(found: list[Row]) -> str:
    more = ", …" if len(found) > MOST_SHOWN else ""
    return ", ".join(f"{row['id']} ({row['about']})" for row in found[:MOST_SHOWN]) + more


def _exists(tx: Transaction, kind: Kind, text: str) -> bool:
    if kind == "run":
        return runs.get(tx, text) is not None
    if kind == "action":
        return actions.get(tx, text) is not None
    return events.get(tx, text) is not None
