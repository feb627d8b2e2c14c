"""Reading how sources and automations stand: sync apart from health, conditions with suspensions over them, what waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from automations.core.canonical import decode_words
from automations.core.instant import iso
from automations.core.plan.health import health, looked_at, suspended, sync
from automations.core.reason import shown
from automations.core.record import automation_record
from automations.services.lead import leaders
from automations.services.reconcile.terminating import conditions as conditions_of
from automations.services.reconcile.terminating import terminating
from automations.store import absences, sources, suspensions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from automations.store.database import Database, Row, Transaction


_OWNED = "source:"


class Surroundings(NamedTuple):
    """What an automation's record needs beside its row."""

    paused: Mapping[str, Row]
    sources: Mapping[str, Row]
    leaders: Mapping[str, Mapping[str, str]]


def surroundings(tx: Transaction, *, now: int) -> Surroundings:
    """Suspensions that hold now, by subject, and sources by owner."""
    held = {row["subject"]: row for row in suspensions.every(tx) if row["until_at"] is None or now < row["until_at"]}
    return Surroundings(held, {f"{_OWNED}{row['name']}": row for row in sources.every(tx)}, leaders(tx, now=now))


def standing_record(row: Row, beside: Surroundings) -> dict[str, Any]:
    """An automation's record with `sync?, health, suspension?, lastAttemptedRevision?`; nobody's files say what `api` owns."""
    shown = automation_record(row)
    paused = beside.paused.get(row["uid"])
    source = beside.sources.get(row["owner"])
    conditions = _with_pause(shown["conditions"], paused)
    said: dict[str, Any] = {
        "conditions": conditions,
        "health": "Suspended" if row["status"] != "active" else health(conditions),
        "suspension": suspension(paused),
    }
    if source is None and row["owner"].startswith(_OWNED):
        said["sync"] = "Unknown"  # it was applied by hand, and no loop has looked at its files yet
    if source is not None:
        held = decode_words(source["conditions_json"])
        trusted = held.get("Source", {}).get("status") == "True" and _looked_at(held, beside.paused.get(row["owner"]))
        said["sync"] = sync(shown["conditions"], trusted=trusted)
        said["lastAttemptedRevision"] = source["last_attempted_revision"]
    return {**shown, **{key: value for key, value in said.items() if value is not None}}


def _looked_at(source: Mapping[str, Any], paused: Row | None) -> bool:
    """Whether what is said of a source is of a look since it was suspended, where it is."""
    return looked_at(source, since=None if paused is None else paused["since"])


def suspension(row: Row | None) -> dict[str, Any] | None:
    """`{owner, reason, since, until?}`."""
    if row is None:
        return None
    shown = {"owner": row["owner"], "reason": row["reason"], "since": iso(row["since"])}
    return shown if row["until_at"] is None else {**shown, "until": iso(row["until_at"])}


def source_records(tx: Transaction, bound: Iterable[Row], *, now: int) -> list[dict[str, Any]]:
    """Every source: how it stands, what is invalid, what waits to be deleted, what is suspended."""
    beside = surroundings(tx, now=now)
    every, going = list(bound), terminating(tx)
    looked = sources.every(tx)
    unseen = {owner for owner in beside.paused if owner.startswith(_OWNED)} - {
        f"{_OWNED}{row['name']}" for row in looked
    }
    return [
        *(_source(tx, row, (every, going), beside) for row in looked),
        *(_unseen(owner, every, beside.paused[owner]) for owner in sorted(unseen)),
    ]


def _unseen(owner: str, bound: list[Row], paused: Row) -> dict[str, Any]:
    """A source that was suspended before anybody looked at it."""
    return {
        "name": owner.removeprefix(_OWNED),
        "sync": "Unknown",
        "health": "Suspended",
        "automations": sum(each["owner"] == owner for each in bound),
        "conditions": _with_pause({}, paused),
        "suspension": suspension(paused),
    }


def known_sources(database: Database) -> list[dict[str, Any]]:
    """Every source as its daemon was told to treat it: `{name, path, prune, prune_after, self_heal}`."""
    with database.read() as tx:
        rows = sources.every(tx)
    found = []
    for row in rows:
        policy = decode_words(row["policy_json"])
        kept = {"prune": "prune", "gone_after": "prune_after", "self_heal": "self_heal"}
        found.append(
            {"name": row["name"], "path": row["root"], **{kept[key]: policy[key] for key in kept if key in policy}}
        )
    return found


def _source(tx: Transaction, row: Row, found: tuple[list[Row], list[Row]], beside: Surroundings) -> dict[str, Any]:
    """`found` are the automations that are bound, and those that are deleted while runs of them go on."""
    owner = f"{_OWNED}{row['name']}"
    held = decode_words(row["conditions_json"])
    conditions = _with_pause(held, beside.paused.get(owner))
    mine, going = ([each for each in rows if each["owner"] == owner] for rows in found)
    policy = decode_words(row["policy_json"])
    shown = {
        "name": row["name"],
        "root": row["root"],
        "sync": sync(held, trusted=_looked_at(held, beside.paused.get(owner))),
        "health": health(conditions),
        "automations": len(mine),
        "leader": beside.leaders.get(row["name"]),
        "generation": row["generation"],
        "observedGeneration": row["observed_generation"],
        "lastAppliedRevision": row["last_applied_revision"],
        "lastAttemptedRevision": row["last_attempted_revision"],
        "syncedAt": None if row["synced_at"] is None else iso(row["synced_at"]),
        "prune": policy.get("prune"),
        "selfHeal": policy.get("self_heal"),
        "conditions": conditions,
        "invalid": _those(mine, "SpecValid", "False"),
        "drifted": _those(mine, "Drifted", "True"),
        "missing": _missing(tx, row["name"]),
        "terminating": [{"id": each["id"], "runs": each["runs"], "conditions": conditions_of(each)} for each in going]
        or None,
        "suspension": suspension(beside.paused.get(owner)),
        "suspended": [
            {"id": each["id"], **(suspension(beside.paused.get(each["uid"])) or {})}
            for each in mine
            if each["uid"] in beside.paused
        ]
        or None,
    }
    return {key: value for key, value in shown.items() if value is not None}


def _those(mine: Iterable[Row], name: str, status: str) -> list[dict[str, Any]] | None:
    found = []
    for each in mine:
        condition = decode_words(each["conditions_json"]).get(name, {})
        if condition.get("status") == status:
            found.append({"id": each["id"], "generation": each["generation"], **condition})
    return found or None


def _missing(tx: Transaction, source: str) -> list[dict[str, Any]] | None:
    found = [
        {"id": row["id"], "since": iso(row["first_at"]), "snapshots": row["snapshots"]}
        for row in absences.of_source(tx, source)
    ]
    return found or None


def _with_pause(conditions: dict[str, Any], row: Row | None) -> dict[str, Any]:
    if row is None:
        return conditions
    until = "" if row["until_at"] is None else f", until {iso(row['until_at'])}"
    return dict(
        suspended(conditions, words=f"by {row['owner']}{until}: {shown(row['reason'])}", since=iso(row["since"]))
    )
