"""Invariants on definitions: what may change them, that every change is counted and audited, and that files decide."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from automations.core.audit import GENESIS
from automations.store.database import Row
from simulation.mirror import Change, Mirror, Moment
from simulation.specs import Text

BINDS = ("automations", "generations", "manifests", "routes")
CONDITIONS = frozenset({"conditions_json", "observed_generation"})
OVERLAYS = ("suspensions",)
DEFINERS = ("reconcile", "operator", "expiry")

Problems = Iterator[str]


def _serial(moment: Moment) -> Problems:
    """The serial rises by one with every change of definitions, never else, and the change is audited in its commit."""
    bound = [change for table in (*BINDS, *OVERLAYS) for change in moment.of(table) if not told_only(change)]
    for change in moment.of("state"):
        if change.old and change.new and change.new["serial"] != change.old["serial"] + 1:
            yield f"the serial went from {change.old['serial']} to {change.new['serial']}"
    risen = bool(moment.of("state"))
    if bool(bound) != risen:
        yield f"definitions changed: {[change.key for change in bound]}; the serial rose: {risen}"
    mine = [change for change in moment.of("audit") if change.new and change.new["action"] != "run.end"]
    if risen and len(mine) != 1:
        yield "definitions changed without one entry in the audit"
    if bound and moment.frame.service not in DEFINERS:
        yield f"{moment.frame.service} changed definitions"


def told_only(change: Change) -> bool:
    """Whether nothing but what is said of an automation changed, or of a row that a binding is not."""
    return change.table == "automations" and change.columns() <= CONDITIONS


def _audit(moment: Moment) -> Problems:
    for change in moment.of("audit"):
        if change.new is None:
            continue
        before = moment.mirror.get("audit", change.new["seq"] - 1)
        if change.new["previous"] != (before["hash"] if before else GENESIS):
            yield f"audit entry {change.new['seq']} does not follow the one before it"


def _generations(moment: Moment) -> Problems:
    """An automation's generation rises by one at most, and is on record with the same digest."""
    for change in moment.of("automations"):
        new, old = change.new, change.old
        if new is None:
            continue
        before = old["generation"] if old else 0
        if not before <= new["generation"] <= before + 1:
            yield f"automation {new['id']}: generation {before} → {new['generation']}"
        kept = moment.mirror.get("generations", new["uid"], new["generation"])
        if kept is None or kept["digest"] != new["digest"]:
            yield f"automation {new['id']} is bound to generation {new['generation']}, which is not on record"


def _files_decide(moment: Moment) -> Problems:
    """Reconciling writes only what a trusted tree's good files say, and never takes an automation away."""
    frame = moment.frame
    if frame.service not in ("reconcile", "operator"):
        return
    good = good_texts(frame.files or {})
    for change in moment.of("automations"):
        new, old = change.new, change.old
        if new is None or told_only(change):
            continue
        if new["deleted_at"] is not None:
            yield from _deleted(change, moment)
            continue
        text = good.get(new["id"])
        if text is None:
            yield f"automation {new['id']} was changed, but no good file says so"
            continue
        if old and old["id"] != new["id"] and text.renamed_from != old["id"]:
            yield f"automation {old['id']} became {new['id']} without being renamed"
        revision = _revision(moment.mirror.get("generations", new["uid"], new["generation"]))
        if revision != text.revision:
            yield f"automation {new['id']} was bound as of revision {revision}, its file is {text.revision}"


def _deleted(change: Change, moment: Moment) -> Problems:
    claimed = {text.claims for text in (moment.frame.files or {}).values()}
    if change.new and change.new["id"] in claimed:
        yield f"automation {change.new['id']} was deleted although a file declares it"


def _revision(generation: Row | None) -> Any:
    return json.loads(generation["spec_json"])["vars"]["rev"] if generation else None


def good_texts(files: Mapping[str, Text]) -> dict[str, Text]:
    """Automation ids to the one good file that declares each; contested ids and webhook paths count for nobody."""
    ids = Counter(text.claims for text in files.values())
    doors = Counter(text.door.path for text in files.values() if text.good and text.door)
    return {
        text.claims: text
        for text in files.values()
        if text.good and text.claims and ids[text.claims] == 1 and (text.door is None or doors[text.door.path] == 1)
    }


def not_in_step(files: Mapping[str, Text], mirror: Mirror) -> list[str]:
    """Where the state is not what the good files of a tree say."""
    held = {row["id"]: row for row in mirror.rows["automations"].values() if row["deleted_at"] is None}
    found = []
    for identity, text in good_texts(files).items():
        row = held.get(identity)
        bound = _revision(mirror.get("generations", row["uid"], row["generation"])) if row else None
        if bound != text.revision:
            found.append(f"{identity} is bound as of revision {bound}, its file says {text.revision}")
    return found


def _fired(moment: Moment) -> Problems:
    """An event starts a run of exactly the automations whose triggers it meets as of its commit, or is held up by them."""
    for change in moment.of("events"):
        if change.new is None or (change.old and change.old["outcome"] in (change.new["outcome"], "waiting")):
            continue
        held_up = moment.mirror.outcomes_of[change.new["id"]].values()
        started = [each["automationId"] for each in json.loads(change.new["materialized_json"])]
        started = sorted([*started, *(each["automation_id"] for each in held_up)])
        wanted = sorted(
            row["id"] for row in moment.mirror.rows["automations"].values() if _meets(row, change.new, moment)
        )
        if started != wanted:
            yield f"event {change.new['identity']} started {started}, should have started {wanted}"


def suspended(moment: Moment, subject: str) -> bool:
    """Whether somebody's pause by hand held when whoever has the turn looked at the clock."""
    row = moment.mirror.get("suspensions", subject)
    return row is not None and (row["until_at"] is None or moment.frame.latest < row["until_at"])


def _meets(row: Row, event: Row, moment: Moment) -> bool:
    generation = moment.mirror.get("generations", row["uid"], row["generation"])
    if row["deleted_at"] is not None or row["status"] != "active" or generation is None:
        return False
    if suspended(moment, row["uid"]):
        return False
    data = json.loads(event["envelope_json"])["data"]
    for trigger in json.loads(generation["spec_json"])["triggers"]:
        if trigger["kind"] == "webhook":
            route = trigger["route"].get("id", f"{row['id']}.{trigger['id']}")
            if event["scope"] == f"route:{route}":
                return True
        elif (
            event["scope"].removeprefix("source:") in trigger["source"]
            and event["type"].startswith("order.")
            and data.get("for") == trigger["filter"]["for"]
        ):
            return True
    return False


DEFINITION_RULES: tuple[Callable[[Moment], Problems], ...] = (
    _serial,
    _audit,
    _generations,
    _files_decide,
    _fired,
)
