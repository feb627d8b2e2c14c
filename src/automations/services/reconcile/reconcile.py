"""The verb reconcile: bring the state to what a directory declares, again and again, and say how that stands.

A round looks at the whole tree; a notification only makes it come sooner. An untrusted tree leads to no write but the source's
own conditions. Bad files keep their last good generation. What a tree no longer declares goes only as `core.plan.prune` judges,
because absence in a watched directory is too often an accident.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from automations.core.instant import SECOND
from automations.core.plan.backoff import Backoff
from automations.core.plan.hazards import Destroyed
from automations.core.plan.plan import Plan, Request, make_plan, mysterious
from automations.core.plan.prune import Policy, Situation, Verdict, confirmed, joined, judge
from automations.core.plan.standing import Pause
from automations.core.plan.state import State, source_owner
from automations.core.plan.together import Together, together
from automations.core.spec.catalogue import Catalogue
from automations.core.spec.snapshot import Snapshot, Untrusted
from automations.errors import AutomationsError, Conflict, LockNotHeld, Refused, StalePlan
from automations.services.lead import Lead
from automations.services.plan.apply import Apply, Authority
from automations.services.plan.definitions import Bindings, held_anew, load_state
from automations.services.plan.plan import with_old
from automations.services.ports import Clock, Ids, Telemetry, Tree
from automations.services.reconcile.extent import Extent, touched
from automations.services.reconcile.heal import Drift, Scope, drift, heal
from automations.services.reconcile.prune import counted, nothing_takes, ripens
from automations.services.reconcile.standing import Look, Standing
from automations.services.reconcile.succession import STANDBY, Succession
from automations.services.reconcile.suspend import pause_of_source
from automations.services.spec.catalogue import Reading, one_by_one
from automations.services.spec.recollection import Recollection
from automations.services.spec.settling import Settled, Settling
from automations.store import absences
from automations.store import state as states
from automations.store.database import ConstraintViolated, Database

RESYNC = 60 * SECOND
VERIFY = 600 * SECOND
"""How often a resync reads every file, though its times and inode say that it is the same."""
POLL = 2 * SECOND
"""How often the tree is looked at while it is not watched."""
LONGEST_BACKOFF = RESYNC
"""However often a tree could not be read, it is looked at again within one resync."""
WRITING = "somebody is writing in the tree"
RACES = 3
"""How often a round is planned anew because others changed definitions meanwhile."""


@dataclass(frozen=True, slots=True)
class Source:
    """A directory and the name its automations are owned under. `root` is absolute."""

    name: str
    root: str
    policy: Policy = field(default_factory=Policy)

    @property
    def owner(self) -> str:
        """Owner of what it declares."""
        return source_owner(self.name)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the loop works with."""

    database: Database
    bindings: Bindings
    apply: Apply
    clock: Clock
    ids: Ids
    telemetry: Telemetry
    reading: Reading = one_by_one


Outcome = Literal["settled", "untrusted", "unsettled", "suspended", "failing", "raced", "standby", "behind"]


