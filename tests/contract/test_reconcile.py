"""The loop, on every store and real directories: it follows the files, and never takes an accident for a wish."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from automations.adapters.files import DirectoryTree
from automations.core.instant import SECOND
from automations.core.plan.plan import Request
from automations.core.plan.prune import Policy
from automations.errors import StoreError
from automations.services.audit_view import entries
from automations.services.plan.apply import Authority
from automations.services.plan.plan import plan
from automations.services.reconcile.reconcile import LONGEST_BACKOFF, POLL
from automations.services.spec.catalogue import catalogue_of, known_stamps
from automations.store import automations, routes
from automations.store.audit import Wanted
from automations.store.database import Database
from control_plane import START
from samples import action, raw, spec, step, webhook_trigger
from watched_source import Loop

BAD = "id: a\n: ["


@pytest.fixture
def loop(database: Database, tmp_path: Path) -> Loop:
    directory = tmp_path / "specs"
    directory.mkdir()
    return Loop(database, directory)


# Following


def test_the_state_follows_the_files(loop: Loop) -> None:
    loop.write("a.yaml", spec("a"))
    loop.write("m.yaml", action())
    assert loop.round()
    assert loop.generations() == {"a": 1}
    loop.write("a.yaml", spec("a", version="2"))
    loop.write("sub/b.yaml", spec("b"))
    assert loop.round()
    assert loop.generations() == {"a": 2, "b": 1}
    assert (loop.condition("Ready")["status"], loop.condition("Source")["status"], loop.sync()) == (
        "True",
        "True",
        "Synced",
    )


def test_a_round_without_changes_commits_no_definitions(loop: Loop) -> None:
    loop.write("a.yaml", spec("a"))
    loop.round()
    serial = loop.plane.serial()
    assert loop.round()
    assert loop.plane.serial() == serial


def test_a_loop_knows_what_it_committed_and_what_it_met_and_a_look_without_changes_is_no_news_to_another(
    database: Database, tmp_path: Path
) -> None:
    one, other = (Loop(database, tmp_path / name, source=name) for name in ("one", "other"))
    other.plane.ids.begin(1000)
    for loop in (one, other):
        loop.directory.mkdir()
        loop.write("a.yaml", spec(loop.directory.name))
        assert loop.round()
    serial = one.plane.serial()
    assert (one.reconciler.knows(serial), other.reconciler.knows(serial)) == (False, True)
    assert one.round()
    assert one.plane.serial() == serial
    assert (one.reconciler.knows(serial), other.reconciler.knows(serial)) == (True, True)
    one.suspend("one")
    assert not one.reconciler.knows(one.plane.serial())


def test_what_is_committed_elsewhere_just_after_a_commit_of_the_loop_is_looked_at(loop: Loop) -> None:
    loop.write("a.yaml", spec("a"))
    loop.plane.telemetry.subscribe(lambda event, _: loop.suspend("a") if event == "apply.committed" else None)
    loop.round()
    assert not loop.reconciler.knows(loop.plane.serial())
    looked = loop.source()["updated_at"]
    assert loop.round()
    assert loop.source()["updated_at"] != looked


def test_the_loop_and_the_command_line_plan_alike_whatever_is_remembered_of_the_files(loop: Loop) -> None:
    old = {**spec("a"), "vars": {"z": 1, "a": 1}}
    loop.write("a.yaml", json.dumps(old))
    loop.round()
    loop.write("a.yaml", json.dumps({**old, "vars": {"z": 2, "y": 2, "a": 2}}))
    database, root = loop.plane.database, str(loop.directory)
    plans = []
    for _ in range(2):
        snapshot = DirectoryTree(loop.directory, shown="specs").take(known_stamps(database, root))
        catalogue = catalogue_of(database, snapshot, owner="source:default")  # type: ignore[arg-type]  # it holds still
        plans.append((plan(database, catalogue, Request("default"), prefix="specs/"), snapshot))
    (cold, first), (warm, second) = plans
    assert [file.raw is None for file in (*first.files, *second.files)] == [False, True]  # type: ignore[union-attr]  # as above
    assert cold == warm
    assert [each.label for each, _ in cold.changes[0].fields] == ["vars.z", "vars.y", "vars.a"]


def test_what_another_version_of_this_program_remembers_is_read_again(loop: Loop) -> None:
    loop.write("a.yaml", spec("a", actions=[step(actionId="known")]))
    loop.write("m.yaml", action("known"))
    loop.round()
    root = str(loop.directory)
    assert set(known_stamps(loop.plane.database, root)) == {"m.yaml", "a.yaml"}
    with loop.plane.database.write() as tx:
        tx.run("UPDATE readings SET stamp = :stamp WHERE file = 'm.yaml'", stamp="1:2:3:4@0.0.0-older")
    assert set(known_stamps(loop.plane.database, root)) == {"a.yaml"}


# Untrusted trees


def test_an_untrusted_tree_changes_nothing_but_what_is_said_of_the_source(loop: Loop) -> None:
    loop.write("a.yaml", spec("a"))
    loop.round()
    serial, before = loop.plane.serial(), loop.plane.automations()
    loop.directory.rename(loop.directory.with_name("gone"))
    assert not loop.round()
    assert (loop.plane.serial(), loop.plane.automations()) == (serial, before)
    said = loop.condition("Source")
    assert (said["status"], said["reason"]) == ("False", "Missing")
    assert "the last good state keeps running" in loop.condition("Ready")["message"]
    assert (loop.sync(), "reconcile.untrusted" in [name for name, _ in loop.plane.told]) == ("Unknown", True)


def test_a_tree_that_was_never_there_is_untrusted_at_start_up_too(database: Database, tmp_path: Path) -> None:
    loop = Loop(database, tmp_path / "specs")
    assert not loop.round()
    assert (loop.condition("Source")["reason"], loop.plane.serial()) == ("Missing", 0)
    loop.write("a.yaml", spec("a"))
    assert loop.round()
    assert loop.generations() == {"a": 1}


def empty(loop: Loop) -> None:
    for path in loop.directory.iterdir():
        path.unlink()


def recreate(loop: Loop) -> None:
    shutil.rmtree(loop.directory)
    loop.directory.mkdir()


def only_noise(loop: Loop) -> None:
    empty(loop)
    (loop.directory / "README.md").write_text("x")
    (loop.directory / ".a.yaml").write_bytes(raw(spec("a")))


@pytest.mark.parametrize("accident", [empty, recreate, only_noise])
def test_an_empty_tree_is_not_believed_while_its_automations_are_bound(
    loop: Loop, accident: Callable[[Loop], None]
) -> None:
    loop.write("a.yaml", spec("a"))
    loop.round()
    accident(loop)
    assert not loop.round()
    assert (loop.generations(), loop.condition("Source")["reason"]) == ({"a": 1}, "Empty")


def test_an_empty_tree_of_a_source_that_owns_nothing_is_fine(loop: Loop) -> None:
    assert loop.round()
    assert loop.condition("Ready")["status"] == "True"


def test_a_tree_that_comes_back_is_trusted_again(loop: Loop) -> None:
    loop.write("a.yaml", spec("a"))
    loop.round()
    empty(loop)
    loop.round()
    loop.write("a.yaml", spec("a", version="2"))
    assert loop.round()
    assert (loop.generations(), loop.condition("Source")["status"]) == ({"a": 2}, "True")


# Bad files


def test_a_bad_file_keeps_its_last_good_generation_and_others_go_on(loop: Loop) -> None:
    loop.write("a.yaml", spec("a"))
    loop.write("b.yaml", spec("b"))
    loop.round()
    loop.write("a.yaml", BAD)
    loop.write("b.yaml", spec("b", version="2"))
    loop.write("c.yaml", spec("c"))
    assert loop.round()
    assert loop.generations() == {"a": 1, "b": 2, "c": 1}
    said = loop.valid("a")
    assert (said["status"], said["reason"]) == ("False", "Invalid")
    assert said["message"].startswith("specs/a.yaml:2:")
    assert said["message"].endswith("generation 1 keeps running")
    assert loop.valid("b")["status"] == "True"
    assert (loop.condition("SpecValid")["status"], loop.condition("Ready")["status"]) == ("False", "False")
    assert loop.sync() == "OutOfSync"


def test_the_last_good_generation_fires_while_its_file_is_bad_and_after_a_restart(loop: Loop) -> None:
    loop.write("a.yaml", spec("a"))
    loop.round()
    loop.write("a.yaml", BAD)
    loop.round()
    again = Loop(loop.plane.database, loop.directory)
    again.plane.ids.begin(1000)
    assert again.round()
    assert len(again.plane.send().materialized) == 1
    assert again.generations() == {"a": 1}


def test_a_bad_file_that_is_mended_is_valid_again(loop: Loop) -> None:
    loop.write("a.yaml", spec("a"))
    loop.round()
    loop.write("a.yaml", BAD)
    loop.round()
    loop.write("a.yaml", spec("a"))
    loop.round()
    assert (loop.generations(), loop.valid("a")["status"], loop.sync()) == ({"a": 1}, "True", "Synced")


@pytest.mark.parametrize("bad", [BAD, spec("a", bogus=1)])
def test_a_file_that_was_renamed_and_went_bad_at_once_keeps_its_automation(loop: Loop, bad: Any) -> None:
    loop.write("a.yaml", spec("a"))
    loop.write("z.yaml", spec("z"))
    loop.round()
    loop.remove("a.yaml")
    loop.write("b.yaml", bad)
    assert loop.round()
    assert loop.generations() == {"a": 1, "z": 1}


def test_an_automation_whose_new_file_is_bad_says_so_itself(loop: Loop) -> None:
    loop.write("a.yaml", spec("a"))
    loop.write("z.yaml", spec("z"))
    loop.round()
    loop.remove("a.yaml")
    loop.write("b.yaml", spec("a", bogus=1))
    loop.round()
    assert "specs/b.yaml" in loop.valid("a")["message"]
    assert loop.valid("z")["status"] == "True"


def test_two_files_with_one_id_stop_both_and_the_running_one_stays(loop: Loop) -> None:
    loop.write("a.yaml", spec("a"))
    loop.round()
    loop.write("copy.yaml", spec("a", version="2"))
    assert loop.round()
    assert loop.generations() == {"a": 1}
    message = loop.valid("a")["message"]
    assert "specs/a.yaml:3" in message
    assert "specs/copy.yaml:3" in message


def test_a_file_that_is_no_file_counts_as_present_and_bad(loop: Loop) -> None:
    loop.write("a.yaml", spec("a"))
    loop.write("b.yaml", spec("b"))
    loop.round()
    loop.remove("a.yaml")
    (loop.directory / "a.yaml").symlink_to("nowhere")
    assert loop.round()
    assert loop.generations() == {"a": 1, "b": 1}
    assert "leads out of the directory" in loop.valid("a")["message"]


# Deletes


def test_what_is_gone_from_the_files_is_withheld_until_somebody_confirms(loop: Loop) -> None:
    for name in ("a", "b", "c"):
        loop.write(f"{name}.yaml", spec(name))
    loop.round()
    loop.remove("a.yaml")
    loop.write("b.yaml", spec("b", version="2"))
    assert loop.round()
    assert loop.generations() == {"a": 1, "b": 2, "c": 1}
    said = loop.condition("PruneBlocked")
    assert (said["status"], said["reason"]) == ("True", "Unconfirmed")
    assert said["message"].startswith("a: gone from the files")
    assert (loop.condition("Ready")["status"], loop.sync()) == ("True", "OutOfSync")
    assert len(loop.plane.send().materialized) == 3


def test_a_confirmed_delete_is_no_longer_blocked(loop: Loop) -> None:
    loop.write("a.yaml", spec("a"))
    loop.write("b.yaml", spec("b"))
    loop.round()
    loop.remove("a.yaml")
    loop.round()
    snapshot = DirectoryTree(loop.directory, shown="specs").take({})
    declared = catalogue_of(loop.plane.database, snapshot, owner="source:default")  # type: ignore[arg-type]  # it holds still
    made = plan(loop.plane.database, declared, Request("default"), prefix="specs/")
    loop.plane.applying.strict(made, Authority("tester"), prefix="specs/")
    assert loop.round()
    assert (loop.generations(), loop.condition("PruneBlocked")["status"], loop.sync()) == ({"b": 1}, "False", "Synced")


def test_many_withheld_deletes_are_named_in_part(loop: Loop) -> None:
    for number in range(6):
        loop.write(f"{number}.yaml", spec(f"a{number}"))
    loop.round()
    for number in range(5):
        loop.remove(f"{number}.yaml")
    loop.round()
    assert loop.condition("PruneBlocked")["message"].startswith("a0, a1, a2, …: gone")


def test_a_path_whose_owner_s_delete_is_withheld_stops_one_automation_and_not_the_loop(loop: Loop) -> None:
    loop.write("a.yaml", spec("a", triggers=[webhook_trigger("/x")]))
    loop.round()
    loop.remove("a.yaml")
    loop.write("b.yaml", spec("b", triggers=[webhook_trigger("/x")]))
    loop.write("c.yaml", spec("c"))
    assert loop.round()
    assert loop.generations() == {"a": 1, "c": 1}
    assert loop.plane.routes() == {"/x": "a"}
    assert "belongs to automation a" in loop.condition("SpecValid")["message"]


def test_a_rename_is_not_withheld(loop: Loop) -> None:
    loop.write("a.yaml", spec("a"))
    loop.round()
    uid = loop.plane.automations()["a"]["uid"]
    loop.remove("a.yaml")
    loop.write("b.yaml", spec("b", lifecycle={"renamedFrom": "a"}))
    assert loop.round()
    assert {name: row["uid"] for name, row in loop.plane.automations().items()} == {"b": uid}
    assert loop.condition("PruneBlocked")["status"] == "False"


def test_a_file_that_moves_and_changes_at_once_is_one_new_generation(loop: Loop) -> None:
    loop.write("a.yaml", spec("a"))
    loop.round()
    uid = loop.plane.automations()["a"]["uid"]
    loop.remove("a.yaml")
    loop.write("deep/b.yaml", spec("a", version="2"))
    assert loop.round()
    row = loop.plane.automations()["a"]
    assert (row["uid"], row["generation"], row["file"]) == (uid, 2, "deep/b.yaml")


# Conditions


def test_since_moves_only_with_the_status(loop: Loop) -> None:
    loop.write("a.yaml", spec("a"))
    loop.round()
    first = loop.condition("Ready")["since"]
    loop.round()
    assert loop.condition("Ready")["since"] == first
    loop.write("a.yaml", BAD)
    loop.round()
    broken = loop.condition("Ready")["since"]
    assert broken > first
    shutil.rmtree(loop.directory)
    loop.round()
    said = loop.condition("Ready")
    assert (said["status"], said["reason"], said["since"]) == ("False", "Missing", broken)


def test_a_dead_watch_is_said(loop: Loop) -> None:
    loop.round()
    assert loop.condition("WatchHealthy")["status"] == "True"
    loop.reconciler.watch_healthy = False
    loop.round()
    assert loop.condition("WatchHealthy")["status"] == "False"


def test_what_was_attempted_and_what_was_applied_are_told_apart(database: Database, tmp_path: Path) -> None:
    for revision, document in (("rev-1", raw(spec("a"))), ("rev-2", BAD.encode())):
        (tmp_path / revision).mkdir()
        (tmp_path / revision / "a.yaml").write_bytes(document)
    link = tmp_path / "current"
    link.symlink_to("rev-1")
    loop = Loop(database, link)
    loop.round()
    link.unlink()
    link.symlink_to("rev-2")
    loop.round()
    row = loop.source()
    assert (row["last_applied_revision"], row["last_attempted_revision"]) == ("rev-1", "rev-2")
    assert row["last_applied_digest"] != row["last_attempted_digest"]


# Owners


def test_an_id_that_another_owner_has_is_an_error_here_and_nothing_there(loop: Loop) -> None:
    loop.plane.apply({"x.yaml": spec("a")}, source="other")
    before = loop.plane.automations(source="other")
    loop.write("a.yaml", spec("a", version="2"))
    assert loop.round()
    assert loop.plane.automations(source="other") == before
    assert "owned by source:other" in loop.condition("SpecValid")["message"]


def test_who_comes_later_is_told_where_the_one_who_has_it_declares_it_and_what_runs_stays(
    database: Database, tmp_path: Path
) -> None:
    folders = {name: tmp_path / name for name in ("default", "other")}
    for folder in folders.values():
        folder.mkdir()
    first = Loop(database, folders["other"], source="other")
    first.write("deep/x.yaml", spec("a", triggers=[webhook_trigger("/in")]))
    first.round()
    later = Loop(database, folders["default"])
    later.plane.clock.at, later.plane.ids = first.plane.clock.at, first.plane.ids
    later.write("a.yaml", spec("a"))
    later.write("b.yaml", spec("b", triggers=[webhook_trigger("/in")]))
    later.round()
    place = folders["other"] / "deep" / "x.yaml"
    said = later.condition("SpecValid")["message"]
    assert f"automation a is owned by source:other, declared in {place}" in said
    assert f"webhook route path /in belongs to automation a (source:other), declared in {place}" in said
    assert later.plane.routes() == {"/in": "a"}
    assert set(later.plane.automations(source="other")) == {"a"}


# The rhythm


@pytest.mark.parametrize(("chance", "due"), [(0.0, 54), (0.5, 60), (0.999999, 66)])
def test_a_settled_loop_looks_again_after_a_minute_more_or_less(loop: Loop, chance: float, due: int) -> None:
    loop.plane.ids.drawn = chance
    assert abs(loop.reconciler.tick(START) - START - due * SECOND) < SECOND


def test_an_unsettled_loop_comes_back_soon_and_then_ever_later_but_never_too_late(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("automations.adapters.files.PAUSE", 0.0)
    loop = Loop(database, tmp_path / "specs")
    waits = [loop.reconciler.tick(START) - START for _ in range(14)]
    assert waits[:4] == [SECOND, 2 * SECOND, 4 * SECOND, 8 * SECOND]
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_BACKOFF
    loop.write("a.yaml", spec("a"))
    assert loop.reconciler.tick(START) > START + 50 * SECOND
    shutil.rmtree(tmp_path / "specs")
    assert loop.reconciler.tick(START) == START + SECOND


def test_a_failing_store_is_told_and_does_not_end_the_loop(loop: Loop) -> None:
    loop.write("a.yaml", spec("a"))
    loop.plane.database.close()
    assert loop.reconciler.tick(START) == START + SECOND
    assert [name for name, _ in loop.plane.told] == ["reconcile.failed"]


def set_age(loop: Loop, name: str, age: int) -> None:
    """Let the loop's clock say that a file was written this many microseconds ago."""
    loop.plane.clock.at = (loop.directory / name).stat().st_mtime_ns // 1000 + age - SECOND


