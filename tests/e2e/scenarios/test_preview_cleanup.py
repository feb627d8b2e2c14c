"""GitHub tells of pull requests that were closed; previews of merged ones go, whatever a branch is called."""

import copy
import json
from collections.abc import Callable

import httpx
import pytest

from e2e.scenarios.conftest import Scenario
from e2e.scenarios.signing import encoded, github, post

SECRET = "of-the-preview-hook"
PATH = "/webhooks/github/preview-cleanup"
HOSTILE = [
    "$(touch pwned)",
    "`touch pwned`",
    '"; rm -rf "$WORLD"; touch pwned; "',
    "'; touch pwned; '",
    "x\ntouch pwned\n",
    "-rf",
    "../../pr-8",
    "%s%n$WORLD${WORLD}",
    "${{ secrets.TEAM }}",
    "*",
    "ветка/🌿 ",
]


@pytest.fixture
def hook(staged: Callable[[str], Scenario]) -> tuple[Scenario, int]:
    """The scenario with its daemon, which takes requests on this port."""
    scenario = staged("preview-cleanup")
    scenario.site.environment["AUTOMATIONS_WEBHOOK_SECRET_PREVIEW_CLEANUP"] = SECRET
    scenario.site.environment["HASNA_AUTOMATIONS_SECRET_TEAM"] = "canary-4711"
    _, started = scenario.site.start("serve", "automations.d", "--port", "0")
    return scenario, int(started["port"])


def request(scenario: Scenario, *, number: int = 7, branch: str = "feature/cart", merged: bool = True) -> bytes:
    body = copy.deepcopy(scenario.document("requests/closed.json"))
    body["number"] = number
    body["pull_request"] |= {"merged": merged, "head": {"ref": branch}}
    return encoded(body)


def deliver(port: int, body: bytes, delivery: str, *, secret: str = SECRET) -> httpx.Response:
    return post(port, PATH, body, github(secret, body, delivery=delivery))


def run_of(answer: httpx.Response) -> str:
    assert answer.status_code == 202, answer.text
    return str(answer.json()["materialized"][0]["runId"])


def test_whatever_a_branch_is_called_its_preview_goes_and_nothing_else(hook: tuple[Scenario, int]) -> None:
    scenario, port = hook
    previews = {number: scenario.world / f"pr-{number}" for number in range(len(HOSTILE) + 1)}
    for folder in previews.values():
        folder.mkdir()
    runs = [
        run_of(deliver(port, request(scenario, number=number, branch=branch), f"hostile-{number}"))
        for number, branch in enumerate(HOSTILE, start=1)
    ]
    for run, branch in zip(runs, HOSTILE, strict=True):
        told = scenario.site.over(run)
        assert told["status"] == "succeeded", told
        assert scenario.site.step(run, "remove")["result"]["output"] == branch
    assert [number for number, folder in previews.items() if folder.exists()] == [0]
    assert list(scenario.site.folder.rglob("pwned")) == []
    said = [json.loads(line)["text"] for line in scenario.written("told.jsonl")]
    assert sorted(said) == sorted(
        f"The preview of {branch} (#{number}) is gone." for number, branch in enumerate(HOSTILE, start=1)
    )


def test_a_branch_with_a_zero_byte_is_refused_at_the_door(hook: tuple[Scenario, int]) -> None:
    scenario, port = hook
    assert deliver(port, request(scenario, branch="a\0b"), "nul").status_code == 422
    assert scenario.site.runs() == []


def test_a_pull_request_that_was_not_merged_starts_nothing_and_why_names_the_predicate(
    hook: tuple[Scenario, int],
) -> None:
    scenario, port = hook
    answer = deliver(port, request(scenario, merged=False), "unmerged")
    assert answer.status_code == 202
    assert scenario.site.runs() == []
    told = scenario.site.automations("why", answer.json()["eventId"])
    assert told["triggers"] == [
        {
            "automationId": "preview.cleanup", "trigger": "closed", "kind": "webhook", "outcome": "no_match",
            "predicate": "filter.pull_request.merged", "value": False, "expected": True,
        }
    ]  # fmt: skip


def test_a_delivery_that_is_sent_again_is_a_duplicate_and_a_forged_one_is_refused(hook: tuple[Scenario, int]) -> None:
    scenario, port = hook
    body = request(scenario)
    first = deliver(port, body, "d-1")
    run = run_of(first)
    again = deliver(port, body, "d-1")
    assert (again.status_code, again.json()["duplicate"], run_of(again)) == (202, True, run)
    forged = deliver(port, body, "d-3", secret="guessed")
    tampered = post(port, PATH, body.replace(b'"number":7', b'"number":8'), github(SECRET, body, delivery="d-4"))
    unsigned = post(port, PATH, body, {"Content-Type": "application/json", "X-GitHub-Delivery": "d-5"})
    assert [each.status_code for each in (forged, tampered, unsigned)] == [401, 401, 401]
    assert scenario.site.over(run)["status"] == "succeeded"
    assert [each["id"] for each in scenario.site.runs()] == [run]
    assert len(scenario.written("told.jsonl")) == 1
