"""Going back: a new generation with the old content, the rest untouched, and the rejected version held back from the loop."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from automations.core.plan.plan import Request
from automations.errors import Conflict, NotFound, SpecInvalid
from automations.services.plan.apply import Alongside, Authority, Rejection
from automations.services.plan.plan import plan
from automations.services.plan.rollback import Rollback, rollback_to
from automations.store import audit, holds
from automations.store.database import Database
from control_plane import ControlPlane
from samples import action, catalogue, raw, spec, webhook_trigger
from watched_source import Loop

ME = Authority("ann")


@pytest.fixture
def plane(database: Database) -> ControlPlane:
    return ControlPlane(database)


def back(plane: ControlPlane, identity: str, generation: int) -> Rollback:
    found = rollback_to(plane.database, identity, generation, now=plane.clock.at)
    plane.applying.strict(found.plan, ME, alongside=Alongside(rejection=found.rejection))
    return found


def unattended(plane: ControlPlane, files: dict[str, Any]) -> Any:
    """The plan that the loop makes."""
    return plan(plane.database, catalogue(files), Request("default", prune=False, unattended=True))


def rejected(plane: ControlPlane) -> dict[str, str]:
    with plane.database.read() as tx:
        return {row["id"]: row["reason"] for row in holds.every(tx)}


FIRST = {"a.yaml": "# Keep this.\n" + raw(spec("a", triggers=[webhook_trigger("/x")])).decode(), "b.yaml": spec("b")}
SECOND = {**FIRST, "a.yaml": spec("a", version="2", triggers=[webhook_trigger("/y")])}


def test_going_back_is_a_new_generation_with_the_old_content_and_touches_nothing_else(plane: ControlPlane) -> None:
    plane.apply(FIRST)
    plane.apply(SECOND)
    before = plane.automations()
    found = back(plane, "a", 1)
    after = plane.automations()
    assert after["b"] == before["b"]
    assert (after["a"]["generation"], after["a"]["uid"], after["a"]["file"]) == (3, before["a"]["uid"], "a.yaml")
    assert plane.routes() == {"/x": "a"}
    assert found.text == FIRST["a.yaml"]  # as it stood, with its comment
    assert [(change.action, change.reason) for change in found.plan.changes] == [
        ("update", "rolled back to generation 1")
    ]
    with plane.database.read() as tx:
        last = audit.after(tx, 0, limit=10_000)[-1]
    assert (last["action"], last["actor"], last["subject"]) == ("rollback", "ann", "source:default")
    assert plane.plan({**FIRST}).changes == ()


def test_the_loop_does_not_bring_back_what_was_rejected_and_a_person_may(plane: ControlPlane) -> None:
    plane.apply(FIRST)
    plane.apply(SECOND)
    back(plane, "a", 1)
    made = unattended(plane, {**SECOND, "c.yaml": spec("c")})
    assert ([each.id for each in made.changes], [each.id for each in made.held_back]) == (["c"], ["a"])
    by_a_person = plane.plan(SECOND)
    assert [each.id for each in by_a_person.changes] == ["a"]
    assert ("AU501", "a") in [(hazard.code, hazard.id) for hazard in by_a_person.hazards]
    plane.apply(SECOND)
    assert plane.automations()["a"]["generation"] == 4


@pytest.mark.parametrize("moved_on", [FIRST, {**FIRST, "a.yaml": spec("a", version="3")}])
def test_the_hold_ends_when_the_source_declares_something_else(plane: ControlPlane, moved_on: dict[str, Any]) -> None:
    plane.apply(FIRST)
    plane.apply(SECOND)
    back(plane, "a", 1)
    assert rejected(plane) == {"a": "rolled back to generation 1"}
    plane.applying.commit(unattended(plane, SECOND), ME)
    assert rejected(plane) == {"a": "rolled back to generation 1"}
    plane.applying.commit(unattended(plane, moved_on), ME)
    assert rejected(plane) == {}
    again = unattended(plane, SECOND)
    assert ([each.id for each in again.changes], again.held_back) == (["a"], ())


def test_a_source_says_that_one_of_its_own_is_held_after_a_rollback_and_where_its_file_went(
    database: Database, tmp_path: Path
) -> None:
    loop = Loop(database, tmp_path)
    for version in ("1", "2"):
        loop.write("a.yaml", spec("a", version=version, triggers=[webhook_trigger("/x")]))
        loop.write("b.yaml", spec("b"))
        assert loop.round()
    back(loop.plane, "a", 1)
    (tmp_path / "a.yaml").rename(tmp_path / "moved.yaml")
    assert loop.round()
    (source,) = loop.plane.inspect.status()["sources"]
    said = source["conditions"]["Stalled"]
    assert (source["sync"], source["health"], said["status"], said["reason"]) == (
        "OutOfSync",
        "Degraded",
        "True",
        "RolledBack",
    )
    assert said["message"].startswith("a: its file says what a rollback rejected")
    row = loop.plane.automations()["a"]
    assert (row["generation"], row["file"], loop.plane.routes()) == (3, "moved.yaml", {"/x": "a"})
    assert loop.plane.bindings.current().bound["a"].automation.spec["version"] == "1"
    serial = loop.plane.serial()
    assert loop.round()
    assert loop.plane.serial() == serial  # said once
    loop.write("moved.yaml", spec("a", version="3"))
    assert loop.round()
    assert (loop.sync(), loop.condition("Stalled")["status"]) == ("Synced", "False")


def test_going_back_twice_rejects_what_stood_last(plane: ControlPlane) -> None:
    plane.apply(FIRST)
    plane.apply(SECOND)
    plane.apply({**SECOND, "a.yaml": spec("a", version="3")})
    back(plane, "a", 2)
    back(plane, "a", 1)
    assert plane.automations()["a"]["generation"] == 5
    assert [each.id for each in unattended(plane, SECOND).held_back] == ["a"]


def test_going_back_to_what_is_bound_changes_nothing(plane: ControlPlane) -> None:
    plane.apply(FIRST)
    serial = plane.serial()
    assert back(plane, "a", 1).plan.changes == ()
    assert (plane.serial(), rejected(plane)) == (serial, {})


def test_what_cannot_be_gone_back_to_is_told(plane: ControlPlane) -> None:
    plane.apply({**FIRST, "m.yaml": action()})
    for identity, generation, error in (
        ("nope", 1, NotFound),
        ("a", 2, NotFound),
        ("a", 0, NotFound),
        ("a", -1, NotFound),
    ):
        with pytest.raises(error):
            rollback_to(plane.database, identity, generation, now=0)
    plane.apply({"b.yaml": spec("b")})
    with pytest.raises(Conflict, match="a is deleted"):
        rollback_to(plane.database, "a", 1, now=0)


def test_a_route_that_another_has_taken_since_is_not_taken_back(plane: ControlPlane) -> None:
    plane.apply(FIRST)
    plane.apply({**SECOND, "b.yaml": spec("b", triggers=[webhook_trigger("/x")])})
    found = rollback_to(plane.database, "a", 1, now=0)
    assert not found.plan.sound
    with pytest.raises(SpecInvalid):
        plane.applying.strict(found.plan, ME)
    assert plane.routes() == {"/y": "a", "/x": "b"}


def test_an_automation_goes_back_behind_its_rename_under_its_new_name(plane: ControlPlane) -> None:
    plane.apply(FIRST)
    plane.apply({"a.yaml": spec("a.new", lifecycle={"renamedFrom": "a"}), "b.yaml": spec("b")})
    found = back(plane, "a.new", 1)
    assert plane.routes() == {"/x": "a.new"}
    assert "id: a.new" in found.text


def test_a_rejection_alone_never_outlives_a_refused_commit(plane: ControlPlane) -> None:
    plane.apply(FIRST)
    plane.apply(SECOND)
    found = rollback_to(plane.database, "a", 1, now=0)
    stale = replace(found.plan, serial=found.plan.serial - 1)
    with pytest.raises(Exception, match="the plan was made at serial 1"):
        plane.applying.strict(stale, ME, alongside=Alongside(rejection=Rejection("u", "d", "r")))
    assert rejected(plane) == {}
