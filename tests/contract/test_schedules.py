"""Schedules, on every store: once each, over restarts, two daemons and outages."""

import pytest

from automations.core.canonical import decode
from automations.core.instant import SECOND
from automations.core.spec.namespaces import SCHEDULE
from automations.errors import Conflict, InvalidInput
from automations.services.trigger.backfill import Backfill, Period
from automations.services.trigger.parts import Parts
from automations.services.trigger.schedule_pause import Parts as PauseParts
from automations.services.trigger.schedule_pause import SchedulePause
from automations.services.trigger.schedule_view import every_schedule, next_slots
from automations.store.database import Database
from samples import step
from scheduled import Scheduled, at, failing, ledger, standing


@pytest.fixture
def plane(database: Database) -> Scheduled:
    return Scheduled(database)


def test_a_slot_starts_one_run_that_sees_its_time(plane: Scheduled) -> None:
    plane.apply({"a.yaml": plane.hourly()})
    assert plane.look(at("00:10")) == at("00:11")
    plane.look(at("01:00"))
    plane.look(at("01:00"))
    assert plane.started() == ["01:00"]
    assert decode(plane.claim()[0]["input_json"]) == {"at": "2026-06-01T01:00:00.000Z"}


def test_what_a_run_sees_of_its_slot_is_what_expressions_may_read(plane: Scheduled) -> None:
    plane.apply({"a.yaml": plane.hourly() | {"actions": [step(input={"slot": "${{ schedule }}"})]}})
    plane.look(at("00:10"))
    plane.look(at("01:00"))
    assert set(decode(plane.claim()[0]["input_json"])["slot"]) == set(SCHEDULE.names)


def test_a_new_schedule_never_backfills(plane: Scheduled) -> None:
    plane.clock.at = at("05:10")
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
    plane.clock.at = at("06:30")
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


# --- clocks that jump far -----------------------------------------------------------------------------------------------


def test_a_clock_that_jumped_years_ahead_and_back_silences_nothing_and_starts_nothing_twice(plane: Scheduled) -> None:
    plane.apply({"a.yaml": plane.hourly()})
    plane.look(at("00:10"))
    plane.look(at("01:00"))
    plane.look(at("00:00") + 3 * 365 * 86_400 * SECOND)
    ahead = plane.started()
    plane.look(at("01:30"))
    for time in ("02:00", "02:00", "03:00"):
        plane.look(at(time))
    assert plane.started()[len(ahead) :] == ["02:00", "03:00"]
    assert "schedule.clock_went_back" in [event for event, _ in plane.told]


def test_an_outage_of_years_is_in_the_ledger_though_its_slots_are_not_counted(plane: Scheduled) -> None:
    plane.apply({"a.yaml": plane.hourly()})
    plane.look(at("00:10"))
    plane.look(at("00:10") + 365 * 86_400 * SECOND)
    with plane.database.read() as tx:
        reasons = {
            row["reason"]: row["n"]
            for row in tx.all("SELECT reason, count(*) AS n FROM schedule_skips GROUP BY reason")
        }
    assert reasons["beyond_horizon"] == 1
    assert reasons["superseded"] == 14 * 24 - 1


def test_a_slot_that_was_skipped_by_a_clock_ahead_fires_when_its_time_comes(plane: Scheduled) -> None:
    plane.apply({"a.yaml": plane.hourly()})
    plane.look(at("00:10"))
    plane.look(at("09:00"))
    plane.look(at("01:30"))
    plane.look(at("02:00"))
    assert plane.started() == ["09:00", "02:00"]
    assert "02:00" not in [each["nominalTime"][11:16] for each in ledger(plane)]


# --- pausing after failures -----------------------------------------------------------------------------------------------


def test_a_schedule_pauses_after_that_many_failed_runs_in_a_row(plane: Scheduled) -> None:
    plane.apply({"a.yaml": plane.hourly(pauseOnFailure=2)})
    plane.look(at("00:10"))
    failing(plane, "01:00")
    plane.look(at("02:00"))
    plane.done(plane.claim()[0])
    failing(plane, "03:00", "04:00", "05:00", "06:00")
    assert plane.started() == ["01:00", "02:00", "03:00", "04:00"]
    shown = standing(plane)
    assert (shown["status"], shown["failures"], shown["paused"]["reason"]) == ("paused", 2, "2 failed runs in a row")
    assert "nextDue" not in shown
    assert plane.inspect.status()["pausedSchedules"] == [
        {"automationId": "a", "trigger": "0", "since": shown["paused"]["since"], "failures": 2}
    ]
    plane.look(at("07:00"), by=plane.daemon())
    assert len(plane.started()) == 4


def test_a_resumed_schedule_goes_on_from_now_and_keeps_what_passed_in_the_ledger(plane: Scheduled) -> None:
    plane.apply({"a.yaml": plane.hourly(pauseOnFailure=1, catchUp="all")})
    plane.look(at("00:10"))
    failing(plane, "01:00", "01:10")
    plane.clock.at = at("03:30")
    resume(plane)
    failing(plane, "03:31", "04:00")
    assert plane.started() == ["01:00", "04:00"]
    assert [(each["nominalTime"][11:16], each["reason"]) for each in ledger(plane)] == [
        ("03:00", "paused"), ("02:00", "paused"),
    ]  # fmt: skip


