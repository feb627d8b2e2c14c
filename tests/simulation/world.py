"""The deterministic simulation: a seed decides who has a turn, what goes wrong and how time passes, around the real services.

One thread runs everything. A step is one actor's turn; between two transactions of a turn others may have theirs, so that
services interleave as processes do. After every commit the rows it touched are held against the invariants. The same seed gives
the same trace, so a failure is reproduced by its seed.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from random import Random
from typing import Any, NoReturn

import apsw

from automations.core.instant import SECOND
from automations.core.plan.prune import Policy, Prune
from automations.core.run.execution import Invocation
from automations.errors import StoreUnavailable
from automations.store.migrate import migrate
from automations.store.sqlite import SqliteDatabase
from automations.store.sqlite_file import connect_memory
from automations.store.sqlite_lanes import SingleLane
from simulation.clients import Canceller, Operator, Runner, Sender
from simulation.deciding import Decider
from simulation.editor import Editor
from simulation.faults import Fault, FaultyDatabase, Killed, Process, Weather
from simulation.invariants import check, check_whole
from simulation.mirror import KEYS, Frame, Mirror, moment
from simulation.outside import Recorder, SeededIds, VirtualClock, VirtualLauncher
from simulation.programs import Daemon, Outside, Program, Stage
from simulation.specs import GONE_AFTER

SHOWN = 30
DAEMONS = ("d1", "d2")
LONGEST_AWAY = 40
POLICIES: tuple[Prune, ...] = ("off", "confirm", "auto", "auto")
RACED = "another process read this directory anew"
"""What a reconciliation may fail with though no fault struck it."""


class Stop(BaseException):
    """An invariant is broken; unwinds whatever is under way (hence no `Exception`, which services may catch)."""


class Broken(AssertionError):
    """What a simulation that found something ends with: seed, step, and the end of the trace."""


class World:
    """One simulation."""

    def __init__(self, seed: int, weather: Weather | None = None) -> None:
        self.seed = seed
        self.weather = weather or Weather()
        self.random = Random(seed)  # noqa: S311  # a seed is what we want
        self.counts: Counter[str] = Counter()
        self.steps = 0
        self.stage = Stage()
        self.mirror = Mirror()
        self.clock = VirtualClock(self.stage.looked)
        self._lines: deque[str] = deque(maxlen=SHOWN)
        self._hash = sha256()
        self._touched: dict[tuple[str, int], None] = {}
        lane = SingleLane(self._connect, patience=1)
        self.store = SqliteDatabase(lane, lane, where="in memory")
        ids = SeededIds(self.clock, Random(f"ids {seed}"))  # noqa: S311  # the same
        migrate(self.store, now=self.clock.now(), lineage=ids.new())
        self.outside = Outside(self.stage, self.mirror, self.clock, ids=ids, recorder=Recorder(self._told))
        self.outside.tree.taken = self._taken
        prune = Random(f"policy {seed}").choice(POLICIES)  # noqa: S311  # a seed is what we want
        self.outside.policy = Policy(prune, gone_after=GONE_AFTER)
        self.launcher = VirtualLauncher(self.clock, self.random, launched=self._launched)
        self.sender = Sender(self.random, self.count)
        self.runner = Runner(self.random, self.count)
        self.editor = Editor(self.outside.tree, self.random, count=self.count, bumps=seed % 3 == 0)
        self.canceller = Canceller(self.random, self.mirror, count=self.count)
        self.operator = Operator(self.outside.tree, self.clock, count=self.count)
        self.decider = Decider(self.mirror, self.random, count=self.count)
        self._lives: Counter[str] = Counter()
        self.daemons: dict[str, Daemon] = {}
        self._away: dict[str, int] = dict.fromkeys(DAEMONS, 0)
        self.external = self._program("x")
        self.committed()

    # --- what the wrapped store asks ----------------------------------------------------------------------------------

    def between(self, process: Process) -> None:
        """See `faults.Surroundings`."""
        if len(self.stage.frames) <= self.weather.depth and self.random.random() < self.weather.between:
            self.count("interleaved")
            self.turn()

    def fault(self, among: tuple[Fault, ...]) -> Fault | None:
        """See `faults.Surroundings`."""
        if not self.weather.fault or self.random.random() >= self.weather.fault:
            return None
        struck = self.random.choice(among)
        self.count(str(struck))
        self.stage.frame.faults += 1
        self.say(f"fault: {struck}")
        return struck

    def which(self, end: int) -> int:
        """See `faults.Surroundings`."""
        return self.random.randrange(end)

    def kill(self, process: Process) -> None:
        """See `faults.Surroundings`."""
        process.alive = False
        name = process.name.partition(".")[0]
        if any(row["claimed_by"] == process.name and row["status"] == "claimed" for row in self._actions()):
            self.count("killed_while_claimed")
        if name in self.daemons:
            del self.daemons[name]
            self._away[name] = self.steps + self.random.randrange(LONGEST_AWAY)
        else:
            self.runner.hands.clear()
            self.external = self._program("x")
        self.count("killed")
        self.say(f"{process.name} is killed")

    def began(self) -> None:
        """See `faults.Surroundings`."""
        self._touched.clear()

    def committed(self) -> None:
        """See `faults.Surroundings`."""
        frame = self.stage.frame if self.stage.frames else Frame("setup", "setup")
        with self.store.read() as tx:
            changes = self.mirror.absorb(tx, self._touched)
        self._touched.clear()
        if not changes or not self.stage.frames:
            return
        self.say("commit: " + " ".join(f"{each.table}:{_short(each.new, each.key)}" for each in changes))
        self._note(changes)
        problems = check(moment(self.mirror, frame, changes))
        if problems:
            self.stop(problems)

    # --- turns --------------------------------------------------------------------------------------------------------

    def run(self, steps: int) -> None:
        """That many turns, with everything going wrong. Raises Broken."""
        with self.reported():
            for _ in range(steps):
                self.steps += 1
                self.turn()
                if self.steps % 50 == 0:
                    self.look_at_everything()

    def turn(self) -> None:
        """One turn of one actor that the seed picks."""
        turns, weights = zip(*TURNS, strict=True)
        churn = self.weather.churn
        weighed = [each * churn if turn in AT_DEFINITIONS else each for turn, each in zip(turns, weights, strict=True)]
        self.random.choices(turns, weighed)[0](self)

    def perform(self, program: Program, service: str, act: Callable[[], object]) -> bool:
        """One service's turn in one process; whether it came to its end."""
        if any(frame.process == program.process.name and frame.service == service for frame in self.stage.frames):
            return False
        frame = Frame(program.process.name, service, self.clock.at)
        self.stage.frames.append(frame)
        self.count(f"turn_{service}")
        try:
            self.say("begins")
            act()
        except Killed:
            return False
        except StoreUnavailable as unavailable:
            if not frame.faults:
                self.stop([f"{service} found the store unavailable without a fault: {unavailable}"])
            self.say(f"gives up: {unavailable.message}")
            return False
        except Stop:
            raise
        except Exception as problem:  # noqa: BLE001  # whatever it is, it is a finding
            self.stop([f"{service} raised {type(problem).__name__}: {problem}"])
        finally:
            self.stage.frames.pop()
        return True

    def daemon(self) -> Daemon | None:
        """A daemon that lives, if one does."""
        for name in DAEMONS:
            if name not in self.daemons and self._away[name] <= self.steps:
                self.boot(name)
        return self.random.choice(list(self.daemons.values())) if self.daemons else None

    def boot(self, name: str) -> None:
        """A new process with a new name for what it does."""
        process = self._process(name)
        database = FaultyDatabase(self.store, process, world=self)
        self.daemons[name] = Daemon(process, database, self.outside, launcher=self.launcher)
        self.say(f"{process.name} boots")

    def commander(self) -> Program:
        """A short-lived process, as a command is."""
        return self._program("cli")

    # --- what is told -------------------------------------------------------------------------------------------------

    def count(self, what: str) -> None:
        """One more of something that a run should have seen."""
        self.counts[what] += 1

    def say(self, text: str) -> None:
        """One line of the trace."""
        frames = self.stage.frames
        who = f"{frames[-1].process}/{frames[-1].service}" if frames else "world"
        line = f"{self.steps:5d} {(self.clock.at // 1000) % 100_000_000:>9d}ms {'  ' * max(0, len(frames) - 1)}{who}: {text}"
        self._lines.append(line)
        self._hash.update(line.encode() + b"\n")

    @property
    def digest(self) -> str:
        """Of the whole trace so far."""
        return self._hash.hexdigest()

    def stop(self, problems: list[str]) -> NoReturn:
        """Something is broken. Raises Stop."""
        for problem in problems:
            self.say(f"BROKEN: {problem}")
        raise Stop("; ".join(problems))

    def look_at_everything(self) -> None:
        """The checks that are too dear for every commit. Raises Stop."""
        with self.store.read() as tx:
            unseen = self.mirror.differences(tx)
        problems = [f"changes of {table} went unseen" for table in unseen] + check_whole(self.mirror)
        for result in self.sender.acknowledged.values():
            if self.mirror.get("events", result.event_row_id) is None:
                problems.append(f"acknowledged event {result.event_row_id} is not there")
            gone = [each["runId"] for each in result.materialized if self.mirror.get("runs", each["runId"]) is None]
            problems += [f"run {run_id} was acknowledged and is not there" for run_id in gone]
        if problems:
            self.stop(problems)

    @contextmanager
    def reported(self) -> Iterator[None]:
        """Turn a stop into a report that can be read and replayed. Raises Broken."""
        try:
            yield
        except Stop as found:
            shown = "\n".join(self._lines)
            raise Broken(f"seed {self.seed}, step {self.steps}: {found}\n{shown}") from None

    # --- inside -------------------------------------------------------------------------------------------------------

    def _connect(self) -> apsw.Connection:
        connection = connect_memory()
        connection.set_update_hook(self._hook)
        return connection

    def _hook(self, _kind: int, _database: str, table: str, rowid: int) -> None:
        if table in KEYS:
            self._touched[table, rowid] = None

    def _process(self, name: str) -> Process:
        self._lives[name] += 1
        return Process(f"{name}.{self._lives[name]}")

    def _program(self, name: str) -> Program:
        process = self._process(name)
        return Program(process, FaultyDatabase(self.store, process, world=self), self.outside)

    def _actions(self) -> Iterator[dict[str, Any]]:
        yield from self.mirror.rows["actions"].values()

    def _taken(self, files: Mapping[str, Any] | None) -> None:
        self.stage.frame.files = files
        if files is None:
            self.count("untrusted")

    def _launched(self, invocation: Invocation) -> None:
        row = self.mirror.get("actions", invocation.action_row_id)
        if row is None or row["fence"] < invocation.fence or row["input_digest"] is None:
            self.stop([f"launched what was never handed out: {invocation}"])
        self.count("launched")

    def _told(self, event: str, fields: Mapping[str, Any]) -> None:
        self.count(event)
        self.say(f"{event} " + " ".join(f"{name}={value}" for name, value in fields.items()))
        if event == "run.set_aside":  # that is for what should never be
            self.stop([f"{event}: {dict(fields)}"])
        excused = self.stage.frames and (self.stage.frame.faults or RACED in str(fields.get("error")))
        moved = event == "ingest.group_retried" and fields.get("error") == "RouteMoved"  # its sender sends it again
        if (event in ("ingest.failed", "ingest.group_retried") and not moved) or (
            event == "reconcile.failed" and not excused
        ):
            self.stop([f"{event}: {dict(fields)}"])

    def _note(self, changes: list[Any]) -> None:
        for change in changes:
            if change.table == "actions" and change.new:
                self.count(f"action_{change.new['status']}")
            elif change.table == "event_outcomes" and change.new:
                self.count(f"outcome_{change.new['outcome']}")
            elif change.table == "runs" and change.new:
                self.count(f"run_{change.new['status']}")


