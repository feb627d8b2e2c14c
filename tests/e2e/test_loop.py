"""The loop's own features on a real daemon: deletes by policy, paths that answer 410 and then 404, pauses, sources, signals."""

import os
import signal
from pathlib import Path

import apsw
import httpx

from e2e.conftest import PATIENCE, Site, until
from e2e.tree_state import Witness, bound, condition, live, put, rows, serial, spec

LONG = 90.0
SOON = 10.0
"""Seconds for what takes one or two: far less than the minute until the loop would look by itself."""
HOOK = "  - {kind: webhook, source: test, type: hook, route: {path: /in}}\n"


def hooked(identity: str) -> str:
    return spec(identity).replace("actions:", HOOK + "actions:")


def configured(site: Site, *sources: str) -> None:
    """Settings in the working directory, where commands and daemons look for them."""
    (site.folder / "automations.toml").write_text("\n".join(sources))


def source(name: str, path: str, **keys: str) -> str:
    words = "".join(f"{key} = {value}\n" for key, value in keys.items())
    return f'[[source]]\nname = "{name}"\npath = "{path}"\n{words}'


def test_auto_deletes_what_is_gone_its_path_answers_410_and_its_return_finds_its_history(site: Site) -> None:
    configured(site, source("default", "automations.d", prune='"auto"', prune_after='"500ms"'))
    for name in ("alpha", "beta", "gamma"):
        put(site.specs / f"{name}.yaml", spec(name))
    put(site.specs / "hooked.yaml", hooked("hooked"))
    _, started = site.start("serve", "--port", "0", "--no-worker")
    url = f"http://127.0.0.1:{started['port']}/in"
    assert httpx.post(url, json={"n": 1}).status_code == 202
    uid = bound(site)["hooked"].uid
    (site.specs / "hooked.yaml").unlink()
    until(lambda: bound(site)["hooked"].deleted, what="what is gone is deleted", seconds=LONG)
    until(lambda: httpx.post(url, json={"n": 2}).status_code == 410, what="its path is gone")
    put(site.specs / "hooked.yaml", hooked("hooked"))
    until(lambda: httpx.post(url, json={"n": 3}).status_code == 202, what="it is back", seconds=LONG)
    assert bound(site)["hooked"].uid == uid


def test_a_delete_waits_for_the_exact_number_and_a_running_daemon_takes_it_in(site: Site) -> None:
    for name in ("alpha", "beta", "gamma"):
        put(site.specs / f"{name}.yaml", spec(name))
    site.start("run", "automations.d", "--no-worker")
    for name in ("alpha", "beta"):
        (site.specs / f"{name}.yaml").unlink()
    until(lambda: condition(site, "PruneBlocked") == ("True", "Unconfirmed"), what="the deletes wait")
    shown = site.automations("plan", "automations.d")
    assert shown["summary"]["delete"] == 2
    assert site.automations("reconcile", "--confirm-deletes", "1", check=False) is None
    assert len(live(site)) == 3
    (done,) = site.automations("reconcile", "--confirm-deletes", "2")
    assert (done["outcome"], done["summary"]["delete"]) == ("settled", 2)
    until(lambda: condition(site, "PruneBlocked")[0] == "False", what="nothing waits any more")
    assert set(live(site)) == {"gamma"}


def test_a_suspended_automation_fires_nothing_outlives_a_restart_and_ends_by_itself(site: Site) -> None:
    put(site.specs / "alpha.yaml", spec("alpha"))
    site.start("run", "automations.d", "--no-worker")
    site.automations("suspend", "alpha", "--reason", "a migration", "--until", "2h")
    event = '{{"id":"e{}","source":"test","type":"alpha"}}'
    assert site.automations("events", "send", "--event-json", event.format(1))["materialized"] == []
    assert "suspended" in str(site.automations("why", "e1")["triggers"])
    site.stop()
    site.start("run", "automations.d", "--no-worker")
    (listed,) = site.automations("list")
    assert (listed["health"], listed["sync"], listed["suspension"]["reason"]) == ("Suspended", "Synced", "a migration")
    put(site.specs / "alpha.yaml", spec("alpha", "2.0.0"))
    until(lambda: live(site)["alpha"] == "2.0.0", what="an edit is bound all the same")
    assert site.automations("list")[0]["health"] == "Suspended"
    site.automations("suspend", "alpha", "--reason", "a migration", "--until", "1s")
    until(lambda: rows(site, "SELECT count(*) FROM suspensions") == [(0,)], what="it ends by itself", seconds=LONG)
    assert len(site.automations("events", "send", "--event-json", event.format(2))["materialized"]) == 1
    assert [each["action"] for each in site.automations("audit", "list")][:1] == ["resume"]


