"""The verb create: one automation made imperatively, owned by `api`, beside what sources declare.

The same model, the same writer and the same audit as apply; only the owner differs. What a source owns is refused, naming it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from automations.core.audit import Entry
from automations.core.diagnostic import has_errors
from automations.core.plan.plan import Change
from automations.core.plan.state import API_OWNER
from automations.core.record import automation_record
from automations.core.spec.catalogue import Interpreted, assemble
from automations.core.spec.model import Automation
from automations.errors import Conflict, InvalidInput, SpecInvalid, StalePlan
from automations.services import audit
from automations.services.plan.apply import Writer
from automations.services.ports import Clock, Ids
from automations.services.run import in_flight
from automations.services.run.programs import Programs
from automations.services.spec.catalogue import elsewhere_known
from automations.services.trigger import schedule_cursor
from automations.store import automations, routes, state
from automations.store.database import Database, Row, Transaction


@dataclass(frozen=True, slots=True)
class Author:
    """Makes automations on a person's or a program's word."""

    database: Database
    clock: Clock
    ids: Ids

    def create(self, interpreted: Interpreted, *, actor: str) -> dict[str, Any]:
        """Create or update an automation; its record. Raises SpecInvalid, InvalidInput, Conflict, StoreUnavailable."""
        automation = accepted(interpreted)
        now = self.clock.now()
        with self.database.write() as tx:
            held = automations.get(tx, automation.id)
            _check(tx, automation, held)
            _check_data(tx, interpreted)
            if held is None or held["deleted_at"] is not None or held["digest"] != automation.digest:
                change = _change(automation, held)
                cursors = schedule_cursor.hold(tx, [change.uid])
                ending = in_flight.doomed(tx, [change])
                self._write(tx, change, cursors=cursors, actor=actor, now=now)
                in_flight.end(tx, ending, actor=actor, programs=Programs(), now=now)
            row = automations.get(tx, automation.id)
        assert row is not None  # noqa: S101  # it was just written
        return automation_record(row)

    def _write(
        self, tx: Transaction, change: Change, *, cursors: Mapping[str, Mapping[str, Row]], actor: str, now: int
    ) -> None:
        serial = state.read(tx)["serial"]
        if not state.bump(tx, serial=serial):
            raise StalePlan("another definition was committed at the same moment", hint="try again")
        writer = Writer(tx, owner=API_OWNER, actor=actor, prefix="", now=now, ids=self.ids, cursors=cursors)
        writer.unbind(change)
        writer.write(change, revision=None)
        writer.restore_routes([change])
        detail = {"serial": serial + 1, "generation": change.based_on + 1}
        audit.append(tx, Entry(now, actor, "create", change.id, detail))


def _change(automation: Automation, held: Row | None) -> Change:
    return Change(
        id=automation.id,
        resource="automation",
        action="update" if held and held["deleted_at"] is None else "create",
        reason="created",
        file=None,
        line=1,
        uid=held["uid"] if held else None,
        based_on=held["generation"] if held else 0,
        automation=automation,
    )


def accepted(interpreted: Interpreted) -> Automation:
    """The automation of a document that has no errors. Raises SpecInvalid with all of them, InvalidInput for none."""
    if has_errors(interpreted.diagnostics):
        errors = tuple(each for each in interpreted.diagnostics if each.severity == "error")
        raise SpecInvalid(errors[0].message, errors, hint=errors[0].hint or "see: automations validate FILE")
    if interpreted.automation is None:
        raise InvalidInput(f"{interpreted.file} does not declare an automation", hint="see: automations spec example")
    return interpreted.automation


def _check_data(tx: Transaction, interpreted: Interpreted) -> None:
    """Raises SpecInvalid for what a plan would refuse: expressions and inputs that can never fit what is known of their data."""
    found = assemble([interpreted], known=elsewhere_known(tx, API_OWNER)).diagnostics
    errors = tuple(each for each in found if each.severity == "error")
    if errors:
        raise SpecInvalid(errors[0].message, errors, hint=errors[0].hint or "see: automations validate FILE")


def _check(tx: Transaction, automation: Automation, held: Row | None) -> None:
    """Nobody takes what another owns: not an id, not a route's path or id. Raises Conflict."""
    if held and held["deleted_at"] is None and held["owner"] != API_OWNER:
        raise Conflict(
            f"automation {automation.id} is owned by {held['owner']}",
            hint=f"change its file {held['file']} instead, or use another id",
        )
    wanted = [trigger.route for trigger in automation.triggers if trigger.route]
    for row in routes.every(tx) if wanted else ():
        taken = any(route.path == row["path"] or route.id == row["id"] for route in wanted)
        if row["deleted_at"] is None and taken and row["automation_id"] != automation.id:
            raise Conflict(
                f"webhook route {row['id']} at {row['path']} belongs to automation {row['automation_id']}",
                hint="choose another path and id",
            )
