"""Schedules, on every store: once each, over restarts, two daemons and outages."""

from typing import Any

import pytest

from automations.core.canonical import decode
from automations.core.instant import SECOND, parse_iso
from automations.services.definitions import Bindings
from automations.services.schedule import Parts, Scheduler
from automations.services.schedule_view import every_schedule, next_slots
from automations.store.database import Database
from control_plane import ControlPlane
from samples import spec, step

MINUTE = 60 * SECOND
MIDNIGHT = parse_iso("2026-06-01T00:00:00Z")


class Scheduled(ControlPlane):
    """A control plane with daemons that look at the clock."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.clock.at = MIDNIGHT + MINUTE
        self.scheduler = self.daemon()

    def daemon(self) -> Scheduler:
        """One more daemon, or one after a restart."""
        parts = Parts(self.database, Bindings(self.database), self.clock, self.ids, self.telemetry)
        return Scheduler(parts)

    def look(self, at: int, *, by: Scheduler | None = None) -> int:
        """Set the clock and tick; when the daemon wants to look again."""
        self.clock.at = at
        return (by or self.scheduler).tick(at)

    def started(self) -> list[str]:
        """Nominal times of the runs, oldest first."""
        with self.database.read() as tx:
            rows = tx.all("SELECT metadata_json FROM runs ORDER BY id")
        return [decode(row["metadata_json"])["schedule"]["nominalTime"][11:16] for row in rows]

    def hourly(self, **keys: Any) -> dict[str, Any]:
        """An automation that runs every hour."""
        trigger = {"kind": "schedule", "cron": "0 * * * *", "overlap": "parallel", **keys}
        return spec("a", triggers=[trigger], actions=[step(input={"at": "${{ schedule.nominalTime }}"})])


@pytest.fixture
def plane(database: Database) -> Scheduled:
    return Scheduled(database)


def at(text: str) -> int:
    return parse_iso(f"2026-06-01T{text}:00Z")


def test_a_slot_starts_one_run_that_sees_its_time(plane: Scheduled) -> None:
    plane.apply({"a.yaml": plane.hourly()})
    assert plane.look(at("00:10")) == at("00:11")
    plane.look(at("01:00"))
    plane.look(at("01:00"))
    assert plane.started() == ["01:00"]
    assert decode(plane.claim()[0]["input_json"]) == {"at": "2026-06-01T01:00:00.000Z"}


def test_a_new_schedule_never_backfills(plane: Scheduled) -> None:
    plane.apply({"a.yaml": plane.hourly(catchUp="all")})
    plane.look(at("05:10"))
    assert plane.started() == []
    plane.look(at("06:00"))
    assert plane.started() == ["06:00"]


def test_a_restart_catches_up_as_the_spec_says(plane: Scheduled) -> None:
    plane.apply({"a.yaml": plane.hourly(catchUp="all", maxCatchUp=2)})
    plane.look(at("00:10"))
    again = plane.daemon()
    plane.look(at("05:10"), by=again)
    plane.look(at("05:11"), by=plane.daemon())
    assert plane.started() == ["04:00", "05:00"]
    skips = every_schedule(plane.database, now=plane.clock.at)[0]["skipped"]
    assert [(skip["nominalTime"][11:16], skip["reason"]) for skip in skips] == [
        ("03:00", "over_max"), ("02:00", "over_max"), ("01:00", "over_max"),
    ]  # fmt: skip


def test_two_daemons_start_each_slot_once(plane: Scheduled) -> None:
    plane.apply({"a.yaml": plane.hourly()})
    other = plane.daemon()
    for time in ("00:10", "01:00", "02:00", "02:30", "03:00"):
        plane.look(at(time))
        plane.look(at(time), by=other)
    assert plane.started() == ["01:00", "02:00", "03:00"]


def test_a_changed_schedule_begins_now(plane: Scheduled) -> None:
    plane.apply({"a.yaml": plane.hourly(catchUp="all")})
    plane.look(at("00:10"))
    plane.clock.at = at("03:20")
    plane.apply({"a.yaml": plane.hourly(catchUp="all", cron="30 * * * *")})
    plane.look(at("03:20"))
    plane.look(at("03:30"))
    assert plane.started() == ["03:30"]


def test_an_edit_beside_the_schedule_loses_no_slot(plane: Scheduled) -> None:
    plane.apply({"a.yaml": plane.hourly(catchUp="all")})
    plane.look(at("00:10"))
    plane.apply({"a.yaml": {**plane.hourly(catchUp="all"), "name": "renamed"}})
    plane.look(at("01:30"))
    assert plane.started() == ["01:00"]


def test_a_paused_schedule_does_not_catch_up_when_it_goes_on(plane: Scheduled) -> None:
    plane.apply({"a.yaml": plane.hourly(catchUp="all")})
    plane.look(at("00:10"))
    plane.apply({"a.yaml": {**plane.hourly(catchUp="all"), "status": "paused"}})
    plane.look(at("02:30"))
    plane.clock.at = at("04:10")
    plane.apply({"a.yaml": plane.hourly(catchUp="all")})
    plane.look(at("04:10"))
    plane.look(at("05:00"))
    assert plane.started() == ["05:00"]


def test_a_deleted_schedule_that_comes_back_begins_then_and_does_not_catch_up(plane: Scheduled) -> None:
    plane.apply({"a.yaml": plane.hourly(catchUp="all")})
    plane.look(at("00:30"))
    plane.look(at("01:00"))
    plane.apply({})
    plane.look(at("01:30"))
    plane.apply({"a.yaml": plane.hourly(catchUp="all")})
    plane.look(at("06:30"))
    plane.look(at("07:00"))
    assert plane.started() == ["01:00", "07:00"]


def test_a_slot_is_skipped_while_the_run_before_it_is_not_over(plane: Scheduled) -> None:
    plane.apply({"a.yaml": plane.hourly(overlap="skip")})
    plane.look(at("00:10"))
    plane.look(at("01:00"))
    plane.look(at("02:00"))
    plane.done(plane.claim()[0])
    plane.look(at("03:00"))
    assert plane.started() == ["01:00", "03:00"]
    assert ("schedule.skipped", "overlap") in [(event, fields.get("reason")) for event, fields in plane.told]


def test_a_clock_that_jumps_back_starts_nothing_twice(plane: Scheduled) -> None:
    plane.apply({"a.yaml": plane.hourly()})
    for time in ("00:10", "01:00", "00:30", "01:00", "01:05"):
        plane.look(at(time))
    assert plane.started() == ["01:00"]


def test_the_next_slots_are_told_in_local_time_and_utc(plane: Scheduled) -> None:
    plane.apply({"a.yaml": plane.hourly(timezone="Europe/Berlin")})
    (slot,) = next_slots(plane.database, "a", after=at("00:10"), count=1)
    assert slot == {"nominalTime": "2026-06-01T01:00:00.000Z", "localTime": "2026-06-01T03:00:00+02:00", "trigger": "0"}
