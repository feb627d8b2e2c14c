"""Several daemons follow one source, on every store: one leads, and a checkout that lags turns nothing back."""

import shutil
from pathlib import Path

import pytest

from automations.core.canonical import decode
from automations.core.instant import SECOND
from automations.core.plan.prune import Policy
from automations.errors import LockNotHeld
from automations.services.lead import Term
from automations.services.plan.apply import Authority
from automations.store import leases, sources
from automations.store.database import Database
from samples import spec
from watched_source import Loop

TTL = 15


class Daemons:
    """Daemons with checkouts of their own, on one store, at one time."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.folder = folder
        self.loops: dict[str, Loop] = {}

    def start(self, name: str, version: str, policy: Policy | None = None) -> Loop:
        """One more, whose checkout says this version of `a`."""
        directory = self.folder / name
        directory.mkdir(exist_ok=True)
        made = Loop(self.database, directory, policy, daemon=name)
        made.plane.ids.begin(1000 * (len(self.loops) + 1))
        made.plane.clock.at = max((each.plane.clock.at for each in self.loops.values()), default=made.plane.clock.at)
        self.loops[name] = made
        self.pull(name, version)
        return made

    def pull(self, name: str, version: str) -> None:
        """A checkout moves on, whole."""
        self.loops[name].write("z.yaml", spec("z"))
        self.loops[name].write("a.yaml", spec("a", version=version))

    def tick(self, *names: str, seconds: int = 5) -> None:
        """Time passes for all; these live, keep their leases and look, in this order."""
        for loop in self.loops.values():
            loop.plane.clock.at += seconds * SECOND
        for name in names:
            now = self.loops[name].plane.clock.at
            with self.database.write() as tx:  # as every daemon on a shared store does
                until = now + TTL * SECOND
                leases.take(tx, f"daemon/{name}", holder=name, now=now, until=until, metadata_json="{}")
                leases.prolong(tx, name, now=now, until=until)
            self.loops[name].reconciler.tick(now)

    def leave(self, name: str) -> None:
        """A daemon ends in order."""
        with self.database.write() as tx:
            leases.drop(tx, f"daemon/{name}", holder=name)
            leases.release(tx, name, now=self.loops[name].plane.clock.at)

    def bound(self) -> str:
        """The version of `a` that is bound."""
        found = next(iter(self.loops.values())).plane
        with found.database.read() as tx:
            row = tx.one(
                """SELECT g.spec_json FROM automations a JOIN generations g ON g.uid = a.uid AND g.generation = a.generation
                   WHERE a.id = 'a'"""
            )
        return str(decode(row["spec_json"])["version"]) if row else ""

    def ready(self) -> str:
        """The reason of the source's `Ready`."""
        with self.database.read() as tx:
            row = sources.get(tx, "default")
        assert row is not None
        return str(decode(row["conditions_json"])["Ready"]["reason"])


@pytest.fixture
def daemons(database: Database, tmp_path: Path) -> Daemons:
    return Daemons(database, tmp_path)


def test_one_leads_and_another_checkout_changes_nothing_however_often_both_look(daemons: Daemons) -> None:
    daemons.start("a", "2")
    daemons.start("b", "1")
    for _ in range(20):
        daemons.tick("a", "b")
        assert (daemons.bound(), daemons.ready()) == ("2", "Reconciled")
    assert daemons.loops["b"].plane.told == []
    daemons.pull("b", "3")
    daemons.tick("a", "b", seconds=70)
    assert daemons.bound() == "2"


def test_who_was_killed_is_replaced_when_its_lease_ends_and_who_left_at_once(daemons: Daemons) -> None:
    daemons.start("a", "1")
    daemons.start("b", "1")
    daemons.tick("a", "b")
    daemons.pull("b", "2")
    daemons.tick("b")
    assert daemons.bound() == "1"
    daemons.tick("b", seconds=TTL)
    assert daemons.bound() == "2"
    daemons.start("c", "3")
    daemons.tick("b", "c")
    daemons.pull("c", "3")
    daemons.leave("b")
    daemons.tick("c")
    assert daemons.bound() == "3"


def test_a_checkout_that_lags_turns_nothing_back_says_so_and_goes_on_when_it_moves(daemons: Daemons) -> None:
    daemons.start("a", "1")
    daemons.start("b", "1")
    daemons.tick("a", "b")
    daemons.pull("a", "2")
    daemons.tick("a", "b")
    for _ in range(5):
        daemons.tick("b", seconds=TTL)
        assert (daemons.bound(), daemons.ready()) == ("2", "Behind")
    assert daemons.loops["b"].plane.told.count(("reconcile.behind", {"source": "default", "bound_by": "a"})) == 1
    daemons.pull("b", "3")
    daemons.tick("b")
    assert (daemons.bound(), daemons.ready()) == ("3", "Reconciled")


