"""Several daemons on one PostgreSQL store follow one source from checkouts of their own: real processes, real kills."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import Site, until
from e2e.tree_state import put, spec
from postgres_server import fresh_schema

pytestmark = pytest.mark.postgres
LONG = 90.0
LEASE = ("--ttl-ms", "3000", "--interval-ms", "1000")


class Replica(Site):
    """One daemon's data root and checkout."""

    daemon: "subprocess.Popen[str]"
    lease: str

    def begin(self) -> None:
        """Start its daemon."""
        self.daemon, started = self.start("run", "automations.d", "--no-worker", *LEASE)
        self.lease = str(started["leaseId"])

    def pull(self, version: str) -> None:
        """Its checkout moves on."""
        put(self.specs / "alpha.yaml", spec("alpha", version))

    def hup(self) -> None:
        """Make it look now."""
        os.kill(self.daemon.pid, signal.SIGHUP)


@pytest.fixture
def replicas(site: Site, postgres_server: str, tmp_path: Path) -> Iterator[tuple[Replica, Replica]]:
    """Two that share a store."""
    made = []
    with fresh_schema(postgres_server, f"replicas_{os.getpid()}") as url:
        for name in ("one", "two"):
            folder = tmp_path / name
            (folder / "automations.d").mkdir(parents=True)
            own = {"HASNA_AUTOMATIONS_DIR": str(folder / "root"), "AUTOMATIONS_STORE": url}
            made.append(Replica(folder, {**site.environment, **own}))
        yield made[0], made[1]
        for each in made:
            each.stop()


def source(site: Site) -> dict[str, Any]:
    (found,) = site.automations("status")["sources"]
    return dict(found)


def version(site: Site) -> str:
    found = site.automations("list")
    return str(found[0]["spec"]["version"]) if found else ""


def generations(site: Site) -> int:
    return int(site.automations("list")[0]["generation"])


def test_one_leads_an_older_checkout_turns_nothing_back_and_a_kill_hands_over(
    replicas: tuple[Replica, Replica],
) -> None:
    one, two = replicas
    for each in replicas:
        each.pull("1.0.0")
        each.begin()
    assert source(one)["leader"]["leaseId"] == one.lease
    one.pull("2.0.0")
    until(lambda: version(two) == "2.0.0", what="the leader binds its edit")
    for _ in range(5):  # without a leader each look of either would bind its own tree
        for each in replicas:
            each.hup()
    one.pull("3.0.0")
    until(lambda: version(two) == "3.0.0", what="the leader binds its next edit")
    assert generations(one) == 3
    one.daemon.kill()
    one.daemon.wait(timeout=30)
    until(lambda: source(two)["conditions"]["Ready"]["reason"] == "Behind", what="it says that it lags", seconds=LONG)
    assert (version(two), generations(two)) == ("3.0.0", 3)
    two.pull("4.0.0")
    until(lambda: version(two) == "4.0.0", what="the other binds what its checkout moved on to", seconds=LONG)
    until(lambda: source(two)["conditions"]["Ready"]["reason"] == "Reconciled", what="it says so", seconds=LONG)
    assert source(two)["leader"]["leaseId"] == two.lease
    one.pull("3.0.1")
    one.begin()
    one.hup()
    two.pull("5.0.0")
    until(lambda: version(one) == "5.0.0", what="who leads now goes on leading")
    assert generations(one) == 5


def test_a_daemon_that_ends_in_order_hands_over_at_once_also_while_its_lease_would_last_long(
    replicas: tuple[Replica, Replica],
) -> None:
    one, two = replicas
    for each in replicas:
        each.pull("1.0.0")
        each.daemon, started = each.start("run", "automations.d", "--no-worker", "--ttl-ms", "3600000")
        each.lease = str(started["leaseId"])
    two.pull("2.0.0")
    one.daemon.terminate()
    assert one.daemon.wait(timeout=30) == 0
    until(lambda: version(two) == "2.0.0", what="the other binds what it has")
    assert source(two)["leader"]["leaseId"] == two.lease


def test_a_stopped_leader_that_wakes_up_finds_another_and_stands_by(replicas: tuple[Replica, Replica]) -> None:
    one, two = replicas
    for each in replicas:
        each.pull("1.0.0")
        each.begin()
    os.kill(one.daemon.pid, signal.SIGSTOP)
    two.pull("2.0.0")
    until(lambda: version(two) == "2.0.0", what="the other binds what it has", seconds=LONG)
    os.kill(one.daemon.pid, signal.SIGCONT)
    one.hup()
    one.pull("1.5.0")
    two.pull("3.0.0")
    until(lambda: version(two) == "3.0.0", what="who leads now goes on leading")
    assert generations(two) == 3


def test_the_status_says_who_runs_and_who_follows_the_source(replicas: tuple[Replica, Replica]) -> None:
    one, two = replicas
    for each in replicas:
        each.pull("1.0.0")
        each.begin()
    assert two.automations("status")["daemons"] == sorted((one.lease, two.lease))
    shown = subprocess.run(
        [str(Path(two.environment["PATH"].split(os.pathsep)[0]) / "automations"), "status"],
        cwd=two.folder, env=two.environment, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert f"  followed by {one.lease} since " in shown
    assert all(f"running: {each.lease}" in shown for each in replicas)
