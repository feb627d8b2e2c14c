"""Cursors of schedules, on every store: a change counts from its commit, whether a daemon runs, comes later or is gone."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from itertools import takewhile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automations.core.instant import iso
from automations.core.trigger.schedule import schedule_of, slots
from automations.errors import Conflict, NotFound, StalePlan
from automations.services.reconcile.suspend import Suspend
from automations.services.trigger.schedule import Scheduler
from automations.store.database import Database
from automations.store.migrate import migrate
from automations.store.sqlite import SqliteDatabase
from scheduled import MIDNIGHT, MINUTE, Scheduled, at, failing, ledger, standing


@pytest.fixture
def plane(database: Database) -> Scheduled:
    return Scheduled(database)


def reasons(plane: Scheduled) -> dict[str, str]:
    return {each["nominalTime"][11:16]: each["reason"] for each in reversed(ledger(plane))}


@pytest.mark.parametrize(
    ("catch_up", "fires", "skips"),
    [
        ({"catchUp": "none"}, [], {"01:00": "missed", "02:00": "missed", "03:00": "missed"}),
        ({"catchUp": "latest"}, ["03:00"], {"01:00": "superseded", "02:00": "superseded"}),
        ({"catchUp": "all"}, ["01:00", "02:00", "03:00"], {}),
        ({"catchUp": "all", "maxCatchUp": 2}, ["02:00", "03:00"], {"01:00": "over_max"}),
        ({"catchUp": "all", "maxLateness": "90m"}, ["02:00", "03:00"], {"01:00": "too_late"}),
    ],
)
def test_slots_between_an_apply_and_the_first_look_are_judged_like_those_of_an_outage(
    plane: Scheduled, catch_up: dict[str, Any], fires: list[str], skips: dict[str, str]
) -> None:
    plane.apply({"a.yaml": plane.hourly(**catch_up)})
    assert standing(plane)["nextDue"][11:16] == "01:00"
    plane.look(at("03:10"))
    assert (plane.started(), reasons(plane)) == (fires, skips)


def test_a_schedule_that_is_changed_before_anybody_looks_begins_with_the_change_and_what_it_was_is_in_the_ledger(
    plane: Scheduled,
) -> None:
    plane.apply({"a.yaml": plane.hourly(catchUp="all")})
    plane.clock.at = at("02:20")
    plane.apply({"a.yaml": plane.hourly(catchUp="all", cron="30 * * * *")})
    plane.clock.at = at("03:20")
    plane.apply({"a.yaml": {**plane.hourly(catchUp="all", cron="30 * * * *"), "name": "edited beside it"}})
    plane.look(at("04:10"))
    assert plane.started() == ["02:30", "03:30"]
    assert reasons(plane) == {"01:00": "changed", "02:00": "changed"}


def test_a_schedule_that_goes_and_comes_back_before_anybody_looks_begins_when_it_is_back(plane: Scheduled) -> None:
    plane.apply({"a.yaml": plane.hourly(catchUp="all")})
    plane.clock.at = at("01:20")
    plane.apply({})
    plane.clock.at = at("03:20")
    plane.apply({"a.yaml": plane.hourly(catchUp="all")})
    plane.look(at("05:10"))
    assert plane.started() == ["04:00", "05:00"]
    assert reasons(plane) == {"01:00": "changed"}


def test_a_pause_by_the_spec_that_no_daemon_saw_catches_up_nothing_of_its_time(plane: Scheduled) -> None:
    plane.apply({"a.yaml": plane.hourly(catchUp="all")})
    for time, status in (("01:20", "paused"), ("03:20", "active")):
        plane.clock.at = at(time)
        plane.apply({"a.yaml": {**plane.hourly(catchUp="all"), "status": status}})
    plane.look(at("05:10"))
    assert plane.started() == ["04:00", "05:00"]
    assert reasons(plane) == {"01:00": "changed", "02:00": "paused", "03:00": "paused"}


@pytest.mark.parametrize("ends", ["by hand", "by itself"])
def test_a_pause_by_hand_that_no_daemon_saw_catches_up_nothing_of_its_time(plane: Scheduled, ends: str) -> None:
    suspend = Suspend(plane.database, plane.clock, plane.telemetry)
    plane.apply({"a.yaml": plane.hourly(catchUp="all")})
    plane.clock.at = at("01:20")
    suspend.suspend("a", reason="quiet", until=at("03:20") if ends == "by itself" else None, actor="ops")
    if ends == "by hand":
        plane.clock.at = at("03:20")
        suspend.resume("a", actor="ops")
    plane.look(at("05:10"))
    suspend.end_due(at("05:11"))
    plane.look(at("05:11"))
    assert plane.started() == ["04:00", "05:00"]
    assert reasons(plane) == {"01:00": "changed", "02:00": "paused", "03:00": "paused"}


def test_a_new_generation_resumes_a_schedule_that_paused_itself_when_it_is_applied(plane: Scheduled) -> None:
    plane.apply({"a.yaml": plane.hourly(pauseOnFailure=1, catchUp="all")})
    plane.look(at("00:10"))
    failing(plane, "01:00", "01:10", "02:00")
    plane.clock.at = at("02:30")
    plane.apply({"a.yaml": {**plane.hourly(pauseOnFailure=1, catchUp="all"), "name": "mended"}})
    plane.look(at("04:10"), by=plane.daemon())
    assert plane.started() == ["01:00", "03:00", "04:00"]
    assert reasons(plane) == {"02:00": "paused"}


class Life:
    """One automation whose schedule changes, pauses and goes while daemons come and go, and what is due meanwhile."""

    def __init__(self, database: Database, catch_up: dict[str, Any]) -> None:
        self.plane = Scheduled(database)
        self._suspend = Suspend(database, self.plane.clock, self.plane.telemetry)
        self._catch_up = catch_up
        self._number = 0
        self._id, self._cron, self._status = "a0", "0 * * * *", "active"
        self._since: int | None = None
        self._due: list[int] = []
        self.after(0, "return")

    def after(self, minutes: int, operation: str) -> None:
        """Let time pass, then do this, where it can be done."""
        self.plane.clock.at += minutes * MINUTE
        self._number += 1
        now = self.plane.clock.at
        with suppress(NotFound, Conflict):  # somebody suspends what is gone, or resumes what goes on
            match operation:
                case "look":
                    self.plane.look(now)
                case "restart":
                    self.plane.scheduler = self.plane.daemon()
                case "suspend":
                    self._suspend.suspend(self._id, reason="quiet", until=None, actor="ops")
                case "suspend for a while":
                    self._suspend.suspend(self._id, reason="quiet", until=now + 90 * MINUTE, actor="ops")
                case "resume":
                    self._suspend.resume(self._id, actor="ops")
                case "end what is due":
                    self._suspend.end_due(now)
                case "go":
                    self._end()
                    self.plane.apply({})
                case _ if operation == "return" or self._since is not None:
                    self._apply(operation)

    def settle(self) -> None:
        """Everything goes on, and somebody looks."""
        for operation in ("return", "activate", "resume", "look"):
            self.after(0, operation)
        self._end()

    def due(self) -> list[str]:
        """The slots of what was bound, while it was."""
        return [iso(slot) for slot in sorted(self._due)]

    def told(self) -> list[str]:
        """The slots that fired, and those that are in the ledger."""
        with self.plane.database.read() as tx:
            rows = tx.all("SELECT nominal_at FROM schedule_fires UNION ALL SELECT nominal_at FROM schedule_skips")
        return [iso(slot) for slot in sorted(row["nominal_at"] for row in rows)]

    def _apply(self, operation: str) -> None:
        more = {}
        if operation == "rename":
            more = {"lifecycle": {"renamedFrom": self._id}}
            self._id = f"a{self._number}"
        if operation == "change":
            self._end()
            self._cron = "30 * * * *" if self._cron == "0 * * * *" else "0 * * * *"
        self._status = {"pause": "paused", "activate": "active"}.get(operation, self._status)
        if self._since is None:
            self._since = self.plane.clock.at
        keys = {"id": self._id, "name": f"n{self._number}", "status": self._status, **more}
        self.plane.apply({"a.yaml": self.plane.hourly(cron=self._cron, **self._catch_up) | keys})

    def _end(self) -> None:
        """What was bound until now is no more."""
        if self._since is not None:
            following = slots(schedule_of({"cron": self._cron}), self._since)
            self._due += takewhile(lambda slot: slot <= self.plane.clock.at, following)
        self._since = None


OPERATIONS = (
    "look", "restart", "edit", "change", "rename", "pause", "activate", "go", "return",
    "suspend", "suspend for a while", "resume", "end what is due",
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    moves=st.lists(st.tuples(st.integers(0, 200), st.sampled_from(OPERATIONS)), min_size=1, max_size=12),
    catch_up=st.sampled_from([{"catchUp": "none"}, {"catchUp": "latest"}, {"catchUp": "all", "maxCatchUp": 3}]),
)
def test_whatever_happens_while_daemons_come_and_go_every_slot_fires_or_is_in_the_ledger_once(
    moves: list[tuple[int, str]], catch_up: dict[str, Any]
) -> None:
    with closing(SqliteDatabase.memory()) as database:
        migrate(database, now=MIDNIGHT, lineage="0190a0a0-0000-7000-8000-000000000000")
        life = Life(database, catch_up)
        for minutes, operation in moves:
            life.after(minutes, operation)
        life.settle()
        assert life.told() == life.due()


def test_applies_pauses_and_two_daemons_at_once_do_not_stand_in_each_others_way(shared_database: Database) -> None:
    plane = Scheduled(shared_database)
    names = ["a", "b", "c"]

    def declare(number: int) -> None:
        lifecycle = {"onUpdate": "cancel-queued", "onDelete": "cancel-queued"}
        keys: dict[str, Any] = {"overlap": "cancel-running", "catchUp": "all", "maxCatchUp": 2}
        every = plane.hourly(cron=f"*/{20 + number % 2} * * * *", pauseOnFailure=9, **keys)
        gone = names[number % 3] if number % 4 == 3 else ""
        plane.apply(
            {
                f"{name}.yaml": every | {"id": name, "name": f"n{number}", "lifecycle": lifecycle}
                for name in names
                if name != gone
            }
        )

    def pause(number: int) -> None:
        suspend = Suspend(shared_database, plane.clock, plane.telemetry)
        suspend.suspend(names[number % 3], reason="quiet", until=None, actor="ops")
        suspend.resume(names[number % 3], actor="ops")

    def look(daemon: Scheduler) -> Callable[[int], None]:
        def tick(_: int) -> None:
            plane.clock.at += 15 * MINUTE
            daemon.tick(plane.clock.at)

        return tick

    def work(operation: Callable[[int], None]) -> None:
        for number in range(25):
            with suppress(Conflict, NotFound, StalePlan):  # somebody was faster
                operation(number)

    declare(0)
    with ThreadPoolExecutor() as pool:
        at_once = [pool.submit(work, each) for each in (declare, pause, look(plane.daemon()), look(plane.daemon()))]
    assert [str(each.exception()) for each in at_once if each.exception()] == []
