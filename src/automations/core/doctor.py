"""The doctor: from facts about a store and its surroundings to findings that say what is wrong and what to do about it.

Pure: whoever asks gathers the facts (`services/doctor.py`), and these functions judge them. Times are microseconds, sizes bytes.
Each check has a stable id, so that monitoring can be built on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from automations.core.instant import MILLISECOND, SECOND, iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_EXTERNAL = "external"
_ELSEWHERE = (
    "this is the environment of this command, and {daemon} may have another: run doctor as its user with its variables"
)
LARGEST_WAL = 256 * 1024 * 1024
"""The writer checkpoints every few megabytes; a larger log means that a reader never ends."""
LEAST_DISK, SCARCE_DISK = 64 * 1024 * 1024, 1024 * 1024 * 1024
LATE_LEASE = 60 * SECOND
"""A lease that ran out is taken back within seconds wherever a daemon or a worker lives."""
UNCLAIMED = 15 * 60 * SECOND
UNSERVED = 60 * SECOND
"""Runners ask within seconds; who never claimed an action yet is not thought to be only busy."""
LATE_SCHEDULE = 2 * 60 * SECOND
WAITING_LONG = 7 * 86_400 * SECOND
SKEW = 2 * SECOND
"""Heartbeats and leases are compared across machines; more difference than this eats into them."""


class Grade(StrEnum):
    """How a check came out. Only an `error` makes the doctor's exit status 1."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: `id` is stable, `subject` is what it is about, `hint` the next step, `detail` the rest of the message."""

    id: str
    grade: Grade
    message: str
    subject: str = ""
    hint: str = ""
    detail: str = ""

    def said(self, detail: str) -> str:
        """The message with this much of its detail."""
        return f"{self.message}: {detail}" if detail else self.message

    def document(self) -> dict[str, str]:
        """As JSON shows it; what is empty is absent."""
        said = self.said(self.detail)
        shown = {"id": self.id, "status": str(self.grade), "subject": self.subject, "message": said}
        return {key: value for key, value in {**shown, "hint": self.hint}.items() if value}


@dataclass(frozen=True, slots=True)
class Engine:
    """The database itself. `integrity` lists what its own check found; `durable` whether a commit survives a power cut."""

    name: str
    version: tuple[int, ...]
    oldest: tuple[int, ...]
    durable: bool
    durability: str
    integrity: tuple[str, ...] = ()
    wal: int | None = None
    clock: int | None = None
    """What the server's clock says, where it has one of its own."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the data root lies: free bytes on its disk, and what others than its owner may read."""

    path: str
    free: int | None
    exposed: tuple[str, ...] = ()


def engine_checks(engine: Engine, *, now: int) -> Iterator[Check]:
    """Version, integrity, durability, the write-ahead log, the server's clock."""
    version = ".".join(map(str, engine.version))
    if engine.version < engine.oldest:
        oldest = ".".join(map(str, engine.oldest))
        hint = f"upgrade to {oldest} or later"
        yield Check("store.version", Grade.ERROR, f"{engine.name} {version} is older than {oldest}", hint=hint)
    else:
        yield Check("store.version", Grade.OK, f"{engine.name} {version}")
    if engine.integrity:
        shown = "; ".join(engine.integrity[:3])
        hint = "stop the daemon, keep a copy of the files, and restore a backup"
        yield Check("store.integrity", Grade.ERROR, f"the store is damaged: {shown}", hint=hint)
    else:
        yield Check("store.integrity", Grade.OK, "the database's own check found nothing")
    if engine.durable:
        yield Check("store.durability", Grade.OK, f"commits are durable ({engine.durability})")
    else:
        message = f"a power cut can lose what was acknowledged: {engine.durability}"
        hint = "turn fsync and synchronous_commit on for this database"
        yield Check("store.durability", Grade.ERROR, message, hint=hint)
    if engine.wal is not None:
        large = engine.wal > LARGEST_WAL
        message = f"the write-ahead log has {_size(engine.wal)}"
        hint = "some process keeps a read open; end it, and the next checkpoint shortens the log" if large else ""
        yield Check("store.wal", Grade.WARNING if large else Grade.OK, message, hint=hint)
    if engine.clock is not None:
        yield _skew(engine.clock - now, of="the database server")


def document_checks(unreadable: Sequence[tuple[str, str]]) -> Iterator[Check]:
    """Rows that hold JSON which cannot be read, each a place and a column."""
    for place, column in unreadable:
        hint = "restore a backup, or mend the row by hand; until then what reads it fails, and checks that need it are left out"
        yield Check("store.documents", Grade.ERROR, f"{column} is no JSON", place, hint)
    if not unreadable:
        yield Check("store.documents", Grade.OK, "every stored document can be read")