def _short(row: Mapping[str, Any] | None, key: tuple[Any, ...]) -> str:
    if row is None:
        return f"{key[0]}=gone"
    name = str(row.get("step_id") or row.get("path") or key[0])[-12:]
    told = [str(row[each]) for each in ("status", "outcome", "fence", "generation", "serial") if each in row]
    return "/".join([name, *told])


# --- who may have a turn ----------------------------------------------------------------------------------------------


def _send(world: World) -> None:
    daemon = world.daemon()
    if daemon:
        world.perform(daemon, "ingest", lambda: world.sender.send(daemon))


def _work(world: World) -> None:
    daemon = world.daemon()
    if daemon:
        world.perform(daemon, "worker", lambda: daemon.worker.tick(world.clock.now()))


def _recover(world: World) -> None:
    daemon = world.daemon()
    if daemon:
        world.perform(daemon, "recover", daemon.queue.recover)


def _reconcile(world: World) -> None:
    daemon = world.daemon()
    if daemon:
        world.perform(daemon, "reconcile", lambda: daemon.reconciler.tick(world.clock.now()))


def _timers(world: World) -> None:
    daemon = world.daemon()
    if daemon:
        world.perform(daemon, "timers", lambda: daemon.timers.tick(world.clock.now()))


def _lease(world: World) -> None:
    daemon = world.daemon()
    if daemon:
        world.perform(daemon, "lease", lambda: world.count("lease_held" if daemon.beat() else "lease_refused"))


