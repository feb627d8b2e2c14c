"""The queue's verbs: claim, complete, fail, heartbeat, release, recover. Each is one transaction of guarded updates.

Whatever ends an action moves its run in the same commit. The run's row is held before the action's, always in that order.

The run machine and its compilers are imported where a report needs them, not up here: `queue claim` is called in loops as a
process of its own, and needs none of them.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from automations.core.canonical import decode, encode, encode_words
from automations.core.instant import SECOND
from automations.core.record import action_record
from automations.core.run.queue import (
    OUTPUT_INVALID,
    Action,
    Change,
    Failure,
    Holder,
    Taken,
    complete,
    completed_again,
    expire,
    fail,
    failed_again,
    let_go,
    may_finish,
)
from automations.core.run.states import ActionStatus
from automations.errors import Conflict, InvalidInput, NotFound, StoreError, StoreUnavailable
from automations.services.run import advance
from automations.services.run.deadlines import expire_run, overdue
from automations.store import actions, cancels, deadlines, runs, slots

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from automations.services.ports import Clock, Ids, Telemetry, Wake
    from automations.services.run.deadlines import Overdue
    from automations.services.run.programs import Programs
    from automations.store.database import Database, Row, Transaction

LEASE = 30 * SECOND
"""How long a claim holds without a heartbeat (microseconds)."""
RECOVERED_AT_ONCE = 100
ANY = actions.Which()


class Claim(NamedTuple):
    """What a runner asks for. `lease` in microseconds; `which` keeps to some executors and action ids, see `pattern`."""

    runner: str
    limit: int = 1
    lease: int = LEASE
    which: actions.Which = ANY


class Done(NamedTuple):
    """An action's report of success."""

    action_id: str
    holder: Holder
    result: Mapping[str, Any] | None = None


class Undone(NamedTuple):
    """An action's report of failure."""

    action_id: str
    holder: Holder
    failure: Failure


