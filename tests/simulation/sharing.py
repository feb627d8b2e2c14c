"""Invariants on slots and stops: never more holders than slots, nobody waits for nothing, and what is told to end does end."""

import json
from collections.abc import Callable, Iterator

from automations.store.database import Row
from simulation.mirror import Mirror, Moment

Problems = Iterator[str]
IN_LINE = ("waiting", "returning")
Key = tuple[str, str]


def contenders(mirror: Mirror, key: Key) -> list[Row]:
    """The runs of a key that hold a slot or want one, by turn."""
    found = [row for row in mirror.runs_of_key[key].values() if row["slot"] is not None]
    return sorted(found, key=lambda row: (row["slot_turn"], row["id"]))


def _keys(moment: Moment) -> list[Key]:
    runs = (change.new for change in moment.of("runs") if change.new)
    return sorted({(row["automation_uid"], row["slot_key"]) for row in runs if row["slot_limit"] is not None})


def _slots(moment: Moment) -> Problems:
    """A slot is given only while one is free, to whoever came first; and none is kept from somebody who waits."""
    begun = {
        change.key[0]
        for change in moment.of("runs")
        if change.new and change.new["slot"] == "held" and (change.old is None or change.old["slot"] != "held")
    }
    for key in _keys(moment):
        rivals = contenders(moment.mirror, key)
        held = [row for row in rivals if row["slot"] == "held"]
        waiting = [row for row in rivals if row["slot"] in IN_LINE]
        for row in held:
            if row["id"] in begun and len(held) > row["slot_limit"]:
                yield f"run {row['id']} took a slot of {key[1]!r} though {len(held)} have one of {row['slot_limit']}"
            if row["id"] in begun and any(each["slot_turn"] < row["slot_turn"] for each in waiting):
                yield f"run {row['id']} took a slot of {key[1]!r} before {waiting[0]['id']}, whose turn it was"
        if waiting and len(held) < waiting[0]["slot_limit"]:
            yield f"run {waiting[0]['id']} waits for {key[1]!r}, of which only {len(held)} slots are taken"


def _waiting(moment: Moment) -> Problems:
    """A run without its slot has nothing in the queue."""
    for change in moment.of("runs"):
        run = change.new
        if run is None or run["slot"] not in IN_LINE:
            continue
        if run["status"] != "pending":
            yield f"run {run['id']} stands in line and is {run['status']}"
        rows = moment.mirror.actions_of[run["id"]].values()
        if any(row["status"] in ("queued", "claimed", "retrying") for row in rows):
            yield f"run {run['id']} stands in line with {[row['status'] for row in rows]}"


def _newest(moment: Moment) -> Problems:
    """A run is superseded only by one that comes, or comes again, in the same commit, and is there."""
    for change in moment.of("runs"):
        run = change.new
        if run is None or run["status"] != "superseded" or (change.old and change.old["status"] == "superseded"):
            continue
        key = (run["automation_uid"], run["slot_key"])
        came = (each.new for each in moment.of("runs") if each.new and (each.old is None or each.old["completed_at"]))
        newer = [each for each in came if (each["automation_uid"], each["slot_key"]) == key]
        if all(each["status"] in ("superseded", "dropped") for each in newer):
            yield f"run {run['id']} was superseded by nobody"


def _stops(moment: Moment) -> Problems:
    """A run that is told to end gets no main step claimed any more, and none of them ends as if nothing had been said."""
    for change in moment.of("actions"):
        old, new = change.old, change.new
        run = moment.mirror.get("runs", new["run_id"]) if new else None
        if new is None or run is None:
            continue
        handed_out = new["status"] == "claimed" and (old is None or old["fence"] != new["fence"])
        if handed_out and run["stop"] is not None and not _final(new, run, moment.mirror):
            yield f"step {new['step_id']} of run {run['id']} was claimed though it is to be {run['stop']}"
        asked = old is not None and old["cancel_requested_at"] is not None and old["status"] == "claimed"
        if asked and new["status"] not in ("claimed", "cancelled"):
            yield f"step {new['step_id']} of run {run['id']} was asked to stop and is {new['status']}"
        if new["status"] == "cancelled" and not new["reason"]:
            yield f"step {new['step_id']} of run {run['id']} was cancelled without a reason"
    for change in moment.of("runs"):
        began_again = change.old is not None and change.old["completed_at"] is not None
        if change.new and change.old and change.old["stop"] not in (None, change.new["stop"]) and not began_again:
            yield f"run {change.key[0]} was to be {change.old['stop']}, now {change.new['stop']}"


def _final(row: Row, run: Row, mirror: Mirror) -> bool:
    generation = mirror.spec_of(run)
    assert generation is not None
    return row["step_id"] in {each["id"] for each in json.loads(generation["spec_json"]).get("finally", ())}


def ending(run: Row, *, stopped: bool) -> str:
    """How a run must have ended whose steps are all over; `stopped` is whether a step's failure counts."""
    if run["stop"] is not None and not (run["stop_scope"] == "finally" and stopped):
        return str(run["stop"])
    return "failed" if stopped else "succeeded"


def counts(row: Row, run: Row, *, unsuccessful: frozenset[str]) -> bool:
    """Whether a step's end counts as a failure: not where the run's own stop ended it."""
    return row["status"] in unsuccessful and not (
        row["status"] == "cancelled" and row["reason"] == f"run_{run['stop']}" and run["stop"] is not None
    )


SHARING_RULES: tuple[Callable[[Moment], Problems], ...] = (_slots, _waiting, _newest, _stops)
