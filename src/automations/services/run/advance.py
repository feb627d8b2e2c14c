"""The verb advance: after anything that can move a run, persist what the run machine decides, in the same transaction.

Whoever calls this holds the run's slot key, its row, and its actions where it stops them, in that order, so two settlements of
one run never decide on the same picture. A slot that a run gives up goes to the next in line in the same commit.

The machine and what it compiles are imported when there is something to decide, because `queue complete` is called in
loops as a process of its own and mostly ends what nothing waits for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from automations.core.canonical import decode, encode
from automations.core.run.states import MOVING, ActionStatus, RunStatus, standing
from automations.errors import StoreError
from automations.services.run.run_event import event_of
from automations.store import actions, cancels, runs, slots

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from automations.core.run.machine import ActionView, Decision, RunView
    from automations.core.run.stop import Stop
    from automations.services.run.programs import Programs
    from automations.store.database import Row, Transaction

IN_LINE = ("waiting", "returning")


class Ending(NamedTuple):
    """How a run is told to end early, by whom and why."""

    stop: Stop
    by: str | None
    reason: str | None


class _Verdict(NamedTuple):
    status: RunStatus
    error: Mapping[str, Any] | None = None
    finishing: bool = False


def advance_run(tx: Transaction, run: Row, *, programs: Programs, now: int, because: Ending | None = None) -> None:
    """Move a held run as far as it goes. Raises StoreError if a guarded write found something else than was read.

    What is stopped thereby says that it was for the run's own stop, or `because` of another that came after it.
    """
    slot = _Mover(tx, programs, now, because).move(run)
    if slot != run["slot"]:
        hand_on(tx, slots.Key(run["automation_uid"], run["slot_key"]), programs=programs, now=now)


def reopen_run(tx: Transaction, run: Row, *, programs: Programs, now: int) -> None:
    """Let a held run go on because one of its actions is replayed; one that was over needs a slot like any other."""
    if run["completed_at"] is None:
        advance_run(tx, run, programs=programs, now=now)
        return
    if not runs.reopen(tx, run["id"], based_on=run["status"], now=now):
        raise StoreError(f"run {run['id']} was no longer {run['status']}")
    reopened = runs.get(tx, run["id"])
    assert reopened is not None  # noqa: S101  # it was just updated
    anew = {"deadline_left": programs.of_run(tx, run).automation.timeouts.run}
    _Mover(tx, programs, now).move(reopened, as_if=anew)


def stop_run(tx: Transaction, run: Row, ending: Ending, *, programs: Programs, now: int) -> bool:
    """Tell a held run to end early, and move it as far as that goes; False when it is over or was told before."""
    row = {"id": run["id"], "stop": str(ending.stop.status), "stop_scope": ending.stop.scope, "now": now}
    if not runs.stop(tx, row | {"stop_by": ending.by, "stop_reason": ending.reason}):
        return False
    told = {"stop": row["stop"], "stop_scope": row["stop_scope"], "stop_by": ending.by, "stop_reason": ending.reason}
    advance_run(tx, run | told | {"stop_at": now}, programs=programs, now=now)
    return True


def hand_on(tx: Transaction, key: slots.Key, *, programs: Programs, now: int) -> None:
    """Give what is free of a held key's slots to those in line, in turn."""
    while (waiting := slots.head(tx, key)) is not None:
        begin(tx, waiting, programs=programs, now=now)


def begin(tx: Transaction, waiting: Row, *, programs: Programs, now: int) -> None:
    """Give the head of a held key's line the slot that is free."""
    _Mover(tx, programs, now).begin(waiting)


