"""Deletes in the loop, on every store and real directories: two looks, a minute, a policy, a bound, and a person's exact word."""

from pathlib import Path
from typing import Any

import pytest

from automations.core.instant import SECOND
from automations.core.plan.prune import Policy
from automations.errors import Refused
from automations.store import absences, manifests, routes
from automations.store.database import Database
from samples import action, spec, step, webhook_trigger
from watched_source import Loop


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "specs"
    made.mkdir()
    return made


def loop_of(database: Database, directory: Path, names: str = "abcdef", **policy: Any) -> Loop:
    made = Loop(database, directory, Policy(**{"prune": "auto", **policy}))
    for name in names:
        made.write(f"{name}.yaml", spec(name))
    made.round()
    return made


def test_auto_deletes_after_two_looks_and_a_minute(database: Database, directory: Path) -> None:
    loop = loop_of(database, directory)
    loop.remove("a.yaml")
    loop.round()
    assert loop.condition("PruneBlocked")["reason"] == "NotYetGone"
    loop.round(seconds=58)
    assert "a" in loop.generations()
    assert loop.last.again_at == loop.plane.clock.at + 2 * SECOND
    loop.round(seconds=2)
    assert "a" not in loop.generations()
    assert (loop.condition("PruneBlocked")["status"], loop.sync()) == ("False", "Synced")


def test_one_look_long_after_is_not_enough(database: Database, directory: Path) -> None:
    loop = loop_of(database, directory)
    loop.remove("a.yaml")
    loop.round(seconds=3600)
    assert "a" in loop.generations()
    loop.round(seconds=60)
    assert "a" not in loop.generations()


def test_what_came_back_between_begins_anew(database: Database, directory: Path) -> None:
    loop = loop_of(database, directory)
    loop.remove("a.yaml")
    loop.round()
    loop.write("a.yaml", spec("a"))
    loop.round(seconds=100)
    loop.remove("a.yaml")
    loop.round(seconds=1)
    assert "a" in loop.generations()


def test_absences_outlive_a_restart_and_how_long_is_the_policy_s(database: Database, directory: Path) -> None:
    loop = loop_of(database, directory, gone_after=5 * SECOND)
    loop.remove("a.yaml")
    loop.round()
    again = Loop(database, directory, Policy("auto", gone_after=5 * SECOND))
    again.plane.clock.at, again.plane.ids = loop.plane.clock.at, loop.plane.ids
    again.round(seconds=5)
    assert "a" not in again.generations()


@pytest.mark.parametrize(("prune", "reason"), [("confirm", "Unconfirmed"), ("off", "PruneOff")])
def test_without_auto_nothing_goes_however_long_it_is_gone(
    database: Database, directory: Path, prune: str, reason: str
) -> None:
    loop = loop_of(database, directory, prune=prune)
    loop.remove("a.yaml")
    for _ in range(5):
        loop.round(seconds=3600)
    assert "a" in loop.generations()
    assert loop.condition("PruneBlocked")["reason"] == reason
    (shown,) = loop.plane.inspect.status()["sources"]
    assert [each["id"] for each in shown["missing"]] == ["a"]
    assert (shown["prune"], shown["sync"], shown["health"]) == (prune, "OutOfSync", "Healthy")


@pytest.mark.parametrize("prune", ["confirm", "off"])
def test_the_command_that_is_named_works_also_after_others_were_just_deleted(
    database: Database, directory: Path, prune: str
) -> None:
    loop = loop_of(database, directory, prune=prune)
    for name in "ab":
        loop.remove(f"{name}.yaml")
        loop.round()
        said = loop.condition("PruneBlocked")["message"]
        assert said.endswith(" with: automations reconcile --source default --confirm-deletes 1")
        assert "automations apply" not in said
        assert loop.round(confirm=1)
    assert set(loop.generations()) == set("cdef")


def test_a_person_confirms_with_the_exact_number(database: Database, directory: Path) -> None:
    loop = loop_of(database, directory, prune="confirm")
    for name in "ab":
        loop.remove(f"{name}.yaml")
    loop.round()
    serial = loop.plane.serial()
    for wrong in (0, 1, 3):
        with pytest.raises(Refused, match="2 would be removed"):
            loop.round(confirm=wrong)
    assert loop.plane.serial() == serial
    assert loop.round(confirm=2)
    assert set(loop.generations()) == set("cdef")
    with pytest.raises(Refused, match="nothing waits"):
        loop.round(confirm=1)


