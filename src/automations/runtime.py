"""The only place where parts are wired together: a store, a clock, ids, executors, telemetry become services.

Imports stand in the functions that need them: a runner calls `queue claim` in a loop and must not pay for a web server.
"""

import sys
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from automations.adapters.clock import SystemClock
from automations.adapters.ids import UuidIds
from automations.adapters.telemetry import Telemetry
from automations.settings import Settings, SourceSettings
from automations.store.database import Database
from automations.store.migrate import migrate
from automations.store.open import open_database

MANY = 500
"""New files from which on reading them is prepared for."""

if TYPE_CHECKING:
    from pathlib import Path

    from automations.adapters.secrets import EnvironmentSecrets
    from automations.core.spec.catalogue import Interpreted
    from automations.core.spec.manifests import Shelf
    from automations.services.audit import Sealer
    from automations.services.doctor import Doctor, Surroundings
    from automations.services.fixture.rehearse import Rehearsal
    from automations.services.import_store import ImportStore
    from automations.services.inspect import Inspect
    from automations.services.lead import Lead
    from automations.services.plan.apply import Apply
    from automations.services.plan.author import Author
    from automations.services.plan.definitions import Bindings
    from automations.services.reconcile.reconcile import Reconciler
    from automations.services.reconcile.suspend import Suspend
    from automations.services.retention import Janitor
    from automations.services.roles import Roles
    from automations.services.run.approval import Approvals
    from automations.services.run.cancel import Cancel
    from automations.services.run.expire import Expiry
    from automations.services.run.programs import Programs
    from automations.services.run.queue import Queue
    from automations.services.run.replay import Replay
    from automations.services.run.worker import Worker
    from automations.services.short_ids import ShortIds
    from automations.services.spec.catalogue import Progress
    from automations.services.tokens import Tokens
    from automations.services.trigger.backfill import Backfill
    from automations.services.trigger.ingest import Ingest
    from automations.services.trigger.schedule import Scheduler
    from automations.services.trigger.schedule_pause import SchedulePause
    from automations.services.trigger.send import Send
    from automations.services.trigger.timers import Timers
    from automations.services.trigger.trigger import Start
    from automations.services.trigger.webhook_routes import WebhookRoutes


