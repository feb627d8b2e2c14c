"""The verb inspect: everything that people and programs read, as contract-shaped records. Nothing here writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from automations.core.canonical import decode_words
from automations.core.instant import iso
from automations.core.record import action_record, replay_record, run_record
from automations.core.run.states import ActionStatus
from automations.errors import NotFound
from automations.services.absent import no_automation
from automations.services.identity import not_there, whose
from automations.services.reconcile import terminating
from automations.services.reconcile.sync_view import source_records, standing_record, surroundings
from automations.services.run.dead_letters import page
from automations.services.run.run_event import event_of
from automations.store import actions, automations, leases, replays, routes, runs, schedule_failures, state

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from automations.services.ports import Clock
    from automations.services.run.dead_letters import Letters
    from automations.store.database import Database, Row, Transaction

SCHEMA_VERSION = "1.0"


class Filter(NamedTuple):
    """Which runs to list; `before` is the cursor (a run id)."""

    automation_id: str | None = None
    status: str | None = None
    before: str | None = None
    limit: int = 50


class Inspect:
    """Reads."""

    def __init__(self, database: Database, *, clock: Clock, data_dir: str, store: str) -> None:
        self._database = database
        self._clock = clock
        self._data_dir = data_dir
        self._store = store

    def status(self) -> dict[str, Any]:
        """The contract's `status`, and ours: `serial, sources`."""
        with self._database.read() as tx:
            counts = actions.counts(tx)
            bound = [row for row in automations.every(tx) if row["deleted_at"] is None]
            waiting = ("queued", "retrying", "claimed", "blocked", "waiting_approval")
            return {
                "service": "automations",
                "schemaVersion": SCHEMA_VERSION,
                "dataDir": self._data_dir,
                "dbPath": self._store,
                "counts": {
                    "automations": len(bound),
                    "runs": runs.count(tx),
                    "queuedActions": sum(counts.get(word, 0) for word in waiting),
                    "deadActions": counts.get(ActionStatus.DEAD, 0) + counts.get(ActionStatus.REJECTED, 0),
                    "replayRequests": replays.count(tx),
                    "webhookRoutes": routes.count(tx),
                },
                **self._daemons(tx),
                "serial": state.read(tx)["serial"],
                "sources": source_records(tx, bound, now=self._clock.now()),
                **_paused(tx),
            }

    def automations(self) -> list[dict[str, Any]]:
        """Every automation that is not deleted, oldest first."""
        now = self._clock.now()
        with self._database.read() as tx:
            beside = surroundings(tx, now=now)
            return [standing_record(row, beside) for row in automations.live(tx)]

    def terminating(self) -> list[dict[str, Any]]:
        """What is deleted while runs of it go on, oldest first: records with `deletedAt`, `runs`, and the condition."""
        with self._database.read() as tx:
            return [terminating.record(row) for row in terminating.terminating(tx)]

    def deleted(self, identity: str) -> dict[str, Any]:
        """One of `terminating`, with `waitsFor`. Raises NotFound, with what is known of one that is deleted and over."""
        with self._database.read() as tx:
            found = next((row for row in terminating.terminating(tx) if row["id"] == identity), None)
            if found is not None:
                return {**terminating.record(found), "waitsFor": terminating.waits_for(tx, found)}
            row = automations.get(tx, identity)
            if row is None or row["deleted_at"] is None:
                raise not_there(tx, identity)
        hint = f"it was deleted at {iso(row['deleted_at'])}, and nothing of it runs; its history: "
        raise NotFound(f"automation not found: {identity}", hint=f"{hint}automations history {identity}")

    def automation(self, identity: str, *, generation: int | None = None) -> dict[str, Any]:
        """One automation, or one of its generations. Raises NotFound."""
        with self._database.read() as tx:
            row = automations.get(tx, identity)
            if row is None or row["deleted_at"] is not None:
                raise not_there(tx, identity)
            if generation is not None:
                kept = automations.generation(tx, row["uid"], generation)
                if kept is None:
                    raise NotFound(
                        f"automation {identity} has no generation {generation}",
                        hint=f"it has generations 1 to {row['generation']}",
                    )
                row |= {key: kept[key] for key in ("generation", "digest", "spec_json", "file")}
            return standing_record(row, surroundings(tx, now=self._clock.now()))

    def automation_of(self, run_id: str) -> dict[str, Any]:
        """The automation that a run belongs to as it is now, also where it was renamed or deleted since. Raises NotFound."""
        with self._database.read() as tx:
            run = runs.get(tx, run_id)
            row = automations.of_uid(tx, run["automation_uid"]) if run is not None else None
            if run is None:
                raise NotFound(f"run not found: {run_id}", hint="see: automations runs list")
            if row is None:
                raise no_automation(run["automation_id"], automations.bound_ids(tx))
            return standing_record(row, surroundings(tx, now=self._clock.now()))

    def materialized(self, references: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """`{automation, run, actions}` for every `{automationId, runId}` that an ingest answered."""
        shown = []
        for reference in references:
            run = self.run(reference["runId"])
            actions_of_run = run.pop("actions")
            run.pop("event", None)
            automation = self.automation_of(reference["runId"])
            shown.append({"automation": automation, "run": run, "actions": actions_of_run})
        return shown

    def dead_letters(self, wanted: Letters, *, after: str | None = None, limit: int = 1000) -> list[dict[str, Any]]:
        """Dead and rejected actions, oldest first, after the id `after`."""
        return [action_record(row) for row in page(self._database, wanted, after=after, limit=limit)]

    def waiting(self) -> list[dict[str, Any]]:
        """Actions that wait for an approval, oldest first."""
        with self._database.read() as tx:
            return [action_record(row) for row in actions.waiting(tx)]

    def actions(self, *, status: str | None, after: str | None, limit: int) -> list[dict[str, Any]]:
        """Actions that are not over, or those of one status; oldest first, after the id `after`."""
        with self._database.read() as tx:
            return [action_record(row) for row in actions.page(tx, status=status, after=after, limit=limit)]

    def action(self, action_id: str) -> dict[str, Any]:
        """One action with its ended `attempts`, and the `replays` of it or its run. Raises NotFound."""
        with self._database.read() as tx:
            row = actions.get(tx, action_id)
            if row is None:
                raise NotFound(f"queued action not found: {action_id}", hint="see: automations queue list")
            ended = [each for each in actions.attempts_of_run(tx, row["run_id"]) if each["action_row_id"] == action_id]
            asked = [each for each in replays.of_run(tx, row["run_id"]) if each["action_row_id"] in (None, action_id)]
        record = action_record(row, attempts=ended)
        return {**record, "replays": [replay_record(each) for each in asked]} if asked else record

    def runs(self, wanted: Filter) -> list[dict[str, Any]]:
        """Runs, newest first."""
        with self._database.read() as tx:
            return [run_record(row) for row in _page(tx, wanted)]

    def became(self, name: str) -> str:
        """What became of the automation that an id means, in words; empty where it is bound by that id."""
        with self._database.read() as tx:
            meant = whose(tx, name)
            return meant.became(name) if meant else str(no_automation(name, automations.bound_ids(tx)))

    def runs_of(self, wanted: Filter, *, since: int | None, code: str | None) -> list[dict[str, Any]]:
        """All runs that a filter finds, newest first: made since an instant (microseconds), ended with an error code."""
        found: list[dict[str, Any]] = []
        with self._database.read() as tx:
            while True:
                rows = _page(tx, wanted)
                recent = [row for row in rows if since is None or row["created_at"] >= since]
                found += [each for each in map(run_record, recent) if code in (None, each.get("error", {}).get("code"))]
                if len(rows) < wanted.limit or len(recent) < len(rows):
                    return found
                wanted = wanted._replace(before=rows[-1]["id"])

    def run(self, run_id: str) -> dict[str, Any]:
        """One run with `actions` (each with its ended `attempts`) and `event`. Raises NotFound."""
        with self._database.read() as tx:
            row = runs.get(tx, run_id)
            if row is None:
                raise NotFound(f"run not found: {run_id}", hint="see: automations runs list")
            ended: dict[str, list[Row]] = {}
            for attempt in actions.attempts_of_run(tx, run_id):
                ended.setdefault(attempt["action_row_id"], []).append(attempt)
            event = event_of(tx, row)
            shown = run_record(row)
            asked = replays.of_run(tx, run_id)
            if asked:
                shown["replays"] = [replay_record(each) for each in asked]
            shown["actions"] = [
                action_record(action, attempts=ended.get(action["id"], [])) for action in actions.of_run(tx, run_id)
            ]
        if event:
            shown["event"] = event
        return shown

    def attended(self) -> bool:
        """Whether a daemon lives on this store, by its lease."""
        with self._database.read() as tx:
            return any(row["expires_at"] > self._clock.now() for row in leases.daemons(tx))

    def _daemons(self, tx: Transaction) -> dict[str, Any]:
        """The contract's `daemon`, the one that was heard of last; `daemons` where several live."""
        rows = leases.daemons(tx)
        live = [row["holder"] for row in rows if row["expires_at"] > self._clock.now()]
        shown = {"daemon": self._daemon(rows[0]) if rows else {"active": False}}
        return {**shown, "daemons": sorted(live)} if len(live) > 1 else shown

    def _daemon(self, row: Row) -> dict[str, Any]:
        metadata = decode_words(row["metadata_json"])
        return {
            "leaseId": row["holder"],
            "pid": metadata.pop("pid", None),
            "hostname": metadata.pop("hostname", None),
            "heartbeatAt": iso(row["heartbeat_at"]),
            "expiresAt": iso(row["expires_at"]),
            "active": row["expires_at"] > self._clock.now(),
            "metadata": metadata,
        }


def _page(tx: Transaction, wanted: Filter) -> list[Row]:
    """A page of runs, whatever their automation was called when they began."""
    meant = None if wanted.automation_id is None else whose(tx, wanted.automation_id)
    if meant is None and wanted.automation_id is not None:
        return []
    uid = None if meant is None else meant.uid
    return runs.page(tx, uid=uid, status=wanted.status, before=wanted.before, limit=wanted.limit)


def _paused(tx: Transaction) -> dict[str, Any]:
    """Schedules that paused themselves, where there are any."""
    found = [
        {
            "automationId": row["automation_id"],
            "trigger": row["trigger_id"],
            "since": iso(row["paused_at"]),
            "failures": row["failures"],
        }
        for row in schedule_failures.paused(tx)
    ]
    return {"pausedSchedules": found} if found else {}
