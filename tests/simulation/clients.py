"""Those who use the program from outside: senders of events, a runner on another machine, an operator at a terminal."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from automations.core.instant import SECOND
from automations.core.plan.plan import Request
from automations.core.plan.state import source_owner
from automations.core.run.queue import Failure, Holder
from automations.core.spec.snapshot import Untrusted
from automations.core.trigger.envelope import Envelope, identity, scope_of
from automations.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    Refused,
    RouteMoved,
    SpecInvalid,
    StalePlan,
    StoreUnavailable,
)
from automations.services.plan.apply import Authority
from automations.services.plan.plan import plan
from automations.services.run.queue import Claim, Done, Undone
from automations.services.spec.catalogue import catalogue_of, known_stamps
from automations.services.trigger.ingest import Delivery, Ingested
from automations.store import automations, suspensions
from automations.store.database import Row
from simulation.mirror import Mirror
from simulation.outside import ROOT, VirtualClock, VirtualTree
from simulation.programs import Daemon, Program
from simulation.specs import ONCE_WITHIN, SOURCE

Say = Callable[[str], None]
PATHS = ("/in/1", "/in/2", "/in/3")
GUARDED = "/in/3"
"""The path where one signed body is one event, whatever id comes with it."""


@dataclass(slots=True)
class Parcel:
    """One event as its sender knows it. `door` is a webhook's path, or None for the bus; `body` and `text` name its bytes."""

    key: str
    door: str | None
    source: str
    kind: str
    data: dict[str, Any]
    body: int = 0
    text: str = ""

    def delivery(self, envelope: Envelope) -> Delivery:
        """What the edge hands in."""
        once_within = ONCE_WITHIN if self.door == GUARDED else None
        return Delivery(envelope, f"{self.text or self.key}-{self.body}", once_within)


@dataclass(slots=True)
class Sender:
    """Sends events, repeats some, and sends again whatever was not acknowledged."""

    random: Random
    count: Say
    pending: list[Parcel] = field(default_factory=list)
    sent: list[Parcel] = field(default_factory=list)
    acknowledged: dict[tuple[str, str], Ingested] = field(default_factory=dict)
    repeated: int = 0

    def send(self, daemon: Daemon, *, fresh: bool = True) -> None:
        """Deliver one event or a group through this daemon. Raises what the edge would answer 503 for."""
        parcels = self._choose() if fresh else self.pending[:4]
        envelopes = [self._envelope(daemon, parcel) for parcel in parcels]
        group = [(parcel, each) for parcel, each in zip(parcels, envelopes, strict=True) if each is not None]
        self.pending = [each for each in self.pending if each not in parcels]
        self.pending += [parcel for parcel, _ in group]
        if not group:
            return
        deliveries = [parcel.delivery(envelope) for parcel, envelope in group]
        results = daemon.ingest.many(deliveries) if len(group) > 1 else [self._alone(daemon, deliveries[0])]
        for (parcel, envelope), result in zip(group, results, strict=True):
            if isinstance(result, Ingested):
                self._acknowledged(parcel, envelope, result=result)
            elif not isinstance(result, StoreUnavailable | RouteMoved):
                raise result

    def _alone(self, daemon: Daemon, delivery: Delivery) -> Ingested | RouteMoved:
        """A route that was changed in between is answered 503 too: the same delivery meets the new one."""
        try:
            return daemon.ingest.one(delivery)
        except RouteMoved as moved:
            self.count("route_moved")
            return moved

    def _choose(self) -> list[Parcel]:
        if self.pending and self.random.random() < 0.3:
            return [self.random.choice(self.pending)]
        return [self._one() for _ in range(self.random.choice((1, 1, 1, 2, 4)))]

    def _one(self) -> Parcel:
        if self.sent and self.random.random() < 0.3:
            seen = self.random.choice(self.sent[-12:])
            changed = self.random.random() < 0.2
            same = {**seen.data, "n": self.random.randrange(9)} if changed else seen.data
            name = seen.key
            if seen.door == GUARDED and self.random.random() < 0.5:  # somebody who saw it sends it under another id
                self.repeated += 1
                name = f"r{self.repeated}"
            return Parcel(name, seen.door, seen.source, seen.kind, same, seen.body + changed, seen.key)
        door = self.random.choice((None, None, *PATHS))
        source = self.random.choice(("shop", "depot", "elsewhere"))
        data: dict[str, Any] = {"for": self.random.choice("abc"), "n": self.random.randrange(9)}
        spoil = self.random.random()
        if spoil < 0.04:
            del data["n"]
        elif spoil < 0.08:
            data["n"] = "many"
        parcel = Parcel(f"e{len(self.sent)}", door, source, self.random.choice(("order.paid", "note")), data)
        self.sent.append(parcel)
        return parcel

    def _envelope(self, daemon: Daemon, parcel: Parcel) -> Envelope | None:
        """What the edge makes of it; None where the webhook's path leads nowhere."""
        if parcel.door is None:
            dedupe = parcel.key if len(parcel.key) % 2 else None
            name = f"id-{parcel.key}-{parcel.body}" if dedupe else parcel.key
            return Envelope(name, parcel.source, parcel.kind, data=parcel.data, dedupe_key=dedupe)
        route = daemon.bindings.current().routes.get(parcel.door)
        if route is None or route.gone:
            self.count("no_route")
            return None
        owner = route.route.automation_id
        return Envelope(
            parcel.key,
            "hook",
            "call",
            data=parcel.data,
            origin="webhook",
            route_id=route.route.id,
            route_automation_id=owner,
        )

    def _acknowledged(self, parcel: Parcel, envelope: Envelope, *, result: Ingested) -> None:
        self.count("acknowledged")
        if result.duplicate:
            self.count("duplicate")
        if result.conflict:
            self.count("conflict")
        self.pending = [each for each in self.pending if each is not parcel]
        if result.replay:  # its id stays free
            self.count("replayed")
            return
        where = scope_of(envelope)
        before = self.acknowledged.get((where, identity(envelope)))
        if before is not None and before.materialized and before.materialized != result.materialized:
            raise AssertionError(f"{identity(envelope)} was answered {before.materialized}, now {result.materialized}")
        self.acknowledged[where, identity(envelope)] = result


