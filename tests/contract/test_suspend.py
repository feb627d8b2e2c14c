"""Suspensions on every store: nothing fires, everybody sees why, and they end by themselves."""

from pathlib import Path
from typing import Any

import pytest

from automations.core.instant import SECOND
from automations.core.plan.plan import Request
from automations.errors import Conflict, InvalidInput, NotFound
from automations.services.audit_view import entries
from automations.services.plan.plan import plan
from automations.services.reconcile.suspend import Suspend
from automations.services.run.expire import TOMBSTONE, Expiry
from automations.services.trigger.event_view import why
from automations.services.trigger.parts import Parts
from automations.services.trigger.schedule import Scheduler
from automations.services.trigger.trigger import Start
from automations.store import automations, routes
from automations.store.audit import Wanted
from automations.store.database import Database
from control_plane import ControlPlane
from samples import catalogue, event_trigger, spec, webhook_trigger
from watched_source import Loop

MINUTE = 60 * SECOND


@pytest.fixture
def plane(database: Database) -> ControlPlane:
    made = ControlPlane(database)
    made.apply({"a.yaml": spec("a"), "b.yaml": spec("b")})
    return made


def suspending(plane: ControlPlane) -> Suspend:
    return Suspend(plane.database, plane.clock, plane.telemetry)


def expiry(plane: ControlPlane) -> Expiry:
    return Expiry(plane.database, plane.clock, plane.telemetry, suspending(plane))


def suspend(plane: ControlPlane, name: str = "a", **keys: Any) -> dict[str, Any]:
    given = {"reason": "a migration", "until": None, "actor": "ops", **keys}
    return suspending(plane).suspend(name, **given)


def fired(plane: ControlPlane, identity: str) -> list[str]:
    return sorted(each["automationId"] for each in plane.send(identity).materialized)