def test_a_resumed_schedule_catches_up_when_asked(plane: Scheduled) -> None:
    plane.apply({"a.yaml": plane.hourly(pauseOnFailure=1, catchUp="all")})
    plane.look(at("00:10"))
    failing(plane, "01:00", "01:10")
    plane.clock.at = at("03:30")
    resume(plane, catch_up=True)
    plane.look(at("03:31"))
    assert plane.started() == ["01:00", "02:00", "03:00"]


def test_a_new_generation_resumes_a_paused_schedule(plane: Scheduled) -> None:
    plane.apply({"a.yaml": plane.hourly(pauseOnFailure=1)})
    plane.look(at("00:10"))
    failing(plane, "01:00", "01:10", "02:00")
    plane.clock.at = at("02:30")
    plane.apply({"a.yaml": {**plane.hourly(pauseOnFailure=1), "name": "mended"}})
    failing(plane, "02:31", "03:00")
    assert plane.started() == ["01:00", "03:00"]
    assert [each["reason"] for each in ledger(plane)] == ["paused"]


def test_resuming_what_is_not_paused_is_refused(plane: Scheduled) -> None:
    plane.apply({"a.yaml": plane.hourly(pauseOnFailure=1)})
    plane.look(at("00:10"))
    with pytest.raises(Conflict, match="no schedule of a is paused"):
        resume(plane)


def resume(plane: Scheduled, *, catch_up: bool = False) -> None:
    pause = SchedulePause(PauseParts(plane.database, plane.bindings, plane.clock, plane.telemetry))
    pause.resume("a", trigger=None, catch_up=catch_up, actor="tester")


# --- backfill ---------------------------------------------------------------------------------------------------------


def backfill(plane: Scheduled) -> Backfill:
    return Backfill(Parts(plane.database, plane.bindings, plane.clock, plane.ids, plane.telemetry))


def test_a_backfill_fires_each_slot_once_and_none_that_fired_before(plane: Scheduled) -> None:
    plane.apply({"a.yaml": plane.hourly()})
    plane.look(at("00:10"))
    plane.look(at("02:00"))
    plane.clock.at = at("04:30")
    period = Period(at("00:30"), at("04:00"), 10)
    planned = backfill(plane).plan("a", period)
    assert [(each["nominalTime"][11:16], each["outcome"]) for each in planned] == [
        ("01:00", "fired_before" if "01:00" in plane.started() else "would_start"),
        ("02:00", "fired_before"), ("03:00", "would_start"), ("04:00", "would_start"),
    ]  # fmt: skip
    for _ in range(2):
        backfill(plane).run("a", period, actor="tester")
    assert sorted(plane.started()) == ["01:00", "02:00", "03:00", "04:00"]
    plane.look(at("04:40"))
    plane.look(at("05:00"))
    assert max(plane.started()) == "05:00"
    assert len(plane.started()) == 5


def test_a_backfill_follows_the_overlap_rule(plane: Scheduled) -> None:
    plane.apply({"a.yaml": plane.hourly(overlap="skip")})
    plane.clock.at = at("04:30")
    done = backfill(plane).run("a", Period(at("01:00"), at("03:00"), 10), actor="tester")
    assert [each["outcome"] for each in done] == ["started", "skipped", "skipped"]


@pytest.mark.parametrize(("since", "until"), [("03:00", "01:00"), ("03:00", "09:00"), ("00:00", "04:00")])
def test_a_backfill_refuses_a_period_that_is_none_or_too_long(plane: Scheduled, since: str, until: str) -> None:
    plane.apply({"a.yaml": plane.hourly()})
    plane.clock.at = at("04:30")
    with pytest.raises(InvalidInput):
        backfill(plane).plan("a", Period(at(since), at(until), 3))


@pytest.mark.parametrize("restart", [False, True], ids=["running", "begun anew"])
@pytest.mark.parametrize(
    "edit",
    [
        "DELETE FROM schedules",
        "UPDATE schedules SET digest = 'x'",
        "UPDATE schedules SET cursor_at = cursor_at + 1000000000000000",
        "UPDATE schedules SET trigger_id = 'other'",
    ],
)
def test_a_cursor_that_was_changed_by_hand_ends_no_schedule_which_begins_anew_when_that_is_noticed(
    plane: Scheduled, edit: str, *, restart: bool
) -> None:
    plane.apply({"a.yaml": plane.hourly()})
    plane.look(at("00:10"))
    plane.look(at("01:00"))
    with plane.database.write() as tx:
        tx.run(edit)
    scheduler = plane.daemon() if restart else plane.scheduler
    for time in ("01:30", "02:00", "02:01", "03:00", "03:01"):
        plane.look(at(time), by=scheduler)
    noticed_before = ["02:00"] if restart else []
    assert plane.started() == ["01:00", *noticed_before, "03:00"]


def test_a_renamed_automation_goes_on_from_the_slot_where_it_stood(plane: Scheduled) -> None:
    plane.apply({"a.yaml": plane.hourly(catchUp="all")})
    plane.look(at("00:10"))
    plane.look(at("01:00"))
    renamed = plane.hourly(catchUp="all") | {"id": "b", "lifecycle": {"renamedFrom": "a"}}
    plane.clock.at = at("03:20")  # nobody looked meanwhile
    plane.apply({"a.yaml": renamed})
    plane.look(at("03:20"), by=plane.daemon())
    assert plane.started() == ["01:00", "02:00", "03:00"]