def test_too_many_at_once_wait_although_auto_and_the_rest_goes_on(database: Database, directory: Path) -> None:
    loop = loop_of(database, directory)
    for name in "abc":
        loop.remove(f"{name}.yaml")
    loop.write("d.yaml", spec("d", version="2.0.0"))
    loop.round()
    loop.round(seconds=100)
    assert set(loop.generations()) == set("abcdef")
    assert loop.generations()["d"] == 2
    assert loop.condition("PruneBlocked")["reason"] == "TooMany"
    assert "--confirm-deletes 3" in loop.condition("PruneBlocked")["message"]
    assert loop.round(confirm=3)
    assert set(loop.generations()) == set("def")


def test_one_after_another_is_counted_over_ten_minutes(database: Database, directory: Path) -> None:
    loop = loop_of(database, directory, gone_after=SECOND)
    for name in "ab":
        loop.remove(f"{name}.yaml")
        loop.round(seconds=30)
        loop.round(seconds=30)
    assert set(loop.generations()) == set("bcdef")
    assert loop.condition("PruneBlocked")["reason"] == "TooMany"
    loop.round(seconds=600)
    assert set(loop.generations()) == set("cdef")


def test_pausing_too_many_at_once_waits_too(database: Database, directory: Path) -> None:
    loop = loop_of(database, directory)
    for name in "abc":
        loop.write(f"{name}.yaml", spec(name, status="paused"))
    loop.write("d.yaml", spec("d", version="2.0.0"))
    assert loop.round()
    rows = loop.plane.automations()
    assert {name: rows[name]["status"] for name in "abc"} == dict.fromkeys("abc", "active")
    assert rows["d"]["generation"] == 2
    assert loop.plane.inspect.automation("a")["conditions"]["Reconciling"]["reason"] == "TooMany"
    assert loop.plane.inspect.automation("a")["health"] == "Progressing"
    assert loop.round(confirm=3)
    assert loop.plane.automations()["a"]["status"] == "paused"


def test_a_pause_that_waits_keeps_its_path(database: Database, directory: Path) -> None:
    """Else what is held back would have let go of a route that another one takes."""
    loop = loop_of(database, directory, names="bc")
    loop.write("a.yaml", spec("a", triggers=[webhook_trigger("/x")]))
    loop.round()
    for name in "bc":
        loop.write(f"{name}.yaml", spec(name, status="paused"))
    loop.write("a.yaml", spec("a", status="paused", triggers=[webhook_trigger("/y")]))
    loop.write("d.yaml", spec("d", triggers=[webhook_trigger("/x")]))
    assert loop.round()
    assert loop.plane.routes() == {"/x": "a"}
    assert "belongs to automation a" in loop.condition("SpecValid")["message"]


def test_what_a_delete_gives_room_to_is_judged_by_itself(database: Database, directory: Path) -> None:
    """One of five may stop in ten minutes; that its path is free then must not let a second one stop unseen."""
    loop = loop_of(database, directory, names="abc")
    loop.write("d.yaml", spec("d", triggers=[webhook_trigger("/in/one")]))
    loop.write("e.yaml", spec("e", triggers=[webhook_trigger("/in/two")]))
    loop.round()
    loop.remove("d.yaml")
    loop.round()
    loop.write("e.yaml", spec("e", status="paused", triggers=[webhook_trigger("/in/one")]))
    loop.round(seconds=61)
    assert "d" not in loop.generations()
    assert loop.plane.automations()["e"]["status"] == "active"
    assert loop.last.again_at is not None
    loop.round()
    assert loop.plane.automations()["e"]["status"] == "active"
    assert loop.condition("PruneBlocked")["reason"] == "TooMany"
    loop.round(seconds=700)
    assert loop.plane.automations()["e"]["status"] == "paused"


def test_pauses_wait_too_while_a_file_that_nobody_can_read_blocks_the_deletes(
    database: Database, directory: Path
) -> None:
    """Found by a seed: something was missing, a file was a riddle, and any number of pauses went along uncounted."""
    loop = loop_of(database, directory)
    loop.remove("f.yaml")
    loop.write("mystery.yaml", "id: f\n: [")
    for name in "abc":
        loop.write(f"{name}.yaml", spec(name, status="paused"))
    loop.round()
    assert {loop.plane.automations()[name]["status"] for name in "abcf"} == {"active"}
    assert loop.condition("PruneBlocked")["reason"] == "UnreadableFile"
    with pytest.raises(Refused, match="4 would be removed"):
        loop.round(confirm=4)
    loop.remove("mystery.yaml")
    loop.round()
    assert loop.condition("PruneBlocked")["reason"] == "TooMany"


