"""The verb replay: what failed is tried again. Each request is one transaction, guarded, recorded and audited.

One code path for the command line, the library and the server. A dry run does everything and takes it back, so it cannot tell
anything else than what would happen.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from automations.core.audit import Entry
from automations.core.canonical import decode, encode
from automations.core.instant import iso
from automations.core.run.replay import Again, Ended, Mode, again, chosen, kept, may_replay, with_failures
from automations.core.run.states import ActionStatus, RunStatus
from automations.core.trigger.bindings import Bound
from automations.errors import AutomationsError, Conflict, NotFound, StoreError
from automations.services import audit
from automations.services.plan.definitions import Bindings
from automations.services.ports import Clock, Ids, Telemetry, Wake
from automations.services.run.admit import admit_runs, make_room
from automations.services.run.advance import advance_run, reopen_run
from automations.services.run.cancel import hold_run, look_at_run
from automations.services.run.programs import Programs
from automations.services.run.queue import hold
from automations.services.run.replay_run import carry_over, check_inputs, made_anew, pinned, policy_of_run, today
from automations.store import actions, replays, runs, slots
from automations.store.database import Database, Row, Transaction

AT_ONCE = 50
"""How many requests of a bulk replay share a commit."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What replaying needs."""

    database: Database
    bindings: Bindings
    programs: Programs
    clock: Clock
    ids: Ids
    telemetry: Telemetry


@dataclass(frozen=True, slots=True)
class Wanted:
    """How to try again. `current` takes today's spec instead of the one that the run is pinned to; `batch` ties many."""

    mode: Mode = Mode.FAILED_ACTIONS
    current: bool = False
    from_step: str | None = None
    reason: str | None = None
    batch: str | None = None


class _TakenBack(Exception):
    """Ends a dry run: carries what it found out of the transaction that is rolled back."""

    def __init__(self, found: Any) -> None:
        super().__init__()
        self.found = found