class Queue:
    """Hands actions out and takes their reports."""

    def __init__(self, database: Database, programs: Programs, *, clock: Clock, ids: Ids, telemetry: Telemetry) -> None:
        self._database = database
        self._programs = programs
        self._clock = clock
        self._ids = ids
        self._telemetry = telemetry
        self.wake: Wake = lambda: None
        """Called after a commit that may have queued more work."""

    def claim(self, asked: Claim) -> list[Row]:
        """Lease ready actions, after taking back what expired. Raises StoreUnavailable."""
        now = self._clock.now()
        with self._database.write() as tx:
            late = overdue(tx, now=now)
            rows, passed_over = ([], []) if any(late) else self._take(tx, asked, now=now)
        if any(late):  # in commits of their own, so that none of them can fail the claim
            self._take_back(late, now=now)
            with self._database.write() as tx:
                rows, passed_over = self._take(tx, asked, now=now)
        if passed_over:  # nothing is held now that whoever holds them may wait for; and what is claimed stays so
            with suppress(StoreUnavailable), self._database.write() as tx:
                runs.start(tx, passed_over, now=now, waits=True)
        for row in rows:
            self._telemetry.emit("action.claimed", **_names(row), runner=asked.runner, fence=row["fence"])
        return rows

    def complete(self, report: Done) -> Row:
        """An action succeeded. Raises NotFound, Conflict in the original's words, StoreUnavailable."""
        return self.settle([report])[0]

    def fail(self, report: Undone) -> Row:
        """An action failed: retried later or dead. Raises NotFound, Conflict, StoreUnavailable."""
        return self.settle([report])[0]

    def settle(self, reports: Iterable[Done | Undone]) -> list[Row]:
        """Several reports in one commit; if one is refused, none is taken."""
        from automations.services.run.settle import settle_plain  # noqa: PLC0415  # see the module's head

        now = self._clock.now()
        given = list(reports)
        with self._database.write() as tx:
            slots.hold_of(tx, actions=[each.action_id for each in given])
            done = [(at, each) for at, each in enumerate(given) if isinstance(each, Done)]
            plain = settle_plain(tx, done, acceptable=partial(self._acceptable, tx, now=now), now=now)
            rows = [
                (plain[at], True) if at in plain else self._report(tx, report, now=now)
                for at, report in enumerate(given)
            ]
        for row, fresh in rows:
            if fresh:
                self._telemetry.emit(f"action.{row['status']}", **_names(row), attempt=_ended(row))
        self.wake()
        return [row for row, _ in rows]

    def heartbeat(self, action_id: str, holder: Holder, *, lease: int = LEASE) -> bool:
        """Prolong a live lease; False when it is no longer this holder's. Raises StoreUnavailable."""
        now = self._clock.now()
        with self._database.write() as tx:
            return actions.extend(
                tx, action_id=action_id, runner=holder.runner, fence=holder.fence or 0, now=now, until=now + lease
            )

    def release(self, action_id: str, holder: Holder) -> bool:
        """Give a claim back without spending an attempt; False when it is no longer this holder's."""
        now = self._clock.now()
        named: dict[str, Any] = {"action_id": action_id, "runner": holder.runner, "fence": holder.fence or 0}
        with self._database.write() as tx:
            released = actions.release(tx, **named, now=now) or self._let_go(tx, action_id, holder, now=now)
        self.wake()
        return released

    def keep(self, action_id: str, holder: Holder, *, lease: int = LEASE) -> Row:
        """Prolong a live lease (microseconds from now); the action. Raises NotFound, Conflict in `may_finish`'s words."""
        now = self._clock.now()
        with self._database.write() as tx:
            row = _held(tx, action_id, holder, verb="heartbeat", now=now)
            named = {"action_id": action_id, "runner": holder.runner, "fence": row["fence"]}
            return _current(tx, action_id, done=actions.extend(tx, **named, now=now, until=now + lease))

    def give_back(self, action_id: str, holder: Holder) -> Row:
        """Give a claim back without spending an attempt; the action. Raises NotFound, Conflict in `may_finish`'s words."""
        now = self._clock.now()
        with self._database.write() as tx:
            row = _held(tx, action_id, holder, verb="release", now=now)
            named = {"action_id": action_id, "runner": holder.runner, "fence": row["fence"]}
            done = actions.release(tx, **named, now=now) or self._let_go(tx, action_id, holder, now=now)
            given = _current(tx, action_id, done=done)
        self.wake()
        return given

    def asked_to_stop(self, runner: str) -> set[str]:
        """Ids of the actions that this runner holds and is to let go."""
        with self._database.read() as tx:
            return cancels.asked(tx, runner)

    def recover(self) -> int:
        """Take back claims whose lease ran out, end what ran out of time, hand free slots on; how much that was.

        Raises StoreUnavailable.
        """
        now = self._clock.now()
        with self._database.read() as tx:
            late, idle = overdue(tx, now=now), slots.idle(tx, limit=RECOVERED_AT_ONCE)
        count = self._take_back(late, now=now) + self._hand_on(idle, now=now)
        if count:
            self.wake()
        return count

    def next_deadline(self) -> int | None:
        """When the next lease, attempt, step or run is out of time (microseconds), or None."""
        with self._database.read() as tx:
            return deadlines.next_deadline(tx)

    def next_available(self, which: actions.Which = ANY) -> int | None:
        """When the next such claimable action becomes available, or None."""
        with self._database.read() as tx:
            return actions.next_available(tx, which)

    def _report(self, tx: Transaction, report: Done | Undone, *, now: int) -> tuple[Row, bool]:
        """The action as it is after a report, and whether the report is news and no repetition."""
        verb = "complete" if isinstance(report, Done) else "fail"
        run, row = hold(tx, report.action_id)
        action = action_of(row)
        if _repeats(report, action, row, now=now):
            return row, False
        _check(action, report.holder, verb=verb, now=now)
        result = report.result if isinstance(report, Done) else None
        change = self._judge(tx, report, action=action, run=run, row=row, now=now)
        if change.status is not ActionStatus.SUCCEEDED:
            result = None
        return self._persist(tx, run, row=row, change=change, result=result, now=now), True

    def _judge(self, tx: Transaction, report: Done | Undone, *, action: Action, run: Row, row: Row, now: int) -> Change:
        if isinstance(report, Done):
            wanted = self._programs.yields(tx, row["manifest_digest"])
            violations = wanted.violations(advance.output_of(report.result)) if wanted else ()
            if not violations:
                return complete(action)
            message = f"output does not conform to {row['action_id']}: {'; '.join(violations)}"
            failure = Failure(OUTPUT_INVALID, message, retryable=False)
        else:
            failure = report.failure
        policy = self._programs.retry_of(tx, run, row["step_id"])
        return fail(action, failure, policy, now=now, fraction=self._ids.fraction())

    def _take(self, tx: Transaction, asked: Claim, *, now: int) -> tuple[list[Row], list[str]]:
        """The claimed actions, and the runs that have yet to be started because somebody held them."""
        until = now + asked.lease
        rows = actions.claim(tx, asked.which, runner=asked.runner, limit=asked.limit, now=now, until=until)
        if any(row["approval_json"] is not None for row in rows):
            from automations.services.run.hand_out import still_approved  # noqa: PLC0415  # see the module's head

            rows = still_approved(tx, rows, now=now)
        begun = sorted({row["run_id"] for row in rows})  # one order, so that nobody deadlocks
        started = runs.start(tx, begun, now=now)
        return rows, runs.not_started(tx, begun) if tx.skip_locked and started < len(begun) else []

    def _acceptable(self, tx: Transaction, report: Done, row: Row, *, now: int) -> str | None:
        """The text of a result that is to be taken as it is, '' for none; None where the report wants a closer look."""
        if may_finish(action_of(row), report.holder, verb="complete", now=now):
            return None
        wanted = self._programs.yields(tx, row["manifest_digest"])
        if wanted and wanted.violations(advance.output_of(report.result)):
            return None
        return "" if report.result is None else encode(dict(report.result))

    def _take_back(self, late: Overdue, *, now: int) -> int:
        """End what still is out of time; how much that was."""
        from automations.services.run.set_aside import Aside  # noqa: PLC0415  # see the module's head

        taken: dict[str, tuple[Row, str]] = {}
        ready: list[Transaction] = []

        def hold_keys(tx: Transaction, ids: list[str]) -> None:  # of all at once, in one order, before the first run
            if tx not in ready:
                ready.append(tx)
                slots.hold_of(tx, actions=ids)

        def take_back(tx: Transaction, action_id: str) -> None:
            hold_keys(tx, late.actions)
            run, row = hold(tx, action_id)
            policy = self._programs.retry_of(tx, run, row["step_id"])
            change = expire(action_of(row), policy, now=now, fraction=self._ids.fraction())
            if change is not None:
                self._persist(tx, run, row=row, change=change, result=None, now=now)
                taken[action_id] = row, change.ended or "timed_out"

        def end_run(tx: Transaction, action_id: str) -> None:
            hold_keys(tx, late.runs)
            run, _ = hold(tx, action_id)
            expire_run(tx, run["id"], programs=self._programs, now=now)

        for ids, deed in ((late.actions, take_back), (late.runs, end_run)):
            if ids:
                Aside(self._database, self._programs, self._telemetry, now).each(ids, deed)
        for row, ended in taken.values():
            self._telemetry.emit(f"action.{ended}", **_names(row), runner=row["claimed_by"])
        return len(taken) + len(late.runs)

    def _hand_on(self, idle: list[slots.Key], *, now: int) -> int:
        """Hand on slots that are free though somebody waits: where a later generation has more of them, for one."""
        from automations.services.run.set_aside import Aside  # noqa: PLC0415  # see the module's head

        for key in idle:
            Aside(self._database, self._programs, self._telemetry, now).hand_on(key)
        return len(idle)

    def _let_go(self, tx: Transaction, action_id: str, holder: Holder, *, now: int) -> bool:
        """End an action whose holder was asked to stop, and says that it did."""
        try:
            run, row = hold(tx, action_id)
        except NotFound:
            return False
        action = action_of(row)
        if action.stopping is None or may_finish(action, holder, verb="release", now=now):
            return False
        self._persist(tx, run, row=row, change=let_go(action), result=None, now=now)
        return True

    def _persist(
        self, tx: Transaction, run: Row, *, row: Row, change: Change, result: Mapping[str, Any] | None, now: int
    ) -> Row:
        over = change.status.final
        reported = change.ended not in ("lease_expired", "timed_out")  # then the row goes on to say who reported last
        changed = {
            "status": str(change.status),
            "attempt": change.attempt,
            "crashes": change.crashes,
            "available_at": row["available_at"] if change.available_at is None else change.available_at,
            "result_json": None if result is None else encode(dict(result)),
            "error_json": _text(change.error) if change.error else None,
            "dead_letter_json": _text(change.dead_letter) if change.dead_letter else None,
            "claimed_by": row["claimed_by"] if reported else None,
            "claimed_at": row["claimed_at"] if reported else None,
            "reason": row["reason"],
            "completed_at": now if over else None,
        }
        judged = {"id": row["id"], "fence": row["fence"], "judged": row["status"], "now": now}
        if not actions.settle(tx, judged | changed):
            raise StoreError(f"action {row['id']} was no longer {row['status']}, claimed by {row['claimed_by']}")
        if change.ended not in ("succeeded", ""):
            actions.keep_attempt(tx, _attempt(row, change, now=now))
        if over:
            advance.advance_run(tx, run, programs=self._programs, now=now)
        return row | changed | {"turn": None, "lease_expires_at": None, "attempt_deadline_at": None, "updated_at": now}


