"""Tickets change in bursts; each burst is one page, and somebody else is paged only when nobody answers the first."""

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from e2e.conftest import PATIENCE, until
from e2e.scenarios.conftest import Scenario


@pytest.fixture
def helpdesk(staged: Callable[[str], Scenario]) -> Scenario:
    return staged("ticket-escalation")


def burst(scenario: Scenario) -> dict[str, Any]:
    """Send the recorded burst; answers by event."""
    answers = scenario.site.automations("events", "send", str(scenario.folder / "events" / "burst.jsonl"))
    return {each["event"]["id"]: each for each in answers}


def run_about(scenario: Scenario, event: str) -> Any:
    """The run that an event became part of."""
    verdict = scenario.site.automations("why", event)["triggers"][0]
    return verdict.get("runId")


def test_a_burst_is_one_page_and_only_what_nobody_answers_is_escalated(helpdesk: Scenario) -> None:
    site = helpdesk.site
    site.start("run", "automations.d")
    burst(helpdesk)
    until(lambda: len(helpdesk.written("pages")) == 2, what="both tickets are paged about")
    (helpdesk.world / "T-1.acknowledged").touch()
    (helpdesk.world / "T-2.unanswered").touch()
    shop, mail = (run_about(helpdesk, event) for event in ("t-4", "t-3"))
    assert [site.over(run)["status"] for run in (shop, mail)] == ["succeeded", "succeeded"]
    assert sorted(helpdesk.written("pages")) == [
        "on-call T-1 Shop is down (critical, 3 changes)",
        "on-call T-2 Mail is down (critical, 1 changes)",
        "team-lead T-2 nobody answered: Mail is down",
    ]
    assert (site.step(shop, "escalate")["status"], site.step(mail, "escalate")["status"]) == ("skipped", "succeeded")
    assert {run_about(helpdesk, event) for event in ("t-1", "t-2")} == {shop}
    assert len(site.runs()) == 2


def test_who_asks_to_be_left_alone_is_and_why_says_so(helpdesk: Scenario) -> None:
    site = helpdesk.site
    site.start("run", "automations.d")
    burst(helpdesk)
    for event, predicate in (("t-5", "filter.tags"), ("t-6", "filter.priority"), ("t-7", "filter.tags")):
        verdict = site.automations("why", event)["triggers"][0]
        assert (verdict["outcome"], verdict["predicate"]) == ("no_match", predicate)
        assert run_about(helpdesk, event) is None


def test_a_burst_survives_the_death_of_the_daemon_that_waits_for_its_end(helpdesk: Scenario) -> None:
    site = helpdesk.site
    daemon, _ = site.start("run", "automations.d")
    answers = burst(helpdesk)
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.wait(timeout=PATIENCE)
    assert answers["t-1"]["automations"][0]["outcome"] == "debounced"
    (helpdesk.world / "T-1.acknowledged").touch()
    (helpdesk.world / "T-2.acknowledged").touch()
    site.start("run", "automations.d")
    until(lambda: len(site.runs(status="succeeded")) == 2, what="both runs end")
    assert sorted(helpdesk.written("pages")) == [
        "on-call T-1 Shop is down (critical, 3 changes)",
        "on-call T-2 Mail is down (critical, 1 changes)",
    ]
