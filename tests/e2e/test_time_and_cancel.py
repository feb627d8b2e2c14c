"""Cancelling and deadlines against a real daemon: its own processes end, and a kill loses no deadline and no slot."""

import os
import signal

from e2e.conftest import PATIENCE, Site, until
from e2e.jobs import ACTION, children, gone, job, send, status_of


def test_a_cancelled_run_s_process_group_is_ended_though_it_ignores_term_and_finally_runs(site: Site) -> None:
    pids, cleaned = site.folder / "pids", site.folder / "cleaned"
    site.write("actions/clean.yaml", ACTION.format(name="clean", script=f"touch {cleaned}"))
    stubborn = f'trap "" TERM; sleep 600 & echo $$ $! > {pids}.new; mv {pids}.new {pids}; while :; do sleep 1; done'
    job(site, "stubborn", stubborn, more="finally: [{id: clean, actionId: clean}]\n")
    site.start("run", "automations.d")
    run = send(site, "stubborn")
    until(pids.exists, what="the action starts")
    site.automations("runs", "cancel", run, "--reason", "enough")
    until(lambda: status_of(site, run) == "cancelled", what="the run is cancelled")
    assert all(gone(pid) for pid in pids.read_text().split())
    assert cleaned.exists()
    action = site.automations("runs", "show", run)["actions"][0]
    assert (action["status"], action["cancel"]["reason"]) == ("cancelled", "enough")


def test_a_killed_daemon_takes_no_deadline_and_no_slot_with_it(site: Site) -> None:
    started = site.folder / "started"
    job(site, "slow", f"touch {started}; exec sleep 600", more="timeout: 3s\nconcurrency: {key: k}\n")
    daemon, _ = site.start("run", "automations.d")
    first, second = send(site, "slow"), send(site, "slow", 2)
    until(started.exists, what="the action starts")
    assert status_of(site, second) == "pending"
    left = until(lambda: children(daemon.pid), what="the action's process")
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.wait(timeout=PATIENCE)
    until(lambda: all(map(gone, left)), what="the action's process goes with the daemon")
    site.start("run", "automations.d")
    until(lambda: status_of(site, first) == "timed_out", what="the first run's time is over", seconds=90)
    until(lambda: status_of(site, second) == "timed_out", what="the second one had its turn, and its time", seconds=90)