def _repeats(report: Done | Undone, action: Action, row: Row, *, now: int) -> bool:
    """Whether a report was taken already, from the same hand."""
    taken = Taken(row["updated_at"], row["result_json"], row["error_json"])
    if isinstance(report, Done):
        return completed_again(action, report.holder, result=report.result, taken=taken, now=now)
    return failed_again(action, report.holder, failure=report.failure, taken=taken, now=now)


def action_of(row: Row) -> Action:
    """A row as the queue machine sees it."""
    return Action(
        id=row["id"],
        status=ActionStatus(row["status"]),
        attempt=row["attempt"],
        max_attempts=row["max_attempts"],
        crashes=row["crashes"],
        fence=row["fence"],
        claimed_by=row["claimed_by"],
        lease_expires_at=row["lease_expires_at"],
        attempt_deadline_at=row["attempt_deadline_at"],
        step_deadline_at=row["step_deadline_at"],
        stopping=None if row["cancel_requested_at"] is None else _why(row["cancel_by"], row["cancel_reason"]),
    )


def _why(by: str | None, reason: str | None) -> str:
    return ": ".join(part for part in (f"cancelled by {by}" if by else "cancelled", reason or "") if part)


def records(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Rows as the contract shows them."""
    return [action_record(row) for row in rows]


def input_of(row: Row) -> Any:
    """An action's frozen input: whatever plain data its author wrote, most often an object."""
    return decode(row["input_json"]) if row["input_json"] else {}


def hold(tx: Transaction, action_id: str) -> tuple[Row, Row]:
    """An action and its run, both held until commit, in the order that everybody takes. Raises NotFound."""
    slots.hold_of(tx, actions=[action_id])
    run = runs.hold(tx, action_id)
    if run is None:
        raise NotFound(f"queued action not found: {action_id}", hint="see: automations queue list")
    row = actions.hold(tx, action_id)
    assert row is not None  # noqa: S101  # rows are not deleted while their run lives
    return run, row


def pattern(text: str) -> actions.Only:
    """Which action ids a runner wants: an id, or one with a `*` in it that stands for anything, such as `todos.*`.

    Raises InvalidInput for more than one `*`.
    """
    prefix, star, suffix = text.partition("*")
    if "*" in suffix:
        raise InvalidInput(f"more than one * in {text}", hint="such as: todos.*, or *.create")
    return actions.Only(prefix, suffix, whole=not star)


def _held(tx: Transaction, action_id: str, holder: Holder, *, verb: str, now: int) -> Row:
    """An action in this holder's hands, held until commit. Raises NotFound, Conflict."""
    _, row = hold(tx, action_id)
    _check(action_of(row), holder, verb=verb, now=now)
    return row


def _check(action: Action, holder: Holder, *, verb: str, now: int) -> None:
    refusal = may_finish(action, holder, verb=verb, now=now)
    if refusal:
        over = action.status.final
        hint = f"see: automations queue show {action.id}" if over else "claim it again, or leave it to its holder"
        raise Conflict(refusal.message, hint=hint)


def _current(tx: Transaction, action_id: str, *, done: bool) -> Row:
    row = actions.get(tx, action_id)
    if not done or row is None:
        raise StoreError(f"action {action_id} was no longer claimed")  # the row is held, so this cannot happen
    return row


def _attempt(row: Row, change: Change, *, now: int) -> Row:
    return {
        "action_row_id": row["id"],
        "fence": row["fence"],
        "attempt": row["attempt"] + 1,
        "runner": row["claimed_by"],
        "started_at": row["claimed_at"],
        "ended_at": now,
        "outcome": change.ended,
        "error_json": _text(error) if (error := change.attempt_error or change.error) else None,
    }


def _text(document: Mapping[str, Any]) -> str:
    """Metadata may hold anything that a runner or an executor saw; the rest of an error is words."""
    plain = "metadata" not in document and "metadata" not in document.get("lastError", ())
    return encode_words(dict(document)) if plain else encode(dict(document))


def _ended(row: Row) -> int:
    """Which attempt a report ended, counted from 1 as its history does: the row counts what failed, and a success is none."""
    spent = row["status"] in (ActionStatus.RETRYING, ActionStatus.DEAD)
    return int(row["attempt"]) + (not spent)


def _names(row: Row) -> dict[str, Any]:
    return {"action": row["id"], "run": row["run_id"], "automation": row["automation_id"], "step": row["step_id"]}