def _external(world: World) -> None:
    world.perform(world.external, "runner", lambda: world.runner.turn(world.external))


def _operate(world: World) -> None:
    program = world.commander()
    world.perform(program, "operator", lambda: world.operator.turn(program, confirms=world.random.random() < 0.5))


def _decide(world: World) -> None:
    program = world.commander()
    world.perform(program, "decider", lambda: world.decider.turn(program))


def _approvals(world: World) -> None:
    daemon = world.daemon()
    if daemon:
        world.perform(daemon, "approvals", lambda: daemon.approvals.tick(world.clock.now()))


def _seal(world: World) -> None:
    daemon = world.daemon()
    if daemon:
        world.perform(daemon, "audit", lambda: daemon.sealer.tick(world.clock.now()))


def _confirm(world: World) -> None:
    program = world.commander()
    world.perform(program, "operator", lambda: world.operator.confirm(program, off_by_one=world.random.random() < 0.3))


def _suspend(world: World) -> None:
    program = world.commander()
    world.perform(program, "operator", lambda: world.operator.suspend(program, world.random, now=world.clock.at))


def _expire(world: World) -> None:
    daemon = world.daemon()
    if daemon:
        world.perform(daemon, "expiry", lambda: daemon.expiry.tick(world.clock.now()))


def _cancel(world: World) -> None:
    program = world.commander()
    world.perform(program, "canceller", lambda: world.canceller.turn(program))


