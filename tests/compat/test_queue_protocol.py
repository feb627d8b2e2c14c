"""The queue as external runners on one machine use it: many at once, some of them late, some of them asking twice."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from automations import AutomationsStore
from automations.adapters.clock import SystemClock
from automations.core.canonical import encode
from automations.core.instant import parse_iso
from automations.core.run.queue import (
    OUTPUT_INVALID,
    REPEATABLE,
    Action,
    Failure,
    Holder,
    Taken,
    completed_again,
    failed_again,
)
from automations.core.run.states import ActionStatus
from command_line import CommandLine
from compat.record_shapes import ACTION, conforms

RUNNERS = 8
ACTIONS = 200
SPEC: dict[str, Any] = {
    "schemaVersion": "1.0",
    "id": "many",
    "name": "many",
    "version": "1",
    "triggers": [{"kind": "event", "source": "s", "type": "t"}],
    "actions": [{"id": "a", "actionId": "x.one"}, {"id": "b", "actionId": "y.two"}],
}
ALONE = {**SPEC, "id": "alone", "actions": SPEC["actions"][:1]}
RUNNER = """
import contextlib, io, json, sys, time
from automations.cli.main import main

def call(*words):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(list(words))
    assert (status, err.getvalue()) == (0, ""), (words, status, err.getvalue())
    return json.loads(out.getvalue())

sys.stdin.readline()  # all begin at once
runner = sys.argv[1]
while True:
    asked = time.monotonic_ns()
    action = call("queue", "claim", "--runner", runner)
    if action is None:
        break
    print(json.dumps([asked, time.monotonic_ns(), action["id"], action["fence"], runner]))
    call("queue", "complete", action["id"], "--runner", runner, "--result-json", json.dumps({"by": runner}))
