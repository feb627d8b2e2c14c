"""Invariants on what the loop takes away: only what two trusted trees in a row lacked for long enough, never much at once."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from automations.store.database import Row
from simulation.definitions import BINDS, suspended, told_only
from simulation.mirror import Moment
from simulation.specs import GONE_AFTER, SOURCE

Problems = Iterator[str]
SHARE = 0.2
MOST = 10


def _absences(moment: Moment) -> Problems:
    """A memory of absence begins at one, rises by one, and only with a trusted tree that lacks the thing.

    It ends with the first one that has it.
    """
    counted = moment.mirror.counted
    files = moment.frame.files
    claimed = {text.claims for text in (files or {}).values()}
    for change in moment.of("absences"):
        new, old = change.new, change.old
        if new is None:
            continue
        last = counted.get(new["id"], moment.mirror.commits)
        counted[new["id"]] = moment.mirror.commits
        if new["snapshots"] > 1 and moment.mirror.sightings.get(new["id"], -1) >= last:
            yield f"{new['id']} went on being counted as missing though it was seen in between"
        if not files:
            yield f"{new['id']} counts as missing although the tree was not trusted, or empty"
        if new["id"] in claimed:
            yield f"{new['id']} counts as missing although a file declares it"
        begun = new["snapshots"] == 1 and new["first_at"] == moment.frame.read_at
        goes_on = old is not None and new["snapshots"] == old["snapshots"] + 1 and new["first_at"] == old["first_at"]
        if not begun and not goes_on:
            yield f"{new['id']} went from {old and (old['snapshots'], old['first_at'])} to {new['snapshots'], new['first_at']}"


def _deletes(moment: Moment) -> Problems:
    """The loop deletes what is remembered as missing twice and long enough, and nothing while a file is a riddle.

    A manifest goes sooner where another version took its place and nothing takes it any more, or nothing names it and its own
    file says the other version.
    """
    if moment.frame.service != "reconcile":
        return
    gone = [each for each in moment.of("automations") if each.new and each.new["deleted_at"] and not told_only(each)]
    gone += [each for each in moment.of("manifests") if each.new and each.new["deleted_at"]]
    for change in gone:
        row = change.new or {}
        name = row["id"] if change.table == "automations" else f"{row['action_id']}@{row['version']}"
        if change.table == "manifests" and _superseded(moment, row):
            continue
        absence = moment.mirror.get("absences", SOURCE, name)
        if absence is None or absence["snapshots"] < 2 or absence["first_at"] + GONE_AFTER > moment.frame.latest:
            yield f"{name} was deleted, remembered as missing: {absence}"
    known = {row["file"] for table in ("automations", "manifests") for row in moment.mirror.rows[table].values()}
    # What this commit moved elsewhere was known by its old name when it was judged.
    known |= {each.old["file"] for table in ("automations", "manifests") for each in moment.of(table) if each.old}
    riddles = [
        name
        for name, text in (moment.frame.files or {}).items()
        if text.claims is None and not text.good and name not in known
    ]
    if gone and riddles:
        yield f"something was deleted while nobody can read {riddles}"


def _superseded(moment: Moment, gone: Row) -> bool:
    """Whether other versions of an action are left, and no step of anything that lives takes this one."""
    action, version = gone["action_id"], gone["version"]
    rows = [
        row
        for row in moment.mirror.rows["manifests"].values()
        if row["action_id"] == action and row["deleted_at"] is None
    ]
    left = [row["version"] for row in rows]
    edited = gone["file"] in {row["file"] for row in rows}
    newest = max(
        left if edited else (version, *left), key=lambda text: [int(part) for part in text.split(".")], default=""
    )
    taken = {
        step.get("manifestVersion", newest)
        for row in moment.mirror.rows["automations"].values()
        if row["deleted_at"] is None
        for step in _steps(moment, row)
        if step["actionId"] == action
    }
    return bool(left) and version not in taken


def _steps(moment: Moment, row: Row) -> list[dict[str, Any]]:
    generation = moment.mirror.get("generations", row["uid"], row["generation"])
    document = json.loads(generation["spec_json"]) if generation else {}
    return [*document.get("actions", ()), *document.get("finally", ())]


def _never_much(moment: Moment) -> Problems:
    """One commit of the loop never stops more than a fifth of what the source has (but always one), ten, or all."""
    if moment.frame.service != "reconcile":
        return
    stopped = [
        each for each in moment.of("automations")
        if each.new and each.old and each.old["deleted_at"] is None and not told_only(each)
        and (each.new["deleted_at"] is not None or (each.old["status"] == "active" != each.new["status"]))
    ]  # fmt: skip
    deleted = sum(1 for each in stopped if each.new and each.new["deleted_at"] is not None)
    created = sum(
        1 for each in moment.of("automations") if each.new and (each.old is None or each.old["deleted_at"] is not None)
    )
    live = sum(row["deleted_at"] is None for row in moment.mirror.rows["automations"].values())
    owned = live + deleted - created
    count = len(stopped)
    if count > max(1, int(owned * SHARE)) or count > MOST or (count == owned and owned > 1):
        yield f"{count} of {owned} automations were stopped by the loop at once"


def _left_alone(moment: Moment) -> Problems:
    """A source that is suspended is not reconciled; a tree that is not trusted, or empty, changes nothing."""
    if moment.frame.service != "reconcile":
        return
    changed = [each.key for table in BINDS for each in moment.of(table) if not told_only(each)]
    if changed and not moment.frame.files:
        yield f"{changed} changed although the tree was not trusted, or empty"
    if changed and suspended(moment, f"source:{SOURCE}"):
        yield f"{changed} changed although the source is suspended"


PRUNE_RULES: tuple[Callable[[Moment], Problems], ...] = (_absences, _deletes, _never_much, _left_alone)
