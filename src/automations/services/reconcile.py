"""The verb reconcile: bring the state to what a directory declares, again and again, and say how that stands.

A tick looks at the whole tree; a notification only makes it come sooner. An untrusted tree leads to no write but the source's
own conditions. Bad files keep their last good generation. What a tree no longer declares is withheld until somebody confirms it
with `apply`, because absence in a watched directory is too often an accident.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from automations.core.canonical import decode, encode
from automations.core.diagnostic import Diagnostic, Severity
from automations.core.instant import SECOND
from automations.core.plan.conditions import Condition, differ, updated
from automations.core.plan.plan import Plan, Request
from automations.core.plan.state import source_owner
from automations.core.spec.catalogue import Catalogue
from automations.core.spec.snapshot import Snapshot, Untrusted
from automations.errors import AutomationsError, StalePlan
from automations.services.apply import Apply, Authority
from automations.services.catalogue import catalogue_of, known_stamps
from automations.services.plan import plan
from automations.services.ports import Clock, Ids, Telemetry, Tree
from automations.store import automations, sources
from automations.store.database import Database, Row, Transaction

RESYNC = 60 * SECOND
LONGEST_BACKOFF = RESYNC
"""However often it failed, a lost notification delays convergence by one resync at most."""
MOST_IN_MESSAGE = 3
LONGEST_SETTLING = 2 * SECOND
"""A file that settles later than this has a time from the future; it is not waited for."""
MOST_POSTPONED = 5


@dataclass(frozen=True, slots=True)
class Source:
    """A directory and the name its automations are owned under. `root` is absolute."""

    name: str
    root: str


@dataclass(frozen=True, slots=True)
class Parts:
    """What the loop works with."""

    database: Database
    apply: Apply
    clock: Clock
    ids: Ids
    telemetry: Telemetry


class Reconciler:
    """Keeps one source in step. `tick` is the whole loop; it returns when it wants to look again by itself."""

    def __init__(self, source: Source, tree: Tree, parts: Parts, *, watching: bool = True) -> None:
        self._source = source
        self._tree = tree
        self._parts = parts
        self._failures = 0
        self._told: tuple[Diagnostic, ...] = ()
        self._look_again: int | None = None
        self._postponed = 0
        self.watch_healthy = watching
        """Set by the watcher; False means that only the resync notices changes."""

    def tick(self, now: int) -> int:
        """Look, decide, act; when to look again (microseconds): the resync, sooner after a failure."""
        try:
            settled = self.reconcile()
            if self._look_again is not None:
                return self._look_again
        except AutomationsError as problem:
            self._parts.telemetry.emit("reconcile.failed", source=self._source.name, error=problem.message)
            settled = False
        self._failures = 0 if settled else self._failures + 1
        if settled:
            return now + int(RESYNC * (0.9 + 0.2 * self._parts.ids.fraction()))
        return now + min(LONGEST_BACKOFF, SECOND << min(self._failures - 1, 9))

    def reconcile(self) -> bool:
        """One round; whether the state now is what the tree says (bad files and withheld deletes aside)."""
        snapshot = self._tree.take(known_stamps(self._parts.database, self._source.root))
        if isinstance(snapshot, Untrusted):
            self._record_untrusted(snapshot)
            return False
        self._look_again = self._unsettled(snapshot)
        if self._look_again is not None:
            return False
        owner = source_owner(self._source.name)
        catalogue = catalogue_of(self._parts.database, snapshot, owner=owner)
        request = Request(
            self._source.name, revision=snapshot.revision, prune=False, unattended=True, now=self._parts.clock.now()
        )
        made = plan(self._parts.database, catalogue, request, prefix=snapshot.prefix)
        if not snapshot.files and made.withheld:
            empty = Untrusted(snapshot.root, "Empty", f"{snapshot.root} is empty, but its automations are bound")
            self._record_untrusted(empty)
            return False
        try:
            self._parts.apply.commit(made, Authority(f"daemon:{self._source.name}"), prefix=snapshot.prefix)
        except StalePlan:
            return False
        self._record(snapshot, catalogue, made)
        return True

    def _unsettled(self, snapshot: Snapshot) -> int | None:
        """When to look again because a file may be half-way through a save, or None; nobody is waited for without end."""
        now = self._parts.clock.now()
        waits = [file.settles_at for file in snapshot.files if now < file.settles_at <= now + LONGEST_SETTLING]
        self._postponed = self._postponed + 1 if waits else 0
        if not waits or self._postponed > MOST_POSTPONED:
            self._postponed = 0
            return None
        return max(waits)

    def _record_untrusted(self, untrusted: Untrusted) -> None:
        self._parts.telemetry.emit(
            "reconcile.untrusted", source=self._source.name, reason=untrusted.reason, message=untrusted.message
        )
        ready = Condition("Ready", "False", untrusted.reason, f"{untrusted.message}; the last good state keeps running")
        trusted = Condition("Source", "False", untrusted.reason, untrusted.message)
        with self._parts.database.write() as tx:
            self._put(tx, (ready, trusted, self._watch()), {})

    def _record(self, snapshot: Snapshot, catalogue: Catalogue, made: Plan) -> None:
        errors = [each for each in made.diagnostics if each.severity is Severity.ERROR]
        valid = Condition("SpecValid", "True", "Valid")
        if errors:
            valid = Condition("SpecValid", "False", "Invalid", summary(errors))
        prune = Condition("PruneBlocked", "False", "NothingToPrune")
        if made.withheld:
            withheld = tuple(change.id for change in made.withheld)
            shown = ", ".join(withheld[:MOST_IN_MESSAGE]) + (", …" if len(withheld) > MOST_IN_MESSAGE else "")
            prune = Condition(
                "PruneBlocked", "True", "Unconfirmed", f"{shown}: gone from the files; confirm with: automations apply"
            )
        ready = Condition("Ready", "False" if errors else "True", valid.reason if errors else "Reconciled")
        now = self._parts.clock.now()
        with self._parts.database.write() as tx:
            self._put(
                tx,
                (ready, Condition("Source", "True", "Trusted"), valid, prune, self._watch()),
                {
                    "revision": snapshot.revision,
                    "last_attempted_digest": catalogue.digest,
                    "last_attempted_revision": snapshot.revision,
                    "synced_at": now,
                    **(
                        {}
                        if errors
                        else {"last_applied_digest": catalogue.digest, "last_applied_revision": snapshot.revision}
                    ),
                },
            )
            self._mark(tx, errors, catalogue=catalogue, prefix=snapshot.prefix)
        if errors and tuple(errors) != self._told:  # once, not with every look: a log may lie in the tree itself
            self._parts.telemetry.emit(
                "reconcile.invalid", source=self._source.name, problems=len(errors), first=str(errors[0])
            )
        self._told = tuple(errors)

    def _mark(self, tx: Transaction, errors: list[Diagnostic], *, catalogue: Catalogue, prefix: str) -> None:
        """Every automation of ours says whether the files that it came from, and that now want its id, are good."""
        by_file: dict[str, list[Diagnostic]] = {}
        for error in errors:
            by_file.setdefault(error.span.file, []).append(error)
        owner = source_owner(self._source.name)
        now = self._parts.clock.now()
        for row in automations.every(tx):
            if row["owner"] != owner or row["deleted_at"] is not None:
                continue
            files = {prefix + (row["file"] or ""), *catalogue.claimed.get(row["id"], ())}
            if row["id"] in catalogue.automations:
                files.add(catalogue.automations[row["id"]].document.file)
            mine = [error for file in sorted(files) for error in by_file.get(file, ())]
            valid = Condition("SpecValid", "True", "Valid")
            if mine:
                message = f"{summary(mine)}; generation {row['generation']} keeps running"
                valid = Condition("SpecValid", "False", "Invalid", message)
            held = decode(row["conditions_json"])
            conditions = updated(held, (Condition("Bound", "True", "Applied"), valid), now=now)
            if differ(held, conditions):
                automations.set_conditions(tx, row["uid"], encode(conditions))

    def _put(self, tx: Transaction, conditions: Iterable[Condition], changes: dict[str, Any]) -> None:
        now = self._parts.clock.now()
        row: Row = sources.get(tx, self._source.name) or {
            "name": self._source.name,
            "revision": None,
            "last_applied_digest": None,
            "last_applied_revision": None,
            "last_attempted_digest": None,
            "last_attempted_revision": None,
            "conditions_json": "{}",
            "synced_at": None,
        }
        held = decode(row["conditions_json"])
        row |= changes | {
            "root": self._source.root,
            "conditions_json": encode(updated(held, conditions, now=now)),
            "now": now,
        }
        row.pop("updated_at", None)
        sources.put(tx, row)

    def _watch(self) -> Condition:
        if self.watch_healthy:
            return Condition("WatchHealthy", "True", "Watching")
        return Condition("WatchHealthy", "False", "Polling", "changes are found by the resync only")


def summary(errors: list[Diagnostic]) -> str:
    """The first few errors in one line."""
    shown = "; ".join(f"{each.span}: {each.message}" for each in errors[:MOST_IN_MESSAGE])
    return shown + (f"; and {len(errors) - MOST_IN_MESSAGE} more" if len(errors) > MOST_IN_MESSAGE else "")
