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
from samples import action, catalogue, raw, spec, step, webhook_trigger
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


def needs(version: str, *fields: str, **keys: Any) -> Any:
    """The manifest of `say.it` that wants these fields and no others."""
    properties = {name: {"type": "string"} for name in fields}
    schema = {"type": "object", "required": list(fields), "properties": properties, "additionalProperties": False}
    return action("say.it", version, inputSchema=schema, **keys)


def says(version: str = "1", **keys: Any) -> Any:
    return spec("a", version=version, actions=[step("say", actionId="say.it", **keys)])


OLD = {"a.yaml": says(input={"text": "x"}), "say.yaml": needs("1.0.0", "text")}


def refused_way(plane: ControlPlane) -> str:
    """What is told to do about a generation that is not valid any more."""
    with pytest.raises(SpecInvalid) as refused:
        rollback_to(plane.database, "a", 1, now=0)
    assert "nothing was rolled back" in refused.value.message
    assert refused.value.diagnostics
    way, _, see = refused.value.hint.rpartition("see it with: ")
    assert see == "automations show a --revision 1"
    return way.removesuffix("; ")


def test_a_generation_whose_manifest_moved_on_says_which_one_has_to_come_back(plane: ControlPlane) -> None:
    plane.apply(OLD)
    new = {"a.yaml": says("2", input={"words": "x"}), "say.yaml": needs("2.0.0", "words")}
    plane.apply(new)
    assert refused_way(plane) == (
        "it fits say.it 1.0.0, which has to come back first: git revert what moved both, and apply; or put it back "
        "beside the higher version, and this generation's text with manifestVersion: 1.0.0 at step say"
    )
    plane.apply({**new, "old.yaml": OLD["say.yaml"]})
    assert refused_way(plane) == (
        "it fits say.it 1.0.0: put this generation's text into its file with manifestVersion: 1.0.0 at step say, and apply"
    )
    beside = {"a.yaml": says(input={"text": "x"}, manifestVersion="1.0.0"), "old.yaml": OLD["say.yaml"]}
    plane.apply({**new, **beside})  # as told
    plane.apply(OLD)
    assert back(plane, "a", 1).plan.changes == ()


def test_a_generation_whose_manifest_was_rewritten_or_is_gone_says_so(plane: ControlPlane) -> None:
    plane.apply(OLD)
    plane.apply({"a.yaml": says("2", input={"words": "x"}), "say.yaml": needs("1.0.0", "words")})
    assert refused_way(plane) == (
        "it fits say.it 1.0.0, which has to come back first as it was: git revert what moved both, and apply"
    )


def test_a_generation_that_names_a_version_goes_back_once_that_is_there_again(plane: ControlPlane) -> None:
    pinned = {"a.yaml": says(input={"text": "x"}, manifestVersion="1.0.0"), "say.yaml": OLD["say.yaml"]}
    plane.apply(pinned)
    new = {"a.yaml": says("2", input={"words": "x"}), "say.yaml": needs("2.0.0", "words")}
    plane.apply(new)
    assert refused_way(plane) == (
        "it fits say.it 1.0.0, which has to come back first: put it into the files again (git revert), apply, and then "
        "roll back"
    )
    plane.apply({**new, "old.yaml": OLD["say.yaml"]})
    assert back(plane, "a", 1).plan.changes


@pytest.mark.parametrize("name", ["say.it", "say.it@1.0.0"])
@pytest.mark.parametrize("gone", [False, True])
def test_rollback_of_an_action_says_that_it_is_of_automations(plane: ControlPlane, name: str, *, gone: bool) -> None:
    plane.apply(OLD)
    if gone:
        plane.apply({"a.yaml": OLD["a.yaml"]})
    with pytest.raises(NotFound, match=r"^say\.it is an action; rollback is of automations$") as refused:
        rollback_to(plane.database, name, 1, now=0)
    assert "git revert" in refused.value.hint


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
