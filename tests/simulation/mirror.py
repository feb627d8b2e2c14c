"""What the store held before and holds after a commit, and who committed: everything that an invariant is judged on.

SQLite's update hook names the rows that a transaction touched, so that looking after every commit costs only those.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from automations.core.run.queue import Holder
from automations.store.database import Row, Transaction
from simulation.specs import Text

Key = tuple[Any, ...]
WAITING = frozenset({"delayed", "debounced"})
"""Outcomes of events that wait for a timer."""

KEYS: Mapping[str, tuple[str, ...]] = {
    "state": ("id",),
    "automations": ("uid",),
    "generations": ("uid", "generation"),
    "manifests": ("action_id", "version"),
    "routes": ("id",),
    "events": ("id",),
    "event_outcomes": ("event_row_id", "automation_uid"),
    "timers": ("id",),
    "runs": ("id",),
    "actions": ("id",),
    "attempts": ("action_row_id", "fence"),
    "audit": ("seq",),
    "leases": ("name",),
    "absences": ("source", "id"),
    "suspensions": ("subject",),
}
"""The tables that are watched, by primary key; the rest are caches and texts named by their own digest."""


@dataclass(frozen=True, slots=True)
class Change:
    """One row before and after a commit; None where it does not exist."""

    table: str
    key: Key
    old: Row | None
    new: Row | None

    def columns(self) -> frozenset[str]:
        """Which columns differ."""
        if self.old is None or self.new is None:
            return frozenset(self.new or self.old or ())
        return frozenset(name for name in self.new if self.new[name] != self.old[name])


@dataclass(frozen=True, slots=True)
class Intent:
    """What a caller of the queue asked for: `verb` is done, undone, beat or release."""

    verb: str
    action_id: str
    holder: Holder


@dataclass(slots=True)
class Frame:
    """One service's or client's turn. `read_at` is when it last looked at the clock; `files` what it saw of a tree.

    `latest` is the latest instant that the clock showed it: between two looks it may have been set back.
    """

    process: str
    service: str
    read_at: int = 0
    intents: tuple[Intent, ...] = ()
    files: Mapping[str, Text] | None = None
    faults: int = 0
    latest: int = 0


class Mirror:
    """Every watched row as of the last commit."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[Key, Row]] = {table: {} for table in KEYS}
        self.actions_of: dict[str, dict[str, Row]] = defaultdict(dict)
        self.ends_of: dict[str, dict[int, Row]] = defaultdict(dict)
        self.released: dict[str, set[int]] = defaultdict(set)
        self.replayed: set[str] = set()
        """Ids of runs and actions that began again."""
        self.runs_of_key: dict[tuple[str, str], dict[str, Row]] = defaultdict(dict)
        self.runs_of: dict[tuple[str, str], set[str]] = defaultdict(set)
        self.outcomes_of: dict[str, dict[str, Row]] = defaultdict(dict)
        """By event and the automation's uid."""
        self.waiting_for: dict[str, set[Key]] = defaultdict(set)
        """Events' outcomes that wait for a timer, by its id."""
        self.commits = 0
        self.sightings: dict[str, int] = {}
        """By id: how many commits there had been when the last complete look that found its file began."""
        self.counted: dict[str, int] = {}
        """By id: after which commit it was counted last as missing."""
        self._keys: dict[tuple[str, int], Key] = {}

    def get(self, table: str, *key: Any) -> Row | None:
        """A row by its primary key."""
        return self.rows[table].get(key)

    def absorb(self, tx: Transaction, touched: Collection[tuple[str, int]]) -> list[Change]:
        """Read the touched rows again; what changed. A row id may be another row's by now, and a row may have another."""
        self.commits += 1
        before = {place: key for place in touched if (key := self._keys.pop(place, None))}
        changes = []
        found: dict[tuple[str, Key], Row] = {}
        for table, rowid in touched:
            row = tx.one(f"SELECT * FROM {table} WHERE rowid = :rowid", rowid=rowid)  # noqa: S608  # one of ours
            if row is not None:
                key = tuple(row[name] for name in KEYS[table])
                self._keys[table, rowid] = key
                found[table, key] = row
        for (table, _), key in before.items():
            if (table, key) not in found:
                changes.append(Change(table, key, self.rows[table][key], None))
                self._put(table, key, None)
        for (table, key), row in found.items():
            old = self.rows[table].get(key)
            if old != row:
                changes.append(Change(table, key, old, row))
                self._put(table, key, row)
        return changes

    def differences(self, tx: Transaction) -> list[str]:
        """Where the store is not what was mirrored: must be nowhere, else some change went unseen."""
        found = []
        for table, names in KEYS.items():
            rows = tx.all(f"SELECT * FROM {table}")  # noqa: S608  # one of ours
            stored = {tuple(row[name] for name in names): row for row in rows}
            if stored != self.rows[table]:
                found.append(table)
        return found

    def spec_of(self, run: Row) -> dict[str, Any] | None:
        """The generation that a run is pinned to, as a row."""
        return self.get("generations", run["automation_uid"], run["generation"])

    def _put(self, table: str, key: Key, row: Row | None) -> None:
        old = self.rows[table].get(key)
        if table == "event_outcomes" and old is not None:
            del self.outcomes_of[old["event_row_id"]][old["automation_uid"]]
            self.waiting_for[old["timer_id"]].discard(key)
        if row is None:
            del self.rows[table][key]
            return
        self.rows[table][key] = row
        if table == "event_outcomes":
            self.outcomes_of[row["event_row_id"]][row["automation_uid"]] = row
            if row["outcome"] in WAITING:
                self.waiting_for[row["timer_id"]].add(key)
        if table == "actions":
            self.actions_of[row["run_id"]][row["id"]] = row
        elif table == "attempts":
            self.ends_of[row["action_row_id"]][row["fence"]] = row
        elif table == "runs" and row["slot_limit"] is not None:
            self.runs_of_key[row["automation_uid"], row["slot_key"]][row["id"]] = row


@dataclass(frozen=True, slots=True)
class Moment:
    """One commit: what it changed, in whose turn, and how everything stands after it."""

    mirror: Mirror
    frame: Frame
    changes: tuple[Change, ...]
    by_table: Mapping[str, tuple[Change, ...]] = field(default_factory=dict)

    def of(self, table: str) -> tuple[Change, ...]:
        """What changed in one table."""
        return self.by_table.get(table, ())


def moment(mirror: Mirror, frame: Frame, changes: Iterable[Change]) -> Moment:
    """A commit with its changes by table."""
    found = tuple(changes)
    tables: dict[str, list[Change]] = defaultdict(list)
    for change in found:
        tables[change.table].append(change)
    return Moment(mirror, frame, found, {table: tuple(each) for table, each in tables.items()})
