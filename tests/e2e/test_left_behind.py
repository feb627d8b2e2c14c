"""Nothing that an action started outlives the daemon or worker that started it, also when that is killed without a word."""

import os
import signal
from pathlib import Path

import pytest

from e2e.conftest import PATIENCE, Site, until
from e2e.jobs import children, gone, job, send

STUBBORN = (
    'trap "" TERM; sleep 600 & behind=$!; setsid sh -c "echo \\$\\$ > {pids}.stray; exec sleep 600" & '
    "until test -s {pids}.stray; do sleep 0.01; done; "
    "echo $$ $behind $(cat {pids}.stray) > {pids}.new; mv {pids}.new {pids}; while :; do sleep 1; done"
)
"""A leader that heeds no TERM, a process behind it in its group, and one that left the group and the session."""


def begun(site: Site) -> list[str]:
    """The processes of the action, once they are all there."""
    pids = site.folder / "pids"
    until(pids.exists, what="the action starts")
    found = pids.read_text().split()
    assert len(found) == 3
    assert not any(map(gone, found))
    return found


def guard_of(pid: int) -> int:
    """The process that stands by a daemon."""
    found = {
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    }
    (guard,) = found - set(children(pid))
    return guard


@pytest.mark.parametrize("program", ["run", "worker"])
def test_what_an_action_started_goes_with_whoever_is_killed(site: Site, program: str) -> None:
    job(site, "stubborn", STUBBORN.format(pids=site.folder / "pids"))
    daemon, _ = site.start("run", "automations.d", *(() if program == "run" else ("--no-worker",)))
    if program == "worker":
        daemon, _ = site.start("worker", program="automations")
    send(site, "stubborn")
    left = begun(site)
    guard = guard_of(daemon.pid)
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.wait(timeout=PATIENCE)
    until(lambda: all(map(gone, left)), what="all that the action started is gone")
    until(lambda: gone(guard), what="the guard is gone too")


def test_a_guard_that_was_killed_is_replaced_by_one_that_knows_what_runs(site: Site) -> None:
    job(site, "stubborn", STUBBORN.format(pids=site.folder / "pids"))
    job(site, "brief", "echo done")
    daemon, _ = site.start("run", "automations.d")
    send(site, "stubborn")
    left = begun(site)
    os.kill(guard_of(daemon.pid), signal.SIGKILL)
    site.over(send(site, "brief"))
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.wait(timeout=PATIENCE)
    until(lambda: all(map(gone, left)), what="all that the action started is gone")


def test_a_daemon_that_ends_in_peace_takes_its_guard_along(site: Site) -> None:
    job(site, "brief", "echo done")
    daemon, _ = site.start("run", "automations.d")
    site.over(send(site, "brief"))
    guard = guard_of(daemon.pid)
    os.kill(guard, signal.SIGTERM)  # as a service manager does to all of a service
    daemon.terminate()
    assert daemon.wait(timeout=PATIENCE) == 0
    until(lambda: gone(guard), what="the guard is gone")
