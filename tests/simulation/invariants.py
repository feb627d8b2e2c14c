"""What must hold after every commit: rules on single rows (before, after, in whose turn) and on runs as wholes.

These are written from the design's words, not from the code: dependencies, statuses and leases are judged here a second time.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from automations.core.audit import broken_at
from automations.core.run.queue import Holder
from automations.store.database import Row
from simulation.deciding import begins_again, decision_rule, note
from simulation.definitions import DEFINITION_RULES
from simulation.limits import LIMIT_RULES
from simulation.mirror import Change, Frame, Mirror, Moment
from simulation.pruning import PRUNE_RULES
from simulation.sharing import SHARING_RULES, counts, ending
from simulation.transitions import page_rule

UNSUCCESSFUL = frozenset({"failed", "dead", "rejected", "cancelled"})
FINAL = UNSUCCESSFUL | {"succeeded", "skipped"}
CLAIMABLE = frozenset({"queued", "retrying"})
OVER = frozenset({"succeeded", "failed", "cancelled", "timed_out", "superseded", "dropped"})
MOST_CRASHES = 3

Problems = Iterator[str]


def check(moment: Moment) -> list[str]:
    """Everything that this commit broke."""
    found: list[str] = []
    note(moment)
    for change in moment.of("actions"):
        _note_release(change, moment.mirror)
    for change in moment.changes:
        name = f"{change.table} {'/'.join(map(str, change.key))}"
        rules = () if begins_again(change, moment) else ROW_RULES
        found += [f"{name}: {problem}" for rule in rules for problem in rule(change, moment)]
    found += [problem for rule in COMMIT_RULES for problem in rule(moment)]
    return found


def check_whole(mirror: Mirror) -> list[str]:
    """What is too dear to look at after every commit: the whole audit chain, and every run."""
    audit = [mirror.rows["audit"][key] for key in sorted(mirror.rows["audit"])]
    broken = broken_at(audit)
    found = [] if broken is None else [f"the audit chain is broken at {broken}"]
    for run in mirror.rows["runs"].values():
        found += [f"run {run['id']}: {problem}" for problem in _whole_run(run, mirror)]
    return found


def _note_release(change: Change, mirror: Mirror) -> None:
    """A claim that was given back is over without leaving an attempt."""
    old, new = change.old, change.new
    if old and new and old["status"] == "claimed" and new["status"] in CLAIMABLE and new["attempt"] == old["attempt"]:
        mirror.released[old["id"]].add(old["fence"])


def _renames(moment: Moment) -> bool:
    """Whether an automation got another id in this commit; its routes' deliveries follow it."""
    return any(change.old and change.new and "id" in change.columns() for change in moment.of("automations"))


def _kept(change: Change, moment: Moment) -> Problems:
    """Nothing vanishes, and what is written once stays."""
    looked_at_again = change.table == "event_outcomes" and change.old and change.old["outcome"] == "error"
    if change.new is None and change.table not in PASSING and not looked_at_again:
        yield "was deleted"
    if change.old is not None and change.new is not None:
        lost = change.columns() & IMMUTABLE.get(change.table, frozenset())
        if change.table == "events" and _renames(moment):
            lost -= {"scope"}
        if lost or change.table in APPEND_ONLY:
            yield f"changed {sorted(lost or change.columns())}"


PASSING = frozenset({"leases", "timers", "absences", "suspensions"})
"""Rows of these tables may go."""
APPEND_ONLY = frozenset({"attempts", "audit", "generations"})
IMMUTABLE: Mapping[str, frozenset[str]] = {
    "events": frozenset({"id", "scope", "identity", "received_at", "body_digest", "guarded"}),
    "runs": frozenset(
        {"automation_uid", "automation_id", "generation", "digest", "manifests_json", "trigger_json", "event_row_id"}
        | {"trigger_event_id", "idempotency_key", "inputs_json", "replay_of", "created_at"}
        | {"slot_key", "slot_limit"}
    ),
    "actions": frozenset(
        {"run_id", "automation_id", "step_id", "position", "action_id", "manifest_version", "manifest_digest"}
        | {"executor", "idempotency_key", "priority", "max_attempts", "created_at"}
        | {"attempt_limit", "step_limit"}
    ),
    "automations": frozenset({"uid", "created_at"}),
    "state": frozenset({"lineage", "created_at"}),
}


