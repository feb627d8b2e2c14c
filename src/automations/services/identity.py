"""Who is meant by an id: the automation that has it, or the one that had it. Work and history belong to uids.

A rename keeps the uid, and a new automation may take the old id; so what is asked for by id is looked up by uid. Runs keep the id
that their automation had when they began.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from automations.core.canonical import decode
from automations.core.instant import iso
from automations.errors import NotFound
from automations.services.absent import no_automation
from automations.store import automations

if TYPE_CHECKING:
    from automations.store.database import Transaction


class Whose(NamedTuple):
    """An automation that is or was called so: `id` is the one that it has now, None once it is forgotten.

    `deleted_at` is since when it is deleted, if it is (microseconds).
    """

    uid: str
    id: str | None
    deleted_at: int | None = None

    def became(self, name: str) -> str:
        """What became of the one that was meant, in words; empty where it is bound under this name."""
        if self.id is None:
            return f"{name} was deleted, and only what it ran is kept"
        called = f"{name} is called {self.id} now" if self.id != name else ""
        if self.deleted_at is None:
            return called
        deleted = f"deleted at {iso(self.deleted_at)}"
        return f"{called}, and was {deleted}" if called else f"{name} was {deleted}"


def whose(tx: Transaction, name: str) -> Whose | None:
    """Whom an id means: who has it, deleted or not; else who had it last."""
    row = automations.get(tx, name)
    if row is not None:
        return Whose(row["uid"], row["id"], row["deleted_at"])
    for kept in automations.saying_id(tx, name):
        if decode(kept["spec_json"]).get("id") == name:
            return Whose(kept["uid"], kept["id"], kept["deleted_at"])
    return None


def not_there(tx: Transaction, name: str, *, see: str = "show", also: str = "") -> NotFound:
    """The error for an id that nothing is bound by; one that was renamed is named, `see` is the command to say with it."""
    meant = whose(tx, name)
    if meant is None or meant.id in (None, name):
        return no_automation(name, automations.bound_ids(tx), also=also)
    return NotFound(f"automation not found: {name}", hint=f"{meant.became(name)}; see: automations {see} {meant.id}")
