"""Bugs that we plant to see whether the simulation finds them: if it did not, its silence would prove nothing.

Each is a context manager that puts a broken piece where the real one is, for as long as its block lasts.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest.mock import patch

from automations.core.plan import plan as plan_module
from automations.core.plan import prune
from automations.core.plan.plan import Plan
from automations.core.plan.prune import Absence
from automations.core.plan.state import State
from automations.core.plan.superseded import replaced
from automations.core.plan.together import Together
from automations.core.run import approval as approval_machine
from automations.core.run import machine
from automations.core.run import queue as queue_machine
from automations.core.run import readiness as readiness_module
from automations.core.run import stop as stop_machine
from automations.core.run.queue import Action, Change, Holder, Refusal, lose
from automations.core.run.readiness import Ready, Waiting
from automations.core.run.states import ActionStatus
from automations.core.spec.catalogue import Catalogue
from automations.core.spec.model import Automation
from automations.core.spec.snapshot import Snapshot, Untrusted
from automations.core.trigger.bindings import Table
from automations.services.reconcile import prune as prune_service
from automations.services.reconcile import reconcile
from automations.services.reconcile.suspend import pause_of_source
from automations.services.run import advance, cancel, programs, queue
from automations.services.trigger import ingest
from automations.services.trigger.ingest import Delivery, Ingested
from automations.store import actions, automations, deadlines, events, leases, outcomes, runs, slots, timers
from automations.store.database import Row, Transaction
from simulation.outside import VirtualTree

Planted = Callable[[], AbstractContextManager[object]]


@contextmanager
def no_fence() -> Iterator[None]:
    """Reports are taken from anybody, as long as somebody holds the action."""

    def may_finish(action: Action, _holder: Holder, *, verb: str, now: int) -> Refusal | None:
        held = action.status is ActionStatus.CLAIMED and now >= 0
        return None if held else Refusal(f"cannot {verb} {action.id}")

    with patch.object(queue, "may_finish", may_finish):
        yield


@contextmanager
def rescue_from_a_snapshot() -> Iterator[None]:
    """Recovery, also before a claim, looks in one transaction and acts in another, without looking again."""

    def recover(self: Any) -> int:
        now = self._clock.now()
        with self._database.read() as tx:
            lost = deadlines.late_actions(tx, now=now, limit=100)
        with self._database.write() as tx:
            for seen in lost:
                run, row = queue.hold(tx, seen["id"])
                if row["status"] == ActionStatus.CLAIMED:
                    change = lose(queue.action_of(row), now=now)
                    self._persist(tx, run, row=row, change=change, result=None, now=now)
        return len(lost)

    def claim(self: Any, asked: queue.Claim) -> list[Row]:
        self.recover()
        return real_claim(self, asked)

    real_claim = queue.Queue.claim
    with patch.object(queue.Queue, "recover", recover), patch.object(queue.Queue, "claim", claim):
        yield


@contextmanager
def two_transactions() -> Iterator[None]:
    """The event is committed first, its runs and actions afterwards."""

    def commit(self: Any, deliveries: Sequence[Delivery]) -> list[Ingested]:
        waiting: list[tuple[Callable[..., None], Any]] = []

        def later(real: Callable[..., None]) -> Callable[[Transaction, Any], None]:
            return lambda _, rows: waiting.append((real, rows))

        with patch.object(runs, "insert", later(runs.insert)), patch.object(actions, "insert", later(actions.insert)):
            results = real_commit(self, deliveries)
        with self._database.write() as tx:
            for real, rows in waiting:
                real(tx, rows)
        return results

    real_commit = ingest.Ingest._commit
    with patch.object(ingest.Ingest, "_commit", commit):
        yield


@contextmanager
def steps_before_their_dependencies() -> Iterator[None]:
    """A step that waits for several is let go when the first of them is over."""

    def readiness(step: Any, standings: Mapping[str, Any]) -> Any:
        verdict = real(step, standings)
        some = any(standings[each.step].status.final for each in step.depends_on)
        return Ready() if isinstance(verdict, Waiting) and some else verdict

    real = readiness_module.readiness
    with patch.object(machine, "readiness", readiness):
        yield


@contextmanager
def claim_without_a_new_fence() -> Iterator[None]:
    """A claim hands an action out under the fence of the claim before it."""

    def claim(tx: Transaction, which: actions.Which, /, **asked: Any) -> list[Row]:
        rows = real(tx, which, **asked)
        for row in rows:
            if row["fence"] > 1:
                row["fence"] -= 1
                tx.run("UPDATE actions SET fence = :fence WHERE id = :id", fence=row["fence"], id=row["id"])
        return rows

    real: Callable[..., list[Row]] = actions.claim
    with patch.object(actions, "claim", claim):
        yield


@contextmanager
def lost_leases_cost_nothing() -> Iterator[None]:
    """A crash spends no attempt, so a poisonous action goes round for ever."""

    def forgiving(action: Action, *, now: int) -> Change:
        change = lose(action, now=now)
        return Change(
            ActionStatus.RETRYING, action.attempt, 0, available_at=now, error=change.error, ended=change.ended
        )

    with patch.object(queue_machine, "lose", forgiving):
        yield


@contextmanager
def the_dead_do_not_advance_their_run() -> Iterator[None]:
    """A run hears of its actions' successes only."""

    def advance_run(tx: Transaction, run: Row, *, programs: Any, now: int) -> Any:
        if any(row["status"] == "dead" for row in actions.of_run(tx, run["id"])):
            return None
        return real(tx, run, programs=programs, now=now)

    real = advance.advance_run
    with patch.object(advance, "advance_run", advance_run):
        yield


