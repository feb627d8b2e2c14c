"""What ended is deleted when its time is over, and nothing that is still needed, on every store."""

from typing import Any

import pytest

from automations.core.retention import DAY, Policy
from automations.services.audit_view import verify
from automations.services.retention import Janitor
from automations.store.database import Database
from control_plane import ControlPlane
from samples import event_trigger, spec, step


class Kept(ControlPlane):
    """A control plane with a janitor."""

    def __init__(self, database: Database, policy: Policy | None = None) -> None:
        super().__init__(database)
        self.janitor = Janitor(database, policy or Policy(), clock=self.clock, telemetry=self.telemetry)

    def clean(self) -> None:
        """Tick until nothing more goes."""
        for _ in range(100):
            due = self.janitor.tick(self.clock.at)
            if due - self.clock.at > DAY // 48:
                return
        pytest.fail("the janitor never comes to rest")

    def count(self, table: str) -> int:
        with self.database.read() as tx:
            row = tx.one(f"SELECT count(*) AS n FROM {table}")  # noqa: S608  # the tests' own words
        assert row is not None
        return int(row["n"])

    def finished(self, identity: str, *, well: bool = True, **keys: Any) -> str:
        """Send an event and bring its run to an end."""
        run = str(self.send(identity, **keys).materialized[0]["runId"])
        (claimed,) = self.claim()
        if well:
            self.done(claimed)
        else:
            self.undone(claimed, retryable=False)
        return run


@pytest.fixture
def plane(database: Database) -> Kept:
    made = Kept(database)
    made.apply({"a.yaml": spec("a", actions=[step("one")])})
    return made


def test_succeeded_runs_go_after_a_week_and_failed_ones_after_a_month(plane: Kept) -> None:
    plane.finished("good")
    failed = plane.finished("bad", well=False)
    plane.clock.at += 8 * DAY
    plane.clean()
    assert (plane.count("runs"), plane.count("actions"), plane.count("events")) == (1, 1, 1)
    assert plane.inspect.run(failed)["actions"][0]["attempts"], "a dead letter keeps its attempts"
    plane.clock.at += 23 * DAY
    plane.clean()
    assert [plane.count(table) for table in ("runs", "actions", "attempts", "events")] == [0, 0, 0, 0]


def test_a_live_run_keeps_its_event_its_generation_and_its_past(plane: Kept) -> None:
    plane.send("live")
    plane.apply({"a.yaml": spec("a", actions=[step("two")])})
    plane.clock.at += 500 * DAY
    plane.clean()
    assert (plane.count("runs"), plane.count("events"), plane.count("generations")) == (1, 1, 2)
    (claimed,) = plane.claim()
    plane.done(claimed)
    plane.clock.at += 8 * DAY
    plane.clean()
    assert (plane.count("runs"), plane.count("events"), plane.count("generations")) == (0, 0, 1)


def test_an_identity_outlives_the_content_of_its_event(database: Database) -> None:
    plane = Kept(database, Policy(succeeded=DAY, events=DAY))
    plane.apply({"a.yaml": spec("a", actions=[step("one")])})
    plane.finished("once", data={"email": "ada@example.org"})
    plane.clock.at += 2 * DAY
    plane.clean()
    with database.read() as tx:
        assert tx.all("SELECT envelope_json FROM events") == [{"envelope_json": "{}"}]
    again = plane.send("once", data={"email": "ada@example.org"})
    assert again.duplicate
    assert plane.count("runs") == 0
    plane.clock.at += 6 * DAY
    plane.clean()
    assert plane.count("events") == 0


def test_a_long_clean_up_is_many_short_transactions(plane: Kept) -> None:
    for number in range(450):
        plane.send(f"e{number}")
    for row in plane.claim(limit=450):
        plane.done(row)
    plane.clock.at += 8 * DAY
    plane.told.clear()
    plane.clean()
    assert plane.count("runs") == 0
    rounds = [fields["succeeded"] for event, fields in plane.told if event == "retention.removed"]
    assert rounds[:3] == [200, 200, 50]


def test_a_second_round_removes_nothing(plane: Kept) -> None:
    plane.finished("good")
    plane.clock.at += 8 * DAY
    plane.clean()
    plane.told.clear()
    plane.clean()
    assert plane.told == []


def test_an_event_that_waits_or_is_part_of_a_kept_run_is_kept_whole(database: Database) -> None:
    plane = Kept(database)
    trigger = event_trigger(debounce={"quiet": "1s", "emit": "all"})
    later = step("two", dependsOn=["one"], input={"n": "${{ event.window.events.map(each, each.data.n) }}"})
    plane.apply({"a.yaml": spec("a", triggers=[trigger], actions=[step("one"), later])})
    for number in (1, 2):
        plane.send(f"e{number}", data={"n": number})
    plane.clock.at += 30 * DAY
    plane.clean()
    assert (plane.count("events"), plane.count("event_outcomes")) == (2, 2)
    plane.wait(1)
    plane.clock.at += 30 * DAY
    plane.clean()
    plane.done(plane.claim()[0])
    (second,) = plane.claim()
    assert second["input_json"] == '{"n":[1,2]}'
    plane.done(second)
    plane.clock.at += 30 * DAY
    plane.clean()
    assert (plane.count("runs"), plane.count("events"), plane.count("event_outcomes")) == (0, 0, 0)


def test_the_oldest_entries_of_the_audit_chain_go_and_the_rest_stays_whole(plane: Kept, database: Database) -> None:
    for number in range(3):
        plane.apply({"a.yaml": spec("a", name=f"name {number}", actions=[step("one")])})
    plane.clock.at += 401 * DAY
    plane.apply({"a.yaml": spec("a", name="today", actions=[step("one")])})
    plane.clean()
    found = verify(database)
    assert (found["ok"], found["entries"]) == (True, 2), "the newest apply, and the entry that says what went"
    with database.write() as tx:
        tx.run("DELETE FROM audit WHERE seq = (SELECT min(seq) FROM audit)")
    assert not verify(database)["ok"], "what was removed otherwise is missed"


def test_a_store_in_which_nothing_was_done_for_long_keeps_its_last_entries(plane: Kept, database: Database) -> None:
    plane.clock.at += 401 * DAY
    plane.clean()
    assert verify(database) == {"ok": True, "entries": 1, "last": verify(database)["last"]}


def test_old_entries_go_too_where_nothing_was_done_since(plane: Kept, database: Database) -> None:
    for number in range(3):
        plane.apply({"a.yaml": spec("a", name=f"name {number}", actions=[step("one")])})
    plane.clock.at += 401 * DAY
    plane.clean()
    found = verify(database)
    assert (found["ok"], found["entries"]) == (True, 2), "the last of them, and the entry that says what went"
