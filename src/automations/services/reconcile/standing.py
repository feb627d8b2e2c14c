"""Writes down how a source and its automations stand after a round of the loop: conditions, revisions, generations."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from automations.core.canonical import decode, encode
from automations.core.diagnostic import Diagnostic, Severity
from automations.core.plan.conditions import Condition, differ, updated
from automations.core.plan.health import looked_since
from automations.core.plan.prune import TOGETHER
from automations.core.plan.standing import Facts, conditions_of, worth_keeping
from automations.errors import StoreError
from automations.services.reconcile.next_steps import NextSteps
from automations.store import automations, sources

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from automations.core.plan.plan import Plan
    from automations.core.plan.prune import Verdict
    from automations.core.plan.standing import Pause
    from automations.core.spec.catalogue import Catalogue
    from automations.core.spec.snapshot import Snapshot, Untrusted
    from automations.services.ports import Clock, Telemetry
    from automations.services.reconcile.reconcile import Source
    from automations.store.database import Database, Row, Transaction

MOST_IN_MESSAGE = 3


@dataclass(frozen=True, slots=True)
class Look:
    """One round: what was seen, what it means, what was committed, what had to wait, what drifted."""

    snapshot: Snapshot
    catalogue: Catalogue
    made: Plan
    verdict: Verdict
    drift: Mapping[str, str]

    @property
    def errors(self) -> list[Diagnostic]:
        """Everything that keeps a file from being used."""
        return [each for each in self.made.diagnostics if each.severity is Severity.ERROR]

    @property
    def rejected(self) -> frozenset[str]:
        """Automations whose file says what a rollback rejected."""
        return frozenset(change.previous_id or change.id for change in self.made.held_back) - self.verdict.held

    @property
    def spoken(self) -> frozenset[str]:
        """The automations of which something is to be said, but for those whose files are bad."""
        waits = {change.id for change in self.made.withheld}
        return frozenset((*waits, *self.made.protected, *self.drift)) | self.verdict.held | self.rejected


class Standing:
    """How one source stands, in the store."""

    def __init__(self, source: Source, database: Database, clock: Clock, telemetry: Telemetry) -> None:
        self._source = source
        self._steps = NextSteps(source.name, source.root)
        self._database = database
        self._clock = clock
        self._telemetry = telemetry
        self._told: tuple[Diagnostic, ...] = ()
        self._marked: dict[str, tuple[str, int, int, Facts]] = {}
        """By uid, what was found to need no writing: thousands of automations do not change because one does."""

    def untrusted(self, untrusted: Untrusted, *, watching: bool | None) -> None:
        """The tree could not be read whole; whatever runs keeps running."""
        ready = Condition("Ready", "False", untrusted.reason, f"{untrusted.message}; the last good state keeps running")
        trusted = Condition("Source", "False", untrusted.reason, untrusted.message)
        with self._database.write() as tx:
            self._put(tx, (ready, trusted, *_watch(watching=watching)), {})

    def suspended(self, pause: Pause, look: Look, *, watching: bool | None) -> None:
        """The loop leaves this source alone, and says what it would do: everything of that is held in the verdict."""
        said = Condition("Suspended", "True", "ByHand", f"{looked_since(pause.since)} {pause.words()}")
        ready = Condition("Ready", "False", "Suspended", f"suspended {pause.words()}; what is bound keeps running")
        facts = replace(self._facts(look), blocked=None, waiting=_of_source(look, self._steps))
        trusted = Condition("Source", "True", "Trusted")
        with self._database.write() as tx:
            self._put(tx, (*conditions_of(facts), trusted, ready, said, *_watch(watching=watching)), {})
            self._mark(tx, look, look.errors)

    def behind(self, message: str, *, watching: bool | None) -> None:
        """Another daemon bound a newer tree than this one."""
        stalled = Condition("Stalled", "True", "Behind", message)
        ready = Condition("Ready", "False", "Behind", message)
        with self._database.write() as tx:
            self._put(tx, (ready, stalled, *_watch(watching=watching)), {})

    def failing(self, message: str, *, watching: bool | None) -> None:
        """What the tree says could not be committed. Says nothing when not even that can be written."""
        stalled = Condition("Stalled", "True", "ApplyFailed", message)
        ready = Condition("Ready", "False", "ApplyFailed", message)
        try:
            with self._database.write() as tx:
                self._put(tx, (ready, stalled, *_watch(watching=watching)), {})
        except StoreError:
            return

    def record(self, look: Look, *, watching: bool | None, only: Collection[str] | None = None) -> None:
        """A round came to its end. With `only` no more than these automations may stand otherwise than at the last look."""
        errors = look.errors
        found = (
            *conditions_of(self._facts(look)),
            Condition("Source", "True", "Trusted"),
            *_watch(watching=watching),
        )
        digest, revision = look.catalogue.digest, look.snapshot.revision
        applied = {} if errors else {"last_applied_digest": digest, "last_applied_revision": revision}
        with self._database.write() as tx:
            before = sources.get(tx, self._source.name)
            generation = before["generation"] if before else 0
            if before is None or before["last_attempted_digest"] != digest:
                generation += 1
            attempted = {
                "revision": revision,
                "last_attempted_digest": digest,
                "last_attempted_revision": revision,
                "synced_at": self._clock.now(),
                "generation": generation,
                "observed_generation": generation,
            }
            self._put(tx, found, {**attempted, **applied})
            self._mark(tx, look, errors, only=only)
        if errors and tuple(errors) != self._told:  # once, not with every look: a log may lie in the tree itself
            self._telemetry.emit(
                "reconcile.invalid", source=self._source.name, problems=len(errors), first=str(errors[0])
            )
        self._told = tuple(errors)

    def _facts(self, look: Look) -> Facts:
        """Of the source as a whole."""
        some = list(look.drift.items())[:MOST_IN_MESSAGE]
        return Facts(
            invalid=summary(look.errors) if look.errors else "",
            blocked=_of_source(look, self._steps),
            waiting=_together(look, self._steps),
            drift="; ".join(f"{identity}: {words}" for identity, words in some),
            stalled=("RolledBack", f"{_some(sorted(look.rejected))}: {self._steps.held_back()}")
            if look.rejected
            else None,
        )

    def _mark(
        self, tx: Transaction, look: Look, errors: list[Diagnostic], *, only: Collection[str] | None = None
    ) -> None:
        """Every automation of ours says how it stands: its files, what of it waits, who paused it."""
        by_file: dict[str, list[Diagnostic]] = defaultdict(list)
        for error in errors:
            by_file[error.span.file].append(error)
        waits = {change.id for change in look.made.withheld}
        rejected, held_back = look.rejected, ("RolledBack", self._steps.held_back())
        changed: list[Row] = []
        now = self._clock.now()
        for row in automations.every(tx) if only is None else automations.some(tx, only):
            if row["owner"] != self._source.owner or row["deleted_at"] is not None:
                continue
            mine = self._errors_of(row, look, by_file) if errors else []
            facts = Facts(
                invalid=f"{summary(mine)}; generation {row['generation']} keeps running" if mine else "",
                blocked=_blocked(row["id"], look, waits, self._steps),
                drift=look.drift.get(row["id"], ""),
                waiting=_waits(look, self._steps) if row["id"] in look.verdict.held else None,
                stalled=held_back if row["id"] in rejected else None,
            )
            as_before = (row["conditions_json"], row["generation"], row["observed_generation"], facts)
            if self._marked.get(row["uid"]) == as_before:
                continue
            found = marked(row, facts, now=now)
            changed.extend(found)
            if not found:
                self._marked[row["uid"]] = as_before
        automations.set_conditions(tx, changed)

    def _errors_of(self, row: Row, look: Look, by_file: Mapping[str, list[Diagnostic]]) -> list[Diagnostic]:
        catalogue = look.catalogue
        files = {look.snapshot.prefix + (row["file"] or ""), *catalogue.claimed.get(row["id"], ())}
        if row["id"] in catalogue.automations:
            files.add(catalogue.automations[row["id"]].document.file)
        return [error for file in sorted(files) for error in by_file.get(file, ())]

    def _put(self, tx: Transaction, conditions: Iterable[Condition], changes: dict[str, Any]) -> None:
        now = self._clock.now()
        row: Row = sources.get(tx, self._source.name) or dict(_NEW_SOURCE)
        held = decode(row["conditions_json"])
        row |= changes | {
            "name": self._source.name,
            "root": self._source.root,
            "conditions_json": encode(updated(held, conditions, now=now)),
            "policy_json": encode(asdict(self._source.policy)),
            "now": now,
        }
        row.pop("updated_at", None)
        sources.put(tx, row)


_NEW_SOURCE: dict[str, Any] = {
    "revision": None,
    "last_applied_digest": None,
    "last_applied_revision": None,
    "last_attempted_digest": None,
    "last_attempted_revision": None,
    "conditions_json": "{}",
    "generation": 0,
    "observed_generation": 0,
    "synced_at": None,
}


def marked(row: Row, facts: Facts, *, now: int) -> list[Row]:
    """What to write about an automation: nothing where nothing but the passing of time changed."""
    held = decode(row["conditions_json"])
    conditions = updated(held, worth_keeping(held, conditions_of(facts)), now=now)
    if not differ(held, conditions) and row["observed_generation"] == row["generation"]:
        return []
    return [{"uid": row["uid"], "conditions": encode(conditions), "observed": row["generation"]}]


def _waits(look: Look, steps: NextSteps) -> tuple[str, str] | None:
    """Reason and message for what had to wait, or None."""
    said = steps.waits(look.verdict)
    return None if look.verdict.reason is None or said is None else (look.verdict.reason, said)


def _blocked(identity: str, look: Look, withheld: Collection[str], steps: NextSteps) -> tuple[str, str] | None:
    if identity in look.made.protected:
        return "Protected", steps.protected(identity)
    return _waits(look, steps) if identity in withheld and identity not in look.verdict.held else None


def _of_source(look: Look, steps: NextSteps) -> tuple[str, str] | None:
    ids = (*(change.id for change in look.made.withheld), *sorted(look.verdict.held))
    waits = _waits(look, steps)
    found = [] if waits is None or waits[0] == TOGETHER else [(waits[0], f"{_some(ids)}: {waits[1]}")]
    if look.made.protected:
        found.append(("Protected", f"{_some(look.made.protected)}: {steps.protected('ID')}"))
    return (found[0][0], "; ".join(message for _, message in found)) if found else None


def _together(look: Look, steps: NextSteps) -> tuple[str, str] | None:
    """What waits for a bad file: it blocks no delete."""
    waits = _waits(look, steps)
    return (TOGETHER, f"{_some(sorted(look.verdict.held))}: {waits[1]}") if waits and waits[0] == TOGETHER else None


def _some(ids: Sequence[str]) -> str:
    """The first few of them."""
    return ", ".join(ids[:MOST_IN_MESSAGE]) + (", …" if len(ids) > MOST_IN_MESSAGE else "")


def _watch(*, watching: bool | None) -> tuple[Condition, ...]:
    """Nothing from a round that no watcher belongs to."""
    if watching is None:
        return ()
    if watching:
        return (Condition("WatchHealthy", "True", "Watching"),)
    return (Condition("WatchHealthy", "False", "Polling", "the tree is looked at every few seconds instead"),)


def summary(errors: list[Diagnostic]) -> str:
    """The first few errors in one line."""
    shown = "; ".join(f"{each.span}: {each.message}" for each in errors[:MOST_IN_MESSAGE])
    return shown + (f"; and {len(errors) - MOST_IN_MESSAGE} more" if len(errors) > MOST_IN_MESSAGE else "")