class _Mover:
    """Moves one run within a transaction."""

    def __init__(self, tx: Transaction, programs: Programs, now: int, because: Ending | None = None) -> None:
        self._tx = tx
        self._programs = programs
        self._now = now
        self._because = because

    def begin(self, waiting: Row) -> None:
        """A run in line gets a slot: it begins, or goes on with what was set aside."""
        first = waiting["slot"] == "waiting" and waiting["started_at"] is None
        slots.resume(self._tx, waiting["id"], now=self._now)
        status = RunStatus.MATERIALIZED if first else RunStatus.RUNNING
        self.move(waiting, as_if={"slot": "held", "status": str(status)})

    def move(self, before: Row, *, as_if: Row | None = None) -> str | None:
        """Move a run as far as it goes; how it then stands for a slot. `as_if` is what the caller changed and did not write."""
        run = before | as_if if as_if else before
        statuses = self._statuses(run)
        run = self._contend(run, statuses)
        verdict, statuses = self._judge(run, statuses)
        contended = self._contend(run, statuses)
        if contended is not run:  # what it waited for is over, and something else is to be done
            run = contended
            verdict, _ = self._judge(run, statuses)
        return self._write(before, run, verdict)

    def _statuses(self, run: Row) -> AbstractSet[ActionStatus]:
        return {ActionStatus(status) for status in actions.statuses_of_run(self._tx, run["id"])}

    def _judge(self, run: Row, statuses: AbstractSet[ActionStatus]) -> tuple[_Verdict, AbstractSet[ActionStatus]]:
        """What becomes of the run and, persisted already, of its actions."""
        unsuccessful = any(status.unsuccessful for status in statuses)
        if ActionStatus.BLOCKED in statuses or unsuccessful or run["stop"] is not None or not _holds(run):
            decision = self._decide(run)
            status = decision.run or RunStatus(run["status"])
            return _Verdict(status, decision.error, decision.finishing), decision.statuses
        return _Verdict(standing(RunStatus(run["status"]), statuses, failed=False)), statuses

    def _decide(self, run: Row) -> Decision:
        from automations.core.run.machine import advance  # noqa: PLC0415  # see the module's head
        from automations.core.run.materialize import changed  # noqa: PLC0415  # see the module's head

        program = self._programs.of_run(self._tx, run)
        decision = advance(program, view_of(self._tx, run))
        for change in decision.actions:
            row = changed(change, program=program.step(change.step_id), spec=run["digest"], now=self._now)
            if not actions.unblock(self._tx, row | {"id": change.id, "now": self._now}):
                raise StoreError(f"action {change.id} of run {run['id']} was no longer blocked")
        self._stop(run, decision)
        return decision

    def _stop(self, run: Row, decision: Decision) -> None:
        other = self._because
        by, why = (run["stop_by"], run["stop_reason"]) if other is None else (other.by, other.reason)
        for each in decision.stopped:
            told = {"id": each.id, "reason": each.reason, "now": self._now}
            told |= {"cancel_by": by, "cancel_reason": why}
            if each.asked:
                from automations.core.run.stop import GRACE  # noqa: PLC0415  # see the module's head

                cancels.ask(self._tx, told | {"until": self._now + GRACE})
            elif not cancels.cancel(self._tx, told):
                raise StoreError(f"action {each.id} of run {run['id']} was taken meanwhile")

    def _contend(self, run: Row, statuses: AbstractSet[ActionStatus]) -> Row:
        """A run that has something to do and no slot takes one, or stands in line with what it has set aside."""
        if run["slot_limit"] is None or run["slot"] == "held":
            return run
        if run["slot"] in IN_LINE:  # an approval may have let something into the queue meanwhile
            if statuses & MOVING:
                slots.hold_back(self._tx, run["id"], now=self._now)
            return run
        from automations.core.run.concurrency import Line, free, wants_slot  # noqa: PLC0415  # see the module's head

        if not wants_slot(statuses):
            return run
        key = slots.Key(run["automation_uid"], run["slot_key"])
        line = slots.line(self._tx, key, most=1)
        turn = run["slot_turn"] if run["slot"] == "released" else (line["last_turn"] or 0) + 1
        ahead = slots.ahead(self._tx, key, turn)
        if free(Line(line["held"], int(ahead)), run["slot_limit"]):
            return run | {"slot": "held", "slot_turn": turn}
        slots.hold_back(self._tx, run["id"], now=self._now)
        place = "returning" if run["slot"] == "released" else "waiting"  # one that is replayed has yet to begin again
        return run | {"slot": place, "slot_turn": turn, "status": str(RunStatus.PENDING)}

    def _write(self, before: Row, run: Row, verdict: _Verdict) -> str | None:
        after = {name: run[name] for name in _MOVED}
        after["status"] = str(verdict.status)
        after["error_json"] = _error(run, verdict)
        after["started_at"] = self._started_at(run, verdict.status)
        after["completed_at"] = self._now if verdict.status.final else None
        after.update(self._place(run, verdict))
        if any(after[name] != before[name] for name in _MOVED):
            judged = {"id": run["id"], "based_on": before["status"], "now": self._now}
            if not runs.move(self._tx, after | judged):
                raise StoreError(f"run {run['id']} was no longer {before['status']}")
        slot: str | None = after["slot"]
        return slot

    def _started_at(self, run: Row, status: RunStatus) -> int | None:
        began = status not in (RunStatus.PENDING, RunStatus.MATERIALIZED) and run["slot"] != "waiting"
        started: int | None = run["started_at"]
        return self._now if started is None and began else started

    def _place(self, run: Row, verdict: _Verdict) -> dict[str, Any]:
        """Its slot and its clock. Runs that have neither do not need their program for that."""
        idle = run["slot"] is None and run["deadline_at"] is None and run["deadline_left"] is None
        if idle and not verdict.finishing and run["stop"] is None:
            return {}
        from automations.core.run.place import Move, place  # noqa: PLC0415  # see the module's head

        automation = self._programs.of_run(self._tx, run).automation
        return place(run, automation, Move(verdict.status, verdict.finishing, self._now))._asdict()