def test_what_another_daemon_missed_meanwhile_and_is_there_begins_anew(database: Database, directory: Path) -> None:
    loop = loop_of(database, directory)
    loop.round()
    with database.write() as tx:
        absences.put(tx, "default", [{"id": "a", "first_at": loop.plane.clock.at, "snapshots": 1}])
    loop.round()
    with database.read() as tx:
        assert absences.of_source(tx, "default") == []


def test_a_file_that_nobody_can_read_blocks_deletes_and_nothing_else(database: Database, directory: Path) -> None:
    loop = loop_of(database, directory)
    loop.remove("a.yaml")
    loop.write("mystery.yaml", "id: a\n: [")
    loop.write("b.yaml", spec("b", version="2.0.0"))
    for _ in range(3):
        loop.round(seconds=100)
    assert loop.generations() == {"a": 1, "b": 2, "c": 1, "d": 1, "e": 1, "f": 1}
    assert loop.condition("PruneBlocked")["reason"] == "UnreadableFile"
    with pytest.raises(Refused) as told:
        loop.round(confirm=1)
    assert "does not match" not in told.value.message
    assert "mystery.yaml) may hold what is gone" in told.value.message
    loop.remove("mystery.yaml")
    loop.round(seconds=100)
    loop.round(seconds=100)
    assert "a" not in loop.generations()


def test_an_empty_tree_deletes_nothing_however_often_it_is_seen(database: Database, directory: Path) -> None:
    loop = loop_of(database, directory)
    for path in directory.iterdir():
        path.unlink()
    for _ in range(4):
        assert not loop.round(seconds=3600)
    assert not loop.round(confirm=6)
    assert set(loop.generations()) == set("abcdef")
    assert loop.condition("Source")["reason"] == "Empty"


def test_a_file_that_comes_back_finds_its_history_and_its_path(database: Database, directory: Path) -> None:
    loop = loop_of(database, directory, names="bcdef")
    loop.write("a.yaml", spec("a", triggers=[webhook_trigger("/x")]))
    loop.round()
    uid = loop.plane.automations()["a"]["uid"]
    loop.remove("a.yaml")
    loop.round()
    loop.round(seconds=100)
    with loop.plane.database.read() as tx:
        assert [row["deleted_at"] is not None for row in routes.every(tx)] == [True]
    loop.write("a.yaml", spec("a", triggers=[webhook_trigger("/x")]))
    loop.round()
    assert (loop.plane.automations()["a"]["uid"], loop.plane.routes()) == (uid, {"/x": "a"})


def test_a_manifest_goes_with_the_same_care(database: Database, directory: Path) -> None:
    loop = loop_of(database, directory)
    loop.write("m.yaml", action("known"))
    loop.write("a.yaml", spec("a", actions=[step(actionId="known")]))
    loop.round()
    loop.remove("m.yaml")
    loop.round()
    assert "known@1.0.0" in {each.id for each in (loop.last.plan.withheld if loop.last.plan else ())}
    loop.round(seconds=100)
    assert loop.sync() == "Synced"


def with_action(database: Database, directory: Path, *, version: str | None = None) -> Loop:
    """A loop whose `a` uses an action of version 1.0.0, which `m.yaml` declares."""
    loop = loop_of(database, directory, prune="confirm")
    loop.write("m.yaml", action("known"))
    loop.write("a.yaml", using(version))
    loop.round()
    return loop


def using(version: str | None) -> dict[str, Any]:
    return spec("a", actions=[step(actionId="known", **({} if version is None else {"manifestVersion": version}))])


def held_versions(loop: Loop) -> list[str]:
    with loop.plane.database.read() as tx:
        return [row["version"] for row in manifests.live(tx)]


@pytest.mark.parametrize("version", [None, "1.0.0"])
def test_the_bump_of_a_manifest_is_one_plan_and_waits_for_nobody(
    database: Database, directory: Path, version: str | None
) -> None:
    loop = with_action(database, directory, version=version)
    loop.write("m.yaml", action("known", "1.1.0"))
    loop.write("a.yaml", using(version and "1.1.0"))
    serial = loop.plane.serial()
    assert loop.round()
    assert (held_versions(loop), loop.sync()) == (["1.1.0"], "Synced")
    assert loop.condition("PruneBlocked")["status"] == "False"
    assert loop.plane.serial() == serial + 1


