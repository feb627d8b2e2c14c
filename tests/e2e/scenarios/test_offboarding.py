"""Somebody leaves: workers and runners do their parts, also when one is killed and another comes back too late."""

import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from e2e.conftest import Site, until
from e2e.jobs import gone
from e2e.scenarios.conftest import Scenario

LEASE = ("--lease-ms", "2000")
INTERNAL = ("--action", "directory.*", "--action", "people.*")


@pytest.fixture
def leaving(shared: Site, staged: Callable[[str], Scenario]) -> Scenario:
    """The scenario on a store of either kind, with a daemon that leaves the work to others."""
    scenario = staged("offboarding")
    assert scenario.site is shared
    scenario.site.start("run", "automations.d", "--no-worker")
    work(scenario.site, "office", *INTERNAL)
    for person in ("grace", "linus"):
        scenario.site.automations("roles", "grant", person, "security")
    return scenario


def work(site: Site, runner: str, *words: str) -> subprocess.Popen[str]:
    process, _ = site.start("worker", "automations.d", "--runner", runner, *LEASE, *words, program="automations")
    return process


def leave(site: Site, person: str, *, by: str = "hannah") -> str:
    answer = site.automations("--actor", by, "trigger", "people.offboard", "--input", f"person={person}")
    return str(answer["id"])


def asked(site: Site, run: str) -> str:
    """The id of the laptop's step when it waits for security."""
    until(lambda: site.standing(run, "laptop") == "waiting_approval", what="security is asked")
    return str(site.step(run, "laptop")["id"])


def wipe(site: Site, run: str) -> None:
    """What the runner of the device management does."""
    claim = site.automations("queue", "claim", "--runner", "mdm", "--action", "devices.*", "--wait", "30")
    assert (claim["automationRunId"], claim["invocation"]["input"]) == (run, {"person": "ada"})
    fence = str(claim["fence"])
    done = ("--runner", "mdm", "--fence", fence, "--result-json", '{"output": {"serial": "C02"}}')
    site.automations("queue", "complete", claim["id"], *done)


def test_a_worker_that_was_stopped_past_its_lease_is_refused_and_the_mailbox_is_archived_once(
    leaving: Scenario,
) -> None:
    site = leaving.site
    held = leaving.world / "hold-mail"
    held.touch()
    workers = {name: work(site, name, "--action", "mail.*", "--action", "badges.*") for name in ("one", "two")}
    run = leave(site, "ada")
    until((leaving.world / "mail.pid").exists, what="the archive is begun")
    # A process that is stopped while it writes keeps the embedded store's lock; nothing is written once the badge is done.
    until(lambda: site.step(run, "badge")["status"] == "succeeded", what="the badge is revoked")
    first = site.step(run, "mail")["claimedBy"]
    workers[first].send_signal(signal.SIGSTOP)
    until(lambda: site.step(run, "mail")["status"] == "succeeded", what="the other archives it")
    before = site.step(run, "mail")
    held.unlink()
    until(lambda: leaving.written("refused"), what="the mailbox refuses the old attempt")
    workers[first].send_signal(signal.SIGCONT)
    late = ("action.report_refused", "action.lease_lost")
    until(lambda: any(each in site.log() for each in late), what="the late worker's report is refused")
    assert site.step(run, "mail") == before
    assert (before["fence"], before["claimedBy"]) == (2, ({"one", "two"} - {first}).pop())
    assert leaving.written("archived") == ["ada fence 2"]
    assert leaving.written("refused") == ["ada fence 1"]
    site.automations("--actor", "grace", "approvals", "approve", asked(site, run))
    wipe(site, run)
    assert site.over(run)["status"] == "succeeded"
    assert leaving.written("reports") == ["ada: succeeded, mail succeeded, badge succeeded, laptop succeeded"]


def test_what_a_killed_worker_left_is_done_by_another_and_only_security_may_agree(leaving: Scenario) -> None:
    site = leaving.site
    held = leaving.world / "hold-badge"
    held.touch()
    workers = {name: work(site, name, "--action", "mail.*", "--action", "badges.*") for name in ("one", "two")}
    run = leave(site, "ada", by="linus")
    until((leaving.world / "badge.pid").exists, what="the badge is begun")
    first = site.step(run, "badge")["claimedBy"]
    workers[first].kill()
    until(lambda: gone((leaving.world / "badge.pid").read_text().strip()), what="its process goes with it")
    until(lambda: site.step(run, "badge")["status"] == "succeeded", what="the other revokes it")
    badge = site.step(run, "badge")
    assert [(each["outcome"], each["runner"]) for each in badge["attempts"]] == [("lease_expired", first)]
    assert leaving.written("revoked") == ["ada"]
    laptop = asked(site, run)
    assert "has no role" in site.refused("--actor", "mallory", "approvals", "approve", laptop)
    assert "linus started the run" in site.refused("--actor", "linus", "approvals", "approve", laptop)
    assert site.automations("queue", "claim", "--runner", "mdm", "--action", "devices.*") is None
    site.automations("--actor", "grace", "approvals", "approve", laptop)
    wipe(site, run)
    assert site.over(run)["status"] == "succeeded"
    assert leaving.written("reports") == ["ada: succeeded, mail succeeded, badge succeeded, laptop succeeded"]


def test_badges_that_are_down_hold_nothing_up_and_a_rejected_wipe_is_told(leaving: Scenario) -> None:
    site = leaving.site
    (leaving.world / "badges-are-down").touch()
    work(site, "one", "--action", "mail.*", "--action", "badges.*")
    run = leave(site, "ada")
    laptop = asked(site, run)
    until(lambda: site.step(run, "badge")["status"] == "dead", what="the badge is given up")
    site.automations("--actor", "grace", "approvals", "reject", laptop, "--reason", "it is evidence")
    assert site.over(run)["status"] == "failed"
    assert leaving.written("reports") == ["ada: failed, mail succeeded, badge dead, laptop rejected"]


def test_a_runner_that_comes_back_after_its_lease_is_refused_and_a_repeated_report_is_answered_alike(
    leaving: Scenario,
) -> None:
    site = leaving.site
    work(site, "one", "--action", "mail.*", "--action", "badges.*")
    run = leave(site, "ada")
    site.automations("--actor", "grace", "approvals", "approve", asked(site, run))
    lease = ("--action", "devices.*", "--wait", "30", "--lease-ms")
    first = site.automations("queue", "claim", "--runner", "mdm-1", *lease, "1000")
    second = site.automations("queue", "claim", "--runner", "mdm-2", *lease, "60000")
    assert (first["id"], first["fence"], second["fence"]) == (second["id"], 1, 2)
    result = ("--result-json", '{"output": {"serial": "C02"}}')
    for word in ("complete", "heartbeat", "release"):
        extra = result if word == "complete" else ()
        said = site.refused("queue", word, first["id"], "--runner", "mdm-1", "--fence", "1", *extra)
        assert "mdm-1" in said or "claimed" in said, said
    done = ("queue", "complete", second["id"], "--runner", "mdm-2", "--fence", "2", *result)
    answers: list[Any] = [site.automations(*done) for _ in range(2)]
    assert answers[0] == answers[1]
    assert site.over(run)["status"] == "succeeded"
