"""Rate limits and debounces on every store: nothing is lost, nothing happens twice, and every event says what became of it."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from automations.adapters.ids import UuidIds
from automations.core.canonical import decode
from automations.core.instant import SECOND
from automations.services.plan.definitions import Bindings
from automations.services.trigger.event_view import event_show, why
from automations.services.trigger.ingest import Ingest, Ingested
from automations.store.database import Database
from control_plane import START, ControlPlane
from samples import event_trigger, spec, step


@pytest.fixture
def plane(database: Database) -> ControlPlane:
    return ControlPlane(database)


def limited(**keys: Any) -> dict[str, Any]:
    """An automation whose trigger has these keys, and whose step sees its event."""
    return spec("a", triggers=[event_trigger(**keys)], actions=[step(input={"event": "${{ event }}"})])


def runs_of(plane: ControlPlane) -> list[str]:
    """The events that runs are for, in the order in which they were made."""
    with plane.database.read() as tx:
        return [row["trigger_event_id"] for row in tx.all("SELECT trigger_event_id FROM runs ORDER BY id")]


def outcomes(plane: ControlPlane, *identities: str) -> list[tuple[str, ...]]:
    """What each event says became of it: overall, then for each automation."""
    found = []
    for each in identities:
        shown = event_show(plane.database, each)
        found.append((shown["outcome"], *(mine["outcome"] for mine in shown["automations"])))
    return found


def seen(plane: ControlPlane) -> dict[str, Any]:
    """The event as the step of the next claimable run sees it."""
    event: dict[str, Any] = decode(plane.claim()[0]["input_json"])["event"]
    return event


# --- debounce ---------------------------------------------------------------------------------------------------------


def test_a_burst_becomes_one_run_when_it_has_been_quiet(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": limited(debounce={"quiet": "10s"})})
    for number in range(3):
        assert plane.send(f"e{number}", data={"n": number}).materialized == ()
        plane.wait(5)
    assert runs_of(plane) == []
    assert outcomes(plane, "e0", "e2") == [("waiting", "debounced"), ("waiting", "debounced")]
    plane.wait(5)
    assert runs_of(plane) == ["e2"]
    assert outcomes(plane, "e0", "e2") == [("coalesced", "coalesced"), ("materialized", "started")]
    event = seen(plane)
    assert (event["id"], event["data"], event["window"]["count"]) == ("e2", {"n": 2}, 3)
    assert "events" not in event["window"]


@pytest.mark.parametrize(("emit", "event"), [("first", "e0"), ("last", "e2"), ("all", "e2")])
def test_a_window_emits_what_its_trigger_says(plane: ControlPlane, emit: str, event: str) -> None:
    plane.apply({"a.yaml": limited(debounce={"quiet": "1s", "emit": emit})})
    for number in range(3):
        plane.send(f"e{number}", data={"n": number})
    plane.wait(1)
    assert runs_of(plane) == [event]
    window = seen(plane)["window"]
    assert [each["data"]["n"] for each in window.get("events", [])] == ([0, 1, 2] if emit == "all" else [])


def test_a_later_step_sees_the_window_too(plane: ControlPlane) -> None:
    later = step("later", dependsOn=["work"], input={"all": "${{ event.window.events.map(each, each.data.n) }}"})
    document = limited(debounce={"quiet": "1s", "emit": "all"})
    plane.apply({"a.yaml": {**document, "actions": [step(), later]}})
    plane.send("e1", data={"n": 1})
    plane.send("e2", data={"n": 2})
    plane.wait(1)
    plane.done(plane.claim()[0])
    assert decode(plane.claim()[0]["input_json"]) == {"all": [1, 2]}


def test_a_window_closes_at_its_longest_even_when_it_is_never_quiet(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": limited(debounce={"quiet": "10s", "max": "25s"})})
    for number in range(6):
        plane.send(f"e{number}")
        plane.wait(5)
    assert runs_of(plane) == ["e4"]
    plane.wait(5)
    assert runs_of(plane) == ["e4", "e5"]


def test_every_key_has_a_window_of_its_own(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": limited(debounce={"key": "${{ event.data.who }}", "quiet": "1s"})})
    for number, who in enumerate("abab"):
        plane.send(f"e{number}", data={"who": who})
    plane.wait(1)
    assert sorted(runs_of(plane)) == ["e2", "e3"]


def test_a_key_that_fails_is_an_error_on_record_and_starts_nothing(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": limited(debounce={"key": "${{ event.data.who }}", "quiet": "1s"})})
    plane.send("e1")
    plane.send("e2", data={"who": None})
    plane.wait(5)
    assert runs_of(plane) == []
    assert outcomes(plane, "e1", "e2") == [("unmatched", "error"), ("unmatched", "error")]
    reasons = [event_show(plane.database, each)["automations"][0]["reason"] for each in ("e1", "e2")]
    assert "who" in reasons[0]
    assert "null" in reasons[1]


def test_a_window_outlives_the_daemon_that_opened_it(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": limited(debounce={"quiet": "10s"})})
    plane.send("e1")
    plane.clock.at += 3_600 * SECOND
    plane.another_timers().tick(plane.clock.at)
    assert runs_of(plane) == ["e1"]


def test_two_daemons_close_a_window_once(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": limited(debounce={"quiet": "10s"})})
    plane.send("e1")
    plane.clock.at += 10 * SECOND
    for daemon in (plane.timers, plane.another_timers(), plane.timers):
        daemon.tick(plane.clock.at)
    assert runs_of(plane) == ["e1"]


def test_the_timers_are_looked_at_when_the_next_one_is_due(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": limited(debounce={"quiet": "500ms"})})
    plane.send("e1")
    assert plane.wait(0) == START + SECOND // 2
    assert plane.wait(0.5) == plane.clock.at + SECOND


def test_a_repeat_of_a_waiting_event_neither_joins_twice_nor_prolongs_the_window(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": limited(debounce={"quiet": "10s"})})
    plane.send("e1")
    plane.clock.at += 5 * SECOND
    assert plane.send("e1").duplicate
    plane.wait(5)
    assert runs_of(plane) == ["e1"]
    assert plane.send("e1").materialized == ()


def test_an_event_may_start_one_automation_at_once_and_wait_for_another(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": limited(debounce={"quiet": "10s"}), "b.yaml": spec("b")})
    assert [each["automationId"] for each in plane.send("e1").materialized] == ["b"]
    shown = event_show(plane.database, "e1")
    assert shown["outcome"] == "materialized"
    assert [(each["automationId"], each["outcome"]) for each in shown["automations"]] == [
        ("a", "debounced"), ("b", "started"),
    ]  # fmt: skip
    plane.wait(10)
    assert [each["automationId"] for each in event_show(plane.database, "e1")["materialized"]] == ["b", "a"]


def test_a_clock_that_is_set_back_does_not_hold_a_window_open(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": limited(debounce={"quiet": "10s"})})
    plane.clock.at += 365 * 86_400 * SECOND
    plane.send("e1")
    plane.wait(0)
    plane.clock.at = START
    plane.wait(0)
    plane.wait(10)
    assert runs_of(plane) == ["e1"]


# --- an apply in between ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"triggers": [event_trigger(id="other")]}, "trigger_removed"),
        ({"status": "paused"}, "automation_paused"),
        ({"triggers": [event_trigger(type="other", debounce={"quiet": "10s"})]}, "no_longer_matches"),
        (None, "automation_deleted"),
    ],
)
def test_events_of_a_trigger_that_went_away_are_dropped_and_say_why(
    plane: ControlPlane, change: dict[str, Any] | None, reason: str
) -> None:
    plane.apply({"a.yaml": limited(debounce={"quiet": "10s"})})
    plane.send("e1")
    plane.apply({} if change is None else {"a.yaml": {**limited(), **change}})
    plane.wait(10)
    assert runs_of(plane) == []
    shown = event_show(plane.database, "e1")
    assert (shown["outcome"], shown["automations"][0]["outcome"], shown["automations"][0]["reason"]) == (
        "dropped", "dropped", reason,
    )  # fmt: skip


def test_a_window_closes_into_a_run_of_what_is_bound_by_then(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": limited(debounce={"quiet": "10s"})})
    plane.send("e1", data={"priority": "low"})
    plane.send("e2", data={"priority": "high"})
    plane.send("e3", data={"priority": "low"})
    plane.apply({"a.yaml": limited(debounce={"quiet": "90s"}, filter={"priority": "high"})})
    plane.wait(10)
    assert runs_of(plane) == ["e2"]
    assert outcomes(plane, "e1", "e2", "e3") == [
        ("dropped", "dropped"), ("materialized", "started"), ("dropped", "dropped"),
    ]  # fmt: skip
    with plane.database.read() as tx:
        assert [row["generation"] for row in tx.all("SELECT generation FROM runs")] == [2]


def test_a_window_whose_trigger_lost_its_debounce_still_closes(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": limited(debounce={"quiet": "10s"})})
    plane.send("e1")
    plane.apply({"a.yaml": limited()})
    assert len(plane.send("e2").materialized) == 1
    plane.wait(10)
    assert sorted(runs_of(plane)) == ["e1", "e2"]


# --- rate limit -------------------------------------------------------------------------------------------------------


def test_what_exceeds_a_rate_is_dropped_and_says_so(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": limited(rateLimit={"limit": 2, "per": "10s"})})
    for number in range(4):
        plane.send(f"e{number}")
    plane.clock.at += 5 * SECOND
    plane.send("e4")
    assert runs_of(plane) == ["e0", "e1", "e4"]
    assert outcomes(plane, "e1", "e2") == [("materialized", "started"), ("dropped", "dropped")]
    assert event_show(plane.database, "e3")["automations"][0]["reason"] == "rate_limit"
    assert plane.send("e3").duplicate


def test_what_exceeds_a_rate_may_wait_for_its_turn_instead(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": limited(rateLimit={"limit": 1, "per": "10s", "excess": "delay"})})
    for number in range(3):
        plane.send(f"e{number}")
    assert outcomes(plane, "e0", "e1") == [("materialized", "started"), ("waiting", "delayed")]
    plane.wait(10)
    assert runs_of(plane) == ["e0", "e1"]
    plane.another_timers().tick(plane.clock.at + 10 * SECOND)
    assert runs_of(plane) == ["e0", "e1", "e2"]
    assert outcomes(plane, "e2") == [("materialized", "started")]


def test_a_burst_passes_at_once_and_comes_back_at_the_rate(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": limited(rateLimit={"limit": 1, "per": "1s", "burst": 3})})
    for number in range(5):
        plane.send(f"e{number}")
    plane.clock.at += SECOND
    plane.send("e5")
    plane.send("e6")
    assert runs_of(plane) == ["e0", "e1", "e2", "e5"]


def test_duplicates_and_events_that_the_filter_refuses_spend_nothing(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": limited(rateLimit={"limit": 2, "per": "1h"}, filter={"ok": True})})
    for number in range(5):
        plane.send(f"no{number}", data={"ok": False})
    plane.send("e1", data={"ok": True})
    plane.send("e1", data={"ok": True})
    plane.send("e2", data={"ok": True})
    assert runs_of(plane) == ["e1", "e2"]


def test_the_rate_limit_comes_before_the_debounce(plane: ControlPlane) -> None:
    both = {"rateLimit": {"limit": 2, "per": "1h"}, "debounce": {"quiet": "10s"}}
    plane.apply({"a.yaml": limited(**both)})
    for number in range(3):
        plane.send(f"e{number}")
    plane.wait(10)
    assert outcomes(plane, "e0", "e1", "e2") == [
        ("coalesced", "coalesced"), ("materialized", "started"), ("dropped", "dropped"),
    ]  # fmt: skip


def test_a_delayed_event_joins_the_window_that_is_open_when_its_turn_comes(plane: ControlPlane) -> None:
    both = {"rateLimit": {"limit": 1, "per": "5s", "excess": "delay"}, "debounce": {"quiet": "8s"}}
    plane.apply({"a.yaml": limited(**both)})
    plane.send("e0")
    plane.send("e1")
    plane.wait(5)
    assert outcomes(plane, "e0", "e1") == [("waiting", "debounced"), ("waiting", "debounced")]
    plane.wait(8)
    assert runs_of(plane) == ["e1"]
    assert outcomes(plane, "e0") == [("coalesced", "coalesced")]


def test_a_clock_that_is_set_back_does_not_close_a_bucket_for_long(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": limited(rateLimit={"limit": 1, "per": "1s"})})
    plane.clock.at += 365 * 86_400 * SECOND
    plane.send("e1")
    plane.clock.at = START
    plane.send("e2")
    plane.clock.at += 2 * SECOND
    plane.send("e3")
    assert runs_of(plane) == ["e1", "e3"]


def test_buckets_that_are_full_again_are_forgotten(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": limited(rateLimit={"key": "${{ event.id }}", "limit": 1, "per": "1s"})})
    for number in range(5):
        plane.send(f"e{number}")
    plane.wait(120)
    with plane.database.read() as tx:
        assert tx.all("SELECT * FROM rate_buckets") == []


def test_a_group_through_one_limit_is_counted_in_the_order_in_which_it_came(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": limited(rateLimit={"limit": 2, "per": "1h"})})
    plane.ingest.many([plane.delivery(f"e{number}") for number in range(4)])
    assert runs_of(plane) == ["e0", "e1"]


def test_a_repeat_in_the_same_group_is_answered_as_the_event_before_it(plane: ControlPlane) -> None:
    """Found by the simulation: the repeat was judged before its event had been let through."""
    plane.apply({"a.yaml": limited(rateLimit={"limit": 1, "per": "1h"})})
    first, again = plane.ingest.many([plane.delivery("e1"), plane.delivery("e1")])
    assert isinstance(first, Ingested)
    assert isinstance(again, Ingested)
    assert (again.duplicate, again.materialized) == (True, first.materialized)
    assert len(first.materialized) == 1


# --- several triggers of one automation ---------------------------------------------------------------------------------


def several(*triggers: dict[str, Any]) -> dict[str, Any]:
    return {"a.yaml": spec("a", triggers=list(triggers))}


def told_of_triggers(plane: ControlPlane, event: str) -> dict[str, str]:
    """What `why` says each trigger came to."""
    return {each["trigger"]: each["outcome"] for each in why(plane.database, plane.bindings, event)["triggers"]}


@pytest.mark.parametrize("hold", [{"rateLimit": {"limit": 1, "per": "1h"}}, {"debounce": {"quiet": "1h"}}])
def test_a_limited_trigger_swallows_nothing_that_another_one_matches(plane: ControlPlane, hold: dict[str, Any]) -> None:
    plane.apply(several(event_trigger(id="held", type="*", **hold), event_trigger(id="free", type="z*")))
    for each in ("e1", "e2"):
        plane.send(each, type="zz")
    assert runs_of(plane) == ["e1", "e2"]
    assert told_of_triggers(plane, "e2") == {"free": "match", "held": "no_match"}
    plane.wait(3_600)
    assert runs_of(plane) == ["e1", "e2"]


def test_what_one_limit_drops_is_tried_by_the_next_trigger(plane: ControlPlane) -> None:
    one, per = {"limit": 1, "per": "1h"}, {"limit": 1, "per": "10s", "excess": "delay"}
    plane.apply(several(event_trigger(id="drop", rateLimit=one), event_trigger(id="delay", rateLimit=per)))
    plane.ingest.many([plane.delivery(f"e{number}") for number in range(3)])
    assert runs_of(plane) == ["e0", "e1"]
    assert outcomes(plane, "e2") == [("waiting", "delayed")]
    assert [told_of_triggers(plane, each) for each in ("e0", "e1", "e2")] == [
        {"drop": "match", "delay": "no_match"},
        {"drop": "no_match", "delay": "match"},
        {"drop": "no_match", "delay": "delayed"},
    ]


def test_why_knows_which_trigger_fired_also_where_none_of_them_has_an_id(plane: ControlPlane) -> None:
    one, two = {"limit": 1, "per": "1h"}, {"limit": 9, "per": "1h"}
    plane.apply(several(event_trigger(rateLimit=one), event_trigger(rateLimit=two)))
    plane.send("e1")
    plane.send("e2")
    assert told_of_triggers(plane, "e2") == {"0": "no_match", "1": "match"}


def test_what_every_trigger_of_an_automation_drops_is_dropped_once(plane: ControlPlane) -> None:
    one = {"limit": 1, "per": "1h"}
    plane.apply(several(event_trigger(id="x", rateLimit=one), event_trigger(id="y", rateLimit=one)))
    for number in range(3):
        plane.send(f"e{number}")
    assert runs_of(plane) == ["e0", "e1"]
    assert outcomes(plane, "e1", "e2") == [("materialized", "started"), ("dropped", "dropped")]
    assert told_of_triggers(plane, "e2") == {"x": "dropped", "y": "no_match"}


# --- why --------------------------------------------------------------------------------------------------------------


def test_why_tells_waiting_dropping_and_coalescing_apart(plane: ControlPlane) -> None:
    plane.apply(
        {
            "a.yaml": limited(debounce={"quiet": "10s"}),
            "b.yaml": spec("b", triggers=[event_trigger(rateLimit={"limit": 1, "per": "1h"})]),
        }
    )
    for each in ("e1", "e2"):
        plane.send(each)

    def told(event: str) -> list[tuple[str, str]]:
        answer = why(plane.database, plane.bindings, event)
        return sorted((each["automationId"], each["outcome"]) for each in answer["triggers"])

    assert told("e2") == [("a", "debounced"), ("b", "dropped")]
    plane.wait(10)
    assert told("e1") == [("a", "coalesced"), ("b", "match")]
    (mine,) = (each for each in why(plane.database, plane.bindings, "e1")["triggers"] if each["automationId"] == "a")
    assert mine["runId"] == why(plane.database, plane.bindings, "e2")["triggers"][0]["runId"]


# --- two daemons at once ------------------------------------------------------------------------------------------------


def test_two_daemons_that_look_at_the_same_moment_fire_each_timer_once(shared_database: Database) -> None:
    plane = ControlPlane(shared_database)
    keyed = {"key": "${{ event.data.n }}", "quiet": "1s"}
    plane.apply({"a.yaml": limited(debounce=keyed), "b.yaml": spec("b", triggers=[event_trigger(debounce=keyed)])})
    plane.ingest.many([plane.delivery(f"e{number}", data={"n": number // 2}) for number in range(60)])
    plane.clock.at += SECOND
    daemons = [plane.another_timers() for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(daemon.tick, plane.clock.at) for daemon in daemons]:
            done.result()
    assert sorted(runs_of(plane)) == sorted([f"e{number}" for number in range(1, 60, 2)] * 2)
    assert set(outcomes(plane, *(f"e{number}" for number in range(1, 60, 2)))) == {
        ("materialized", "started", "started")
    }


def test_events_that_come_in_while_windows_close_are_in_one_run_each(shared_database: Database) -> None:
    """Whatever the order in which two processes get hold of a window, an event is in that window or in the next one."""
    plane = ControlPlane(shared_database)
    plane.apply({"a.yaml": limited(debounce={"quiet": "1ms", "emit": "all"})})
    sent = 40

    def fire() -> None:
        daemon = plane.another_timers()
        while not all_in.is_set():
            daemon.tick(START + 3_600 * SECOND)

    def send(numbers: range) -> None:
        ingest = Ingest(
            plane.database, Bindings(plane.database), clock=plane.clock, ids=UuidIds(), telemetry=plane.telemetry
        )
        for number in numbers:
            ingest.one(plane.delivery(f"e{number}"))

    all_in = Event()
    with ThreadPoolExecutor(4) as threads:
        firing = [threads.submit(fire) for _ in range(2)]
        sending = [threads.submit(send, range(half, sent, 2)) for half in (0, 1)]
        for done in sending:
            done.result()
        all_in.set()
        for done in firing:
            done.result()
    plane.timers.tick(START + 3_600 * SECOND)
    with plane.database.read() as tx:
        windows = [decode(row["metadata_json"])["window"]["count"] for row in tx.all("SELECT metadata_json FROM runs")]
        words = [row["outcome"] for row in tx.all("SELECT outcome FROM event_outcomes")]
    assert (sum(windows), len(words), set(words) - {"started", "coalesced"}) == (sent, sent, set())