"""


def send(automations: CommandLine, event_id: str = "e1", spec: Any = SPEC) -> dict[str, str]:
    """Start a run; its action ids by step."""
    event = json.dumps({"id": event_id, "source": "s", "type": "t"})
    (made,) = automations.json("simulate", "-", "--persist", "--event-json", event, stdin=json.dumps(spec).encode())
    return {action["stepId"]: action["id"] for action in made["actions"]}


def claim(automations: CommandLine, *words: str) -> Any:
    """`queue claim`."""
    return automations.json("queue", "claim", *words)


def wait_until_over(lease_expires_at: str) -> None:
    """Until that instant has passed."""
    while SystemClock().now() <= parse_iso(lease_expires_at) + 1000:
        pass


def test_eight_runners_at_once_share_a_queue_without_a_double_claim_or_a_lock_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HASNA_AUTOMATIONS_DIR", str(tmp_path))
    with AutomationsStore() as store:
        store.create_automation(SPEC)
        for number in range(ACTIONS // len(SPEC["actions"])):
            store.materialize_event({"id": f"e{number}", "source": "s", "type": "t"})
    runners = [
        subprocess.Popen(
            [sys.executable, "-c", RUNNER, f"r{number}"],
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for number in range(RUNNERS)
    ]  # fmt: skip
    for runner in runners:
        assert runner.stdin is not None
        runner.stdin.write("go\n")
        runner.stdin.flush()
    ended = [runner.communicate(timeout=100) for runner in runners]
    assert [(runner.returncode, err) for runner, (_, err) in zip(runners, ended, strict=True)] == [(0, "")] * RUNNERS
    claims = [json.loads(line) for out, _ in ended for line in out.splitlines()]
    assert len(claims) == len({action for _, _, action, _, _ in claims}) == ACTIONS
    assert {fence for _, _, _, fence, _ in claims} == {1}
    # One claim that was answered before another was asked for took the earlier action.
    late = [(one, two) for one in claims for two in claims if one[1] < two[0] and one[2] > two[2]]
    assert late == []
    with AutomationsStore() as store:
        assert {run["status"] for run in store.list_runs(limit=1000)} == {"succeeded"}
        finished = {each["id"]: each["claimedBy"] for each in store.list_actions(status="succeeded", limit=1000)}
    assert finished == {action: runner for _, _, action, _, runner in claims}


def test_claims_come_in_the_order_in_which_actions_became_available(automations: CommandLine) -> None:
    made = [send(automations, f"e{number}") for number in range(3)]
    wanted = [identity for run in made for identity in (run["a"], run["b"])]
    assert [claim(automations)["id"] for _ in wanted] == wanted
    assert claim(automations) is None


def test_a_claim_may_take_several_and_only_some_actions(automations: CommandLine) -> None:
    made = [send(automations, f"e{number}") for number in range(3)]
    assert [each["id"] for each in claim(automations, "--limit", "2", "--action", "y.*")] == [
        made[0]["b"], made[1]["b"],
    ]  # fmt: skip
    assert claim(automations, "--action=*.one")["id"] == made[0]["a"]
    assert claim(automations, "--action", "x.one")["id"] == made[1]["a"]
    assert claim(automations, "--action", "X.*") is None
    assert claim(automations, "--action", "x.o*one") is None
    assert claim(automations, "--action", "x*one")["id"] == made[2]["a"]
    assert "more than one *" in automations.refused("queue", "claim", "--action", "*.*", status=1)["error"]


def test_a_claim_may_wait_for_an_action(automations: CommandLine) -> None:
    action = send(automations)["a"]
    held = claim(automations, "--runner", "r1", "--action", "x.one", "--lease-ms", "300")
    waited = claim(automations, "--runner", "r2", "--action", "x.one", "--wait", "60")
    assert (held["id"], waited["id"], waited["fence"]) == (action, action, 2)
    assert claim(automations, "--action", "x.one", "--wait", "0") is None


def test_a_stale_runner_cannot_finish_what_others_may_have(automations: CommandLine) -> None:
    action = send(automations, spec=ALONE)["a"]
    held = claim(automations, "--runner", "rx", "--lease-ms", "1")
    wait_until_over(held["leaseExpiresAt"])
    for verb in ("complete", "fail", "heartbeat", "release"):
        said = automations.refused("queue", verb, action, "--runner", "rx", status=1)["error"]
        assert said == f"queued action lease expired: {action}"
    again = conforms(claim(automations, "--runner", "ry"), ACTION)
    assert (again["id"], again["claimedBy"], again["fence"]) == (action, "ry", 2)
    for verb in ("complete", "fail", "heartbeat", "release"):
        said = automations.refused("queue", verb, action, "--runner", "rx", status=1)["error"]
        assert said == f"queued action {action} is claimed by ry, not rx"
    assert automations.json("queue", "complete", action, "--runner", "ry")["status"] == "succeeded"


def test_a_lost_lease_shows_in_the_attempts(automations: CommandLine) -> None:
    action = send(automations, spec=ALONE)["a"]
    wait_until_over(claim(automations, "--runner", "rx", "--lease-ms", "1")["leaseExpiresAt"])
    assert claim(automations, "--runner", "ry")["attempt"] == 1
    (attempt,) = automations.json("queue", "show", action)["attempts"]
    assert (attempt["runner"], attempt["outcome"], attempt["error"]["code"]) == ("rx", "lease_expired", "LEASE_EXPIRED")


def test_the_same_runner_with_an_old_fence_is_as_stale_as_another(automations: CommandLine) -> None:
    action = send(automations, spec=ALONE)["a"]
    old = claim(automations, "--runner", "rx", "--lease-ms", "1")
    wait_until_over(old["leaseExpiresAt"])
    claim(automations, "--runner", "rx")
    words = ("queue", "complete", action, "--runner", "rx", "--fence")
    assert automations.refused(*words, str(old["fence"]), status=1)["error"].startswith(
        f"queued action {action} was claimed again"
    )
    assert automations.json(*words, "2")["status"] == "succeeded"


def test_a_heartbeat_prolongs_and_a_release_gives_back(automations: CommandLine) -> None:
    action = send(automations)["a"]
    held = claim(automations, "--runner", "r1")
    kept = conforms(automations.json("queue", "heartbeat", action, "--runner=r1", "--lease-ms=60000"), ACTION)
    assert (kept["status"], kept["leaseExpiresAt"] > held["leaseExpiresAt"]) == ("claimed", True)
    back = conforms(automations.json("queue", "release", action, "--runner", "r1", "--fence", "1"), ACTION)
    assert (back["status"], back["attempt"]) == ("queued", 0)
    assert not {"claimedBy", "leaseExpiresAt"} & set(back)
    said = automations.refused("queue", "heartbeat", action, "--runner", "r1", status=1)["error"]
    assert said == f"queued action is not claimed: {action}"


def test_the_list_shows_what_is_not_over_a_page_at_a_time(automations: CommandLine) -> None:
    made = send(automations)
    claim(automations, "--runner", "r1")
    automations.json("queue", "complete", made["a"], "--runner", "r1")
    assert [each["id"] for each in conforms(automations.json("queue", "list"), [ACTION])] == [made["b"]]
    assert [each["id"] for each in automations.json("queue", "list", "--status", "succeeded")] == [made["a"]]
    other = send(automations, "e2")
    page = automations("queue", "list", "--limit", "1")
    assert page.err == f"more: automations queue list --limit 1 --cursor {made['b']}\n"
    assert [each["id"] for each in automations.json("queue", "list", "--cursor", made["b"])] == list(other.values())


def test_what_waits_for_a_person_is_listed_until_somebody_decides(automations: CommandLine) -> None:
    gated = {**SPEC, "actions": [{"id": "a", "actionId": "x.one", "approval": {"requiresApproval": True}}]}
    action = send(automations, spec=gated)["a"]
    assert [each["id"] for each in conforms(automations.json("approvals", "list"), [ACTION])] == [action]
    assert automations.json("approvals", "approve", action)["status"] == "queued"
    assert automations.json("approvals", "list") == []
    other = send(automations, "e2", spec=gated)["a"]
    assert automations.json("approvals", "reject", other, "--reason", "no")["deadLetter"]["reason"] == "no"
    assert automations("approvals", "list").out == "nothing waits for an approval\n"


# The same report again


def test_a_completion_made_again_with_its_fence_is_answered_as_before(automations: CommandLine) -> None:
    action = send(automations)["a"]
    claim(automations, "--runner", "r1")
    words = ("queue", "complete", action, "--runner", "r1", "--result-json", '{"b": 2, "a": 1}')
    done = automations.json(*words, "--fence", "1")
    assert automations.json(*words, "--fence", "1") == done
    reordered = ("queue", "complete", action, "--runner", "r1", "--result-json", '{"a": 1, "b": 2}', "--fence", "1")
    assert automations.json(*reordered) == done
    terminal = f"cannot complete terminal queued action: {action}"
    for others in (words, (*words[:4], "r2", *words[5:], "--fence", "1"), (*words[:-1], "{}", "--fence", "1")):
        assert automations.refused(*others, status=1)["error"] == terminal
    said = automations.refused("queue", "fail", action, "--runner", "r1", "--fence", "1", status=1)["error"]
    assert said == f"cannot fail terminal queued action: {action}"


def test_a_failure_made_again_with_its_fence_is_counted_once(automations: CommandLine) -> None:
    action = send(automations, spec=ALONE)["a"]
    claim(automations, "--runner", "r1")
    words = ("queue", "fail", action, "--runner", "r1", "--retry-backoff-ms", "0", "--fence")
    failed = automations.json(*words, "1")
    assert automations.json(*words, "1") == failed
    claim(automations, "--runner", "r1")
    said = automations.refused(*words, "1", status=1)["error"]
    assert said.startswith(f"queued action {action} was claimed again")
    assert automations.json(*words, "2")["attempt"] == 2
    assert len(automations.json("queue", "show", action)["attempts"]) == 2


NOW = 1_700_000_000_000_000


def action(status: ActionStatus, **keys: Any) -> Action:
    """An action as its row stands after a report by r1 under fence 3."""
    fields = {"attempt": 1, "max_attempts": 3, "crashes": 0, "fence": 3, "claimed_by": "r1", "lease_expires_at": None}
    return Action("a1", status, **{**fields, **keys})


@pytest.mark.parametrize(
    ("changes", "repeats"),
    [
        ({}, True),
        ({"now": NOW + REPEATABLE - 1}, True),
        ({"now": NOW + REPEATABLE}, False),
        ({"holder": Holder("r1")}, False),
        ({"holder": Holder("r1", 2)}, False),
        ({"holder": Holder("r2", 3)}, False),
        ({"result": None}, False),
        ({"result": {"n": 1.0}}, False),
        ({"result": {"n": True}}, False),
        ({"action": action(ActionStatus.RETRYING)}, False),
        ({"action": action(ActionStatus.REJECTED)}, False),
        ({"action": action(ActionStatus.CLAIMED, lease_expires_at=NOW + 1)}, False),
        ({"action": action(ActionStatus.SUCCEEDED, claimed_by=None)}, False),
        ({"action": action(ActionStatus.DEAD)}, False),
        ({"action": action(ActionStatus.DEAD), "taken": Taken(NOW, None, encode({"code": OUTPUT_INVALID}))}, True),
        ({"action": action(ActionStatus.DEAD), "taken": Taken(NOW, None, encode({"code": "E1"}))}, False),
    ],
)
def test_a_completion_repeats_only_the_same_words_from_the_same_hand_in_time(
    changes: dict[str, Any], repeats: bool
) -> None:
    given = {
        "action": action(ActionStatus.SUCCEEDED),
        "holder": Holder("r1", 3),
        "result": {"n": 1},
        "taken": Taken(NOW, encode({"n": 1}), None),
        "now": NOW + 1,
        **changes,
    }
    assert completed_again(given.pop("action"), given.pop("holder"), **given) is repeats


@pytest.mark.parametrize(
    ("changes", "repeats"),
    [
        ({}, True),
        ({"action": action(ActionStatus.DEAD)}, True),
        ({"failure": Failure("E2")}, False),
        ({"holder": Holder("r1")}, False),
        ({"now": NOW + REPEATABLE}, False),
        ({"action": action(ActionStatus.SUCCEEDED)}, False),
        ({"action": action(ActionStatus.QUEUED, claimed_by=None)}, False),
        ({"action": action(ActionStatus.RETRYING, claimed_by=None)}, False),
    ],
)
def test_a_failure_repeats_only_the_same_words_from_the_same_hand_in_time(
    changes: dict[str, Any], repeats: bool
) -> None:
    given = {
        "action": action(ActionStatus.RETRYING),
        "holder": Holder("r1", 3),
        "failure": Failure("E1"),
        "taken": Taken(NOW, None, encode(Failure("E1").document())),
        "now": NOW + 1,
        **changes,
    }
    assert failed_again(given.pop("action"), given.pop("holder"), **given) is repeats
