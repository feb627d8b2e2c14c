"""Setting a run aside: one that cannot be moved, for a reason that trying again does not mend, must not hold up the others.

A bug, a generation or a manifest that is not there: whatever ends one of the run's actions would fail, and so would every claim
that takes back expired leases. So the run ends here, by SQL alone, with the reason on record; a replay lets it go on when the
cause is mended. Its slot goes to the next in line in the same commit, unless that one cannot begin either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from automations.core.canonical import encode
from automations.core.run.queue import dead_letter
from automations.errors import StoreUnavailable
from automations.services.run import advance
from automations.store import actions, runs, slots

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from automations.services.ports import Telemetry
    from automations.services.run.programs import Programs
    from automations.store.database import Database, Row, Transaction

CODE = "RUN_SET_ASIDE"


@dataclass(frozen=True, slots=True)
class Aside:
    """Does what may fail for single runs, and sets those aside for which it does."""

    database: Database
    programs: Programs
    telemetry: Telemetry
    now: int
    """Microseconds."""

    def each(self, ids: Sequence[str], deed: Callable[[Transaction, str], None]) -> None:
        """Do something to these actions in one commit; if that fails, to each by itself, and set aside who fails alone.

        Raises StoreUnavailable.
        """
        try:
            with self.database.write() as tx:
                for action_id in ids:
                    deed(tx, action_id)
        except StoreUnavailable:
            raise
        except Exception:  # noqa: BLE001  # one of them spoils it for the others; alone it shows again
            for action_id in ids:
                self._one(action_id, deed)

    def hand_on(self, key: slots.Key) -> None:
        """Give the free slots of a key to those in line, one a commit; who cannot begin is set aside, and the next has its turn.

        Raises StoreUnavailable.
        """
        waiting: Row | None = None
        while True:
            try:
                with self.database.write() as tx:
                    slots.hold(tx, [key])
                    waiting = slots.head(tx, key)
                    if waiting is None:
                        return
                    advance.begin(tx, waiting, programs=self.programs, now=self.now)
            except StoreUnavailable:
                raise
            except Exception as problem:  # a bug, or a row that should be there: this run's trouble alone
                if waiting is None:
                    raise
                with self.database.read() as tx:
                    first = actions.of_run(tx, waiting["id"])[0]["id"]
                self._set_aside(first, problem, hand_on=False)

    def _one(self, action_id: str, deed: Callable[[Transaction, str], None]) -> None:
        try:
            with self.database.write() as tx:
                deed(tx, action_id)
        except StoreUnavailable:
            raise
        except Exception as problem:  # noqa: BLE001  # a bug, or a row that should be there: this run's trouble alone
            try:
                self._set_aside(action_id, problem, hand_on=True)
            except StoreUnavailable:
                raise
            except Exception:  # noqa: BLE001  # the next in line has a trouble of its own
                key = self._set_aside(action_id, problem, hand_on=False)
                if key is not None:
                    self.hand_on(key)

    def _set_aside(self, action_id: str, problem: Exception, *, hand_on: bool) -> slots.Key | None:
        """End the run of an action as it stands; the key whose slot is free thereby, if it stood for one."""
        why = f"{type(problem).__name__}: {problem}"
        with self.database.write() as tx:
            slots.hold_of(tx, actions=[action_id])
            run = set_aside(tx, action_id, why, now=self.now)
            if run is None:
                return None
            key = None if run["slot"] is None else slots.Key(run["automation_uid"], run["slot_key"])
            if key is not None and hand_on:
                advance.hand_on(tx, key, programs=self.programs, now=self.now)
        self.telemetry.emit("run.set_aside", run=run["id"], action=action_id, error=why)
        return key


def set_aside(tx: Transaction, action_id: str, why: str, *, now: int) -> Row | None:
    """End the run of an action, whose key is held, as it stands; as it was, or None when it is over or gone."""
    run = runs.hold(tx, action_id)
    if run is None or run["completed_at"] is not None:
        return None
    error = {"code": CODE, "message": f"the run cannot go on: {why}"}
    letter = dead_letter("run set aside", attempts=0, now=now, error={**error, "retryable": False})
    actions.set_aside(tx, run["id"], error_json=encode(error), dead_letter_json=encode(letter), now=now)
    runs.set_aside(tx, run["id"], error_json=encode(error), now=now)
    return run
