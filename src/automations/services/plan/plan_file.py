"""Taking a plan file in: it must be whole, for this store, made at its serial, not too old and not used up."""

from typing import Any

from automations.core.plan.file import from_file
from automations.core.plan.plan import Plan
from automations.errors import StalePlan
from automations.services.plan.apply import check_unused
from automations.store import state
from automations.store.database import Database


def admit(database: Database, value: Any, *, now: int) -> tuple[Plan, str, str]:
    """The plan in a file's document, its prefix and the file's digest; the commit checks serial and use once more.

    Raises InvalidInput for what is no plan file or was altered, StalePlan for one that expired, was used, is for another
    store, or was made before the definitions last changed.
    """
    made, prefix, digest = from_file(value, now=now)
    with database.read() as tx:
        standing = state.read(tx)
        if standing["lineage"] != made.lineage:
            raise StalePlan(
                "the plan was made for another store",
                hint="apply it there, or plan against this one",
                code="plan_lineage",
            )
        check_unused(tx, digest)
    if standing["serial"] != made.serial:
        raise StalePlan(
            f"the plan was made at serial {made.serial}, the state is at {standing['serial']}",
            hint="plan again and look at what changed in between",
        )
    return made, prefix, digest
