"""Workers as processes of their own, several on one store: killed, stopped, told to end, and coming back too late."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import BIN, PATIENCE, Site, until
from e2e.jobs import ACTION, SPEC, gone, job, send, status_of

LEASE = ("--lease-ms", "2000")


def work(site: Site, runner: str, *words: str) -> subprocess.Popen[str]:
    process, said = site.start("worker", "automations.d", "--runner", runner, *words, program="automations")
    assert (said["runner"], said["pid"]) == (runner, process.pid)
    return process


def action_of(site: Site, run: str) -> dict[str, Any]:
    action: dict[str, Any] = site.automations("runs", "show", run)["actions"][0]
    return action


def went_along(pid_file: Path) -> None:
    """Wait until what a killed worker's action started is gone too, by the id that it wrote down."""
    until(lambda: gone(pid_file.read_text().strip()), what="the action's process goes with its worker")


def test_what_a_killed_worker_held_is_done_by_the_other_under_the_next_fence(shared: Site) -> None:
    pid = shared.folder / "pid"
    script = (
        f"if test $AUTOMATIONS_FENCE = 1; then echo $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 300; fi; echo two"
    )
    job(shared, "slow", script)
    shared.start("run", "automations.d", "--no-worker")
    workers = {name: work(shared, name, *LEASE) for name in ("one", "two")}
    run = send(shared, "slow")
    until(pid.exists, what="the action starts")
    first = action_of(shared, run)["claimedBy"]
    workers[first].kill()
    went_along(pid)
    until(lambda: status_of(shared, run) == "succeeded", what="the other does it")
    action = action_of(shared, run)
    assert (action["fence"], action["claimedBy"]) == (2, ({"one", "two"} - {first}).pop())
    assert [(each["outcome"], each["runner"]) for each in action["attempts"]] == [("lease_expired", first)]
    assert action["result"]["output"] == "two\n"


def test_a_worker_that_was_stopped_past_its_lease_comes_back_and_is_refused(shared: Site) -> None:
    pid, go = shared.folder / "pid", shared.folder / "go"
    waits = f"echo $$ > {pid}.new; mv {pid}.new {pid}; until test -e {go}; do sleep 0.05; done; echo first"
    job(shared, "late", f"if test $AUTOMATIONS_FENCE = 1; then {waits}; else echo second; fi")
    shared.start("run", "automations.d", "--no-worker")
    workers = {name: work(shared, name, *LEASE) for name in ("one", "two")}
    run = send(shared, "late")
    until(pid.exists, what="the action starts")
    first = action_of(shared, run)["claimedBy"]
    workers[first].send_signal(signal.SIGSTOP)
    until(lambda: status_of(shared, run) == "succeeded", what="the other does it")
    before = action_of(shared, run)
    go.touch()
    workers[first].send_signal(signal.SIGCONT)
    late = ("action.report_refused", "action.lease_lost")
    until(lambda: any(each in shared.log() for each in late), what="the late one is refused")
    workers[first].terminate()
    assert workers[first].wait(timeout=PATIENCE) == 0
    assert action_of(shared, run) == before
    assert (before["fence"], before["result"]["output"]) == (2, "second\n")


def test_a_worker_takes_only_what_its_patterns_name(site: Site) -> None:
    for name in ("ci.build", "ci.lint", "chat.post"):
        site.write(f"actions/{name}.yaml", ACTION.format(name=name, script="echo done"))
        site.write(f"{name}.yaml", SPEC.format(name=name))
    site.automations("apply", "--auto-approve")
    runs = {name: send(site, name) for name in ("ci.build", "ci.lint", "chat.post")}
    work(site, "ci", "--action", "ci.*", "--action", "x.y", "--until-idle").wait(timeout=PATIENCE)
    assert {name: status_of(site, run) for name, run in runs.items()} == {
        "ci.build": "succeeded", "ci.lint": "succeeded", "chat.post": "materialized",
    }  # fmt: skip


def test_a_worker_told_to_end_finishes_what_it_runs_and_claims_nothing_more(site: Site) -> None:
    go, started = site.folder / "go", site.folder / "started"
    job(site, "waits", f"touch {started}; until test -e {go}; do sleep 0.05; done")
    site.automations("apply", "--auto-approve")
    first = send(site, "waits", 1)
    worker = work(site, "one", "--concurrency", "1")
    until(started.exists, what="the action starts")
    second = send(site, "waits", 2)
    worker.terminate()
    until(lambda: "worker.draining" in site.log(), what="the worker drains")
    go.touch()
    assert worker.wait(timeout=PATIENCE) == 0
    assert (status_of(site, first), status_of(site, second)) == ("succeeded", "materialized")


