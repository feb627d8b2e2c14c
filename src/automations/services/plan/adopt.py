"""The verb adopt: a source takes over automations that others own, by name, and nothing else changes."""

from dataclasses import replace

from automations.core.diagnostic import Severity
from automations.core.plan.plan import Plan, Request
from automations.core.spec.catalogue import Catalogue
from automations.errors import NotFound, SpecInvalid
from automations.services.plan.plan import plan
from automations.store import automations
from automations.store.database import Database


def takeover(database: Database, catalogue: Catalogue, request: Request, *, prefix: str = "") -> Plan:
    """The plan that only takes over `request.adopt`. What the source owns already stays as it is.

    Raises NotFound for an id that is declared nowhere or bound nowhere, SpecInvalid where a takeover is not possible.
    """
    ids = request.adopt
    for identity in sorted(ids - set(catalogue.automations)):
        raise NotFound(
            f"automation {identity} is declared in none of these files, or not validly",
            hint=f"write it there first, such as: automations export {identity} --out automations.d",
        )
    with database.read() as tx:
        bound = {row["id"] for row in automations.every(tx) if row["deleted_at"] is None}
    for identity in sorted(ids - bound):
        raise NotFound(f"automation not found: {identity}", hint="there is nothing to take over: automations apply")
    named = {identity: catalogue.automations[identity] for identity in ids}
    files = {declared.document.file for declared in named.values()}
    found = tuple(each for each in catalogue.diagnostics if each.span.file in files)
    alone = replace(catalogue, automations=named, manifests={}, diagnostics=found)
    made = plan(database, alone, replace(request, prune=False), prefix=prefix)
    if not made.sound:
        errors = tuple(each for each in made.diagnostics if each.severity is Severity.ERROR)
        raise SpecInvalid("nothing was taken over", errors, hint="mend what is listed here, then again")
    taken = tuple(change for change in made.changes if change.action == "adopt")
    hazards = tuple(each for each in made.hazards if each.id in ids or not each.id)
    return replace(made, changes=taken, hazards=hazards, withheld=(), moved_on=())