@dataclass(frozen=True, slots=True)
class Round:
    """What one look came to. `settled`: the state is what the tree says, bad files and what is withheld aside."""

    outcome: Outcome
    message: str = ""
    plan: Plan | None = None
    verdict: Verdict = field(default_factory=Verdict)
    again_at: int | None = None
    """When to look again before the resync (microseconds), if there is a reason."""
    drifted: Drift = field(default_factory=dict)
    healed: Drift = field(default_factory=dict)
    """What was put right before the plan was made."""
    torn: bool = False
    """Whether the tree was left alone as a whole, because files in it that change together were not all there."""

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do."""
        return self.outcome == "settled"

    @property
    def at_rest(self) -> bool:
        """Whether the next look has nothing to do as long as nothing changes."""
        waits = self.plan is not None and (self.plan.withheld or self.plan.held_back)
        return self.settled and not waits and not self.drifted


class _Mark(NamedTuple):
    """What a look met: the serial of the definitions, and everything else."""

    serial: int
    rest: object


class Reconciler:
    """Keeps one source in step. `tick` is the whole loop; it returns when it wants to look again by itself."""

    def __init__(
        self, source: Source, tree: Tree, parts: Parts, *, watching: bool | None = True, lead: Lead | None = None
    ) -> None:
        self._source = source
        self._tree = tree
        self._parts = parts
        self._recollection = Recollection(parts.database, source.root, reading=parts.reading)
        self._standing = Standing(source, parts.database, parts.clock, parts.telemetry)
        self._unreadable = Backoff()
        self._failing = Backoff()
        self._resync_at = 0
        self._verified_at = -VERIFY
        self._settling = Settling()
        self._succession = Succession(lead)
        self._quiet: _Mark | None = None
        self._deep = False
        self._extent = Extent()
        self._drifted: Drift = {}
        self._known = -1
        """The serial of the definitions that the last round left behind, or met."""
        self.watch_healthy = watching
        """Set by the watcher; False means that only looking regularly notices changes, None that nobody watches for long."""
        self.actor = f"daemon:{source.name}"
        """Who is recorded for what a round commits."""
        self.heal_once = False
        """Whether somebody asked to have drift repaired, whatever the source's policy."""

    @property
    def parsed(self) -> int:
        """How many files this loop parsed, ever."""
        return self._recollection.parsed

    def resync(self) -> None:
        """Let the next tick believe nothing that is remembered of the files."""
        self._resync_at = 0
        self._verified_at = -VERIFY

    def knows(self, serial: int) -> bool:
        """Whether the last round made these definitions or saw them: no other process committed since."""
        return serial == self._known

    def tick(self, now: int) -> int:
        """Look, decide, act; when to look again (microseconds): the resync, sooner after a failure."""
        resync = now >= self._resync_at or self._resync_at > now + 2 * RESYNC
        verify = resync and not self._verified_at <= now < self._verified_at + VERIFY
        try:
            found = self._if_leading(resync=resync, afresh=verify)
        except AutomationsError as problem:
            self._parts.telemetry.emit("reconcile.failed", source=self._source.name, error=problem.message)
            found = Round("failing", problem.message)
        if found.torn and found.again_at is not None:
            return found.again_at  # nothing was looked at: a resync that was due is due still
        if verify and found.outcome != "standby":
            self._verified_at = now
        if resync:
            self._resync_at = now + int(RESYNC * (0.9 + 0.2 * self._parts.ids.fraction()))
        if found.outcome in ("untrusted", "failing", "raced") and found.again_at is None:
            self._unreadable = self._unreadable.after(found.outcome, now=now, longest=LONGEST_BACKOFF)
            return self._unreadable.until
        self._unreadable = Backoff()
        due = [self._resync_at, now + POLL] if self.watch_healthy is False else [self._resync_at]
        return min(due if found.again_at is None else [*due, found.again_at])

    def _if_leading(self, *, resync: bool, afresh: bool) -> Round:
        if self._succession.leads(self._tree.take):
            return self.reconcile(resync=resync, afresh=afresh)
        self._quiet = None
        return Round("standby", again_at=self._parts.clock.now() + STANDBY)

    def reconcile(self, *, resync: bool = False, afresh: bool = False, confirm: int | None = None) -> Round:
        """One round. `resync` looks for drift too where nothing else changed, `afresh` believes no file's times.

        `confirm` is the exact number of removals that a person agreed to.
        Raises Refused when another number waits, Conflict and StoreError.
        """
        known = self._recollection.stamps()
        snapshot = self._tree.take(known, afresh=afresh)
        self._succession.saw(snapshot)
        if isinstance(snapshot, Untrusted):
            return self._untrusted(snapshot)
        settled = self._settling.sort_out(snapshot, known, now=self._parts.clock.now())
        if settled.torn:
            return Round("unsettled", WRITING, again_at=settled.again_at, torn=True)
        snapshot = settled.snapshot
        mark = self._mark(snapshot)
        quiet = self._quiet == mark and not afresh and confirm is None
        if quiet and settled.again_at is not None and not resync:
            return Round("unsettled", WRITING, again_at=settled.again_at)  # all but what is being written is as it was
        quiet = quiet and settled.again_at is None
        self._deep = afresh
        if quiet and not (resync and self._drift()):
            return Round("settled")
        self._quiet = None
        if resync or afresh:
            self._extent = Extent()
        found = self._round(settled, confirm)
        if found.plan is not None and found.at_rest:
            mark = self._mark(snapshot)
            self._quiet = mark if mark.serial == self._known else None  # else another committed since, and was not seen
        return found

    def _mark(self, snapshot: Snapshot) -> _Mark:
        """Equal marks: nothing changed, neither in the tree nor in the definitions nor in how it is watched.

        What another daemon counted as missing meanwhile was there at this look, so somebody has to say so.
        """
        with self._parts.database.read() as tx:
            serial = states.read(tx)["serial"]
            missing = tuple(row["id"] for row in absences.of_source(tx, self._source.name))
        files = tuple((file.name, file.stamp) for file in snapshot.files)
        return _Mark(serial, (missing, self.watch_healthy, snapshot.revision, snapshot.problems, files))

    def _round(self, settled: Settled, confirm: int | None) -> Round:
        try:
            catalogue = self._recollection.catalogue(settled.snapshot, owner=self._source.owner)
        except Conflict as raced:
            self._recollection.forget()
            return Round("raced", raced.message)
        now = self._parts.clock.now()
        if confirm is None and self._failing.waits(catalogue.digest, now=now):
            return Round("failing", "the last attempts with this tree failed", again_at=self._failing.until)
        try:
            healed = self._heal(catalogue)
            found = replace(self._act(settled, catalogue, confirm), healed=healed)
        except AutomationsError as problem:
            if isinstance(problem, Refused):
                raise
            self._recollection.forget()
            self._failing = self._failing.after(catalogue.digest, now=now)
            self._parts.telemetry.emit("reconcile.failed", source=self._source.name, error=problem.message)
            self._standing.failing(problem.message, watching=self.watch_healthy)
            return Round("failing", problem.message, again_at=self._failing.until)
        self._failing = Backoff()
        self._recollection.let_go()
        return found

    def _act(self, settled: Settled, catalogue: Catalogue, confirm: int | None) -> Round:
        """Plan, judge what may go, commit, say how it stands; planned anew when others changed definitions meanwhile."""
        snapshot = settled.snapshot
        before, self._extent = self._extent, Extent()  # nothing is known until the round has come to its end
        for race in range(RACES):
            state, pause = self._state(catalogue, snapshot.prefix, before)
            self._known = state.serial
            policy, now = self._source.policy, self._parts.clock.now()
            request = Request(self._source.name, revision=snapshot.revision, prune=False, unattended=True, now=now)
            first, request, apart = _apart(catalogue, state, request)
            if pause is not None:
                return self._suspended(settled, catalogue, first, pause)
            if not snapshot.files and (first.withheld or first.protected):
                message = f"{snapshot.root} is empty, but its automations are bound"
                return self._untrusted(Untrusted(snapshot.root, "Empty", message))
            if self._succession.behind and (first.changes or first.withheld):
                return self._behind()
            mystery = settled.again_at is not None or mysterious(catalogue, state, owner=self._source.owner)
            seen = counted(self._parts.database, first, now=now, count=race == 0 and not mystery)
            free = nothing_takes(first, catalogue, state=state, bindings=self._parts.bindings)
            owner = self._source.owner
            recent = state.destroyed.get(owner, Destroyed())
            situation = Situation(seen, state.owned(owner), recent, now, mystery, free, apart.kept)
            verdict = judge(first, policy, situation)
            if confirm is not None:
                verdict = _agreed(verdict, first, confirm, unreadable=catalogue.unidentified, kept=apart.kept)
            verdict = joined(verdict, apart.held)
            made, late = _with_removals(catalogue, state, request=request, first=first, verdict=verdict)
            try:
                authority = Authority(self.actor, term=self._succession.bearing())
                self._parts.bindings.foresee(each.automation for each in made.changes if each.automation is not None)
                self._known = self._parts.apply.commit(made, authority, prefix=snapshot.prefix).serial
                self._succession.in_step(committed=bool(made.changes))
            except StalePlan:
                continue
            except LockNotHeld as held:
                return Round("raced", held.message)
            drifted = self._record(Look(snapshot, catalogue, made, verdict, self._drifted), state, before)
            waits = [settled.again_at, ripens(seen, policy, now=now), now if late else None]
            again_at = min((each for each in waits if each is not None), default=None)
            outcome: Outcome = "settled" if settled.again_at is None else "unsettled"
            message = "" if settled.again_at is None else WRITING
            return Round(outcome, message, made, verdict, again_at, drifted=drifted)
        return Round("raced", "others kept changing definitions meanwhile")

    def _record(self, look: Look, state: State, before: Extent) -> Drift:
        """Say how everything stands that may stand otherwise than before; what drifted."""
        only = None
        if before.knows(state.serial) and not look.errors:
            only = before.narrowed(look.made, speaks=look.spoken)
        look = replace(look, drift=self._drift(only))
        self._standing.record(look, watching=self.watch_healthy, only=only)
        self._extent = self._seen(look, state, serial=self._known)
        return self._drifted

    def _suspended(self, settled: Settled, catalogue: Catalogue, made: Plan, pause: Pause) -> Round:
        """Nothing is carried out; what would be is said."""
        going = {
            *(change.id for change in made.withheld),
            *(change.previous_id or change.id for change in made.changes),
        }
        verdict = Verdict(held=frozenset(going), reason="Suspended" if going else None, count=len(going))
        look = Look(settled.snapshot, catalogue, replace(made, withheld=()), verdict, self._drift())
        self._standing.suspended(pause, look, watching=self.watch_healthy)
        ends = [each for each in (settled.again_at, pause.until) if each is not None]
        return Round("suspended", f"the source is suspended {pause.words()}", again_at=min(ends, default=None))

    def _seen(self, look: Look, state: State, *, serial: int) -> Extent:
        """What the next round need not look at, after one that saw all that there was to see. Bad files speak for many."""
        if look.errors:
            return Extent()
        with self._parts.database.read() as tx:
            held = held_anew(tx, state.automations, touched(look.made), prefix=look.snapshot.prefix)
        return Extent(serial, look.spoken, held)

    def _drift(self, only: Collection[str] | None = None) -> Drift:
        """What drifted: rows always, stored texts in a look afresh, and of what drifted before until it is right again.

        With `only`, no more than these automations are looked at, and what was found of others stands.
        """
        found = drift(self._parts.database, self._parts.bindings, self._scope(only))
        standing = {} if only is None else {name: said for name, said in self._drifted.items() if name not in only}
        self._drifted = {name: said for name, said in standing.items() if name not in found} | found
        return self._drifted

    def _scope(self, only: Collection[str] | None = None) -> Scope:
        return Scope(self._source.owner, self._deep, frozenset(self._drifted), only)

    def _heal(self, catalogue: Catalogue) -> Drift:
        """Put right what drifted, where policy or a person says so; what that was. Before the plan, which believes rows."""
        database, now = self._parts.database, self._parts.clock.now()
        if not (self._source.policy.self_heal or self.heal_once) or not self._drift():
            return {}
        with database.read() as tx:
            if pause_of_source(tx, self._source.name, now=now) is not None:
                return {}
        try:
            healed = heal(
                database, self._parts.bindings, self._scope(), catalogue=catalogue, actor_at=(self.actor, now)
            )
        except (StalePlan, ConstraintViolated):
            return {}
        for identity, words in healed.items():
            self._parts.telemetry.emit("drift.healed", source=self._source.name, automation=identity, what=words)
        return healed

    def _state(self, catalogue: Catalogue, prefix: str, before: Extent) -> tuple[State, Pause | None]:
        """The state, and a suspension of the source as of the same serial: whoever suspends it later makes the plan stale."""
        now = self._parts.clock.now()
        with self._parts.database.read() as tx:
            known = None if before.serial is None else (before.serial, before.held)
            state = load_state(tx, prefix=prefix, now=now, known=known)
            pause = pause_of_source(tx, self._source.name, now=now)
            return with_old(tx, state, catalogue, Request(self._source.name)), pause

    def _behind(self) -> Round:
        """The tree is older than what another daemon bound: nothing is written, and another may lead."""
        message = (
            f"what is bound was bound by {self._succession.by}, and this tree did not change since: it is taken in when it"
            f" changes, or with: automations reconcile --source {self._source.name}"
        )
        self._standing.behind(message, watching=self.watch_healthy)
        self._parts.telemetry.emit("reconcile.behind", source=self._source.name, bound_by=self._succession.by)
        self._succession.step_down()
        return Round("behind", message, again_at=self._parts.clock.now() + STANDBY)

    def _untrusted(self, untrusted: Untrusted) -> Round:
        self._quiet = None
        self._parts.telemetry.emit(
            "reconcile.untrusted", source=self._source.name, reason=untrusted.reason, message=untrusted.message
        )
        self._standing.untrusted(untrusted, watching=self.watch_healthy)
        if self._succession.may_be_replaced():
            self._succession.step_down()
            return Round("untrusted", untrusted.message, again_at=self._parts.clock.now() + STANDBY)
        return Round("untrusted", untrusted.message)


