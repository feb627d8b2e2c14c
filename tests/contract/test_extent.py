"""After a save the loop looks at the rows that it may have changed: what it says is what a look at all of them would say."""

from pathlib import Path
from random import Random
from typing import Any

import pytest

from automations.core.canonical import decode
from automations.store import automations
from automations.store.database import Database
from samples import action, spec
from watched_source import Loop

IDS = ("a", "b", "c", "d", "e", "f")
BAD = "id: [\n"


@pytest.fixture
def loop(database: Database, tmp_path: Path) -> Loop:
    directory = tmp_path / "specs"
    directory.mkdir()
    found = Loop(database, directory)
    found.write("m.yaml", action())
    for each in IDS:
        found.write(f"{each}.yaml", spec(each))
    found.round()
    return found


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_saved_the_rows_say_what_a_look_at_all_of_them_would_say(loop: Loop, seed: int) -> None:
    acts = Random(seed)  # noqa: S311  # a test's choice
    for turn in range(8):
        for _ in range(acts.choice((1, 1, 2))):
            _save_something(loop, acts, turn)
        loop.round()
        loop.round()  # what a commit moved to another file may make a riddle of the old one
        told = _told(loop)
        fresh = Loop(loop.plane.database, loop.directory)
        fresh.plane.clock.at = loop.plane.clock.at
        fresh.reconciler.reconcile(resync=True)
        assert _told(fresh) == told


def test_a_row_that_was_edited_by_hand_is_found_by_the_next_resync_though_others_are_saved_meanwhile(
    loop: Loop,
) -> None:
    loop.write("b.yaml", spec("b", version="2"))
    loop.round()
    _by_hand(loop, "a", "paused")
    loop.write("b.yaml", spec("b", version="3"))
    loop.round()
    assert loop.generations()["b"] == 3
    assert loop.reconciler.reconcile(resync=True).drifted.keys() == {"a"}
    assert _told(loop)["a"]["Drifted"][0] == "True"


def test_drift_that_was_told_stays_told_while_others_are_saved(loop: Loop) -> None:
    _by_hand(loop, "a", "paused")
    loop.reconciler.reconcile(resync=True)
    loop.write("b.yaml", spec("b", version="2"))
    loop.round()
    assert _told(loop)["a"]["Drifted"][0] == "True"
    _by_hand(loop, "a", "active")
    loop.write("b.yaml", spec("b", version="3"))
    loop.round()
    assert _told(loop)["a"]["Drifted"][0] == "False"


def _save_something(loop: Loop, acts: Random, turn: int) -> None:
    identity = acts.choice(IDS)
    name, version = f"{identity}.yaml", f"1.{turn}"
    what = acts.choice(("change", "change", "remove", "break", "protect", "rename", "double", "elsewhere", "move"))
    if what == "change":
        loop.write(name, spec(identity, version=version))
    elif what == "remove":
        (loop.directory / name).unlink(missing_ok=True)
    elif what == "break":
        loop.write(name, BAD)
    elif what == "protect":
        loop.write(name, spec(identity, lifecycle={"protect": True}))
    elif what == "rename":
        (loop.directory / name).unlink(missing_ok=True)
        loop.write(f"{identity}-{turn}.yaml", spec(f"{identity}-{turn}", lifecycle={"renamedFrom": identity}))
    elif what == "double":
        loop.write(f"double-{turn}.yaml", spec(identity, version=version))
    elif what == "elsewhere":  # another process commits what the files will say
        loop.write(name, spec(identity, version=f"2.{turn}"))
        other = Loop(loop.plane.database, loop.directory)
        other.plane.clock.at = loop.plane.clock.at
        other.round()
    elif (loop.directory / name).exists():
        (loop.directory / name).rename(loop.directory / f"moved-{identity}.yaml")


def _by_hand(loop: Loop, identity: str, status: str) -> None:
    uid = loop.plane.automations()[identity]["uid"]
    with loop.plane.database.write() as tx:
        automations.set_status(tx, uid, status, now=loop.plane.clock.at)


def _told(loop: Loop) -> dict[str, dict[str, Any]]:
    """By id, what is said of every automation, and the generation that was looked at; not since when."""
    rows = loop.plane.automations()
    return {
        identity: {name: (each["status"], each["reason"], each["message"]) for name, each in conditions.items()}
        | {"observed": row["observed_generation"]}
        for identity, row in rows.items()
        for conditions in [decode(row["conditions_json"])]
    }
