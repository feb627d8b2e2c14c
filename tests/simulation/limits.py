"""Invariants on rate limits and debounces: every event that fired a trigger is in exactly one place, and none is lost.

An accepted event has, for each automation that it fired, one of these: a run of its commit, an outcome that waits for a timer
that is there, an outcome that names a run that is there (its own, or the one that it became part of), or a reason why not.
"""

import json
from collections.abc import Callable, Iterator

from automations.store.database import Row
from simulation.mirror import WAITING, Change, Moment
from simulation.specs import ONCE_WITHIN

Problems = Iterator[str]
ENDED = frozenset({"started", "coalesced", "dropped"})


def _outcomes(moment: Moment) -> Problems:
    for change in moment.of("event_outcomes"):
        if change.new is None:
            continue
        name = f"event {change.new['event_row_id']} for {change.new['automation_id']}"
        yield from (f"{name}: {problem}" for problem in _outcome(change.new, moment))
        if change.old and change.old["outcome"] in ENDED:
            yield f"{name} was {change.old['outcome']} and yet changed {sorted(change.columns())}"


def _outcome(row: Row, moment: Moment) -> Problems:
    mirror = moment.mirror
    event = mirror.get("events", row["event_row_id"])
    if event is None:
        yield "there is no such event"
        return
    word = row["outcome"]
    answered = {each["runId"] for each in json.loads(event["materialized_json"])}
    if any(mirror.rows["runs"][run_id,]["automation_uid"] == row["automation_uid"] for run_id in answered):
        yield f"it started a run at once, and is {word} too"
    if word in WAITING and mirror.get("timers", row["timer_id"]) is None:
        yield f"is {word}, but its timer {row['timer_id']} is not there"
    if word in ("started", "coalesced"):
        run = mirror.get("runs", row["run_id"])
        if run is None or run["automation_uid"] != row["automation_uid"]:
            yield f"is {word}, but its run {row['run_id']} is not there"
        elif (run["event_row_id"] == row["event_row_id"]) != (word == "started"):
            yield f"is {word}, but the run {row['run_id']} is for {run['event_row_id']}"
    if word in ("dropped", "error") and not row["reason"]:
        yield f"is {word} without a reason"


def _timers(moment: Moment) -> Problems:
    """A timer goes when it is due, and then nothing waits for it any more."""
    for change in moment.of("timers"):
        waiting = moment.mirror.waiting_for[change.key[0]]
        if change.new is None:
            if waiting:
                yield f"timer {change.key[0]} is gone, and these wait for it: {sorted(waiting)}"
            yield from _due(change, moment)
        elif not waiting:
            yield f"timer {change.key[0]} is there, and nothing waits for it"


def _due(change: Change, moment: Moment) -> Problems:
    if moment.frame.service != "timers":
        yield f"{moment.frame.service} took timer {change.key[0]}"
    elif change.old and change.old["due_at"] > moment.frame.read_at:
        yield f"timer {change.key[0]} is due at {change.old['due_at']}, and was taken at {moment.frame.read_at}"


def _bodies(moment: Moment) -> Problems:
    """Where one body is one event, none begins while another of the same body is young."""
    for change in moment.of("events"):
        new = change.new
        if new is None or change.old is not None or not new["guarded"]:
            continue
        for other in moment.mirror.rows["events"].values():
            same = all(other[name] == new[name] for name in ("scope", "body_digest", "guarded"))
            if same and other["id"] != new["id"] and other["received_at"] + ONCE_WITHIN > moment.frame.read_at:
                yield f"event {new['identity']} has the body of {other['identity']}, and began too"


LIMIT_RULES: tuple[Callable[[Moment], Problems], ...] = (_outcomes, _timers, _bodies)