def test_a_second_signal_ends_a_worker_at_once(site: Site) -> None:
    pid = site.folder / "pid"
    job(site, "hangs", f"echo $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 300")
    site.automations("apply", "--auto-approve")
    send(site, "hangs")
    worker = work(site, "one")
    until(pid.exists, what="the action starts")
    worker.terminate()
    until(lambda: "worker.draining" in site.log(), what="the worker drains")
    worker.terminate()
    assert worker.wait(timeout=PATIENCE) == 1
    went_along(pid)


STUBBORN = """\
import os, signal, subprocess, sys, time
from pathlib import Path

ONE = "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open(sys.argv[1], 'w').close(); time.sleep(300)"

def hold(given):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    folder = Path(given["folder"])
    for away in (False, True):
        start = [sys.executable, "-S", "-E", "-c"]
        code = ONE.replace("sys.argv[1]", "sys.argv[1] + str(__import__('os').getpid())")
        subprocess.Popen([*start, code, given["folder"] + "/"], start_new_session=away)
    (folder / str(os.getpid())).touch()
    time.sleep(300)
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="strays are found in /proc")
@pytest.mark.parametrize("way", ["runs cancel", "queue cancel"])
def test_a_cancelled_action_of_a_worker_elsewhere_leaves_no_process(site: Site, way: str) -> None:
    folder = site.folder / "pids"
    folder.mkdir()
    (site.specs / "stubborn.py").write_text(STUBBORN)
    job(site, "held", "unused")
    site.write("actions/held.yaml", ACTION.split("executorBindings", maxsplit=1)[0].format(name="held") + HELD)
    site.write("held.yaml", SPEC.format(name="held") + f"    input: {{folder: {folder}}}\n")
    site.automations("apply", "--auto-approve")
    work(site, "one")
    run = send(site, "held")
    until(lambda: len(list(folder.iterdir())) == 3, what="the family is there")
    family = [int(each.name) for each in folder.iterdir()]
    asked = run if way == "runs cancel" else action_of(site, run)["id"]
    site.automations(*way.split(), asked, "--reason", "enough")
    until(lambda: action_of(site, run)["status"] == "cancelled", what="the action is let go")
    assert not [pid for pid in family if _runs(pid)]
    assert action_of(site, run)["attempt"] == 0


HELD = 'executorBindings: [{kind: python, ref: "stubborn:hold"}]\n'


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_worker_until_idle_waits_for_the_next_try_and_then_ends(site: Site) -> None:
    job(site, "flaky", "test $AUTOMATIONS_ATTEMPT = 3")
    site.automations("apply", "--auto-approve")
    run = send(site, "flaky")
    assert work(site, "one", "--until-idle").wait(timeout=PATIENCE) == 0
    assert status_of(site, run) == "succeeded"


def test_a_claim_that_waits_gets_what_is_queued_meanwhile_and_null_when_nothing_is(shared: Site) -> None:
    job(shared, "later", "echo done")
    shared.automations("apply", "--auto-approve")
    assert shared.automations("queue", "claim", "--wait", "1") is None
    waiting = subprocess.Popen(
        [BIN / "automations", "--json", "queue", "claim", "--runner", "r1", "--wait", "60"],
        cwd=shared.folder, env=shared.environment, text=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    shared.daemons.append(waiting)
    run = send(shared, "later")
    said, _ = waiting.communicate(timeout=PATIENCE)
    assert json.loads(said)["automationRunId"] == run
    assert action_of(shared, run)["claimedBy"] == "r1"


@pytest.mark.parametrize(
    ("words", "status"),
    [(("--concurrency", "0"), 2), (("--lease-ms", "1"), 2), (("--action", "a*b*"), 1), (("nowhere",), 1)],
)
def test_a_worker_that_cannot_work_says_why(site: Site, words: tuple[str, ...], status: int) -> None:
    command = [str(BIN / "automations"), "worker", *words]
    told = subprocess.run(
        command, cwd=site.folder, env=site.environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert told.returncode == status
    assert told.stdout == ""
    assert "Traceback" not in told.stderr