def _error(run: Row, verdict: _Verdict) -> str | None:
    if verdict.status is RunStatus.TIMED_OUT:
        return encode({"code": "TIMED_OUT", "message": run["stop_reason"]})
    if verdict.error is not None:
        return encode(dict(verdict.error))
    kept: str | None = None if verdict.status.final else run["error_json"]
    return kept


_MOVED = (
    "status",
    "error_json",
    "started_at",
    "completed_at",
    "slot",
    "slot_turn",
    "deadline_at",
    "deadline_left",
    "finally_at",
)


def _holds(run: Row) -> bool:
    return run["slot_limit"] is None or run["slot"] == "held"


def view_of(tx: Transaction, run: Row) -> RunView:
    """A run as the machine sees it. The event is read only while a step may still want to look at it."""
    from automations.core.run.machine import RunView  # noqa: PLC0415  # see the module's head
    from automations.core.run.stop import Stop  # noqa: PLC0415  # see the module's head

    rows = actions.of_run(tx, run["id"], held=run["stop"] is not None)
    blocked = any(row["status"] == ActionStatus.BLOCKED for row in rows)
    return RunView(
        id=run["id"],
        status=RunStatus(run["status"]),
        created_at=run["created_at"],
        event=event_of(tx, run) if blocked else None,
        inputs=decode(run["inputs_json"]) if run["inputs_json"] else {},
        schedule=decode(run["metadata_json"]).get("schedule") if blocked and run["schedule_trigger_id"] else None,
        actions=tuple(_action(row, outputs=blocked) for row in rows),
        stop=Stop(RunStatus(run["stop"]), run["stop_scope"]) if run["stop"] else None,
        holds=_holds(run),
    )


def _action(row: Row, *, outputs: bool) -> ActionView:
    from automations.core.run.machine import ActionView  # noqa: PLC0415  # see the module's head

    result = decode(row["result_json"]) if outputs and row["result_json"] else None
    return ActionView(
        id=row["id"],
        step_id=row["step_id"],
        status=ActionStatus(row["status"]),
        reason=row["reason"],
        output=output_of(result),
        error=decode(row["error_json"]) if row["error_json"] else None,
    )


def output_of(result: object) -> object:
    """What `steps.x.output` is: a result's `output` where it has one (the contract's shape), else the result itself."""
    return result["output"] if isinstance(result, dict) and "output" in result else result
