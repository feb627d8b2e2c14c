"""The verb rehearse: one case of a test file, played through the real services on a store of its own in memory.

Nothing here decides anything: events are taken in, schedules fire, runs advance and attempts are settled by the services that do
so under the daemon. Only time, ids and the answers of actions are made up, so what passes here holds there.
"""

from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from itertools import count
from typing import Any

from automations.core.canonical import decode, digest
from automations.core.fixture.case import Answer, Case
from automations.core.fixture.expectation import RunSeen, Seen, StepSeen
from automations.core.instant import SECOND, parse_iso
from automations.core.run.states import ActionStatus
from automations.core.spec.catalogue import Catalogue
from automations.core.spec.model import Automation, TriggerKind
from automations.core.trigger.bindings import Bound, BoundTrigger, judge
from automations.core.trigger.envelope import Envelope, from_document, to_document
from automations.errors import AutomationsError, Conflict, InvalidInput
from automations.services.ingest import Delivery
from automations.services.rehearsal_hands import RUNNER, Hands
from automations.services.rehearsal_stage import Stage
from automations.store import actions, runs, schedules
from automations.store.database import Database, Row, Transaction

MOST_MOVES = 5_000
"""Attempts and ticks in one case; past this it would never end."""
HORIZON = 30 * 86_400 * SECOND
"""How far beyond its last event a case looks for what is still due (microseconds)."""
_ANY = Answer()


class Rehearsal:
    """Plays cases. `open_store` gives an empty store, which is closed when the case is over."""

    def __init__(self, open_store: Callable[[], Database]) -> None:
        self._open = open_store

    def play(self, catalogue: Catalogue, automation: Automation, case: Case) -> Seen:
        """What comes of a case. Raises InvalidInput for one that cannot be played (an event that is none, no end)."""
        with closing(self._open()) as database:
            stage = Stage(database, at=case.now)
            stage.put(_part(catalogue, automation))
            return _Play(stage, automation, case).run()


def _part(catalogue: Catalogue, automation: Automation) -> Catalogue:
    """The automation and every manifest of its actions, alone."""
    wanted = {step.action_id for step in automation.steps}
    return Catalogue(
        automations={automation.id: catalogue.automations[automation.id]},
        manifests={key: each for key, each in catalogue.manifests.items() if key[0] in wanted},
        diagnostics=(),
    )