def _final(change: Change, _: Moment) -> Problems:
    """What is over stays as it is."""
    if change.old is None or change.table not in ("runs", "actions"):
        return
    if change.old["status"] in (OVER if change.table == "runs" else FINAL):
        yield f"was {change.old['status']} and yet changed {sorted(change.columns())}"


def _event(change: Change, moment: Moment) -> Problems:
    if change.table != "events" or change.old is None or change.new is None:
        return
    if change.columns() == {"scope"} and _renames(moment):
        return
    if change.old["outcome"] == "waiting" and change.columns() == {"outcome"} and moment.frame.service == "timers":
        return
    if (
        change.columns() <= {"replays", "conflicts", "conflict_at"}
        and (change.new["replays"] > change.old["replays"] or change.new["conflicts"] > change.old["conflicts"])
        and moment.frame.service == "ingest"
    ):
        return
    if change.old["outcome"] != "unmatched":
        yield f"was {change.old['outcome']} and yet changed {sorted(change.columns())}"


def _action(change: Change, moment: Moment) -> Problems:
    """The numbers of an action, and what each status means."""
    if change.table != "actions" or change.new is None:
        return
    new, old = change.new, change.old or _unborn(change.new)
    if not old["attempt"] <= new["attempt"] <= new["max_attempts"]:
        yield f"attempt {old['attempt']} → {new['attempt']} of {new['max_attempts']}"
    if not old["crashes"] <= new["crashes"] <= min(MOST_CRASHES, new["attempt"]):
        yield f"crashes {old['crashes']} → {new['crashes']}"
    if old["input_json"] is not None and (old["input_json"], old["input_digest"]) != (
        new["input_json"],
        new["input_digest"],
    ):
        yield "its frozen input changed"
    held = new["status"] == "claimed"
    if held != (new["lease_expires_at"] is not None) or (held and not new["claimed_by"]):
        yield f"is {new['status']} with holder {new['claimed_by']} until {new['lease_expires_at']}"
    touched = new["input_json"] or (new["fence"] and new["id"] not in moment.mirror.replayed)
    if new["status"] == "blocked" and touched and not _held_back(new, moment):
        yield "is blocked, yet was handed out or rendered"
    if (new["status"] in FINAL) != (new["completed_at"] is not None):
        yield f"is {new['status']}, completed at {new['completed_at']}"
    if new["status"] == "skipped" and not new["reason"]:
        yield "was skipped without a reason"
    if new["status"] == "dead" and not new["dead_letter_json"]:
        yield "is dead without a dead letter"
    ends = set(moment.mirror.ends_of[new["id"]]) | moment.mirror.released[new["id"]]
    open_fence = {new["fence"]} if new["status"] in ("claimed", "succeeded") else set()
    if new["fence"] and not set(range(1, new["fence"] + 1)) <= ends | open_fence:
        yield f"handed out {new['fence']} times, of which ended: {sorted(ends)}"


def _held_back(row: Row, moment: Moment) -> bool:
    """Whether an action was ready and waits because its run gave its slot away, or was over, and stands in line."""
    run = moment.mirror.get("runs", row["run_id"])
    return run is not None and run["slot"] in ("waiting", "returning")


def _unborn(row: Row) -> Row:
    born = {"attempt": 0, "crashes": 0, "fence": 0, "input_json": None, "status": "blocked", "claimed_by": None}
    return row | born | {"lease_expires_at": None}


def _hands(change: Change, moment: Moment) -> Problems:
    """An action passes from hand to hand only as leases allow."""
    if change.table != "actions" or change.new is None:
        return
    old, new, frame = change.old or _unborn(change.new), change.new, moment.frame
    if new["fence"] != old["fence"] or (new["status"] == "claimed" != old["status"]):
        yield from _claimed(old, new, moment=moment)
    elif old["status"] == "claimed":
        yield from _let_go(old, new, frame=frame)
    elif old["status"] in CLAIMABLE and new["status"] == "dead":
        if not _late(old, frame):
            yield "was given up between two attempts, though its step had time left"
    elif old["status"] in CLAIMABLE and new["status"] not in (old["status"], "cancelled"):
        yield f"went from {old['status']} to {new['status']} without being claimed"


