"""The verbs suspend and resume: a pause by hand, with owner, reason and end, laid over what the files say.

A suspended automation starts no runs; runs under way go on. A suspended source is left alone by the loop; what it has bound keeps
running. The loop does not heal a suspension away, and it ends by itself when its time has come.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automations.core.actor import DAEMON
from automations.core.audit import Entry
from automations.core.instant import iso
from automations.core.plan.standing import Pause
from automations.core.plan.state import source_owner
from automations.core.reason import unfit
from automations.errors import Conflict, InvalidInput, NotFound
from automations.services import audit
from automations.services.identity import not_there
from automations.services.trigger import schedule_cursor
from automations.store import automations, sources, state, suspensions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from automations.core.trigger.bindings import Bound, Table
    from automations.services.ports import Clock, Telemetry
    from automations.store.database import Database, Row, Transaction

SOURCE = "source:"
"""Before the name of a source, where an automation's id would stand."""


def pauses(tx: Transaction, *, now: int) -> dict[str, Pause]:
    """Suspensions that hold now, by automation uid or `source:<name>`."""
    found = {row["subject"]: _pause(row) for row in suspensions.every(tx)}
    return {subject: pause for subject, pause in found.items() if pause.holds(now)}


def pause_of_source(tx: Transaction, name: str, *, now: int) -> Pause | None:
    """The suspension of a source that holds now, if there is one."""
    row = suspensions.get(tx, source_owner(name))
    pause = _pause(row) if row else None
    return pause if pause is not None and pause.holds(now) else None


def check_not_suspended(tx: Transaction, table: Table, bound: Bound, *, now: int) -> None:
    """Raises Conflict for what somebody suspended by hand, with who, why and until when."""
    if table.suspended(bound.uid, now=now):
        name = bound.automation.id
        raise Conflict(f"automation {name} is suspended {words(tx, bound.uid)}", hint=f"automations resume {name}")


def words(tx: Transaction, uid: str) -> str:
    """Who suspended an automation, why, and until when; empty when it was resumed meanwhile."""
    row = suspensions.get(tx, uid)
    return _pause(row).words() if row else ""


def held_back(tx: Transaction, bound: Iterable[Bound]) -> tuple[dict[str, Any], ...]:
    """The records of these automations' suspensions."""
    found = [(each.automation.id, suspensions.get(tx, each.uid)) for each in bound]
    return tuple(record(name, row) for name, row in found if row is not None)


def _pause(row: Row) -> Pause:
    return Pause(row["owner"], row["reason"], row["since"], row["until_at"])


