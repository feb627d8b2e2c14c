"""The verb work: claim actions that this program can carry out, launch them, keep their leases, report how they ended.

A tick never blocks on an action: launching and finishing are the launcher's, so the same worker runs on threads in the daemon
and on a seeded schedule in the simulation.
"""

from dataclasses import dataclass

from automations.core.canonical import decode
from automations.core.run.execution import Cancelled, Failed, Invocation, Outcome, Succeeded
from automations.core.run.program import EXECUTABLE, StepProgram
from automations.core.run.queue import Failure, Holder
from automations.core.spec.model import Binding
from automations.errors import Conflict, NotFound, StoreUnavailable
from automations.services.ports import Clock, Launcher, Running, Telemetry
from automations.services.run.programs import Programs
from automations.services.run.queue import LEASE, Claim, Done, Queue, Undone, input_of
from automations.store import runs
from automations.store.actions import Which
from automations.store.database import Database, Row

FIRST_LOOK, IDLE = 50_000, 1_000_000
"""How soon an idle worker looks again, at first and in the long run, unless it is woken (microseconds).

Other processes queue work too, and a store tells nobody of it; where work was just now, more is likely to come.
"""


@dataclass(slots=True)
class _Slot:
    row: Row
    holder: Holder
    running: Running
    beat_at: int


class Worker:
    """Runs up to `concurrency` actions at a time as one runner."""

    def __init__(
        self, database: Database, queue: Queue, programs: Programs, *, launcher: Launcher, clock: Clock
    ) -> None:
        self._database = database
        self._queue = queue
        self._programs = programs
        self._launcher = launcher
        self._clock = clock
        self._claimed: list[Row] = []
        """Claimed and not started yet: the store went away in between."""
        self._slots: list[_Slot] = []
        self._draining = False
        self.runner = "local"
        self.concurrency = 8
        self.lease = LEASE
        self.which = Which(EXECUTABLE)
        """What it claims: kinds of executors, and perhaps only some action ids."""
        self._look = FIRST_LOOK
        self.telemetry: Telemetry | None = None

    def tick(self, now: int) -> int:
        """Report what ended, stop what was cancelled, keep leases, start what fits; when to come back (microseconds)."""
        self._reap()
        self._heed()
        self._beat(now)
        free = self.concurrency - self.busy
        if free > 0 and not self._draining:
            self._claimed += self._queue.claim(Claim(self.runner, limit=free, lease=self.lease, which=self.which))
            self._look = FIRST_LOOK if self._claimed else min(IDLE, 2 * self._look)
        while self._claimed:
            self._begin(self._claimed[0], now=now)
            del self._claimed[0]
        return self._due(now)

    def drain(self) -> None:
        """Claim nothing more."""
        self._draining = True

    @property
    def busy(self) -> int:
        """How many actions are in our hands."""
        return len(self._slots) + len(self._claimed)

    def abandon(self) -> None:
        """Stop what still runs; each action goes back to the queue without spending an attempt."""
        self._draining = True
        for slot in self._slots:
            slot.running.cancel("drain")

    def _reap(self) -> None:
        ended = [slot for slot in self._slots if slot.running.outcome() is not None]
        for slot in ended:
            outcome = slot.running.outcome()
            assert outcome is not None  # noqa: S101  # just selected by it
            self._report(slot, outcome)
            self._slots.remove(slot)

    def _report(self, slot: _Slot, outcome: Outcome) -> None:
        action_id = slot.row["id"]
        try:
            match outcome:
                case Succeeded(output, metadata):
                    result = {"ok": True, "output": output}
                    if metadata:
                        result["metadata"] = dict(metadata)
                    self._queue.complete(Done(action_id, slot.holder, result))
                case Failed(code, message, retryable, retry_after, metadata):
                    failure = Failure(code, message, retryable, retry_after=retry_after, metadata=metadata or None)
                    self._queue.fail(Undone(action_id, slot.holder, failure))
                case Cancelled():
                    self._queue.release(action_id, slot.holder)
        except (Conflict, NotFound) as lost:
            self._queue.release(action_id, slot.holder)  # it may have ended while it was asked to stop
            if self.telemetry:
                self.telemetry.emit("action.report_refused", action=action_id, reason=lost.message)
        except StoreUnavailable:
            raise  # the report is made again
        except Exception as problem:  # noqa: BLE001  # made again it would fail again, for ever before all others
            if self.telemetry:
                self.telemetry.emit("action.report_failed", action=action_id, reason=str(problem))

    def _heed(self) -> None:
        """Stop what somebody cancelled; its end is reported when nothing of it runs any more."""
        if self._slots:
            asked = self._queue.asked_to_stop(self.runner)
            for slot in self._slots:
                if slot.row["id"] in asked:
                    slot.running.cancel("cancelled")

    def _beat(self, now: int) -> None:
        for slot in self._slots:
            if slot.beat_at > now:
                continue
            slot.beat_at = now + self.lease // 3
            if not self._queue.heartbeat(slot.row["id"], slot.holder, lease=self.lease):
                slot.running.cancel("lease lost")
                if self.telemetry:
                    self.telemetry.emit("action.lease_lost", action=slot.row["id"], runner=self.runner)

    def _begin(self, row: Row, *, now: int) -> None:
        """Start a claimed action. Raises StoreUnavailable; then it is begun at the next tick, and its claim not wasted."""
        if now >= row["lease_expires_at"]:  # waited too long; it is in the queue again
            return
        if self._draining:
            self._queue.release(row["id"], Holder(self.runner, row["fence"]))
            return
        try:
            self._start(row)
        except StoreUnavailable:
            raise
        except Exception as problem:  # noqa: BLE001  # such as no more threads: it must not cost the others their claims
            failure = Failure("CANNOT_START", f"the attempt could not be started: {problem}"[:500], retryable=True)
            self._queue.fail(Undone(row["id"], Holder(self.runner, row["fence"]), failure))

    def _start(self, row: Row) -> None:
        holder = Holder(self.runner, row["fence"])
        with self._database.read() as tx:
            run = runs.get(tx, row["run_id"])
            assert run is not None  # noqa: S101  # an action is inserted with its run and never without
            step = self._programs.of_run(tx, run).step(row["step_id"])
        assert step.binding is not None  # noqa: S101  # `here` claims only what has a binding
        running = self._launcher.launch(_invocation(row, step, step.binding))
        self._slots.append(_Slot(row, holder, running, beat_at=row["lease_expires_at"] - 2 * self.lease // 3))

    def _due(self, now: int) -> int:
        due = now + self._look
        if self._slots:
            due = min(due, *(slot.beat_at for slot in self._slots))
        if len(self._slots) < self.concurrency and not self._draining:
            available = self._queue.next_available(self.which)
            if available is not None:
                due = min(due, max(available, now))
        return due


def _invocation(row: Row, step: StepProgram, binding: Binding) -> Invocation:
    return Invocation(
        action_row_id=row["id"],
        run_id=row["run_id"],
        automation_id=row["automation_id"],
        step_id=row["step_id"],
        action_id=row["action_id"],
        manifest_version=row["manifest_version"],
        # Events of two sources may have the same id; what a run does is its own, for whoever it is done to as well.
        idempotency_key=f"{row['idempotency_key']}@{row['run_id']}",
        attempt=row["attempt"] + 1,
        fence=row["fence"],
        input=input_of(row),
        binding=binding,
        timeout=step.step.timeout,
        secrets=step.secrets,
        hops=decode(row["metadata_json"]).get("hops", 0),
    )