def test_a_suspended_source_is_left_alone(site: Site) -> None:
    put(site.specs / "alpha.yaml", spec("alpha"))
    site.start("run", "automations.d", "--no-worker")
    site.automations("suspend", "source:default", "--reason", "freeze")
    until(lambda: condition(site, "Suspended")[0] == "True", what="the loop says that it is suspended", seconds=SOON)
    looked = rows(site, "SELECT updated_at FROM sources")
    put(site.specs / "alpha.yaml", spec("alpha", "2.0.0"))
    until(lambda: rows(site, "SELECT updated_at FROM sources") != looked, what="the loop looks at the edit")
    assert live(site) == {"alpha": "1.0.0"}
    site.automations("resume", "source:default")
    until(lambda: live(site) == {"alpha": "2.0.0"}, what="the edit is taken in at once", seconds=SOON)
    until(lambda: condition(site, "Ready") == ("True", "Reconciled"), what="the status says so", seconds=SOON)


def test_the_status_follows_what_another_process_took_back_or_applied_long_before_the_next_resync(site: Site) -> None:
    put(site.specs / "alpha.yaml", spec("alpha"))
    site.start("run", "automations.d", "--no-worker")
    put(site.specs / "alpha.yaml", spec("alpha", "2.0.0"))
    until(lambda: live(site) == {"alpha": "2.0.0"}, what="the edit is bound")
    site.automations("rollback", "alpha", "--to", "1", "--auto-approve")
    until(lambda: condition(site, "Stalled") == ("True", "RolledBack"), what="the status says so", seconds=SOON)
    assert site.automations("list")[0]["sync"] == "OutOfSync"
    site.automations("apply", "automations.d", "--auto-approve")
    until(lambda: condition(site, "Stalled")[0] == "False", what="the status says that it is in step", seconds=SOON)
    assert live(site) == {"alpha": "2.0.0"}


def test_several_sources_in_one_daemon_keep_apart(site: Site) -> None:
    for name in ("platform", "payments"):
        (site.folder / name).mkdir()
        put(site.folder / name / "one.yaml", spec(f"{name}-one"))
    site.start("run", "--source", "platform=platform", "--source", "payments=payments", "--no-worker")
    assert set(live(site)) == {"platform-one", "payments-one"}
    put(site.folder / "platform" / "two.yaml", spec("payments-one", "6.6.6"))
    put(site.folder / "payments" / "three.yaml", spec("payments-three"))
    until(lambda: "payments-three" in live(site), what="the other source goes on")
    until(lambda: condition(site, "SpecValid", "platform")[0] == "False", what="the stolen id is told")
    assert live(site)["payments-one"] == "1.0.0"
    assert condition(site, "SpecValid", "payments")[0] == "True"
    shown = {each["name"]: each for each in site.automations("status")["sources"]}
    assert {name: each["sync"] for name, each in shown.items()} == {"platform": "OutOfSync", "payments": "Synced"}


def test_a_hangup_makes_it_look_and_nothing_is_bound_anew_that_did_not_change(site: Site) -> None:
    for number in range(30):
        put(site.specs / f"s{number}.yaml", spec(f"s{number}"))
    daemon, _ = site.start("run", "automations.d", "--no-worker")
    witness = Witness(site)
    witness.looked()
    before, looked = serial(site), rows(site, "SELECT synced_at FROM sources")
    os.kill(daemon.pid, signal.SIGHUP)
    until(lambda: rows(site, "SELECT synced_at FROM sources") != looked, what="the hangup makes it look")
    assert serial(site) == before
    put(site.specs / "s7.yaml", spec("s7", "2.0.0"))
    until(lambda: live(site)["s7"] == "2.0.0", what="the edit is bound")
    assert serial(site) == before + 1
    assert {each.generation for name, each in bound(site).items() if name not in ("s7", "witness")} == {1}
    until(lambda: '"update":1' in site.log().replace(" ", ""), what="the log tells of it, after the commit")
    applied = [line for line in site.log().splitlines() if '"apply.committed"' in line]
    assert '"update":1' in applied[-1].replace(" ", "")
    assert '"unchanged":30' in applied[-1].replace(" ", "")


def test_drift_is_told_and_with_self_heal_repaired(site: Site) -> None:
    configured(site, source("default", "automations.d", self_heal="true"))
    put(site.specs / "hooked.yaml", hooked("hooked"))
    daemon, _ = site.start("run", "--no-worker")
    changed = site.folder / "root" / "automations.db"
    assert Path(changed).exists()
    connection = apsw.Connection(str(changed))
    connection.set_busy_timeout(10_000)
    connection.execute("UPDATE routes SET status = 'disabled'")
    connection.close()
    os.kill(daemon.pid, signal.SIGHUP)
    until(lambda: rows(site, "SELECT status FROM routes") == [("active",)], what="the route is put right", seconds=LONG)
    until(lambda: "drift.healed" in site.log(), what="the log tells of it, after the commit")


def test_after_a_kill_the_next_daemon_follows_at_once(shared: Site) -> None:
    put(shared.specs / "alpha.yaml", spec("alpha"))
    daemon, _ = shared.start("run", "automations.d", "--no-worker", "--ttl-ms", "3600000")
    daemon.kill()
    daemon.wait(timeout=PATIENCE)
    put(shared.specs / "alpha.yaml", spec("alpha", "2.0.0"))
    shared.start("run", "automations.d", "--no-worker", "--ttl-ms", "3600000")
    assert shared.automations("list")[0]["spec"]["version"] == "2.0.0"