@dataclass(frozen=True, slots=True)
class Suspend:
    """Suspends and resumes."""

    database: Database
    clock: Clock
    telemetry: Telemetry
    configured: frozenset[str] = frozenset()
    """Names of sources that the settings declare: they can be suspended before anybody has looked at them."""

    def suspend(self, name: str, *, reason: str, until: int | None, actor: str) -> dict[str, Any]:
        """Suspend an automation, or `source:<name>`; the suspension's record. Once more says anew why and until when.

        Raises NotFound, InvalidInput for an end in the past or a reason that is none or too long, Conflict, StoreUnavailable.
        """
        now = self.clock.now()
        if until is not None and until <= now:
            raise InvalidInput(f"{iso(until)} is not in the future", hint="give a later --until, or none")
        if problem := unfit(reason):
            raise InvalidInput(f"a suspension {problem}", hint="say why with --reason, for whoever finds it later")
        with self.database.write() as tx:
            subject = self._subject(tx, name)
            cursors = schedule_cursor.hold(tx, [subject])
            said = {"owner": actor, "reason": reason, "until_at": until}
            held = suspensions.get(tx, subject)
            if held is not None and all(held[key] == value for key, value in said.items()):
                return record(name, held)
            suspensions.put(tx, {"subject": subject, "since": now, **said})
            detail = {"reason": reason, **({} if until is None else {"until": iso(until)})}
            _commit(tx, Entry(now, actor, "suspend", name, detail))
            _schedules(tx, subject, cursors, now=now)
            kept = suspensions.get(tx, subject)
        assert kept is not None  # noqa: S101  # it was just written
        self.telemetry.emit("suspension.began", subject=name, owner=actor)
        return record(name, kept)

    def resume(self, name: str, *, actor: str) -> dict[str, Any]:
        """End a suspension: `{name, suspended: False}`. Raises NotFound, Conflict when there is none, StoreUnavailable."""
        now = self.clock.now()
        with self.database.write() as tx:
            subject = self._subject(tx, name)
            cursors = schedule_cursor.hold(tx, [subject])
            if not suspensions.remove(tx, subject):
                raise Conflict(f"{name} is not suspended", hint="see: automations status")
            _commit(tx, Entry(now, actor, "resume", name, {}))
            _schedules(tx, subject, cursors, now=now)
        self.telemetry.emit("suspension.ended", subject=name, reason="resumed")
        return {"name": name, "suspended": False}

    def end_due(self, now: int) -> int | None:
        """End every suspension whose time has come; when the next one is due (microseconds), or None."""
        with self.database.read() as tx:
            ends = [row for row in suspensions.every(tx) if row["until_at"] is not None]
        for row in (row for row in ends if row["until_at"] <= now):
            with self.database.write() as tx:
                held = suspensions.get(tx, row["subject"])
                if held is None or held["until_at"] is None or held["until_at"] > now:
                    continue  # somebody prolonged or ended it meanwhile
                cursors = schedule_cursor.hold(tx, [row["subject"]])
                _schedules(tx, row["subject"], cursors, now=now)  # as long as it is known when the pause ended
                suspensions.remove(tx, row["subject"])
                name = _name(tx, row["subject"])
                _commit(tx, Entry(now, DAEMON, "resume", name, {"until": iso(held["until_at"])}))
            self.telemetry.emit("suspension.ended", subject=name, reason="due")
        return min((row["until_at"] for row in ends if row["until_at"] > now), default=None)

    def _subject(self, tx: Transaction, name: str) -> str:
        if name.startswith(SOURCE):
            self._check_source(tx, name)
            return name
        row = automations.get(tx, name)
        if row is None or row["deleted_at"] is not None:
            raise not_there(tx, name, also="a source is named source:NAME")
        return str(row["uid"])

    def _check_source(self, tx: Transaction, subject: str) -> None:
        """Raises NotFound for a source that nobody looked at, that owns nothing, and that no settings name."""
        name = subject.removeprefix(SOURCE)
        known = {row["name"] for row in sources.every(tx)} | self.configured
        known |= {owner.removeprefix(SOURCE) for owner in automations.owners(tx) if owner.startswith(SOURCE)}
        if name not in known and suspensions.get(tx, subject) is None:
            those = f"sources: {', '.join(sorted(known))}; another" if known else "none is known yet; one"
            ways = "automations.toml names it as a [[source]], something of it is applied, or a daemon follows it"
            hint = f"{those} is known once {ways}"
            raise NotFound(f"source not found: {name}", hint=hint)


def record(name: str, row: Row) -> dict[str, Any]:
    """A suspension as the command line shows it."""
    shown = {
        "name": name,
        "suspended": True,
        "owner": row["owner"],
        "reason": row["reason"],
        "since": iso(row["since"]),
    }
    return shown if row["until_at"] is None else {**shown, "until": iso(row["until_at"])}


def _schedules(tx: Transaction, subject: str, cursors: Mapping[str, Mapping[str, Row]], *, now: int) -> None:
    """A pause begins or ends for schedules in its own commit, whether a daemon looks or not."""
    name = automations.ids(tx, (subject,)).get(subject) if cursors else None
    row = None if name is None else automations.get(tx, name)
    if row is not None:
        moment = schedule_cursor.awake_since(suspensions.get(tx, subject), now=now)
        schedule_cursor.paused_or_resumed(tx, row, cursors[subject], moment=moment)


def _name(tx: Transaction, subject: str) -> str:
    """An automation's id by its uid; a source's subject is its name."""
    if subject.startswith(SOURCE):
        return subject
    return automations.ids(tx, (subject,)).get(subject, subject)


def _commit(tx: Transaction, entry: Entry) -> None:
    """What fires is a matter of definitions: the serial rises, so that every server and scheduler takes it in."""
    serial = state.read(tx)["serial"]
    if not state.bump(tx, serial=serial):
        raise Conflict("another definition was committed at the same moment", hint="try again")
    audit.append(tx, entry)