def _claimed(old: Row, new: Row, *, moment: Moment) -> Problems:
    """`claim` takes back what expired, and may hand that out, or what thereby became ready, in the same commit.

    An action that has its turn was found to be due once; a clock that is set back does not take that away.
    """
    frame = moment.frame
    released = any(
        each.new and each.new["run_id"] == new["run_id"] and each.new["status"] in FINAL
        for each in moment.of("actions")
    )
    if new["fence"] != old["fence"] + 1:
        yield f"was claimed with fence {old['fence']} → {new['fence']}"
    if new["status"] != "claimed":
        yield f"has a new fence but is {new['status']}"
    elif old["status"] == "claimed":
        if not _expired(old, frame) and not _late(old, frame):
            yield f"was taken from {old['claimed_by']}, whose lease was live"
        elif not _late(old, frame) and new["crashes"] != old["crashes"] + 1:
            yield "a lost lease was not counted"
    elif old["status"] == "blocked" and (released or _granted(new, moment)):
        return
    elif old["status"] not in CLAIMABLE or (old["turn"] is None and old["available_at"] > frame.read_at):
        yield f"was claimed while {old['status']}, available at {old['available_at']}, now {frame.read_at}"
    if new["status"] == "claimed" and new["lease_expires_at"] <= frame.read_at:
        yield "was claimed with a lease that had ended already"


def _granted(row: Row, moment: Moment) -> bool:
    """Whether this commit gave the action's run its slot."""
    changes = [each for each in moment.of("runs") if each.key[0] == row["run_id"]]
    return any(each.new and each.new["slot"] == "held" and each.old and each.old["slot"] != "held" for each in changes)


def _let_go(old: Row, new: Row, *, frame: Frame) -> Problems:
    """A claimed action under the same fence: prolonged, given back, finished by its live holder, stopped, or taken back."""
    live = {each.verb for each in frame.intents if each.action_id == old["id"] and _holds(each.holder, old, frame)}
    if new["status"] == "claimed":
        yield from _still_held(old, new, live=live)
    elif new["status"] == "cancelled":
        yield from _cancelled(old, new, live=live, lost=_expired(old, frame) or _late(old, frame))
    elif new["status"] in ("retrying", "dead") and _late(old, frame):
        if new["attempt"] != old["attempt"] + 1:
            yield f"attempt {old['attempt']} → {new['attempt']} on {new['status']}"
    elif new["crashes"] == old["crashes"] + 1 and new["attempt"] == old["attempt"] + 1:
        if not _expired(old, frame):
            yield f"was taken from {old['claimed_by']}, whose lease was live"
    elif new["status"] in ("succeeded", "dead", "retrying") and live & {"done", "undone"}:
        if new["attempt"] != old["attempt"] + (new["status"] != "succeeded"):
            yield f"attempt {old['attempt']} → {new['attempt']} on {new['status']}"
    elif new["status"] in CLAIMABLE and "release" in live:
        if new["attempt"] != old["attempt"]:
            yield "a release spent an attempt"
    else:
        yield f"became {new['status']}, but {old['claimed_by']} with a live lease did not ask for that"


def _still_held(old: Row, new: Row, *, live: set[str]) -> Problems:
    if new["cancel_requested_at"] != old["cancel_requested_at"]:
        if new["lease_expires_at"] > old["lease_expires_at"]:
            yield "was asked to stop, and given more time"
    elif "beat" not in live:
        yield f"its lease was changed by somebody else than {old['claimed_by']} with a live lease"


def _cancelled(old: Row, new: Row, *, live: set[str], lost: bool) -> Problems:
    """What was taken back first, which spends an attempt, may be cancelled in the same commit."""
    asked = old["cancel_requested_at"] is not None
    if not lost and not (asked and live & {"undone", "release"}):
        yield f"was taken from {old['claimed_by']}, who had not let it go"
    if new["attempt"] != old["attempt"] and (asked or not lost):
        yield "a cancel spent an attempt"