def _edit(world: World) -> None:
    world.say(f"edit: {world.editor.turn()}")


def _wait(world: World) -> None:
    world.clock.at += int(world.random.choice((0.001, 0.05, 0.5, 1, 1, 3, 8)) * SECOND)


def _jump(world: World) -> None:
    """The clock is set, or the machine slept."""
    seconds = world.random.choice((-45, -10, -1, 40, 90, 600))
    world.clock.at += seconds * SECOND
    world.count("clock_forward" if seconds > 0 else "clock_back")
    world.say(f"the clock jumps {seconds} s")


def _kill(world: World) -> None:
    daemon = world.daemon()
    if daemon and not world.stage.frames:
        daemon.process.alive = False
        world.kill(daemon.process)


TURNS: tuple[tuple[Callable[[World], None], float], ...] = (
    (_send, 16),
    (_work, 32),
    (_external, 16),
    (_recover, 6),
    (_timers, 8),
    (_reconcile, 7),
    (_edit, 5),
    (_operate, 1.5),
    (_decide, 4),
    (_approvals, 3),
    (_seal, 2),
    (_confirm, 0.7),
    (_suspend, 0.7),
    (_expire, 0.7),
    (_cancel, 2),
    (_lease, 3),
    (_wait, 18),
    (_jump, 1.2),
    (_kill, 0.7),
)
AT_DEFINITIONS = frozenset({_reconcile, _edit, _operate, _confirm, _suspend, _expire})