class _Play:
    """One case under way."""

    def __init__(self, stage: Stage, automation: Automation, case: Case) -> None:
        self._stage = stage
        self._automation = automation
        self._case = case
        self._hands = Hands(stage, case.answers)
        self._moves = count(1)
        self._decided: dict[str, int] = {}
        self._refused = ""
        self._notes: list[str] = []

    def run(self) -> Seen:
        case = self._case
        if case.span is not None:
            self._watch()
        elif case.inputs is not None:
            self._start(case.inputs)
        else:
            self._take_in()
        self._settle(until=self._stage.clock.at + HORIZON)
        return self._seen()

    # --- causes -------------------------------------------------------------------------------------------------------

    def _take_in(self) -> None:
        for number, arrival in enumerate(self._case.arrivals):
            self._settle(until=self._stage.clock.at + arrival.after)
            self._stage.clock.at = max(self._stage.clock.at, self._case.now)
            identity = f"case-{self._case.index + 1}-event-{number + 1}"
            envelope = from_document(arrival.event, received_at=self._stage.clock.at, new_id=identity)
            envelope = self._routed(envelope)
            self._stage.ingest.one(Delivery(envelope, digest(to_document(envelope)["data"])))

    def _routed(self, envelope: Envelope) -> Envelope:
        """The event as the automation's own webhook route would deliver it, where it has one."""
        delivered = [
            replace(envelope, origin="webhook", route_id=route, route_automation_id=self._automation.id)
            for route in self._stage.route_ids
        ]
        hooks = [each for each in self._automation.triggers if each.kind is TriggerKind.WEBHOOK]
        bound = Bound("rehearsed", 1, self._automation, {})
        for each in delivered:
            if any(judge(BoundTrigger(bound, hook), each, activation=None).outcome != "no_match" for hook in hooks):
                return each
        return delivered[0] if delivered else envelope

    def _start(self, inputs: Mapping[str, Any]) -> None:
        try:
            start = self._stage.start
            by_hand = any(trigger.kind is TriggerKind.MANUAL for trigger in self._automation.triggers)
            (start.manual if by_hand else start.api)(self._automation.id, inputs, actor=RUNNER)
        except (InvalidInput, Conflict) as refused:
            self._refused = refused.message

    def _watch(self) -> None:
        """Let a schedule's clock run through a span, or look only at its end."""
        span = self._case.span
        assert span is not None  # noqa: S101  # whoever calls this has one
        stage = self._stage
        stage.scheduler.tick(stage.clock.at)
        while not span.jump and (due := stage.scheduler.next_slot()) is not None and due <= span.until:
            self._settle(until=due)
            stage.clock.at = max(due, stage.clock.at)
            stage.scheduler.tick(stage.clock.at)
            self._work()
            self._count()
        stage.clock.at = max(span.until, stage.clock.at)
        stage.scheduler.tick(stage.clock.at)

    # --- what follows -------------------------------------------------------------------------------------------------

    def _settle(self, *, until: int) -> None:
        """Do everything that is due up to an instant, each thing at its time; the clock ends at the last of them."""
        while True:
            self._work()
            waiting = (self._stage.next_due(), self._hands.next_due())
            due = min((at for at in waiting if at is not None), default=None)
            if due is None or due > until:
                break
            self._stage.clock.at = max(due, self._stage.clock.at)
            self._stage.tick()
            self._count()
        if until - self._stage.clock.at < HORIZON:
            self._stage.clock.at = max(self._stage.clock.at, until)

    def _work(self) -> None:
        """Answer every attempt and every request for approval, until nothing can go on now."""
        moved = True
        while moved:
            moved = False
            while self._hands.move():
                self._count()
                moved = True
            if not moved:
                moved = sum(self._decide(row) for row in self._stage.waiting()) > 0  # all of them, not the first

    def _decide(self, row: Row) -> bool:
        """Take the next decision about a waiting step; whether there was one."""
        answer = self._case.answers.get(row["step_id"], _ANY)
        taken = self._decided.get(row["id"], 0)
        try:
            if answer.rejecter is not None and not taken:
                self._decided[row["id"]] = 1
                self._stage.vouch(answer.rejecter, row)
                self._stage.approvals.reject(row["id"], actor=answer.rejecter, reason=answer.reason)
                return True
            if taken < len(answer.approvers):
                self._decided[row["id"]] = taken + 1
                self._stage.vouch(answer.approvers[taken], row)
                self._stage.approvals.approve(row["id"], actor=answer.approvers[taken])
                return True
        except AutomationsError as refused:
            self._notes.append(f"step {row['step_id']}: {refused.message}")
            return True
        return False

    def _count(self) -> None:
        if next(self._moves) > MOST_MOVES:
            raise InvalidInput(
                f"the case goes on after {MOST_MOVES} attempts and ticks",
                hint="make the span shorter, or retries fewer",
            )

    # --- what came of it ----------------------------------------------------------------------------------------------

    def _seen(self) -> Seen:
        with self._stage.database.read() as tx:
            rows = runs.page(tx, automation_id=None, status=None, before=None, limit=MOST_MOVES)[::-1]
            made = tuple(_run_seen(row, actions.of_run(tx, row["id"])) for row in rows)
            skips = [row["nominal_at"] for cursor in schedules.every(tx) for row in _skips(tx, cursor)]
        ticks = tuple(filter(None, (_nominal(row) for row in rows)))
        wanted = self._case.tick
        return Seen(
            runs=made,
            ticks=ticks,
            skipped=tuple(sorted(skips)),
            fires=wanted in ticks if wanted is not None else bool(made),
            refused=self._refused or "; ".join(self._stage.why_not()),
            notes=tuple(self._notes),
        )


def _run_seen(row: Row, steps: list[Row]) -> RunSeen:
    return RunSeen(
        status=row["status"],
        steps={each["step_id"]: _step_seen(each) for each in steps},
        error=decode(row["error_json"]) if row["error_json"] else None,
    )


def _step_seen(row: Row) -> StepSeen:
    ended = ActionStatus(row["status"])
    return StepSeen(
        status=row["status"],
        input=decode(row["input_json"]) if row["input_json"] else None,
        reason=row["reason"],
        error=decode(row["error_json"]) if row["error_json"] else None,
        attempts=row["attempt"] + (ended is ActionStatus.SUCCEEDED),
    )


def _skips(tx: Transaction, cursor: Row) -> list[Row]:
    return schedules.skips(tx, cursor["automation_uid"], cursor["trigger_id"], limit=MOST_MOVES)


def _nominal(run: Row) -> int | None:
    """The nominal time of the tick that a run is of."""
    if not run["schedule_trigger_id"]:
        return None
    with suppress(KeyError):
        return parse_iso(decode(run["metadata_json"])["schedule"]["nominalTime"])
    return None