class Runtime:
    """The wired program. Services are made when first asked for, so that a short command pays for what it uses."""

    def __init__(
        self, settings: Settings, database: Database, *, clock: SystemClock, ids: UuidIds, telemetry: Telemetry
    ) -> None:
        self.settings = settings
        self.database = database
        self.clock = clock
        self.ids = ids
        self.telemetry = telemetry

    @cached_property
    def secrets(self) -> "EnvironmentSecrets":
        """Resolves secret references at the edge."""
        from automations.adapters.secrets import EnvironmentSecrets

        return EnvironmentSecrets(self.settings.environment, self.settings.secrets_dir)

    @cached_property
    def bindings(self) -> "Bindings":
        """The current binding table."""
        from automations.services.plan.definitions import Bindings

        return Bindings(self.database)

    @cached_property
    def programs(self) -> "Programs":
        """Compiled programs of live runs."""
        from automations.services.run.programs import Programs

        return Programs()

    @cached_property
    def apply(self) -> "Apply":
        """Commits plans."""
        from automations.services.plan.apply import Apply

        return Apply(self.database, clock=self.clock, ids=self.ids, telemetry=self.telemetry)

    @cached_property
    def ingest(self) -> "Ingest":
        """Takes events in."""
        from automations.services.trigger.ingest import Ingest

        return Ingest(self.database, self.bindings, clock=self.clock, ids=self.ids, telemetry=self.telemetry)

    @cached_property
    def send(self) -> "Send":
        """Takes in what somebody handed in."""
        from automations.services.trigger.send import Send

        return Send(self.ingest, self.clock, self.ids)

    @cached_property
    def queue(self) -> "Queue":
        """Hands actions out."""
        from automations.services.run.queue import Queue

        return Queue(self.database, self.programs, clock=self.clock, ids=self.ids, telemetry=self.telemetry)

    @cached_property
    def approvals(self) -> "Approvals":
        """Takes decisions about actions that wait for one."""
        from automations.services.run.approval import Approvals, Parts

        return Approvals(Parts(self.database, self.programs, self.clock, self.ids, self.telemetry))

    @cached_property
    def roles(self) -> "Roles":
        """Says who may decide as what."""
        from automations.services.roles import Roles

        return Roles(self.database, self.clock)

    @cached_property
    def replay(self) -> "Replay":
        """Tries again what failed."""
        from automations.services.run.replay import Parts, Replay

        return Replay(Parts(self.database, self.bindings, self.programs, self.clock, self.ids, self.telemetry))

    @cached_property
    def sealer(self) -> "Sealer":
        """Seals the audit log."""
        from automations.services.audit import Sealer

        return Sealer(self.database, clock=self.clock)

    @cached_property
    def cancel(self) -> "Cancel":
        """Ends work early."""
        from automations.services.run.cancel import Cancel, Parts

        return Cancel(Parts(self.database, self.programs, self.clock, self.telemetry))

    @cached_property
    def start(self) -> "Start":
        """Starts runs by name."""
        from automations.services.trigger.parts import Parts
        from automations.services.trigger.trigger import Start

        return Start(Parts(self.database, self.bindings, self.clock, self.ids, self.telemetry))

    @cached_property
    def scheduler(self) -> "Scheduler":
        """Fires schedules."""
        from automations.services.trigger.parts import Parts
        from automations.services.trigger.schedule import Scheduler

        return Scheduler(Parts(self.database, self.bindings, self.clock, self.ids, self.telemetry))

    @cached_property
    def janitor(self) -> "Janitor":
        """Deletes what is older than it is kept."""
        from automations.core.retention import Policy
        from automations.services.retention import Janitor

        policy = Policy(**self.settings.retention._asdict())
        return Janitor(self.database, policy, clock=self.clock, telemetry=self.telemetry)

    @cached_property
    def schedule_pause(self) -> "SchedulePause":
        """Resumes schedules that paused themselves."""
        from automations.services.trigger.schedule_pause import Parts, SchedulePause

        return SchedulePause(Parts(self.database, self.bindings, self.clock, self.telemetry))

    @cached_property
    def backfill(self) -> "Backfill":
        """Fires slots of the past."""
        from automations.services.trigger.backfill import Backfill
        from automations.services.trigger.parts import Parts

        return Backfill(Parts(self.database, self.bindings, self.clock, self.ids, self.telemetry))

    @cached_property
    def timers(self) -> "Timers":
        """Fires what rate limits delayed and debounces gathered."""
        from automations.services.trigger.parts import Parts
        from automations.services.trigger.timers import Timers

        return Timers(Parts(self.database, self.bindings, self.clock, self.ids, self.telemetry))

    @cached_property
    def tokens(self) -> "Tokens":
        """Tells who a request speaks for."""
        from os import urandom

        from automations.services.tokens import Tokens

        return Tokens(self.database, clock=self.clock, ids=self.ids, randomness=urandom)

    @cached_property
    def author(self) -> "Author":
        """Makes automations imperatively."""
        from automations.services.plan.author import Author

        return Author(self.database, self.clock, self.ids)

    @cached_property
    def webhook_routes(self) -> "WebhookRoutes":
        """Makes and tries webhook routes."""
        from automations.services.trigger.webhook_routes import WebhookRoutes

        return WebhookRoutes(self.database, self.clock, self.ids)

    @cached_property
    def import_store(self) -> "ImportStore":
        """Brings the original's store over."""
        from automations.services.import_store import ImportStore

        return ImportStore(self.database, clock=self.clock, ids=self.ids)

    @cached_property
    def short_ids(self) -> "ShortIds":
        """Finds the ids that people type a part of."""
        from automations.services.short_ids import ShortIds

        return ShortIds(self.database)

    @cached_property
    def inspect(self) -> "Inspect":
        """Reads."""
        from automations.services.inspect import Inspect

        url = self.settings.store_url
        shown = "/" + url.removeprefix("sqlite:").lstrip("/") if url.startswith("sqlite:") else "postgresql"
        return Inspect(self.database, clock=self.clock, data_dir=str(self.settings.data_dir), store=shown)

    def doctor(self, around: "Surroundings") -> "Doctor":
        """Examines the store and what is around it."""
        from automations.services.doctor import Doctor

        return Doctor(self.database, self.bindings, clock=self.clock, around=around)

    def reconciler(self, source: "SourceSettings", *, lead: "Lead | None" = None) -> "Reconciler":
        """A loop for one directory; with a `lead` only while it leads the source."""
        from pathlib import Path

        from automations.adapters.files import DirectoryTree
        from automations.core.plan.prune import Policy
        from automations.services.reconcile.reconcile import Parts, Reconciler, Source

        tree = DirectoryTree(Path(source.path))
        parts = Parts(self.database, self.bindings, self.apply, self.clock, self.ids, self.telemetry, reading=with_help)
        policy = Policy(source.prune, source.self_heal, source.prune_after)
        return Reconciler(Source(source.name, tree.root, policy), tree, parts, lead=lead)

    @cached_property
    def suspend(self) -> "Suspend":
        """Suspends and resumes."""
        from automations.services.reconcile.suspend import Suspend

        configured = frozenset(source.name for source in self.settings.sources)
        return Suspend(self.database, self.clock, self.telemetry, configured)

    @cached_property
    def expiry(self) -> "Expiry":
        """Ends what was meant to last for a while."""
        from automations.services.run.expire import Expiry

        return Expiry(self.database, self.clock, self.telemetry, self.suspend)

    def worker(self, runner: str, *, workdir: "Path", ended: Callable[[], None]) -> "Worker":
        """A worker with the executors that this machine has; `ended` is called from their threads."""
        from automations.adapters.executors import Host, local_executors
        from automations.adapters.launching import ThreadLauncher
        from automations.services.run.worker import Worker
        from automations.store.actions import Which

        host = Host(
            workdir=workdir,
            environment=self.settings.environment,
            interpreter=self.settings.python or sys.executable,
            mcp_servers=self.settings.mcp_servers,
            secret=self.secrets.value,
            known_secrets=self.secrets.known,
        )
        executors = local_executors(host)
        launcher = ThreadLauncher(executors, ended=ended)
        worker = Worker(self.database, self.queue, self.programs, launcher=launcher, clock=self.clock)
        worker.runner = runner
        worker.which = Which(tuple(executors))
        worker.telemetry = self.telemetry
        return worker

    def close(self) -> None:
        """Close the store."""
        self.database.close()


def open_runtime(settings: Settings) -> Runtime:
    """Open the store, bring its schema up to date, wire the rest. Raises StoreError, InvalidInput for a bad URL."""
    clock, ids = SystemClock(), UuidIds()
    database = open_database(settings.store_url)
    try:
        migrate(database, now=clock.now(), lineage=ids.new())
    except BaseException:
        database.close()
        raise
    return Runtime(settings, database, clock=clock, ids=ids, telemetry=Telemetry())


def rehearsal() -> "Rehearsal":
    """Plays cases of test files, each on a store of its own in memory."""
    from automations.services.fixture.rehearse import Rehearsal
    from automations.store.sqlite import SqliteDatabase

    return Rehearsal(SqliteDatabase.memory)


def with_help(
    files: "Sequence[tuple[str, bytes]]", shelf: "Shelf", progress: "Progress | None" = None
) -> "list[Interpreted]":
    """Thousands of files are read with helper processes, which takes longer to import than a few files to read."""
    from automations.services.spec.catalogue import one_by_one

    if len(files) < MANY:
        return one_by_one(files, shelf, progress)
    from automations.adapters.reading import read_all

    return read_all(files, shelf, progress)
