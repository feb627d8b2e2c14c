"""The daemon as a real process: signals, crashes, edits, a second one, and what is left behind."""

import os
import signal
import subprocess
from functools import partial
from pathlib import Path
from threading import Thread

import apsw
import httpx
import pytest

from e2e.conftest import BIN, PATIENCE, Site, until
from e2e.jobs import SPEC, children, gone, job, send, status_of


def test_an_action_left_by_a_killed_daemon_is_run_again_by_the_next_one(site: Site) -> None:
    started = site.folder / "started"
    job(site, "slow", f"echo x >> {started}; test $(wc -l < {started}) -gt 1 || exec sleep 60")
    daemon, _ = site.start("run", "automations.d")
    run = send(site, "slow")
    until(started.exists, what="the action starts")
    child = until(lambda: children(daemon.pid), what="the action's process")
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.wait(timeout=PATIENCE)
    until(lambda: all(map(gone, child)), what="the action's process goes with the daemon")
    again, _ = site.start("run", "automations.d")
    assert again.pid != daemon.pid
    until(lambda: status_of(site, run) == "succeeded", what="the run ends after the lease ran out", seconds=60)
    action = site.automations("runs", "show", run)["actions"][0]
    assert [attempt["outcome"] for attempt in action["attempts"]] == ["lease_expired"]
    assert action["fence"] == 2


def test_sigterm_lets_a_running_action_finish_then_exits_zero_and_leaves_no_lease_or_pid_file(site: Site) -> None:
    go, started = site.folder / "go", site.folder / "started"
    job(site, "waits", f"touch {started}; until test -e {go}; do sleep 0.05; done")
    daemon, _ = site.start("run", "automations.d")
    run = send(site, "waits")
    until(started.exists, what="the action starts")
    daemon.terminate()
    until(lambda: "daemon.draining" in site.log(), what="the daemon drains")
    go.touch()
    assert daemon.wait(timeout=PATIENCE) == 0
    assert status_of(site, run) == "succeeded"
    status = site.automations("status")
    assert status["daemon"] == {"active": False}
    assert not (site.folder / "root" / "daemon.pid").exists()


def test_a_second_sigterm_ends_the_daemon_at_once(site: Site) -> None:
    started = site.folder / "started"
    job(site, "hangs", f"touch {started}; exec sleep 300")
    daemon, _ = site.start("run", "automations.d")
    send(site, "hangs")
    until(started.exists, what="the action starts")
    child = until(lambda: children(daemon.pid), what="the action's process")
    daemon.terminate()
    until(lambda: "daemon.draining" in site.log(), what="the daemon drains")
    daemon.terminate()
    assert daemon.wait(timeout=PATIENCE) != 0
    until(lambda: all(map(gone, child)), what="the action's process goes with the daemon")