@contextmanager
def runs_on_todays_spec() -> Iterator[None]:
    """A run works with whatever generation is current, not with the one it is pinned to."""

    def generation(tx: Transaction, uid: str, _number: int, /) -> Row | None:
        return tx.one("SELECT * FROM generations WHERE uid = :uid ORDER BY generation DESC LIMIT 1", uid=uid)

    class Forgetful(programs.Programs):
        MOST = 0

    with patch.object(automations, "generation", generation), patch("simulation.programs.Programs", Forgetful):
        yield


@contextmanager
def an_untrusted_tree_is_taken_as_far_as_it_goes() -> Iterator[None]:
    """What cannot be read is taken for gone."""

    def take(self: VirtualTree, known: Mapping[str, str], *, afresh: bool = False) -> Snapshot | Untrusted:
        found = real_take(self, known, afresh=afresh)
        if not isinstance(found, Untrusted):
            return found
        half = VirtualTree(dict(sorted(self.files.items())[::2]))
        return real_take(half, known, afresh=afresh)

    real_take = VirtualTree.take
    with patch.object(VirtualTree, "take", take):
        yield


@contextmanager
def gone_at_first_sight() -> Iterator[None]:
    """What one look does not find is deleted, if the policy allows it."""
    with patch.object(Absence, "ripe_at", lambda self, _: self.first_at):
        yield


@contextmanager
def absence_is_remembered_though_the_thing_came_back() -> Iterator[None]:
    """Two looks that miss a thing need not follow each other."""

    def observed(held: Mapping[str, Absence], gone: Iterable[str], *, now: int) -> dict[str, Absence]:
        return {**held, **real(held, gone, now=now)}

    real = prune.observed
    with patch.object(prune_service, "observed", observed):
        yield


@contextmanager
def a_riddle_blocks_nothing() -> Iterator[None]:
    """A file that nobody can read is taken for one that holds nothing."""
    with (
        patch.object(reconcile, "mysterious", lambda *_, **__: False),
        patch.object(plan_module, "mysterious", lambda *_, **__: False),
    ):
        yield


@contextmanager
def any_number_may_go() -> Iterator[None]:
    """Nobody counts how much the loop takes away."""
    with patch.object(prune, "mass_hazard", lambda **_: ()):
        yield


@contextmanager
def a_pause_is_read_before_the_state() -> Iterator[None]:
    """Whether the source is suspended is looked up apart from the state that a plan is made against."""

    def state(self: Any, catalogue: Any, prefix: str, before: Any) -> Any:
        with self._parts.database.read() as tx:
            pause = pause_of_source(tx, self._source.name, now=self._parts.clock.now())
        return real(self, catalogue, prefix, before)[0], pause

    real = reconcile.Reconciler._state
    with patch.object(reconcile.Reconciler, "_state", state):
        yield