@dataclass(slots=True)
class Hand:
    """A claim as an external runner remembers it."""

    row: Row
    holder: Holder


@dataclass(slots=True)
class Runner:
    """A runner on another machine: late, forgetful, and sometimes wrong about what it holds."""

    random: Random
    count: Say
    hands: list[Hand] = field(default_factory=list)
    past: list[Hand] = field(default_factory=list)

    def turn(self, program: Program) -> None:
        """Claim, or do something about a claim."""
        if not self.hands or self.random.random() < 0.35:
            self.claim(program)
            return
        hand = self.random.choice(self.hands)
        deeds = (self._finish, self._finish, self._finish, self._beat, self._release, self._stale, self._lie)
        self.random.choice(deeds)(program, hand)

    def claim(self, program: Program) -> None:
        """Lease a few actions of any kind."""
        lease = self.random.choice((5, 30, 30, 90)) * SECOND
        asked = Claim(program.process.name, limit=self.random.choice((1, 1, 3)), lease=lease)
        for row in program.queue.claim(asked):
            fenced = self.random.random() < 0.7
            self.hands.append(Hand(row, Holder(program.process.name, row["fence"] if fenced else None)))

    def finish(self, program: Program, hand: Hand) -> None:
        """Report success."""
        self._report(program, Done(hand.row["id"], hand.holder, {"ok": True, "output": {"value": 7}}))
        self._done(hand)

    def work_off(self, program: Program) -> None:
        """Finish everything there is, as a runner should."""
        self.hands.clear()
        for row in program.queue.claim(Claim(program.process.name, limit=100)):
            self.finish(program, Hand(row, Holder(program.process.name, row["fence"])))

    def _finish(self, program: Program, hand: Hand) -> None:
        if self.random.random() < 0.6:
            self.finish(program, hand)
            return
        retryable = self.random.random() < 0.8
        backoff = self.random.choice((None, 0, 20 * SECOND))
        self._report(program, Undone(hand.row["id"], hand.holder, Failure(retryable=retryable, backoff=backoff)))
        self._done(hand)

    def _beat(self, program: Program, hand: Hand) -> None:
        if not program.queue.heartbeat(hand.row["id"], Holder(hand.holder.runner, hand.row["fence"])):
            self.count("heartbeat_refused")

    def _release(self, program: Program, hand: Hand) -> None:
        if program.queue.release(hand.row["id"], Holder(hand.holder.runner, hand.row["fence"])):
            self.count("released")
        else:
            self.count("release_refused")
        self._done(hand)

    def _stale(self, program: Program, hand: Hand) -> None:
        """Report about a claim of long ago, or twice about one."""
        old = self.random.choice(self.past) if self.past else hand
        self.count("stale_report")
        self._report(
            program, Done(old.row["id"], Holder(old.holder.runner, old.row["fence"]), {"output": {"value": 1}})
        )

    def _lie(self, program: Program, hand: Hand) -> None:
        """Report about somebody else's claim, or about what does not exist."""
        self.count("lie")
        name = self.random.choice(("nobody", hand.holder.runner))
        action = hand.row["id"] if name == "nobody" else self.random.choice((hand.row["run_id"], "none"))
        self._report(program, Undone(action, Holder(name), Failure()))

    def _report(self, program: Program, report: Done | Undone) -> None:
        try:
            row = program.queue.settle([report])[0]
        except (Conflict, NotFound) as refusal:
            self.count("report_refused")
            if "lease expired" in refusal.message:
                self.count("report_late")
        else:
            assert row["id"] == report.action_id
            assert row["status"] in ("succeeded", "retrying", "dead", "cancelled")

    def _done(self, hand: Hand) -> None:
        self.hands = [each for each in self.hands if each is not hand]
        self.past = [*self.past[-20:], hand]