def test_a_second_daemon_on_the_same_root_is_refused_and_names_the_first(site: Site) -> None:
    daemon, _ = site.start("run")
    second = subprocess.run(
        [BIN / "automations-daemon", "run"],
        env=site.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 6
    assert str(daemon.pid) in second.stderr
    assert "Traceback" not in second.stderr
    assert daemon.poll() is None


def test_a_second_daemon_on_the_same_store_is_refused_also_from_another_data_root(site: Site) -> None:
    store = f"sqlite:///{site.folder / 'shared' / 'automations.db'}"
    daemon, started = site.start("--store", store, "run")
    second = subprocess.run(
        [BIN / "automations-daemon", "--dir", site.folder / "elsewhere", "--store", store, "run"],
        env=site.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 6
    assert started["leaseId"] in second.stderr
    assert "Traceback" not in second.stderr
    daemon.kill()
    daemon.wait(timeout=PATIENCE)
    assert site.start("--store", store, "run"), (
        "the lease of a killed daemon of this data root does not stand in the way"
    )


def test_an_edit_is_bound_a_bad_one_is_not_and_a_deleted_file_is_withheld(site: Site) -> None:
    job(site, "one", "echo fine")
    site.start("run", "automations.d")
    assert site.automations("show", "one")["generation"] == 1
    site.write("one.yaml", SPEC.format(name="one").replace("name: one\nversion: 1.0.0", "name: One\nversion: 1.0.1"))
    until(lambda: site.automations("show", "one")["generation"] == 2, what="the edit is bound")
    site.write("one.yaml", SPEC.format(name="one") + "actions: [")
    until(lambda: _condition(site, "SpecValid") == "False", what="the bad file is noticed")
    assert site.automations("show", "one")["generation"] == 2
    (site.specs / "one.yaml").unlink()
    until(lambda: _condition(site, "PruneBlocked") == "True", what="the delete is withheld")
    assert [each["id"] for each in site.automations("list")] == ["one"]
    assert status_of(site, send(site, "one")) in {"materialized", "running", "succeeded"}


def test_a_root_that_vanishes_changes_nothing_and_its_return_is_noticed(site: Site) -> None:
    job(site, "one", "echo fine")
    site.start("run", "automations.d")
    aside = site.folder / "aside"
    site.specs.rename(aside)
    until(lambda: _condition(site, "Source") == "False", what="the missing root is noticed")
    assert [each["id"] for each in site.automations("list")] == ["one"]
    aside.rename(site.specs)
    job(site, "two", "echo fine")
    until(lambda: len(site.automations("list")) == 2, what="the returned root is taken in", seconds=90)


def test_a_symlink_swap_to_another_revision_is_taken_in(site: Site) -> None:
    for number in (1, 2):
        revision = site.folder / f"rev-{number}"
        revision.mkdir()
        (revision / "one.yaml").write_text(SPEC.format(name="one").replace("version: 1.0.0", f"version: {number}.0.0"))
    current = site.folder / "current"
    current.symlink_to("rev-1")
    site.start("run", "current")
    assert site.automations("show", "one")["spec"]["version"] == "1.0.0"
    swap = site.folder / "swap"
    swap.symlink_to("rev-2")
    swap.replace(current)
    until(
        lambda: site.automations("show", "one")["spec"]["version"] == "2.0.0", what="the swap is taken in", seconds=90
    )


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads a process's children from /proc")
def test_the_log_has_one_json_object_a_line_and_no_inputs(site: Site) -> None:
    job(site, "secretive", "cat > /dev/null")
    site.start("run", "automations.d")
    event = '{"id":"s-1","source":"test","type":"secretive","data":{"password":"hunter2-canary"}}'
    run = site.automations("events", "send", "--event-json", event)["materialized"][0]["run"]["id"]
    until(lambda: status_of(site, run) == "succeeded", what="the run ends")
    assert "hunter2-canary" not in site.log()
    assert all(line.startswith("{") and line.endswith("}") for line in site.log().splitlines())


def _condition(site: Site, name: str) -> str:
    sources = site.automations("status")["sources"]
    return str(sources[0]["conditions"].get(name, {}).get("status"))


def test_a_secret_that_an_action_prints_is_redacted_before_any_request_needed_it(site: Site) -> None:
    site.environment["HASNA_AUTOMATIONS_SECRET_TEAM"] = "canary-0815"
    job(site, "prints", "echo $HASNA_AUTOMATIONS_SECRET_TEAM")
    manifest = site.specs / "actions" / "prints.yaml"
    manifest.write_text(manifest.read_text() + "    inheritEnv: [HASNA_AUTOMATIONS_SECRET_TEAM]\n")
    site.start("run", "automations.d")
    run = send(site, "prints")
    until(lambda: status_of(site, run) == "succeeded", what="the action ends")
    assert site.automations("runs", "show", run)["actions"][0]["result"]["output"] == "[redacted]\n"
    assert not [file.name for file in (site.folder / "root").iterdir() if b"canary-0815" in file.read_bytes()]


def test_a_serving_daemon_is_healthy_and_ready(site: Site) -> None:
    _, started = site.start("serve", "automations.d", "--port", "0")
    base = f"http://127.0.0.1:{started['port']}"
    assert httpx.get(f"{base}/healthz").json() == {"ok": True, "service": "automations", "mode": "webhooks"}
    assert httpx.get(f"{base}/readyz").status_code == 200


def test_every_acknowledged_webhook_survives_a_kill(site: Site) -> None:
    site.write("hook.yaml", HOOK)
    acknowledged: list[str] = []
    for round_ in range(3):
        daemon, started = site.start("serve", "automations.d", "--port", "0", "--no-worker")
        senders = [
            Thread(target=_post_until_dead, args=(started["port"], f"{round_}-{number}", acknowledged))
            for number in range(8)
        ]
        for sender in senders:
            sender.start()
        goal = len(acknowledged) + 200
        until(partial(_so_many, acknowledged, goal), what="two hundred acknowledgements")
        os.kill(daemon.pid, signal.SIGKILL)
        daemon.wait(timeout=PATIENCE)
        for sender in senders:
            sender.join(PATIENCE)
    database = apsw.Connection(str(site.folder / "root" / "automations.db"), flags=apsw.SQLITE_OPEN_READONLY)
    whole = "SELECT r.id FROM runs r JOIN actions a ON a.run_id = r.id JOIN events e ON e.id = r.event_row_id"
    complete = {row[0] for row in database.execute(whole)}
    counts = database.execute("SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM actions)").fetchone()
    assert counts is not None
    assert set(acknowledged) <= complete
    assert counts[0] == counts[1] == len(complete)


def _so_many(acknowledged: list[str], goal: int) -> bool:
    return len(acknowledged) >= goal


HOOK = """\
schemaVersion: "1.0"
id: hook
name: hook
version: 1.0.0
triggers:
  - {kind: webhook, source: test, type: hook, route: {id: hook, mapping: {dataPath: ".", dedupeKeyPath: key}}}
actions:
  - {id: only, actionId: somewhere.else}
"""


def _post_until_dead(port: int, name: str, acknowledged: list[str]) -> None:
    """Post distinct deliveries until the daemon is gone; keep the run of every one that was answered 202."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
        for number in range(5_000):
            try:
                answer = client.post("/webhooks/hook", json={"key": f"{name}-{number}"})
            except httpx.HTTPError:
                return
            if answer.status_code == 202:
                acknowledged.append(answer.json()["materialized"][0]["runId"])
