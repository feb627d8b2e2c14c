"""People who decide and try again: they approve and reject, some without the right to, and replay what failed in every mode.

With them the invariants on what they may bring about: what is over begins again only at their word, from nothing, and on record.
"""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from automations.core.run.replay import Mode
from automations.errors import Conflict, NotFound
from automations.services.run.replay import Wanted
from automations.store.database import Row
from simulation.mirror import Change, Mirror, Moment
from simulation.programs import Program

Problems = Iterator[str]

SERVICE = "decider"
TICK = "approvals"
PEOPLE = ("ada", "bob", "eve")
OPEN = frozenset({"queued", "blocked", "waiting_approval", "claimed", "retrying"})


class Decider:
    """Somebody at a terminal, looking at what waits and at what failed."""

    def __init__(self, mirror: Mirror, random: Random, *, count: Callable[[str], None]) -> None:
        self._mirror = mirror
        self._random = random
        self._count = count

    def turn(self, program: Program) -> None:
        """Decide about something that waits, or try something again."""
        deeds = (self._answer, self._answer, self._put_back, self._replay)
        try:
            self._random.choice(deeds)(program)
        except (Conflict, NotFound):
            self._count("decision_refused")

    def _rows(self, table: str, *statuses: str) -> list[Row]:
        return [row for row in self._mirror.rows[table].values() if row["status"] in statuses]

    def _answer(self, program: Program) -> None:
        waiting = self._rows("actions", "waiting_approval") or self._rows("actions", "queued", "rejected")
        if not waiting:
            return
        row, actor = self._random.choice(waiting), self._random.choice(PEOPLE)
        if self._random.random() < 0.7:
            status = program.approvals.approve(row["id"], actor=actor)["status"]
            self._count("approved" if status != "waiting_approval" else "approved_in_part")
        else:
            program.approvals.reject(row["id"], actor=actor)
            self._count("rejected")

    def _put_back(self, program: Program) -> None:
        dead = self._rows("actions", "dead", "rejected")
        if dead:
            program.replay.action(self._random.choice(dead)["id"], actor="ada")
            self._count("put_back")

    def _replay(self, program: Program) -> None:
        over = self._rows("runs", "failed", "succeeded")
        if not over:
            return
        run, mode = self._random.choice(over), self._random.choice(tuple(Mode))
        steps = [row["step_id"] for row in self._mirror.actions_of[run["id"]].values()]
        begins = self._random.choice(steps) if mode is Mode.ENTIRE_RUN and self._random.random() < 0.4 else None
        wanted = Wanted(mode, current=self._random.random() < 0.3, from_step=begins)
        dry = self._random.random() < 0.2
        program.replay.run(run["id"], wanted, actor="ada", dry_run=dry)
        done = [str(mode), *(["from"] if begins else []), *(["current"] if wanted.current else [])]
        for what in ["dry"] if dry else done:
            self._count(f"replay_{what}")


def begins_again(change: Change, moment: Moment) -> bool:
    """Whether a run or an action that was over is not any more, or an action that waited for its run to go on is anew."""
    if moment.frame.service != SERVICE or change.old is None or change.new is None:
        return False
    if change.table == "runs":
        return change.old["completed_at"] is not None
    return change.table == "actions" and change.old["completed_at"] is not None


def note(moment: Moment) -> None:
    """Remember what was replayed: it may be blocked though it was handed out once, and its run may mix two specs."""
    for change in moment.changes:
        if begins_again(change, moment):
            moment.mirror.replayed.add(str(change.key[0]))
            if change.table == "actions" and change.new is not None:
                moment.mirror.replayed.add(change.new["run_id"])
    for change in moment.of("runs"):
        if change.new and change.new["replay_of"] is not None:
            moment.mirror.replayed.add(change.new["id"])


def decision_rule(moment: Moment) -> Problems:
    """What people, and the clock in their stead, brought about in this commit."""
    replays = [change for change in moment.changes if begins_again(change, moment)]
    entries = [change.new["action"] for change in moment.of("audit") if change.new]
    if replays and not {"run.replay", "dlq.replay"} & set(entries):
        yield "something began again that nobody is on record for"
    for change in replays:
        if change.table == "actions" and change.new is not None and change.old is not None:
            yield from (f"action {change.key[0]}: {problem}" for problem in _anew(change.old, change.new))
    for change in moment.of("actions"):
        if change.old and change.new and change.old["status"] == "waiting_approval" != change.new["status"]:
            yield from _answered(change.old, change.new, moment, entries)
    for change in moment.of("runs"):
        if change.new and change.old is None and change.new["replay_of"] is not None:
            old = moment.mirror.get("runs", change.new["replay_of"])
            if moment.frame.service != SERVICE or old is None or old["event_row_id"] != change.new["event_row_id"]:
                yield f"run {change.key[0]} says that it replays {change.new['replay_of']}"


def _anew(old: Row, new: Row) -> Problems:
    if (new["attempt"], new["crashes"], new["fence"]) != (0, 0, old["fence"]):
        yield f"began again with attempt {new['attempt']}, crashes {new['crashes']}, fence {old['fence']} → {new['fence']}"
    if new["status"] in ("claimed", "succeeded", "dead", "retrying"):
        yield f"began again as {new['status']}"
    if old["status"] == "succeeded":
        yield "had succeeded, and began again in its own run"


def _answered(old: Row, new: Row, moment: Moment, entries: list[Any]) -> Problems:
    late = old["approval_expires_at"] is not None and old["approval_expires_at"] <= moment.frame.read_at
    run = moment.mirror.get("runs", new["run_id"])
    in_line = run is not None and run["slot"] in ("waiting", "returning")
    if new["status"] not in ("queued", "rejected", "cancelled", "claimed", *(["blocked"] if in_line else [])):
        yield f"action {new['id']}: an answer made it {new['status']}"
    elif new["status"] != "cancelled" and moment.frame.service not in (SERVICE, TICK):
        yield f"action {new['id']}: {moment.frame.service} answered in people's stead"
    elif moment.frame.service == TICK and not late:
        yield f"action {new['id']}: its question lapsed before its time"
    if late and new["status"] == "queued":
        yield f"action {new['id']}: was approved too late"
    if new["status"] in ("queued", "rejected") and not any(str(each).startswith("approval.") for each in entries):
        yield f"action {new['id']}: a decision is not on record"