def test_a_file_that_is_being_written_in_place_is_taken_in_when_it_has_settled(loop: Loop) -> None:
    loop.write("a.yaml", spec("a"))
    assert loop.round()
    whole = raw(spec("a", actions=[step("one"), step("two")]))
    (loop.directory / "a.yaml").write_bytes(whole)
    set_age(loop, "a.yaml", SECOND // 10)
    assert not loop.round()
    assert loop.generations() == {"a": 1}
    set_age(loop, "a.yaml", SECOND)
    assert loop.round()
    assert loop.generations() == {"a": 2}


def test_a_file_that_came_by_rename_is_taken_in_at_once(loop: Loop) -> None:
    loop.write("a.yaml", spec("a"))
    assert loop.round()
    draft = loop.directory / ".draft"
    draft.write_bytes(raw(spec("a", version="2.0.0")))
    draft.replace(loop.directory / "a.yaml")
    set_age(loop, "a.yaml", SECOND // 10)
    assert loop.round()
    assert loop.generations() == {"a": 2}


def test_somebody_who_never_stops_writing_is_not_waited_for_without_end(loop: Loop) -> None:
    loop.write("a.yaml", spec("a"))
    assert loop.round()
    path = loop.directory / "a.yaml"
    begun = path.stat().st_mtime_ns
    for number in range(10):
        path.write_bytes(raw(spec("a", version=f"{number}.1.0")))
        written = begun + 2_000_000_000 * number
        os.utime(path, ns=(written, written))
        set_age(loop, "a.yaml", SECOND // 10)
        if loop.round():
            break
    assert number > 2
    assert loop.generations() == {"a": 2}


def test_one_who_writes_keeps_others_waiting_for_two_seconds_at_most(loop: Loop) -> None:
    loop.write("a.yaml", spec("a"))
    loop.write("b.yaml", spec("b"))
    assert loop.round()
    for name in ("a", "new"):
        (loop.directory / f"{name}.yaml").write_bytes(raw(spec(name, version="2.0.0")))
    draft = loop.directory / ".draft"
    draft.write_bytes(raw(spec("b", version="2.0.0")))
    draft.replace(loop.directory / "b.yaml")
    begun = (loop.directory / "a.yaml").stat().st_mtime_ns
    seen = []
    for tenths in range(0, 30, 5):
        for name in ("a.yaml", "new.yaml"):  # somebody goes on writing
            os.utime(loop.directory / name, ns=(begun, begun + tenths * 100_000_000))
        set_age(loop, "a.yaml", SECOND // 10)
        assert not loop.round()
        assert loop.last.outcome == "unsettled"
        seen.append(loop.generations())
    assert seen[:4] == [{"a": 1, "b": 1}] * 4
    assert seen[4:] == [{"a": 1, "b": 2}] * 2
    set_age(loop, "a.yaml", SECOND)
    assert loop.round()
    assert loop.generations() == {"a": 2, "b": 2, "new": 1}


def test_files_that_change_together_are_taken_in_together(loop: Loop) -> None:
    """A checkout writes one after the other, and each settles for itself."""
    for name in ("a", "b", "c"):
        loop.write(f"{name}.yaml", spec(name))
    assert loop.round()
    serial = loop.plane.serial()
    begun = (loop.directory / "a.yaml").stat().st_mtime_ns
    for number, name in enumerate(("a", "b", "c")):
        (loop.directory / f"{name}.yaml").write_bytes(raw(spec(name, version="2.0.0")))
        os.utime(loop.directory / f"{name}.yaml", ns=(begun, begun + number * 100_000_000))
    set_age(loop, "a.yaml", 3 * SECOND // 10)  # which has settled; the last one was written a tenth of a second ago
    assert not loop.round()
    assert loop.generations() == {"a": 1, "b": 1, "c": 1}
    set_age(loop, "c.yaml", SECOND // 2)
    assert loop.round()
    assert (loop.generations(), loop.plane.serial()) == ({"a": 2, "b": 2, "c": 2}, serial + 1)


def test_while_git_holds_its_index_nothing_is_taken_in_but_not_for_ever(loop: Loop) -> None:
    loop.write("a.yaml", spec("a"))
    assert loop.round()
    (loop.directory / ".git").mkdir()
    lock = loop.directory / ".git" / "index.lock"
    lock.touch()
    loop.write("a.yaml", spec("a", version="2.0.0"))
    set_age(loop, "a.yaml", SECOND)
    assert not loop.round()
    assert loop.generations() == {"a": 1}
    lock.unlink()
    assert loop.round()
    assert loop.generations() == {"a": 2}
    lock.touch()
    loop.write("a.yaml", spec("a", version="3.0.0"))
    assert not loop.round()
    assert loop.round(seconds=3)
    assert loop.generations() == {"a": 3}


def test_nothing_counts_as_missing_while_a_new_file_is_being_written(loop: Loop) -> None:
    """It may be what is missing, on its way to another name."""
    loop.write("a.yaml", spec("a"))
    loop.write("b.yaml", spec("b"))
    assert loop.round()
    loop.remove("a.yaml")
    (loop.directory / "c.yaml").write_bytes(raw(spec("c")))
    set_age(loop, "c.yaml", SECOND // 10)
    loop.round()
    (shown,) = loop.plane.inspect.status()["sources"]
    assert "missing" not in shown


def test_a_file_of_the_future_is_not_waited_for(loop: Loop) -> None:
    loop.write("a.yaml", spec("a"))
    assert loop.round()
    path = loop.directory / "a.yaml"
    path.write_bytes(raw(spec("a", version="2.0.0")))
    ahead = path.stat().st_mtime_ns + 3600 * 10**9
    os.utime(path, ns=(ahead, ahead))
    set_age(loop, "a.yaml", -3600 * SECOND)
    assert loop.round()
    assert loop.generations() == {"a": 2}


def test_a_resync_that_met_a_tree_in_motion_is_still_due(loop: Loop) -> None:
    loop.write("a.yaml", spec("a"))
    loop.write("b.yaml", spec("b"))
    loop.reconciler.tick(loop.plane.clock.at)
    uid = loop.plane.automations()["a"]["uid"]
    with loop.plane.database.write() as tx:
        automations.set_status(tx, uid, "paused", now=loop.plane.clock.at)
    (loop.directory / ".git").mkdir()
    (loop.directory / ".git" / "index.lock").touch()
    loop.reconciler.resync()
    at = loop.plane.clock.at
    again = loop.reconciler.tick(at)
    assert at < again <= at + SECOND
    assert "Drifted" not in json.loads(loop.plane.automations()["a"]["conditions_json"])
    (loop.directory / ".git" / "index.lock").unlink()
    assert loop.reconciler.tick(again) > again + 50 * SECOND
    assert json.loads(loop.plane.automations()["a"]["conditions_json"])["Drifted"]["status"] == "True"


# Backoff


def test_a_tree_that_cannot_be_committed_is_tried_ever_later_and_another_one_at_once(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise StoreError("no")

    loop.write("a.yaml", spec("a"))
    with monkeypatch.context() as broken:
        broken.setattr(loop.plane.applying, "commit", refuse)
        waits = []
        for _ in range(8):
            due = loop.reconciler.tick(loop.plane.clock.at)
            waits.append(due - loop.plane.clock.at)
            loop.plane.clock.at = due
    assert waits[:5] == [SECOND << number for number in range(5)]
    assert max(waits) <= 66 * SECOND
    assert loop.condition("Stalled")["reason"] == "ApplyFailed"
    loop.plane.clock.at -= 1
    assert not loop.round(seconds=0)
    loop.write("b.yaml", spec("b"))
    assert loop.round(seconds=0)
    assert loop.generations() == {"a": 1, "b": 1}
    assert loop.condition("Stalled")["status"] == "False"


def test_an_unwatched_tree_is_looked_at_every_few_seconds(loop: Loop) -> None:
    loop.reconciler.watch_healthy = False
    assert loop.reconciler.tick(START) - START == POLL


# Drift


def drifted(database: Database, directory: Path, *, self_heal: bool) -> Loop:
    loop = Loop(database, directory, Policy(self_heal=self_heal))
    directory.mkdir(exist_ok=True)
    loop.write("a.yaml", spec("a", triggers=[webhook_trigger("/x")]))
    loop.write("b.yaml", spec("b"))
    loop.round()
    with database.write() as tx:
        tx.run("UPDATE routes SET status = 'disabled' WHERE path = '/x'")
        tx.run("UPDATE automations SET status = 'paused' WHERE id = 'b'")
    assert loop.reconciler.reconcile(afresh=True).settled
    return loop


def test_what_was_changed_by_hand_is_told_and_left_as_it_is(database: Database, tmp_path: Path) -> None:
    loop = drifted(database, tmp_path / "specs", self_heal=False)
    shown = loop.plane.inspect.automation("a")
    assert shown["conditions"]["Drifted"]["message"] == "the status of its route /x is not what its spec says"
    assert (shown["sync"], shown["health"]) == ("OutOfSync", "Degraded")
    (source,) = loop.plane.inspect.status()["sources"]
    assert [each["id"] for each in source["drifted"]] == ["a", "b"]
    assert (source["sync"], source["conditions"]["Drifted"]["status"]) == ("OutOfSync", "True")
    assert loop.plane.automations()["b"]["status"] == "paused"


def test_with_self_heal_it_is_put_right_and_recorded(database: Database, tmp_path: Path) -> None:
    loop = drifted(database, tmp_path / "specs", self_heal=True)
    with database.read() as tx:
        assert [row["status"] for row in routes.every(tx)] == ["active"]
    assert {name: row["status"] for name, row in loop.plane.automations().items()} == {"a": "active", "b": "active"}
    assert loop.generations() == {"a": 1, "b": 1}
    newest = entries(database, Wanted(), limit=1)[0]
    assert (newest["action"], set(newest["detail"]["healed"])) == ("heal", {"a", "b"})
    assert loop.plane.inspect.automation("a")["sync"] == "Synced"
    assert "drift.healed" in [name for name, _ in loop.plane.told]
    loop.suspend("a")
    assert loop.reconciler.reconcile(afresh=True).settled
    assert loop.plane.inspect.automation("a")["health"] == "Suspended"


def test_self_heal_that_meets_somebody_else_s_path_is_told_and_stops_nothing(
    database: Database, tmp_path: Path
) -> None:
    loop = drifted(database, tmp_path / "specs", self_heal=True)
    with database.write() as tx:
        tx.run("UPDATE routes SET deleted_at = 1 WHERE path = '/x'")
        (row,) = routes.every(tx)
        routes.put(tx, {**row, "id": "hand", "owner": "api", "trigger_id": None, "now": 1})
    loop.write("c.yaml", spec("c"))
    assert loop.reconciler.reconcile(afresh=True).settled
    assert loop.plane.inspect.automation("a")["conditions"]["Drifted"]["status"] == "True"
    assert "c" in loop.generations()


# Paths across sources


def test_a_path_of_another_source_is_not_taken_and_both_places_are_told(loop: Loop) -> None:
    loop.plane.apply({"x.yaml": spec("theirs", triggers=[webhook_trigger("/x")])}, source="other")
    loop.write("a.yaml", spec("a", triggers=[webhook_trigger("/y")]))
    loop.round()
    loop.write("a.yaml", spec("a", version="2", triggers=[webhook_trigger("/x")]))
    loop.write("b.yaml", spec("b"))
    assert loop.round()
    assert loop.generations() == {"a": 1, "b": 1}
    assert loop.plane.routes() == {"/x": "theirs", "/y": "a"}
    said = loop.valid("a")["message"]
    assert said.startswith("specs/a.yaml:")
    assert "theirs" in said
    assert "source:other" in said