@contextmanager
def suspended_automations_fire() -> Iterator[None]:
    """A pause by hand is on record, and nobody heeds it."""
    with patch.object(Table, "suspended", lambda *_, **__: False):
        yield


@contextmanager
def repeated_deliveries_are_new() -> Iterator[None]:
    """Nobody looks whether an event's identity was seen before."""

    def insert(tx: Transaction, row: Row, /) -> bool:
        return real(tx, row | {"identity": f"{row['identity']}#{row['id']}"})

    real = events.insert
    with patch.object(events, "known", lambda *_: None), patch.object(events, "insert", insert):
        yield


@contextmanager
def another_id_makes_another_event() -> Iterator[None]:
    """Nobody looks whether a guarded body came in under another id."""
    with patch.object(ingest, "replayed", lambda *_, **__: None):
        yield


@contextmanager
def a_lease_for_everybody() -> Iterator[None]:
    """The daemon's lease is given to whoever asks."""

    def take(tx: Transaction, name: str, /, **asked: Any) -> Row | None:
        tx.run("DELETE FROM leases WHERE name = :name", name=name)
        return real(tx, name, **asked)

    real = leases.take
    with patch.object(leases, "take", take):
        yield


@contextmanager
def anybody_may_release() -> Iterator[None]:
    """A release is written without asking whose claim it is."""

    def release(tx: Transaction, /, *, action_id: str, runner: str, fence: int, now: int) -> bool:
        del runner, fence
        return (
            tx.run(
                """UPDATE actions SET status = 'queued', claimed_by = NULL, claimed_at = NULL, lease_expires_at = NULL,
                     available_at = :now, updated_at = :now WHERE id = :id AND status = 'claimed'""",
                id=action_id,
                now=now,
            )
            == 1
        )

    with patch.object(actions, "release", release):
        yield


@contextmanager
def a_window_loses_all_but_one() -> Iterator[None]:
    """The event that a window emits is taken care of, those that it stands for are forgotten."""
    with patch.object(outcomes, "close", lambda *_, **__: 0):
        yield


@contextmanager
def timers_are_looked_at_and_not_taken() -> Iterator[None]:
    """Whoever sees a timer fires it, whether somebody else did so meanwhile or not."""

    def take(tx: Transaction, timer_id: str, /, *, now: int) -> Row | None:
        del now
        return tx.one("SELECT * FROM timers WHERE id = :id", id=timer_id)

    with patch.object(timers, "take", take):
        yield


@contextmanager
def delays_are_kept_in_memory() -> Iterator[None]:
    """A delayed event's timer is not written down."""
    with patch.object(timers, "begin", lambda *_: None), patch.object(timers, "hold_window", lambda _, row: row):
        yield


@contextmanager
def slots_without_counting() -> Iterator[None]:
    """Nobody looks how many hold a slot already."""

    def line(tx: Transaction, key: slots.Key, /, *, most: int) -> Row:
        return real(tx, key, most=most) | {"held": 0, "waiting": 0}

    real = slots.line
    with patch.object(slots, "line", line):
        yield


@contextmanager
def slots_are_not_handed_on() -> Iterator[None]:
    """A run that ends frees its slot, and nobody tells those in line."""
    with patch.object(advance, "hand_on", lambda *_, **__: None):
        yield


@contextmanager
def the_last_in_line_comes_first() -> Iterator[None]:
    """Slots go to whoever came last."""

    def head(tx: Transaction, key: slots.Key, /) -> Row | None:
        first = real(tx, key)
        waiting = [row for row in slots.rivals(tx, key) if row["slot"] == "waiting"]
        return first and runs.get(tx, waiting[-1]["id"] if waiting else first["id"])

    real = slots.head
    with patch.object(slots, "head", head):
        yield


@contextmanager
def a_stop_forgets_the_queue() -> Iterator[None]:
    """A run that is told to end asks who works to stop, and leaves in the queue what lies there."""

    def stopped(stop: Any, standings: Iterable[Any]) -> Any:
        return real(stop, [each for each in standings if each.status is not ActionStatus.QUEUED])

    real = stop_machine.stopped
    with patch.object(machine, "stopped", stopped):
        yield