def test_who_lags_leaves_the_lead_to_one_that_does_not(daemons: Daemons) -> None:
    for name in ("a", "b", "c"):
        daemons.start(name, "1")
    daemons.tick("a", "b", "c")
    for name in ("a", "c"):
        daemons.pull(name, "2")
    daemons.tick("a", "b", "c")
    daemons.tick("b", "c", seconds=TTL)
    assert (daemons.bound(), daemons.ready()) == ("2", "Reconciled")
    daemons.pull("c", "3")
    daemons.tick("b", "c")
    assert (daemons.bound(), daemons.ready()) == ("3", "Reconciled")


def test_what_a_person_does_by_hand_puts_one_that_lags_in_step(daemons: Daemons) -> None:
    daemons.start("a", "1")
    daemons.start("b", "1")
    daemons.tick("a", "b")
    daemons.pull("a", "2")
    daemons.tick("a", "b")
    daemons.tick("b", seconds=TTL)
    by_hand = Loop(daemons.database, daemons.folder / "b")
    by_hand.plane.ids.begin(9000)
    by_hand.plane.clock.at = daemons.loops["b"].plane.clock.at
    assert by_hand.round()
    assert daemons.bound() == "1"
    daemons.tick("b")
    assert daemons.ready() == "Reconciled"
    daemons.pull("b", "4")
    daemons.tick("b")
    assert daemons.bound() == "4"


def test_a_daemon_that_begins_anew_binds_what_it_finds(daemons: Daemons) -> None:
    """A directory that was put back on purpose while nobody watched it, or another image with other files."""
    daemons.start("a", "2")
    daemons.tick("a")
    daemons.leave("a")
    daemons.start("b", "1")
    daemons.tick("b")
    assert (daemons.bound(), daemons.ready()) == ("1", "Reconciled")


def test_a_leader_s_own_directory_may_go_back(daemons: Daemons) -> None:
    daemons.start("a", "1")
    daemons.tick("a")
    daemons.pull("a", "2")
    daemons.tick("a")
    daemons.pull("a", "1")
    daemons.tick("a")
    assert daemons.bound() == "1"


def test_a_second_commit_of_one_tree_makes_nobody_lag(daemons: Daemons) -> None:
    """Deletes ripen: the leader commits again though its tree did not move, while another has the next one already."""
    policy = Policy("auto", gone_after=10 * SECOND)
    daemons.start("a", "1", policy)
    for name in ("x", "y", "w", "v"):
        daemons.loops["a"].write(f"{name}.yaml", spec(name))
    daemons.start("b", "1", policy)
    daemons.tick("a", "b")
    daemons.loops["a"].remove("x.yaml")
    daemons.tick("a", "b")
    for name in ("y", "w", "v"):
        daemons.loops["b"].write(f"{name}.yaml", spec(name))
    daemons.pull("b", "2")
    daemons.tick("a", "b")
    daemons.tick("a", "b", seconds=14)
    assert "x" not in daemons.loops["a"].generations()
    daemons.tick("b", seconds=TTL)
    assert (daemons.bound(), daemons.ready()) == ("2", "Reconciled")


def test_a_leader_that_cannot_read_its_tree_is_replaced_by_one_that_can(daemons: Daemons) -> None:
    daemons.start("a", "1")
    daemons.start("b", "1")
    daemons.tick("a", "b")
    shutil.rmtree(daemons.folder / "a")
    daemons.pull("b", "2")
    daemons.tick("a", "b")
    assert (daemons.bound(), daemons.ready()) == ("2", "Reconciled")
    daemons.tick("a", "b")
    assert daemons.ready() == "Reconciled"


def test_alone_it_keeps_the_lead_of_a_tree_that_it_cannot_read(daemons: Daemons) -> None:
    daemons.start("a", "1")
    daemons.tick("a")
    shutil.rmtree(daemons.folder / "a")
    daemons.tick("a", seconds=60)
    assert (daemons.bound(), daemons.ready()) == ("1", "Missing")
    daemons.loops["a"].write("b.yaml", spec("b"))
    daemons.pull("a", "2")
    daemons.tick("a", seconds=60)
    assert (daemons.bound(), daemons.ready()) == ("2", "Reconciled")


def test_a_commit_of_one_that_no_longer_leads_is_refused(daemons: Daemons) -> None:
    loop = daemons.start("a", "1")
    daemons.start("b", "1")
    daemons.tick("a", "b")
    daemons.tick("b", seconds=TTL)
    made = loop.plane.plan({"n.yaml": spec("n")})
    serial = loop.plane.serial()
    with pytest.raises(LockNotHeld, match="source default is followed by b now"):
        loop.plane.applying.commit(made, Authority("a", term=Term("default", "a", 1)))
    assert loop.plane.serial() == serial