def _holds(holder: Holder, row: Row, frame: Frame) -> bool:
    fenced = holder.fence is None or holder.fence == row["fence"]
    return bool(holder.runner == row["claimed_by"] and fenced and not _expired(row, frame))


def _late(row: Row, frame: Frame) -> bool:
    """Whether an attempt or its step ran out of time."""
    ends = (row["attempt_deadline_at"], row["step_deadline_at"])
    return any(at is not None and at <= frame.read_at for at in ends)


def _expired(row: Row, frame: Frame) -> bool:
    return bool(row["lease_expires_at"] <= frame.read_at)


def _lease(change: Change, moment: Moment) -> Problems:
    """The daemon's lease changes hands only when it ran out, and then with a higher epoch."""
    if change.table != "leases" or change.old is None or change.new is None:
        return
    old, new = change.old, change.new
    if new["holder"] == old["holder"]:
        if new["epoch"] != old["epoch"]:
            yield "a heartbeat changed the epoch"
        return
    if old["expires_at"] > moment.frame.read_at:
        yield f"was taken from {old['holder']} while it was live"
    if new["epoch"] <= old["epoch"]:
        yield f"epoch {old['epoch']} → {new['epoch']} with a new holder"


def _exactly_once(moment: Moment) -> Problems:
    """A new event comes with all its runs, a run with all its actions, and no identity runs twice for one automation."""
    mirror = moment.mirror
    for change in moment.of("runs"):
        if change.old is not None or change.new is None:
            continue
        run = change.new
        if run["replay_of"] is not None:
            continue
        event = mirror.get("events", run["event_row_id"])
        if event is None:
            yield f"run {run['id']} has no event"
            continue
        later = mirror.outcomes_of[event["id"]].get(run["automation_uid"], {})
        mine = {each["runId"] for each in json.loads(event["materialized_json"])}
        if run["id"] not in mine and (later.get("outcome"), later.get("run_id")) != ("started", run["id"]):
            yield f"run {run['id']} is not among those of its event {event['id']}"
        seen = mirror.runs_of[run["automation_uid"], event["identity"]]
        seen.add(run["id"])
        if len(seen) > 1:
            yield f"automation {run['automation_id']} ran {len(seen)} times for {event['identity']}: {sorted(seen)}"
    for change in moment.of("events"):
        for reference in json.loads(change.new["materialized_json"]) if change.new else ():
            if mirror.get("runs", reference["runId"]) is None:
                yield f"event {change.key[0]} names run {reference['runId']}, which does not exist"
            elif set(reference["actionIds"]) != set(mirror.actions_of[reference["runId"]]):
                yield f"event {change.key[0]} names other actions than run {reference['runId']} has"


def _runs(moment: Moment) -> Problems:
    touched = {change.key[0] for change in moment.of("runs")}
    touched |= {change.new["run_id"] for change in moment.of("actions") if change.new}
    for run_id in sorted(touched):
        run = moment.mirror.get("runs", run_id)
        if run is None:
            yield f"actions of run {run_id} exist without it"
            continue
        yield from (f"run {run_id}: {problem}" for problem in _whole_run(run, moment.mirror))


