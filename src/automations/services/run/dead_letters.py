"""Finding dead letters: what was given up, by automation, action, reason, error and time; a page at a time, or all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from automations.core.canonical import decode_words
from automations.services.identity import whose
from automations.store import actions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from automations.store.database import Database, Row, Transaction

AT_ONCE = 500


class Letters(NamedTuple):
    """Which ones: those of one automation, of some action ids, that say `reason` somewhere, of one error, since an instant."""

    automation_id: str | None = None
    action: actions.Only | None = None
    reason: str | None = None
    code: str | None = None
    since: int | None = None

    def hold(self, row: Row) -> bool:
        """Whether a dead action is one of them; what the store was asked for already is not asked again."""
        letter = decode_words(row["dead_letter_json"]) if row["dead_letter_json"] else {}
        error = letter.get("lastError") or (decode_words(row["error_json"]) if row["error_json"] else {})
        if self.action is not None and not self.action.holds(row["action_id"]):
            return False
        if self.code is not None and error.get("code") != self.code:
            return False
        said = f"{letter.get('reason', '')}\n{error.get('message', '')}"
        return self.reason is None or self.reason in said


def page(database: Database, wanted: Letters, *, after: str | None, limit: int) -> list[Row]:
    """Up to `limit` of them, oldest first, after the id `after`."""
    with database.read() as tx:
        found = []
        for row in _every(tx, wanted, after=after):
            found.append(row)
            if len(found) == limit:
                break
    return found


def _every(tx: Transaction, wanted: Letters, *, after: str | None) -> Iterator[Row]:
    meant = None if wanted.automation_id is None else whose(tx, wanted.automation_id)
    if meant is None and wanted.automation_id is not None:
        return
    uid = None if meant is None else meant.uid
    while True:
        rows = actions.letters(tx, uid=uid, since=wanted.since, after=after, limit=AT_ONCE)
        yield from (row for row in rows if wanted.hold(row))
        if len(rows) < AT_ONCE:
            return
        after = rows[-1]["id"]


def replayable(database: Database, wanted: Letters) -> list[Row]:
    """All of them that may be tried again, oldest first."""
    with database.read() as tx:
        found = [row for row in _every(tx, wanted, after=None) if row["dead_letter_json"]]
    return [row for row in found if decode_words(row["dead_letter_json"]).get("replayable", False)]