class Replay:
    """Tries again what failed."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.wake: Wake = lambda: None
        """Called after a commit that queued work."""

    def action(self, action_id: str, *, actor: str, reason: str | None = None) -> Row:
        """Put a dead action back into the queue; its run goes on. Raises NotFound, Conflict, StoreUnavailable."""
        now = self._parts.clock.now()
        with self._parts.database.write() as tx:
            run_id = self._action(tx, action_id, Wanted(Mode.DEAD_ACTIONS, reason=reason), actor=actor, now=now)
            replayed = actions.get(tx, action_id)
        self._parts.telemetry.emit("action.replayed", action=action_id, run=run_id, actor=actor)
        self.wake()
        assert replayed is not None  # noqa: S101  # it was just updated
        return replayed

    def actions(self, ids: Iterable[str], *, actor: str, reason: str) -> dict[str, Any]:
        """The same for many, so many to a commit: `{batchId, replayed: [id], skipped: [{id, error}]}`.

        An action that is no longer dead when its turn comes is skipped. Raises StoreUnavailable; what was committed stands.
        """
        wanted = Wanted(Mode.DEAD_ACTIONS, reason=reason, batch=self._parts.ids.new())
        found: dict[str, Any] = {"batchId": wanted.batch, "replayed": [], "skipped": []}
        waiting = sorted(ids)
        for begin in range(0, len(waiting), AT_ONCE):
            now, done, skipped = self._parts.clock.now(), [], []
            with self._parts.database.write() as tx:
                slots.hold_of(tx, actions=waiting[begin : begin + AT_ONCE])
                for action_id in waiting[begin : begin + AT_ONCE]:
                    try:
                        self._action(tx, action_id, wanted, actor=actor, now=now)
                        done.append(action_id)
                    except (Conflict, NotFound) as refused:  # raised before anything was written
                        skipped.append({"id": action_id, "error": refused.message})
            found["replayed"] += done
            found["skipped"] += skipped
            self._parts.telemetry.emit("replay.batch", batch=wanted.batch, count=len(done), actor=actor)
            self.wake()
        return found

    def run(self, run_id: str, wanted: Wanted, *, actor: str, dry_run: bool = False) -> dict[str, Any]:
        """Try a run again: `{replayId, mode, runId, generation, replayOf?, dryRun, steps: [{stepId, was?, becomes}]}`.

        Raises NotFound, Conflict, InvalidInput when today's spec does not take the inputs, StoreUnavailable.
        """
        try:
            with self._parts.database.write() as tx:
                found = self._run(tx, run_id, wanted, actor=actor)
                _take_back(found, dry_run=dry_run)
        except _TakenBack as back:
            told: dict[str, Any] = back.found
            return {**told, "dryRun": True}
        self._parts.telemetry.emit("run.replayed", run=run_id, made=found["runId"], mode=str(wanted.mode), actor=actor)
        self.wake()
        return {**found, "dryRun": False}

    def runs(self, ids: Iterable[str], wanted: Wanted, *, actor: str) -> dict[str, Any]:
        """The same for many, each in a commit of its own: `{batchId, replayed: [{runId, …}], skipped: [{id, error}]}`."""
        batch = self._parts.ids.new()
        each_wanted = Wanted(wanted.mode, wanted.current, wanted.from_step, wanted.reason, batch)
        found: dict[str, Any] = {"batchId": batch, "replayed": [], "skipped": []}
        for run_id in ids:
            try:
                found["replayed"].append(self.run(run_id, each_wanted, actor=actor))
            except StoreError:
                raise
            except AutomationsError as refused:
                found["skipped"].append({"id": run_id, "error": refused.message})
        return found

    def _action(self, tx: Transaction, action_id: str, wanted: Wanted, *, actor: str, now: int) -> str:
        run, row = hold(tx, action_id)
        refusal = may_replay(action_id, ActionStatus(row["status"]), _letter(row))
        if refusal:
            raise Conflict(refusal.message, hint="see: automations dlq list")
        _check_not_ending(run)
        rows = actions.of_run(tx, run["id"])
        ended = [_ended(each) for each in rows]
        these = [each for each in ended if each.id == action_id]
        bound = pinned(self._parts.programs.of_run(tx, run))
        self._try(tx, run, again(these, bound.automation.steps, ended=ended, current=False), bound=bound, now=now)
        row = {"action_row_id": action_id, "reason": wanted.reason or f"requeue dead action {action_id}"}
        replays.insert(tx, {**self._request(run, wanted, actor=actor, now=now), **row})
        about = {"run": run["id"], "reason": wanted.reason or ""}
        audit.append(tx, Entry(now, actor, "dlq.replay", action_id, about))
        return str(run["id"])

    def _run(self, tx: Transaction, run_id: str, wanted: Wanted, *, actor: str) -> dict[str, Any]:
        now = self._parts.clock.now()
        # A run that is made anew only reads the old one. Its own key is the one that it holds: today's spec may have another, and
        # two keys one after the other would be two orders.
        run = look_at_run(tx, run_id) if wanted.mode is Mode.ENTIRE_RUN else hold_run(tx, run_id)
        _check_not_ending(run)
        if wanted.from_step is not None and wanted.mode is not Mode.ENTIRE_RUN:
            raise Conflict("only an entire run begins at a step", hint="say: --mode entire-run --from STEP")
        over = RunStatus(run["status"]).final
        if not over and (wanted.mode is Mode.ENTIRE_RUN or wanted.current):
            raise Conflict(f"run {run_id} is {run['status']}, not over", hint="wait for its end, or cancel it")
        bound = (
            today(self._parts.bindings.within(tx), run)
            if wanted.current
            else pinned(self._parts.programs.of_run(tx, run))
        )
        check_inputs(bound, run)
        request = self._request(run, wanted, actor=actor, now=now)
        request["generation"] = bound.generation if wanted.current else None
        if wanted.mode is Mode.ENTIRE_RUN:
            request["made_run_id"] = self._entire(tx, run, wanted, bound=bound, request=request)
        else:
            self._in_place(tx, run, wanted, bound=bound, now=now)
        replays.insert(tx, request)
        about = {"mode": str(wanted.mode), "reason": wanted.reason or "", "generation": bound.generation}
        about |= {"made": request["made_run_id"]} if request["made_run_id"] else {}
        about |= {"from": wanted.from_step} if wanted.from_step else {}
        audit.append(tx, Entry(now, actor, "run.replay", run_id, about))
        return self._told(tx, run, request)

    def _request(self, run: Row, wanted: Wanted, *, actor: str, now: int) -> Row:
        return {
            "id": self._parts.ids.new(),
            "run_id": run["id"],
            "mode": str(wanted.mode),
            "reason": wanted.reason,
            "requested_by": actor,
            "now": now,
            "made_run_id": None,
            "from_step": wanted.from_step,
            "batch_id": wanted.batch,
        }

    def _in_place(self, tx: Transaction, run: Row, wanted: Wanted, *, bound: Bound, now: int) -> None:
        rows = actions.of_run(tx, run["id"])
        steps = {step.id for step in bound.automation.steps}
        if wanted.current and steps != {row["step_id"] for row in rows}:
            raise Conflict(
                f"generation {bound.generation} of {bound.automation.id} has other steps than run {run['id']}",
                hint=f"make a new run of it: automations runs replay {run['id']} --mode entire-run --current",
            )
        ended = [_ended(row) for row in rows]
        these = chosen(wanted.mode, ended)
        if not these:
            what = wanted.mode.value.replace("-", " ")
            hint = f"a new run of all of it: automations runs replay {run['id']} --mode entire-run"
            raise Conflict(f"run {run['id']} has no {what} to replay", hint=hint)
        failed = {each.id for each in these if each.status is ActionStatus.FAILED}
        _note_failures(tx, run, [row for row in rows if row["id"] in failed])
        if wanted.current:
            runs.repin(
                tx, run["id"], {key: bound.blueprint.run[key] for key in ("generation", "digest", "manifests_json")}
            )
            run |= {key: bound.blueprint.run[key] for key in ("generation", "digest", "manifests_json")}
        self._try(
            tx, run, again(these, bound.automation.steps, ended=ended, current=wanted.current), bound=bound, now=now
        )

    def _try(self, tx: Transaction, run: Row, these: tuple[Again, ...], *, bound: Bound, now: int) -> None:
        """Move the actions, and let the run go on from there."""
        blanks = {row["step_id"]: row for row in bound.blueprint.actions}
        for each in these:
            if each.how == "requeue":
                done = actions.requeue(tx, each.id, now=now)
            else:
                done = actions.restart(tx, {**blanks[each.step_id], "id": each.id, "was": str(each.was), "now": now})
            if not done:
                raise StoreError(f"action {each.id} was no longer {each.was}")
        if run["completed_at"] is not None:
            make_room(tx, run, policy_of_run(bound, run), programs=self._parts.programs, now=now)
        reopen_run(tx, run, programs=self._parts.programs, now=now)

    def _entire(self, tx: Transaction, run: Row, wanted: Wanted, *, bound: Bound, request: Row) -> str:
        rows = actions.of_run(tx, run["id"])
        over = frozenset[str]()
        if wanted.from_step is not None:
            steps = bound.automation.steps
            if wanted.from_step not in {step.id for step in steps}:
                names = ", ".join(step.id for step in steps)
                raise Conflict(f"{bound.automation.id} has no step {wanted.from_step}", hint=f"its steps are: {names}")
            over = kept(wanted.from_step, steps, [_ended(row) for row in rows])
        keeping = {row["step_id"]: row for row in rows if row["step_id"] in over}
        fresh = made_anew(tx, bound, run, request=request, blank=bool(keeping), new_id=self._parts.ids.new)
        admit_runs(tx, [fresh], programs=self._parts.programs, now=request["now"])
        carry_over(tx, fresh, keeping, now=request["now"])
        made = str(fresh.run["id"])
        standing = runs.get(tx, made)
        assert standing is not None  # noqa: S101  # it was just inserted
        if keeping and standing["completed_at"] is None:
            advance_run(tx, standing, programs=self._parts.programs, now=request["now"])
        return made

    def _told(self, tx: Transaction, run: Row, request: Row) -> dict[str, Any]:
        made = request["made_run_id"] or run["id"]
        standing = runs.get(tx, made)
        assert standing is not None  # noqa: S101  # it was just written
        found = {
            "replayId": request["id"],
            "mode": request["mode"],
            "runId": made,
            "status": standing["status"],
            "generation": standing["generation"],
            "steps": [
                {"stepId": each["step_id"], "id": each["id"], "status": each["status"]}
                for each in actions.of_run(tx, made)
            ],
        }
        return {**found, "replayOf": run["id"]} if request["made_run_id"] else found


def _check_not_ending(run: Row) -> None:
    """Raises Conflict for a run that is about to end: told to, or only its `finally` steps go on.

    What it is given now would end with it, or run beside what is to come after everything else.
    """
    if run["completed_at"] is not None:
        return
    why = run["stop"] or ("only its finally steps go on" if run["finally_at"] is not None else None)
    if why is not None:
        raise Conflict(f"run {run['id']} is about to end: {why}", hint="replay it when it is over")


def _note_failures(tx: Transaction, run: Row, failed: list[Row]) -> None:
    """What failed before any attempt stays on record with its run, because its action will say something else."""
    if failed:
        metadata = decode(run["metadata_json"]) if run["metadata_json"] else {}
        told = [
            {"stepId": row["step_id"], "at": iso(row["completed_at"]), "error": decode(row["error_json"])}
            for row in failed
            if row["error_json"] and row["completed_at"] is not None
        ]
        run["metadata_json"] = encode(with_failures(metadata, told))
        runs.describe(tx, run["id"], metadata_json=run["metadata_json"])


def _take_back(found: dict[str, Any], *, dry_run: bool) -> None:
    if dry_run:
        raise _TakenBack(found)


def _ended(row: Row) -> Ended:
    replayable = bool((_letter(row) or {}).get("replayable", False))
    return Ended(row["id"], row["step_id"], ActionStatus(row["status"]), row["reason"], replayable)


def _letter(row: Row) -> dict[str, Any] | None:
    return decode(row["dead_letter_json"]) if row["dead_letter_json"] else None