def test_a_manifest_version_that_is_still_pinned_stays_and_nobody_can_confirm_it_away(
    database: Database, directory: Path
) -> None:
    loop = with_action(database, directory, version="1.0.0")
    loop.write("m.yaml", action("known", "1.1.0"))
    loop.round()
    assert (loop.condition("PruneBlocked")["status"], held_versions(loop)) == ("False", ["1.0.0", "1.1.0"])
    assert "action known has no version 1.0.0" in loop.condition("SpecValid")["message"]
    assert loop.sync() == "OutOfSync"
    with pytest.raises(Refused, match="nothing waits to be confirmed"):
        loop.round(confirm=1)
    loop.write("a.yaml", using("1.1.0"))
    assert loop.round()
    assert held_versions(loop) == ["1.1.0"]


def test_a_superseded_version_goes_once_its_last_user_does(database: Database, directory: Path) -> None:
    loop = with_action(database, directory, version="1.0.0")
    loop.write("m.yaml", action("known", "1.1.0"))
    loop.round()
    assert held_versions(loop) == ["1.0.0", "1.1.0"]
    loop.write("n.yaml", action("known", "1.0.0"))
    loop.round()
    loop.write("a.yaml", using("1.1.0"))
    loop.remove("n.yaml")
    loop.round()
    assert held_versions(loop) == ["1.1.0"]


def test_a_source_that_is_suspended_is_left_alone_and_says_so(database: Database, directory: Path) -> None:
    loop = loop_of(database, directory)
    loop.suspend("source:default", until=loop.plane.clock.at + 60 * SECOND)
    loop.write("b.yaml", spec("b", version="2.0.0"))
    assert not loop.round()
    assert (loop.generations()["b"], loop.last.outcome) == (1, "suspended")
    assert len(loop.plane.send().materialized) == 6
    (shown,) = loop.plane.inspect.status()["sources"]
    assert (shown["health"], shown["suspension"]["reason"]) == ("Suspended", "quiet")
    assert loop.last.again_at == loop.plane.clock.at + 59 * SECOND
    assert loop.round(seconds=59)
    assert loop.generations()["b"] == 2
    (shown,) = loop.plane.inspect.status()["sources"]
    assert (shown["health"], "suspension" in shown) == ("Healthy", False)


def test_what_is_protected_is_not_deleted_by_the_loop_whatever_the_policy_and_the_rest_goes_on(
    database: Database, directory: Path
) -> None:
    loop = loop_of(database, directory)
    loop.write("a.yaml", spec("a", lifecycle={"protect": True}))
    loop.round()
    loop.remove("a.yaml")
    loop.remove("b.yaml")
    for _ in range(3):
        loop.round(seconds=61)
    assert sorted(loop.generations()) == ["a", "c", "d", "e", "f"]
    assert loop.condition("SpecValid")["status"] == "True"
    assert loop.source()["last_applied_digest"] == loop.source()["last_attempted_digest"]
    said = loop.condition("PruneBlocked")
    assert (said["status"], said["reason"], loop.sync()) == ("True", "Protected", "OutOfSync")
    assert said["message"].startswith("a: protected, and gone from the files")
    own = loop.plane.inspect.automation("a")["conditions"]
    assert (own["SpecValid"]["status"], own["PruneBlocked"]["reason"]) == ("True", "Protected")
    assert own["PruneBlocked"]["message"].endswith(f"automations apply {directory} --unprotect a")
    with pytest.raises(Refused):
        loop.round(confirm=1)
    assert "a" in loop.generations()
    loop.write("a.yaml", spec("a"))
    loop.round()
    assert (loop.condition("PruneBlocked")["status"], loop.sync()) == ("False", "Synced")
    loop.remove("a.yaml")
    for _ in range(3):
        loop.round(seconds=61 * 10)
    assert "a" not in loop.generations()


def test_an_empty_tree_is_not_believed_while_what_is_protected_is_bound(database: Database, directory: Path) -> None:
    loop = loop_of(database, directory, names="")
    loop.write("a.yaml", spec("a", lifecycle={"protect": True}))
    loop.round()
    loop.remove("a.yaml")
    assert not loop.round()
    assert (loop.last.outcome, loop.condition("Source")["reason"]) == ("untrusted", "Empty")