def _whole_run(run: Row, mirror: Mirror) -> Problems:
    generation = mirror.spec_of(run)
    if generation is None or generation["digest"] != run["digest"]:
        yield f"is pinned to generation {run['generation']} of {run['automation_uid']}, which is not there as it was"
        return
    spec = json.loads(generation["spec_json"])
    final = {each["id"] for each in spec.get("finally", ())}
    wanted = {each["id"]: each for each in (*spec["actions"], *spec.get("finally", ()))}
    rows = list(mirror.actions_of[run["id"]].values())
    actions = {row["step_id"]: row for row in rows}
    if len(rows) != len(actions) or set(actions) != set(wanted):
        yield f"has actions {sorted(row['step_id'] for row in rows)} for steps {sorted(wanted)}"
        return
    yield from _status(run, actions, wanted=wanted)
    event = mirror.get("events", run["event_row_id"])
    for step_id, row in actions.items():
        main_over = all(actions[each]["status"] in FINAL for each in wanted if each not in final)
        verdict = _dependencies(wanted[step_id], actions, wanted=wanted, barred=step_id in final and not main_over)
        stays = run["id"] in mirror.replayed and row["status"] != "blocked"  # what ran stays as it ran
        held_up = run["slot"] in ("waiting", "returning", "released") and row["status"] == "blocked"
        if row["status"] != "cancelled" and not held_up and not stays:
            yield from (f"step {step_id} {problem}" for problem in _readiness(row, verdict))
        if row["input_json"] and event:
            given, data = json.loads(row["input_json"]), json.loads(event["envelope_json"])["data"]
            if run["id"] not in mirror.replayed and given != {"n": data.get("n"), "rev": spec["vars"]["rev"]}:
                yield f"step {step_id} was given {given}, not what its event {data} and its generation say"


def _status(run: Row, actions: Mapping[str, Row], *, wanted: Mapping[str, Any]) -> Problems:
    over = all(row["status"] in FINAL for row in actions.values())
    if (run["status"] in OVER) != over or (run["completed_at"] is not None) != over:
        yield f"is {run['status']}, completed at {run['completed_at']}, with {_statuses(actions)}"
        return
    stopped = [
        step_id
        for step_id, row in actions.items()
        if counts(row, run, unsuccessful=UNSUCCESSFUL) and wanted[step_id].get("onFailure", "stop") == "stop"
    ]
    if over and run["status"] != ending(run, stopped=bool(stopped)):
        yield f"is {run['status']}, to be {run['stop']}, though these stopped it: {stopped}"
    if (run["status"] in ("failed", "timed_out")) != (run["error_json"] is not None):
        yield f"is {run['status']} with error {run['error_json']}"
    if run["status"] == "materialized" and any(row["fence"] for row in actions.values()):
        yield "has not started, though an action was handed out"


def _statuses(actions: Mapping[str, Row]) -> str:
    return ", ".join(f"{step_id} {row['status']}" for step_id, row in sorted(actions.items()))


def _readiness(row: Row, verdict: str) -> Problems:
    status = row["status"]
    if status == "blocked":
        if verdict != "wait":
            yield f"is blocked for ever: its dependencies say {verdict}"
    elif status == "skipped" and row["reason"] != "when":
        if verdict != "skip":
            yield f"was skipped ({row['reason']}), but its dependencies say {verdict}"
    elif verdict != "go":
        yield f"is {status}, but its dependencies say {verdict}"


def _dependencies(
    step: Mapping[str, Any], actions: Mapping[str, Row], *, wanted: Mapping[str, Any], barred: bool
) -> str:
    """`go`, `wait` or `skip`, from the design's table."""
    if barred:
        return "wait"
    verdicts = set()
    for given in step.get("dependsOn", ()):
        name = given if isinstance(given, str) else given["step"]
        kind = "default" if isinstance(given, str) else given.get("on", "default")
        verdicts.add(_dependency(kind, actions[name], continues=wanted[name].get("onFailure") == "continue"))
    return "skip" if "skip" in verdicts else "wait" if "wait" in verdicts else "go"


def _dependency(kind: str, row: Row, *, continues: bool) -> str:
    status = row["status"]
    if status not in FINAL:
        return "wait"
    allowed = {
        "completed": True,
        "failed": status in UNSUCCESSFUL,
        "succeeded": status == "succeeded",
        "default": status == "succeeded"
        or (status == "skipped" and row["reason"] == "when")
        or (status in UNSUCCESSFUL and continues),
    }
    return "go" if allowed[kind] else "skip"


ROW_RULES: tuple[Callable[[Change, Moment], Problems], ...] = (_kept, _final, _event, _action, _hands, _lease)
COMMIT_RULES: tuple[Callable[[Moment], Problems], ...] = (
    _exactly_once,
    _runs,
    decision_rule,
    *LIMIT_RULES,
    page_rule,
    *SHARING_RULES,
    *DEFINITION_RULES,
    *PRUNE_RULES,
)
