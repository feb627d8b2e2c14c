"""The services over one database, with time and chance in the test's hands."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Any

from automations.adapters.telemetry import Telemetry
from automations.core.instant import SECOND
from automations.core.plan.plan import Plan, Request
from automations.core.plan.state import source_owner
from automations.core.run.queue import Failure, Holder
from automations.core.spec.catalogue import Catalogue
from automations.core.trigger.envelope import Envelope
from automations.services.inspect import Inspect
from automations.services.plan.apply import Applied, Apply, Authority
from automations.services.plan.definitions import Bindings
from automations.services.plan.plan import plan
from automations.services.run.programs import Programs
from automations.services.run.queue import Claim, Done, Queue, Undone
from automations.services.trigger.ingest import Delivery, Ingest, Ingested
from automations.services.trigger.parts import Parts
from automations.services.trigger.timers import Timers
from automations.store import actions, automations, routes, runs, state
from automations.store.database import Database, Row
from automations.store.migrate import migrate
from automations.store.sqlite import SqliteDatabase
from samples import catalogue

START = 1_700_000_000_000_000


class SetClock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> int:
        return self.at


class CountedIds:
    """Ids that rise, and a fraction that the test sets."""

    def __init__(self) -> None:
        self._count = count(1)
        self.drawn = 0.5

    def begin(self, number: int) -> None:
        """Count from here, away from other counters of one store."""
        self._count = count(number)

    def new(self) -> str:
        return f"00000000-0000-7000-8000-{next(self._count):012d}"

    def fraction(self) -> float:
        return self.drawn


class ControlPlane:
    """One store and the verbs on it. `told` lists what telemetry was told."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = SetClock()
        self.ids = CountedIds()
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.telemetry = Telemetry(lambda event, fields: self.told.append((event, dict(fields))))
        self.bindings = Bindings(database)
        self.programs = Programs()
        parts: dict[str, Any] = {"clock": self.clock, "ids": self.ids, "telemetry": self.telemetry}
        self.applying = Apply(database, **parts)
        self.ingest = Ingest(database, self.bindings, **parts)
        self.timers = self.another_timers()
        self.queue = Queue(database, self.programs, **parts)
        self.inspect = Inspect(database, clock=self.clock, data_dir="", store="")

    def another_timers(self) -> Timers:
        """The timers of one more daemon, or of one after a restart."""
        return Timers(Parts(self.database, Bindings(self.database), self.clock, self.ids, self.telemetry))

    def wait(self, seconds: float) -> int:
        """Let time pass, then look at the timers; when they want to look again."""
        self.clock.at += int(seconds * SECOND)
        return self.timers.tick(self.clock.at)

    def plan(self, files: Mapping[str, Any] | Catalogue, *, source: str = "default", **request: Any) -> Plan:
        """What applying these files would do."""
        declared = files if isinstance(files, Catalogue) else catalogue(files)
        return plan(self.database, declared, Request(source, **request))

    def apply(self, files: Mapping[str, Any], *, source: str = "default", **authority: Any) -> Applied:
        """Plan and commit at once, whatever it deletes unless `allow_deletes` is given."""
        made = self.plan(files, source=source)
        given = {"allow_deletes": made.destroys or None, **authority}
        return self.applying.strict(made, Authority("tester", **given))

    def send(self, identity: str = "e1", *, body: str = "b1", **keys: Any) -> Ingested:
        """Deliver one event of `tickets`."""
        return self.ingest.one(self.delivery(identity, body=body, **keys))

    def delivery(self, identity: str = "e1", *, body: str = "b1", **keys: Any) -> Delivery:
        """An event of `tickets`, `ticket.created`, unless keys say otherwise."""
        fields = {"source": "tickets", "type": "ticket.created", "time": START, **keys}
        return Delivery(Envelope(identity, **fields), body)

    def claim(self, runner: str = "r1", **keys: Any) -> list[Row]:
        """Claim, one unless told otherwise."""
        return self.queue.claim(Claim(runner, **keys))

    def done(self, row: Row, output: Any = None, *, runner: str = "r1", fence: int | None = None) -> Row:
        """Report success."""
        return self.queue.complete(Done(row["id"], Holder(runner, fence), {"output": output}))

    def undone(self, row: Row, *, runner: str = "r1", **failure: Any) -> Row:
        """Report failure."""
        return self.queue.fail(Undone(row["id"], Holder(runner), Failure(**failure)))

    def run(self, run_id: str) -> Row:
        """A run's row."""
        with self.database.read() as tx:
            found = runs.get(tx, run_id)
        assert found is not None
        return found

    def steps(self, run_id: str) -> dict[str, str]:
        """Step ids to statuses."""
        with self.database.read() as tx:
            return {row["step_id"]: row["status"] for row in actions.of_run(tx, run_id)}

    def automations(self, *, source: str = "default") -> dict[str, Row]:
        """Live automations of a source by id."""
        with self.database.read() as tx:
            rows = automations.live(tx)
        return {row["id"]: row for row in rows if row["owner"] == source_owner(source)}

    def routes(self) -> dict[str, str]:
        """Live routes: path to automation id."""
        with self.database.read() as tx:
            return {row["path"]: row["automation_id"] for row in routes.every(tx) if row["deleted_at"] is None}

    def serial(self) -> int:
        """How often definitions changed."""
        with self.database.read() as tx:
            return int(state.read(tx)["serial"])


@contextmanager
def in_memory() -> Iterator[ControlPlane]:
    """A store of its own, for each example of a property."""
    database = SqliteDatabase.memory()
    try:
        migrate(database, now=START, lineage="lineage-1")
        yield ControlPlane(database)
    finally:
        database.close()