def _stopped_by(plan: Plan) -> frozenset[str]:
    """What a plan stops without deleting it."""
    return frozenset(change.id for change in plan.changes if change.destructive and change.action != "delete")


def _apart(catalogue: Catalogue, state: State, request: Request) -> tuple[Plan, Request, Together]:
    """The plan without what waits for a bad file, and what that is."""
    found = make_plan(catalogue, state, request)
    apart = together(found, catalogue, state)
    if not apart.held:
        return found, request, apart
    held = replace(request, hold=apart.held)
    return make_plan(catalogue, state, held), held, apart


def _with_removals(
    catalogue: Catalogue, state: State, *, request: Request, first: Plan, verdict: Verdict
) -> tuple[Plan, bool]:
    """The plan with what may go, and whether something that stops is judged in a round of its own: what goes gives it room."""
    if not verdict.allowed and not verdict.held:
        return first, False
    going = replace(request, prune=True, only=verdict.allowed, hold=verdict.held)
    made = make_plan(catalogue, state, going)
    late = _stopped_by(made) - _stopped_by(first)
    return (make_plan(catalogue, state, replace(going, hold=verdict.held | late)), True) if late else (made, False)


def _agreed(verdict: Verdict, plan: Plan, number: int, *, unreadable: Collection[str], kept: frozenset[str]) -> Verdict:
    """Raises Refused unless exactly this many removals wait, and may go when a person says so."""
    agreed = confirmed(verdict, plan, kept=kept)
    if number and agreed is verdict:
        where = f" ({', '.join(sorted(unreadable)[:3])}{', …' if len(unreadable) > 3 else ''})" if unreadable else ""
        why = f"a file that cannot be read{where} may hold what is gone; {verdict.count} would be removed without it"
        hint = "mend it first, then confirm again"
        raise Refused(f"--confirm-deletes={number} removes nothing now: {why}", hint=hint)
    if number != verdict.count or (number and not agreed.allowed | verdict.held):
        waiting = f"{verdict.count} would be removed" if verdict.count else "nothing waits to be confirmed"
        raise Refused(f"--confirm-deletes={number} does not match: {waiting}", hint="look at: automations status")
    return agreed
