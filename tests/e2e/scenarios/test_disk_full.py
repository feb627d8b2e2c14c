"""Hosts report how full their disks are; somebody is paged, and when nobody can be reached the page is not lost."""

from collections.abc import Callable
from typing import Any

import pytest

from e2e.conftest import until
from e2e.scenarios.conftest import Scenario


@pytest.fixture
def disks(staged: Callable[[str], Scenario]) -> Scenario:
    scenario = staged("disk-full")
    scenario.site.start("run", "automations.d")
    return scenario


def started(answers: list[dict[str, Any]]) -> dict[str, str]:
    """Event ids to the runs that they started."""
    return {each["event"]["id"]: run["run"]["id"] for each in answers for run in each["materialized"]}


def test_numbers_are_compared_as_numbers_and_only_hosts_that_run_out_of_space_page(disks: Scenario) -> None:
    answers = disks.site.automations("events", "send", str(disks.folder / "events" / "usage.jsonl"))
    runs = started(answers)
    assert set(runs) == {"u-float", "u-integer", "u-close"}
    for run in runs.values():
        assert disks.site.over(run)["status"] == "succeeded"
    pages = [line.split(" ", 1)[1] for line in disks.written("pages")]
    assert sorted(pages) == [
        "critical hosts/db-2 /: 3% free", "warning hosts/db-1 /var: 12.5% free", "warning hosts/db-3 /: 15% free",
    ]  # fmt: skip
    word = disks.site.automations("why", "u-word")["triggers"][0]
    assert (word["outcome"], word["reason"]) == (
        "error", 'event.data does not conform: freePercent: "3" is not of type "number"',
    )  # fmt: skip


def test_a_page_that_reaches_nobody_is_kept_and_sent_once_when_it_is_replayed(disks: Scenario) -> None:
    away = disks.world / "pager-is-away"
    away.touch()
    event = {"id": "u-1", "source": "hosts/db-1", "type": "disk.usage", "data": {"freePercent": 2.5, "mount": "/"}}
    run = disks.site.send(event)["materialized"][0]["run"]["id"]
    assert disks.site.over(run)["status"] == "failed"
    letter = disks.site.automations("dlq", "show", disks.site.step(run, "page")["id"])
    assert [each["id"] for each in disks.site.automations("dlq", "list")] == [letter["id"]]
    assert letter["deadLetter"]["reason"] == "max attempts exceeded"
    assert [(each["attempt"], each["error"]["code"]) for each in letter["attempts"]] == [
        (1, "PAGER_AWAY"), (2, "PAGER_AWAY"), (3, "PAGER_AWAY"),
    ]  # fmt: skip
    found = disks.site.automations("dlq", "replay", "--error-code", "PAGER_AWAY", "--dry-run")
    assert found == {"dryRun": True, "matched": 1, "ids": [letter["id"]]}
    away.unlink()
    disks.site.automations("dlq", "replay", letter["id"], "--reason", "the pager is back")
    until(lambda: disks.site.run(run)["status"] == "succeeded", what="the replayed run ends")
    assert disks.site.run(run)["replays"][0]["reason"] == "the pager is back"
    assert disks.written("pages") == [f"disk.full:u-1:page@{run} critical hosts/db-1 /: 2.5% free"]
    assert disks.written("notes") == ["paged on attempt 1: hosts/db-1 /: 2.5% free"]
    assert disks.site.automations("dlq", "list") == []