def _skew(difference: int, *, of: str) -> Check:
    far = abs(difference) > SKEW
    message = f"the clock of {of} is {abs(difference) // MILLISECOND} ms {'ahead' if difference >= 0 else 'behind'}"
    hint = "synchronise the clocks; leases and heartbeats are compared across machines" if far else ""
    return Check("clock.skew", Grade.WARNING if far else Grade.OK, message, hint=hint)


def place_checks(place: Place) -> Iterator[Check]:
    """Free disk, and who may read the data root."""
    if place.free is not None:
        grade = Grade.ERROR if place.free < LEAST_DISK else Grade.WARNING if place.free < SCARCE_DISK else Grade.OK
        hint = "" if grade is Grade.OK else "free some space; when the disk is full every event is answered 503"
        yield Check("disk.free", grade, f"{_size(place.free)} are free", place.path, hint)
    for path in place.exposed:
        message = "others than its owner may read it: events and inputs lie there in plain text"
        yield Check("disk.exposed", Grade.WARNING, message, path, f"chmod go= {path}")


def daemon_checks(leases: Iterable[Mapping[str, Any]], *, needed: bool, now: int) -> Iterator[Check]:
    """Whether a daemon lives, and how its services stand. `needed` says that something waits for one."""
    live = [row for row in leases if row["expires_at"] > now]
    for row in leases:
        if row["expires_at"] <= now:
            message = f"it has not said anything since {iso(row['heartbeat_at'])}"
            hint = "its machine died or it was killed; start it again"
            yield Check("daemon.silent", Grade.WARNING if live else Grade.ERROR, message, row["holder"], hint)
    for row in live:
        failing = [each for each in row["services"] if each.get("state") != "running"]
        if not failing:
            yield Check("daemon.alive", Grade.OK, f"last heartbeat {iso(row['heartbeat_at'])}", row["holder"])
        for each in failing:
            message = f"its service {each['name']} is {each['state']}: {each.get('error', 'no reason given')}"
            yield Check("daemon.failing", Grade.ERROR, message, row["holder"], "see the daemon's log")
        if row["heartbeat_at"] > now + SKEW:
            yield _skew(row["heartbeat_at"] - now, of=row["holder"])
    if not leases:
        hint = "start one with: automations-daemon serve" if needed else ""
        message = "no daemon runs on this store, and work waits for one" if needed else "no daemon runs on this store"
        yield Check("daemon.none", Grade.WARNING if needed else Grade.OK, message, hint=hint)


def lies(row: Mapping[str, Any], *, now: int) -> bool:
    """Whether queued work waits for too long: sooner where it takes an external runner and none is known (`served`)."""
    unserved = row["executor"] == _EXTERNAL and not row["served"]
    return bool(row["since"] < now - (UNSERVED if unserved else UNCLAIMED))


def queue_checks(
    late: Iterable[Mapping[str, Any]], unclaimed: Iterable[Mapping[str, Any]], *, dead: int, rejected: int, now: int
) -> Iterator[Check]:
    """Leases that nobody took back, queued work that nobody takes, and dead letters. What was `rejected` is no fault."""
    late, unclaimed = list(late), list(unclaimed)
    for row in late:
        message = f"the lease of {row['claimed_by']} ran out at {iso(row['lease_expires_at'])}, and nobody took it back"
        hint = "any daemon, worker or `automations queue claim` on this store does"
        yield Check("queue.lease", Grade.ERROR, message, row["id"], hint)
    for row in unclaimed:
        external = row["executor"] == _EXTERNAL
        who = "an external runner" if external else f"a worker with the {row['executor']} executor"
        never = external and not row["served"]
        message = f"{row['n']} queued since {iso(row['since'])}; it takes {who}" + (
            ", and none ever claimed it" * never
        )
        hint = f"start one, or look at: automations queue list (waited {_span(now - row['since'])})"
        hint = f"add a manifest that says how it is carried out, or {hint}" if never else hint
        yield Check("queue.unclaimed", Grade.WARNING, message, row["action_id"], hint)
    if not late and not unclaimed:
        yield Check("queue.flow", Grade.OK, "no lease is overdue and no work lies unclaimed")
    yield _dead(dead, rejected)


def _dead(dead: int, rejected: int) -> Check:
    """The dead-letter queue. A rejection was decided, by a person or by an approval's `expires`: it is told, and is well."""
    failed = f"{dead} {'action is' if dead == 1 else 'actions are'} dead" if dead else "no action is dead"
    decided = f"; {rejected} {'was' if rejected == 1 else 'were'} rejected, which is no fault" if rejected else ""
    hint = "see: automations dlq list" if dead or rejected else ""
    return Check("queue.dead", Grade.WARNING if dead else Grade.OK, failed + decided, hint=hint)