class Canceller:
    """Somebody who cancels runs and actions, also those that are over or were cancelled before."""

    def __init__(self, random: Random, mirror: Mirror, *, count: Say) -> None:
        self._random = random
        self._mirror = mirror
        self._count = count

    def turn(self, program: Program) -> None:
        """Cancel one run or one action, most often one that is under way."""
        table = self._random.choice(("runs", "runs", "actions"))
        rows = list(self._mirror.rows[table].values())
        live = [row for row in rows if row["completed_at"] is None]
        among = live if live and self._random.random() < 0.8 else rows
        if not among:
            return
        row = self._random.choice(among)
        try:
            if table == "runs":
                program.cancel.run(row["id"], actor="canceller", reason="for a test")
            else:
                program.cancel.action(row["id"], actor="canceller")
        except Conflict:
            self._count("cancel_refused")


class Operator:
    """Somebody who plans and applies by hand, strictly, also what the loop withholds."""

    def __init__(self, tree: VirtualTree, clock: VirtualClock, *, count: Say) -> None:
        self._tree = tree
        self._clock = clock
        self._count = count

    def turn(self, program: Program, *, confirms: bool) -> None:
        """Plan, then apply exactly that; `confirms` says the exact number of removals that it shows."""
        database = program.database
        snapshot = self._tree.take(known_stamps(database, ROOT))
        if isinstance(snapshot, Untrusted) or not snapshot.files:
            return
        try:
            catalogue = catalogue_of(database, snapshot, owner=source_owner(SOURCE))
            made = plan(database, catalogue, Request(SOURCE, now=self._clock.now()), prefix=snapshot.prefix)
        except Conflict:
            self._count("apply_raced")
            return
        authority = Authority("operator", made.destroys if made.destroys and confirms else None)
        try:
            program.apply.strict(made, authority, prefix=snapshot.prefix)
            self._count("applied")
        except (SpecInvalid, Refused, StalePlan, Conflict) as refusal:
            self._count(f"apply_{refusal.code}")

    def confirm(self, program: Program, *, off_by_one: bool) -> None:
        """One round of the loop by hand, and then the word that what waits may go: the exact number, or a wrong one."""
        waits = program.reconciler.reconcile(afresh=True).verdict.count
        if not waits:
            return
        try:
            settled = program.reconciler.reconcile(confirm=waits + off_by_one).settled
            self._count("confirmed" if settled else "confirm_unsettled")
        except (Refused, Conflict) as refusal:
            self._count(f"confirm_{refusal.code}")

    def suspend(self, program: Program, random: Random, *, now: int) -> None:
        """Pause an automation or the source by hand, for a while or until it is resumed; or resume it."""
        with program.database.read() as tx:
            ids = [row["id"] for row in automations.every(tx) if row["deleted_at"] is None]
        name = random.choice(ids) if ids and random.random() < 0.65 else f"source:{SOURCE}"
        try:
            if random.random() < 0.4:
                program.suspend.resume(name, actor="operator")
                self._count("resumed")
            else:
                until = random.choice((None, now + 20 * SECOND, now + 90 * SECOND))
                program.suspend.suspend(name, reason="by hand", until=until, actor="operator")
                self._count("suspended_source" if name.startswith("source:") else "suspended")
        except (Conflict, NotFound, InvalidInput) as refusal:
            self._count(f"suspend_{refusal.code}")

    def resume_all(self, program: Program) -> None:
        """End every pause by hand."""
        with program.database.read() as tx:
            held = suspensions.every(tx)
            names = automations.ids(tx, [row["subject"] for row in held])
        for row in held:
            name: str = names.get(row["subject"]) or row["subject"]
            if row["subject"] in names or name.startswith("source:"):
                program.suspend.resume(name, actor="operator")