@pytest.mark.parametrize(
    ("reason", "said"), [(" ", "needs a reason"), ("x" * 501, "at most 500 characters, not of 501")]
)
def test_a_reason_is_some_words_and_no_document(plane: ControlPlane, reason: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        suspend(plane, reason=reason)
    suspend(plane, reason="x" * 500)


def test_a_suspended_automation_fires_nothing_until_it_is_resumed(plane: ControlPlane) -> None:
    assert fired(plane, "e1") == ["a", "b"]
    shown = suspend(plane)
    assert shown["suspended"] is True
    assert (shown["owner"], shown["reason"]) == ("ops", "a migration")
    assert fired(plane, "e2") == ["b"]
    assert suspending(plane).resume("a", actor="ops") == {"name": "a", "suspended": False}
    assert fired(plane, "e3") == ["a", "b"]


def test_an_event_that_only_suspensions_held_back_is_judged_anew_when_it_comes_again(plane: ControlPlane) -> None:
    for name in "ab":
        suspend(plane, name)
    assert fired(plane, "e1") == []
    suspending(plane).resume("a", actor="ops")
    again = plane.send("e1")
    assert ([each["automationId"] for each in again.materialized], again.duplicate) == (["a"], False)
    suspending(plane).resume("b", actor="ops")
    once_more = plane.send("e1")
    assert (once_more.materialized, once_more.duplicate) == (again.materialized, True)


def test_why_says_that_it_is_suspended(plane: ControlPlane) -> None:
    suspend(plane)
    event = plane.send("e1").event_row_id
    verdicts = {each["automationId"]: each for each in why(plane.database, plane.bindings, event)["triggers"]}
    assert (verdicts["a"]["outcome"], verdicts["a"]["predicate"]) == ("no_match", "suspended")
    assert "automations resume a" in verdicts["a"]["reason"]
    assert verdicts["b"]["outcome"] == "match"


def test_its_triggers_do_not_fail_over_an_event_either(plane: ControlPlane) -> None:
    """Found by seed 313: it was said to have failed over an event that it was not to look at."""
    guarded = event_trigger(expr="event.data.n > 1")
    plane.apply({name: spec(name[0], triggers=[guarded]) for name in ("a.yaml", "b.yaml")})
    suspend(plane)
    taken = plane.send("e1", data={})
    assert [(row["automation_id"], row["outcome"]) for row in taken.outcomes] == [("b", "error")]
    verdicts = {
        each["automationId"]: each for each in why(plane.database, plane.bindings, taken.event_row_id)["triggers"]
    }
    assert (verdicts["a"]["predicate"], verdicts["b"]["outcome"]) == ("suspended", "error")


@pytest.mark.parametrize("name", ["default", "configured"])
def test_a_source_that_owns_something_or_is_configured_is_suspended_before_anybody_looked_at_it(
    plane: ControlPlane, name: str
) -> None:
    suspending = Suspend(plane.database, plane.clock, plane.telemetry, frozenset({"configured"}))
    suspending.suspend(f"source:{name}", reason="freeze", until=None, actor="ops")
    (shown,) = plane.inspect.status()["sources"]
    assert (shown["name"], shown["sync"], shown["health"], shown["suspension"]["reason"]) == (
        name, "Unknown", "Suspended", "freeze",
    )  # fmt: skip
    later = Suspend(plane.database, plane.clock, plane.telemetry)  # where the settings name it no longer
    assert later.resume(f"source:{name}", actor="ops")["suspended"] is False
    assert plane.inspect.status()["sources"] == []


def test_the_first_look_at_a_source_that_was_suspended_before_it_binds_nothing(
    database: Database, tmp_path: Path
) -> None:
    loop = Loop(database, tmp_path)
    loop.write("a.yaml", spec("a"))
    plane = loop.plane
    configured = frozenset({"default"})
    Suspend(database, plane.clock, plane.telemetry, configured).suspend(
        "source:default", reason="freeze", until=None, actor="ops"
    )
    loop.round()
    assert (loop.last.outcome, plane.automations()) == ("suspended", {})


def test_a_source_that_nobody_knows_is_refused_with_what_makes_one_known(plane: ControlPlane) -> None:
    with pytest.raises(NotFound) as refused:
        suspend(plane, "source:elsewhere")
    assert refused.value.hint.startswith("sources: default; another is known once automations.toml names it")


def test_what_is_applied_by_hand_is_in_no_known_step_with_its_files_until_somebody_looks(plane: ControlPlane) -> None:
    assert [each["sync"] for each in plane.inspect.automations()] == ["Unknown", "Unknown"]
    assert plane.inspect.automation("a")["sync"] == "Unknown"


def test_it_starts_neither_by_hand_nor_by_schedule(plane: ControlPlane) -> None:
    nightly = {"kind": "schedule", "every": "1m"}
    plane.apply({"a.yaml": spec("a", triggers=[{"kind": "manual"}, nightly]), "b.yaml": spec("b")})
    parts = (plane.database, plane.bindings, plane.clock, plane.ids, plane.telemetry)
    scheduler, start = Scheduler(Parts(*parts)), Start(Parts(*parts))
    scheduler.tick(plane.clock.now())
    suspend(plane)
    plane.clock.at += 3 * MINUTE
    scheduler.tick(plane.clock.now())
    with pytest.raises(Conflict, match="suspended"):
        start.manual("a", {}, actor="ops")
    assert plane.inspect.status()["counts"]["runs"] == 0
    suspending(plane).resume("a", actor="ops")
    scheduler.tick(plane.clock.now())
    assert plane.inspect.status()["counts"]["runs"] == 0
    plane.clock.at += 2 * MINUTE
    scheduler.tick(plane.clock.now())
    assert plane.inspect.status()["counts"]["runs"] > 0


def test_it_ends_by_itself_exactly_at_its_time_even_before_anybody_cleans_up(plane: ControlPlane) -> None:
    suspend(plane, until=plane.clock.at + MINUTE)
    plane.clock.at += MINUTE - 1
    assert fired(plane, "e1") == ["b"]
    plane.clock.at += 1
    assert fired(plane, "e2") == ["a", "b"]


def test_the_end_is_recorded_and_the_next_one_is_waited_for(plane: ControlPlane) -> None:
    first, second = plane.clock.at + MINUTE, plane.clock.at + 2 * MINUTE
    suspend(plane, "a", until=first)
    suspend(plane, "b", until=second)
    assert expiry(plane).tick(plane.clock.at) == first
    plane.clock.at = first
    assert expiry(plane).tick(plane.clock.at) == second
    newest = entries(plane.database, Wanted(), limit=1)[0]
    assert (newest["action"], newest["subject"], newest["actor"]) == ("resume", "a", "daemon")
    assert "suspension" not in plane.inspect.automation("a")
    assert "suspension" in plane.inspect.automation("b")


def test_everybody_sees_it_and_its_health_is_apart_from_its_sync(plane: ControlPlane) -> None:
    suspend(plane, until=plane.clock.at + MINUTE)
    shown = plane.inspect.automation("a")
    assert (shown["health"], shown["suspension"]["reason"]) == ("Suspended", "a migration")
    assert shown["conditions"]["Suspended"]["status"] == "True"
    assert shown["conditions"]["Ready"]["reason"] == "Suspended"
    assert plane.inspect.automation("b")["health"] == "Healthy"


def test_a_suspension_outlives_changes_and_renames_and_every_plan_shows_it(plane: ControlPlane) -> None:
    suspend(plane)
    plane.apply({"c.yaml": spec("c", lifecycle={"renamedFrom": "a"}), "b.yaml": spec("b")})
    assert fired(plane, "e1") == ["b"]
    files = {"c.yaml": spec("c", version="2.0.0"), "b.yaml": spec("b")}
    made = plan(plane.database, catalogue(files), Request("default", now=plane.clock.at))
    assert [each.message for each in made.hazards if each.code == "AU105"] == ["c is suspended by ops: a migration"]


def test_suspending_again_says_anew_why_and_keeps_since_when(plane: ControlPlane) -> None:
    first = suspend(plane)
    plane.clock.at += MINUTE
    again = suspend(plane, reason="still", until=plane.clock.at + MINUTE)
    assert (again["since"], again["reason"]) == (first["since"], "still")
    assert "until" in again


@pytest.mark.parametrize(
    ("name", "keys", "error"),
    [
        ("nobody", {}, NotFound),
        ("source:nobody", {}, NotFound),
        ("a", {"reason": " "}, InvalidInput),
        ("a", {"until": 5}, InvalidInput),
    ],
)
def test_what_cannot_be_suspended_is_told(plane: ControlPlane, name: str, keys: dict[str, Any], error: Any) -> None:
    serial = plane.serial()
    with pytest.raises(error):
        suspend(plane, name, **keys)
    assert plane.serial() == serial


def test_resuming_what_runs_is_a_conflict(plane: ControlPlane) -> None:
    with pytest.raises(Conflict, match="not suspended"):
        suspending(plane).resume("a", actor="ops")


# Sources


def standings(loop: Loop) -> tuple[str, ...]:
    """Sync of the source, of `a` and of `b`."""
    return (loop.sync(), *(loop.plane.inspect.automation(name)["sync"] for name in ("a", "b")))


def test_a_suspended_source_is_in_step_only_as_far_as_a_look_since_then_says_so(
    database: Database, tmp_path: Path
) -> None:
    loop = Loop(database, tmp_path)
    loop.write("a.yaml", spec("a"))
    loop.write("b.yaml", spec("b"))
    loop.round()
    loop.suspend("source:default")
    assert standings(loop) == ("Unknown", "Unknown", "Unknown")
    loop.round()
    assert standings(loop) == ("Synced", "Synced", "Synced")
    loop.write("a.yaml", spec("a", version="2"))
    loop.write("c.yaml", spec("c"))
    loop.round()
    assert (loop.last.outcome, standings(loop)) == ("suspended", ("OutOfSync", "OutOfSync", "Synced"))
    said = loop.condition("Reconciling")
    assert (said["status"], said["reason"]) == ("True", "Suspended")
    assert said["message"] == "a, c: not carried out while the source is suspended"
    loop.suspend("source:default", until=loop.plane.clock.at + MINUTE)  # prolonged: the look still counts
    assert standings(loop) == ("OutOfSync", "OutOfSync", "Synced")
    suspending(loop.plane).resume("source:default", actor="ops")
    loop.plane.clock.at += 1
    loop.suspend("source:default")
    assert standings(loop) == ("Unknown", "Unknown", "Unknown")
    suspending(loop.plane).resume("source:default", actor="ops")
    loop.round()
    assert (standings(loop), loop.generations()) == (("Synced", "Synced", "Synced"), {"a": 2, "b": 1, "c": 1})
    assert loop.condition("Reconciling")["status"] == "False"


@pytest.mark.parametrize("bad", ["id: a\n: [", None], ids=["unreadable", "gone"])
def test_a_suspended_source_says_of_bad_and_missing_files_too(database: Database, tmp_path: Path, bad: Any) -> None:
    loop = Loop(database, tmp_path)
    loop.write("a.yaml", spec("a"))
    loop.write("b.yaml", spec("b"))
    loop.round()
    loop.suspend("source:default")
    if bad is None:
        loop.remove("a.yaml")
    else:
        loop.write("a.yaml", bad)
    loop.round()
    assert (standings(loop), loop.generations()) == (("OutOfSync", "OutOfSync", "Synced"), {"a": 1, "b": 1})


def told(plane: ControlPlane, files: dict[str, Any], **request: Any) -> list[str]:
    """What a plan says of suspensions."""
    made = plane.plan(files, now=plane.clock.at, **request)
    return [each.message for each in made.hazards if each.code == "AU105"]


def test_a_plan_that_brings_a_suspended_automation_back_says_that_it_stays_suspended(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": spec("a"), "b.yaml": spec("b")})
    suspend(plane)
    plane.apply({"b.yaml": spec("b")})
    assert told(plane, {"b.yaml": spec("b")}) == []
    assert told(plane, {"a.yaml": spec("a"), "b.yaml": spec("b")}) == ["a is suspended by ops: a migration"]
    assert told(plane, {"a.yaml": spec("a")}, source="other") == ["a is suspended by ops: a migration"]
    plane.apply({"a.yaml": spec("a"), "b.yaml": spec("b")})
    assert [each["automationId"] for each in plane.send().materialized] == ["b"]


def test_a_plan_that_renames_or_takes_over_a_suspended_automation_says_so_by_its_new_name(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": spec("a")})
    suspend(plane)
    renamed = {"a.yaml": spec("c", lifecycle={"renamedFrom": "a"})}
    assert told(plane, renamed) == ["c is suspended by ops: a migration"]
    taken = told(plane, {"a.yaml": spec("a")}, source="other", adopt=frozenset({"a"}))
    assert taken == ["a is suspended by ops: a migration"]


# Tombstones


def test_a_tombstone_comes_back_whole_within_thirty_days_and_not_after(plane: ControlPlane) -> None:
    files = {"a.yaml": spec("a", triggers=[webhook_trigger("/a")]), "b.yaml": spec("b")}
    plane.apply(files)
    uid = plane.automations()["a"]["uid"]
    plane.apply({"b.yaml": spec("b")})
    plane.clock.at += TOMBSTONE
    expiry(plane).tick(plane.clock.at)
    plane.apply(files)
    assert plane.automations()["a"]["uid"] == uid
    plane.apply({"b.yaml": spec("b")})
    plane.clock.at += TOMBSTONE + 1
    expiry(plane).tick(plane.clock.at)
    with plane.database.read() as tx:
        assert [row["id"] for row in automations.every(tx)] == ["b"]
        assert routes.every(tx) == []
    plane.apply(files)
    assert plane.automations()["a"]["uid"] != uid


def test_a_deleted_path_answers_gone_for_thirty_days_then_nobody_knows_it(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": spec("a", triggers=[webhook_trigger("/a")]), "b.yaml": spec("b")})
    plane.apply({"b.yaml": spec("b")})
    assert plane.bindings.current().routes["/a"].gone
    plane.clock.at += TOMBSTONE + 1
    expiry(plane).tick(plane.clock.at)
    assert "/a" not in plane.bindings.current().routes


def test_a_tombstone_with_a_run_under_way_is_kept(plane: ControlPlane) -> None:
    plane.send("e1")
    plane.apply({"b.yaml": spec("b")})
    plane.clock.at += TOMBSTONE + 1
    serial = plane.serial()
    expiry(plane).tick(plane.clock.at)
    assert plane.serial() == serial
    with plane.database.read() as tx:
        assert "a" in {row["id"] for row in automations.every(tx)}


def test_what_is_deleted_while_runs_of_it_go_on_is_terminating(database: Database, tmp_path: Path) -> None:
    loop = Loop(database, tmp_path)
    loop.write("a.yaml", spec("a"))
    loop.write("b.yaml", spec("b"))
    loop.round()
    loop.plane.send("e1")
    loop.remove("a.yaml")
    loop.round()
    assert loop.round(confirm=1)
    (source,) = loop.plane.inspect.status()["sources"]
    assert [(each["id"], each["runs"]) for each in source["terminating"]] == [("a", 1)]
    assert source["terminating"][0]["conditions"]["Terminating"]["reason"] == "Draining"


def test_runs_that_began_under_an_older_name_are_waited_for_too(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": spec("old"), "z.yaml": spec("z")})
    plane.send("e1")
    plane.apply({"b.yaml": spec("new", lifecycle={"renamedFrom": "old"}), "z.yaml": spec("z")})
    plane.apply({"z.yaml": spec("z")})
    assert [(each["id"], each["runs"]) for each in plane.inspect.terminating()] == [("new", 1)]
    (waits,) = plane.inspect.deleted("new")["waitsFor"]
    assert [each["status"] for each in waits["steps"]] == ["queued"]
