"""The real services as a daemon process holds them. All of it is in memory: a kill throws it away, a boot makes it anew."""

from collections.abc import Iterable

from automations.core.instant import SECOND
from automations.core.plan.prune import Policy
from automations.core.run.queue import Holder
from automations.errors import LockNotHeld
from automations.services.audit import Sealer
from automations.services.lead import Lead
from automations.services.lease import DaemonLease, Identity
from automations.services.plan.apply import Apply
from automations.services.plan.definitions import Bindings
from automations.services.reconcile.reconcile import Parts, Reconciler, Round, Source
from automations.services.reconcile.suspend import Suspend
from automations.services.run.approval import Approvals
from automations.services.run.approval import Parts as ApprovalParts
from automations.services.run.cancel import Cancel
from automations.services.run.cancel import Parts as CancelParts
from automations.services.run.expire import Expiry
from automations.services.run.programs import Programs
from automations.services.run.queue import LEASE, Done, Queue, Undone
from automations.services.run.replay import Parts as ReplayParts
from automations.services.run.replay import Replay
from automations.services.run.worker import Worker
from automations.services.trigger.ingest import Ingest
from automations.services.trigger.parts import Parts as TriggerParts
from automations.services.trigger.timers import Timers
from automations.store.database import Database, Row
from simulation.faults import Process
from simulation.mirror import Frame, Intent, Mirror
from simulation.outside import ROOT, Recorder, SeededIds, VirtualClock, VirtualLauncher, VirtualTree
from simulation.specs import SOURCE

LEASE_TTL = 15 * SECOND


class Stage:
    """Whose turn it is: the frames of services that are under way, the innermost last."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    @property
    def frame(self) -> Frame:
        """The innermost turn."""
        return self.frames[-1]

    def looked(self, at: int) -> None:
        """Whoever has the turn read the clock."""
        if self.frames:
            self.frame.read_at = at
            self.frame.latest = max(self.frame.latest, at)


class WatchedQueue(Queue):
    """The real queue, which also tells the stage what its caller asks for, for the invariants to judge by."""

    stage: Stage

    def settle(self, reports: Iterable[Done | Undone]) -> list[Row]:
        """See `Queue.settle`."""
        given = tuple(reports)
        asked = [Intent("done" if isinstance(each, Done) else "undone", each.action_id, each.holder) for each in given]
        self.stage.frame.intents = tuple(asked)
        try:
            return super().settle(given)
        finally:
            self.stage.frame.intents = ()

    def heartbeat(self, action_id: str, holder: Holder, *, lease: int = LEASE) -> bool:
        """See `Queue.heartbeat`."""
        self.stage.frame.intents = (Intent("beat", action_id, holder),)
        try:
            return super().heartbeat(action_id, holder, lease=lease)
        finally:
            self.stage.frame.intents = ()

    def release(self, action_id: str, holder: Holder) -> bool:
        """See `Queue.release`."""
        self.stage.frame.intents = (Intent("release", action_id, holder),)
        try:
            return super().release(action_id, holder)
        finally:
            self.stage.frame.intents = ()


class WatchedReconciler(Reconciler):
    """The real loop, which also tells the mirror what it has seen of the tree, whole and trusted."""

    stage: Stage
    mirror: Mirror

    def reconcile(self, *, resync: bool = False, afresh: bool = False, confirm: int | None = None) -> Round:
        """See `Reconciler.reconcile`."""
        begun = self.mirror.commits
        found = super().reconcile(resync=resync, afresh=afresh, confirm=confirm)
        if found.outcome in ("settled", "unsettled"):
            claimed = {text.claims for text in (self.stage.frame.files or {}).values()}
            self.mirror.sightings |= {each: begun for each in claimed if each}
        return found


class Outside:
    """What every process of a simulation shares."""

    def __init__(
        self, stage: Stage, mirror: Mirror, clock: VirtualClock, *, ids: SeededIds, recorder: Recorder
    ) -> None:
        self.stage = stage
        self.mirror = mirror
        self.clock = clock
        self.ids = ids
        self.telemetry = recorder
        self.tree = VirtualTree()
        self.policy = Policy()


class Program:
    """What any process has: its own view of the store, and the services that short commands use."""

    def __init__(self, process: Process, database: Database, outside: Outside, *, lead: Lead | None = None) -> None:
        self.process = process
        self.database = database
        self.programs = Programs()
        clock, ids, telemetry = outside.clock, outside.ids, outside.telemetry
        self.queue = WatchedQueue(database, self.programs, clock=clock, ids=ids, telemetry=telemetry)
        self.queue.stage = outside.stage
        self.cancel = Cancel(CancelParts(database, self.programs, clock, telemetry))
        self.apply = Apply(database, clock=clock, ids=ids, telemetry=telemetry)
        self.bindings = Bindings(database)
        self.approvals = Approvals(ApprovalParts(database, self.programs, clock, ids, telemetry))
        self.replay = Replay(ReplayParts(database, self.bindings, self.programs, clock, ids, telemetry))
        self.suspend = Suspend(database, clock, telemetry)
        parts = Parts(database, self.bindings, self.apply, clock, ids, telemetry)
        source = Source(SOURCE, ROOT, outside.policy)
        self.reconciler = WatchedReconciler(source, outside.tree, parts, watching=None, lead=lead)
        self.reconciler.stage, self.reconciler.mirror = outside.stage, outside.mirror


class Daemon(Program):
    """A daemon: takes events in, works, recovers, reconciles, keeps its lease."""

    def __init__(self, process: Process, database: Database, outside: Outside, *, launcher: VirtualLauncher) -> None:
        lead = Lead(database, SOURCE, me=f"daemon:{process.name}", clock=outside.clock, ttl=LEASE_TTL)
        super().__init__(process, database, outside, lead=lead)
        clock, ids, telemetry = outside.clock, outside.ids, outside.telemetry
        self.sealer = Sealer(database, clock=clock)
        self.ingest = Ingest(database, self.bindings, clock=clock, ids=ids, telemetry=telemetry)
        self.timers = Timers(TriggerParts(database, self.bindings, clock, ids, telemetry))
        self.worker = Worker(database, self.queue, self.programs, launcher=launcher, clock=clock)
        self.worker.runner = process.name
        self.worker.concurrency = 3
        self.worker.telemetry = telemetry
        self.reconciler.watch_healthy = True
        self.expiry = Expiry(database, clock, telemetry, self.suspend)
        host, _, life = process.name.partition(".")
        self.lease = DaemonLease(database, Identity(host, int(life), "run"), clock=clock, ttl=LEASE_TTL)

    def beat(self) -> bool:
        """Take or keep the lease; whether it is ours."""
        try:
            self.lease.beat()
        except LockNotHeld:
            return False
        return True
