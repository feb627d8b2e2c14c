"""Production is deployed to by one run at a time, after a smoke test, when two people agree who did not start it."""

import os
import signal
from collections.abc import Callable

import pytest

from e2e.conftest import PATIENCE, Site, until
from e2e.scenarios.conftest import Scenario


@pytest.fixture
def deploys(staged: Callable[[str], Scenario]) -> Scenario:
    scenario = staged("production-deploy")
    scenario.site.start("run", "automations.d")
    for person in ("ada", "grace", "linus"):
        scenario.site.automations("roles", "grant", person, "release")
    return scenario


def deploy(site: Site, tag: str, *, by: str = "linus") -> str:
    answer = site.automations("--actor", by, "trigger", "deploys.production", "--input", f"tag={tag}")
    return str(answer["id"])


def asked(site: Site, run: str) -> str:
    """The id of the step that ships, when it waits for two people."""
    until(lambda: site.standing(run, "ship") == "waiting_approval", what="two people are asked")
    return str(site.step(run, "ship")["id"])


def test_two_people_ship_and_a_second_deploy_waits_until_the_first_is_over(deploys: Scenario) -> None:
    site = deploys.site
    first = deploy(site, "v1.4")
    ship = asked(site, first)
    second = deploy(site, "v1.5")
    assert site.run(second)["status"] == "pending"
    assert "linus started the run" in site.refused("--actor", "linus", "approvals", "approve", ship)
    assert "has no role" in site.refused("--actor", "mallory", "approvals", "approve", ship)
    site.automations("--actor", "ada", "approvals", "approve", ship)
    site.refused("--actor", "ada", "approvals", "approve", ship)
    assert site.standing(first, "ship") == "waiting_approval"
    assert (deploys.written("staging"), deploys.written("production")) == (["v1.4"], [])
    assert site.run(second)["status"] == "pending"
    site.automations("--actor", "grace", "approvals", "approve", ship)
    assert site.over(first)["status"] == "succeeded"
    for person in ("ada", "grace"):
        site.automations("--actor", person, "approvals", "approve", asked(site, second))
    assert site.over(second)["status"] == "succeeded"
    assert deploys.written("production") == ["v1.4", "v1.5"]
    assert deploys.written("channel") == [
        "v1.4: succeeded (smoke succeeded, ship succeeded)", "v1.5: succeeded (smoke succeeded, ship succeeded)",
    ]  # fmt: skip


def test_a_kill_while_people_are_asked_loses_no_answer_and_lets_nobody_past(deploys: Scenario) -> None:
    site = deploys.site
    first = deploy(site, "v1.4")
    ship = asked(site, first)
    second = deploy(site, "v1.5")
    site.automations("--actor", "ada", "approvals", "approve", ship)
    daemon = site.daemons[-1]
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.wait(timeout=PATIENCE)
    third = deploy(site, "v1.6")
    site.start("run", "automations.d")
    assert [site.run(each)["status"] for each in (first, second, third)] == ["waiting_approval", "pending", "pending"]
    site.automations("--actor", "grace", "approvals", "approve", ship)
    assert site.over(first)["status"] == "succeeded"
    asked(site, second)
    assert site.run(third)["status"] == "pending"
    assert deploys.written("staging") == ["v1.4", "v1.5"]


def test_one_no_is_enough_and_lets_the_next_deploy_go_on(deploys: Scenario) -> None:
    site = deploys.site
    first = deploy(site, "v1.4")
    ship = asked(site, first)
    second = deploy(site, "v1.5")
    site.automations("--actor", "ada", "approvals", "approve", ship)
    site.automations("--actor", "grace", "approvals", "reject", ship, "--reason", "not on a Friday")
    assert site.over(first)["status"] == "failed"
    asked(site, second)
    assert deploys.written("production") == []
    assert deploys.written("channel") == ["v1.4: failed (smoke succeeded, ship rejected)"]
    rejected = site.automations("audit", "list", "--action", "approval.reject")
    assert [(each["actor"], each["detail"]["reason"]) for each in rejected] == [("grace", "not on a Friday")]
    assert site.automations("audit", "verify")["ok"] is True


def test_what_fails_its_smoke_test_is_not_shipped_nobody_is_asked_and_the_channel_hears_of_it(
    deploys: Scenario,
) -> None:
    (deploys.world / "broken-v1.4").touch()
    run = deploy(deploys.site, "v1.4")
    assert deploys.site.over(run)["status"] == "failed"
    assert deploys.site.step(run, "ship")["status"] == "skipped"
    assert deploys.site.automations("approvals", "list") == []
    assert (deploys.written("staging"), deploys.written("production")) == (["v1.4"], [])
    assert deploys.written("channel") == ["v1.4: failed (smoke dead, ship skipped)"]
