"""What every service that starts runs works with, whatever gives it the occasion: a person, a schedule, a timer."""

from dataclasses import dataclass

from automations.services.plan.definitions import Bindings
from automations.services.ports import Clock, Ids, Telemetry
from automations.store.database import Database


@dataclass(frozen=True, slots=True)
class Parts:
    """The store, what is bound in it, and what is handed in from outside."""

    database: Database
    bindings: Bindings
    clock: Clock
    ids: Ids
    telemetry: Telemetry