def manifest_checks(lost: Mapping[str, Sequence[str]]) -> Iterator[Check]:
    """Actions whose manifest is gone while steps still use it, with these steps, where no runner is known that takes them."""
    for action, steps in lost.items():
        more = f" and {len(steps) - 3} more" if len(steps) > 3 else ""
        use = "uses" if len(steps) == 1 else "use"
        message = f"its manifest was removed, and {', '.join(steps[:3])}{more} still {use} it: runs wait for an external runner"
        hint = "bring the manifest back, let the steps name a version that there is, or start a runner"
        yield Check("actions.manifest", Grade.WARNING, message, action, hint)
    if not lost:
        yield Check("actions.manifest", Grade.OK, "no step lost the manifest that it had")


def run_checks(stuck: Iterable[Mapping[str, Any]], waiting: Iterable[Mapping[str, Any]]) -> Iterator[Check]:
    """Runs that nothing will move any more, and approvals that were forgotten."""
    stuck = list(stuck)
    for row in stuck:
        message = f"it is {row['status']} since {iso(row['updated_at'])}, and nothing of it is queued or waits"
        hint = f"this is a bug; report it with: automations --json runs show {row['id']}"
        yield Check("runs.stuck", Grade.ERROR, message, row["id"], hint)
    if not stuck:
        yield Check("runs.stuck", Grade.OK, "every run that is not over has something that moves it")
    for row in waiting:
        message = f"step {row['step_id']} waits for an approval since {iso(row['updated_at'])}"
        yield Check("approvals.forgotten", Grade.WARNING, message, row["id"], "see: automations approvals list")


def source_checks(sources: Iterable[Mapping[str, Any]]) -> Iterator[Check]:
    """Sources that are not in step, one finding for each condition that says why."""
    for source in sources:
        wrong = list(source["wrong"])
        if not wrong:
            yield Check("source.sync", Grade.OK, f"{source['sync']}, {source['root']}", source["name"])
        for name, condition in wrong:
            message = f"{name}={condition['status']} ({condition['reason']}) since {condition['since']}"
            hint, detail = "see: automations status", condition["message"]
            yield Check("source.condition", Grade.WARNING, message, source["name"], hint, detail)


def secret_checks(
    missing: Iterable[Mapping[str, str]], lacking: Iterable[Mapping[str, str]], *, daemon: str
) -> Iterator[Check]:
    """References of routes that resolve to nothing here, and what actions need and would not find here. Names only.

    A route is served by the daemon; an action may be carried out by workers elsewhere, so what it lacks here is a warning.
    """
    found = [(Grade.ERROR, each) for each in missing] + [(Grade.WARNING, each) for each in lacking]
    where = _ELSEWHERE.format(daemon=f"the daemon ({daemon})" if daemon else "a daemon or worker")
    for grade, each in found:
        hint = "; ".join(filter(None, (each.get("hint", ""), where)))
        yield Check("secrets.missing", grade, each["message"], each["subject"], hint)
    if not found:
        yield Check("secrets.missing", Grade.OK, "every secret that is referred to resolves here")


def schedule_checks(overdue: Iterable[Mapping[str, Any]], *, now: int) -> Iterator[Check]:
    """Schedules whose next slot passed without anybody judging it."""
    overdue = list(overdue)
    for row in overdue:
        message = f"the slot of {iso(row['due_at'])} is overdue by {_span(now - row['due_at'])}"
        yield Check("schedules.overdue", Grade.WARNING, message, row["id"], "a running daemon fires schedules")
    if not overdue:
        yield Check("schedules.overdue", Grade.OK, "no schedule is overdue")


def audit_checks(found: Mapping[str, Any]) -> Iterator[Check]:
    """Whether the audit chain is whole and says what runs say; `found` is what `audit verify` prints."""
    hint = "somebody changed the record; see: automations audit verify"
    if "brokenAt" in found:
        message = f"entry {found['brokenAt']} of {found['entries']} is not what was written"
        yield Check("audit.chain", Grade.ERROR, message, hint=hint)
    for run in found.get("runs", ()):
        yield Check("audit.chain", Grade.ERROR, run["problem"], run["run"], hint)
    if found["ok"]:
        yield Check("audit.chain", Grade.OK, f"whole, {found['entries']} entries")


def worst(checks: Iterable[Check]) -> Grade:
    """The gravest of these."""
    grades = {check.grade for check in checks}
    return next((grade for grade in (Grade.ERROR, Grade.WARNING) if grade in grades), Grade.OK)


def _size(number: int) -> str:
    size = float(number)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def _span(duration: int) -> str:
    minutes = duration // (60 * SECOND)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"