@contextmanager
def a_late_completion_counts() -> Iterator[None]:
    """Whoever was asked to stop may as well say that it is done."""

    def may_finish(action: Action, holder: Holder, *, verb: str, now: int) -> Refusal | None:
        return real(action._replace(stopping=None), holder, verb=verb, now=now)

    real = queue_machine.may_finish
    with patch.object(queue, "may_finish", may_finish):
        yield


@contextmanager
def what_is_over_is_cancelled_again() -> Iterator[None]:
    """A run that is over is told to end, as if it went on."""

    def stop(tx: Transaction, row: Row, /) -> bool:
        changed = tx.run(
            """UPDATE runs SET stop = :stop, stop_scope = :stop_scope, stop_by = :stop_by, stop_reason = :stop_reason,
                 stop_at = :now WHERE id = :id""",
            **row,
        )
        return changed == 1

    with patch.object(runs, "stop", stop), patch.object(cancel, "_may_cancel", lambda _: None):
        yield


@contextmanager
def nobody_recovers() -> Iterator[None]:
    """Claims whose lease ran out stay claimed: nothing wrong ever happens, and nothing at all. Only rest shows it."""
    with patch.object(deadlines, "late_actions", lambda *_, **__: []):
        yield


@contextmanager
def questions_lapse_at_once() -> Iterator[None]:
    """A question with an end is taken for unanswered before that."""

    def unanswered(tx: Transaction, /, *, now: int, limit: int) -> list[str]:
        return real(tx, now=now + 10**12, limit=limit)

    def lapsed(_waiting: Any, *, now: int) -> bool:
        return now > 0

    real: Callable[..., list[str]] = actions.unanswered
    with patch.object(actions, "unanswered", unanswered), patch.object(approval_machine, "_lapsed", lapsed):
        yield


@contextmanager
def replays_go_on_counting() -> Iterator[None]:
    """An action that is put back keeps the attempts that it has spent."""

    def requeue(tx: Transaction, action_id: str, /, *, now: int) -> bool:
        before = actions.get(tx, action_id)
        done = real(tx, action_id, now=now)
        if done and before is not None:
            tx.run("UPDATE actions SET attempt = :attempt WHERE id = :id", attempt=before["attempt"], id=action_id)
        return done

    real: Callable[..., bool] = actions.requeue
    with patch.object(actions, "requeue", requeue):
        yield


@contextmanager
def what_another_version_replaces_goes_though_it_is_taken() -> Iterator[None]:
    """A manifest version is deleted at once where the files declare another one, whoever pins it."""

    def superseded(made: Plan, declared: Catalogue, *, state: State, bound: Iterable[Automation]) -> frozenset[str]:
        return frozenset(replaced(made, declared, state))

    # A spec that pins what is gone from the files is bad, and would keep it.
    nothing_waits = patch.object(reconcile, "together", lambda *_: Together())
    with patch.object(prune_service, "superseded", superseded), nothing_waits:
        yield


PLANTED: Mapping[str, Planted] = {
    each.__name__: each
    for each in (
        no_fence,
        rescue_from_a_snapshot,
        two_transactions,
        steps_before_their_dependencies,
        claim_without_a_new_fence,
        lost_leases_cost_nothing,
        the_dead_do_not_advance_their_run,
        runs_on_todays_spec,
        an_untrusted_tree_is_taken_as_far_as_it_goes,
        gone_at_first_sight,
        absence_is_remembered_though_the_thing_came_back,
        a_riddle_blocks_nothing,
        what_another_version_replaces_goes_though_it_is_taken,
        any_number_may_go,
        a_pause_is_read_before_the_state,
        suspended_automations_fire,
        repeated_deliveries_are_new,
        another_id_makes_another_event,
        a_lease_for_everybody,
        anybody_may_release,
        a_window_loses_all_but_one,
        timers_are_looked_at_and_not_taken,
        delays_are_kept_in_memory,
        questions_lapse_at_once,
        replays_go_on_counting,
        slots_without_counting,
        slots_are_not_handed_on,
        the_last_in_line_comes_first,
        a_stop_forgets_the_queue,
        a_late_completion_counts,
        what_is_over_is_cancelled_again,
    )
}
