"""The runner protocol as a runner speaks it, and events as a sender sends them."""

import json
import os
from typing import Any

import pytest

from command_line import CommandLine

ACTION = {
    "id", "automationRunId", "stepId", "actionId", "idempotencyKey", "status", "invocation", "attempt", "maxAttempts",
    "availableAt", "createdAt", "updatedAt",
}  # fmt: skip
CLAIMED = ACTION | {"claimedBy", "claimedAt", "leaseExpiresAt", "fence"}
INVOCATION = {
    "id", "actionId", "manifestVersion", "input", "automationId", "runId", "requestedAt", "idempotencyKey", "metadata",
}  # fmt: skip
RUN = {
    "id", "automationId", "generation", "status", "trigger", "triggerEventId", "idempotencyKey", "createdAt",
    "updatedAt", "metadata",
}  # fmt: skip


def claimed(automations: CommandLine, runner: str = "r") -> dict[str, Any]:
    automations.applied(["one"])
    automations.send(1)
    action: dict[str, Any] = automations.json("queue", "claim", "--runner", runner)
    return action


def test_an_event_answers_with_what_it_started(automations: CommandLine) -> None:
    automations.applied(["one"])
    answer = automations.send(1)
    assert set(answer) == {"event", "materialized", "duplicate"}
    assert answer["event"] | {"time": ""} == {
        "id": "e1", "source": "test", "type": "ticket", "time": "", "data": {"number": 1},
    }  # fmt: skip
    (made,) = answer["materialized"]
    assert set(made) == {"automation", "run", "actions"}
    assert set(made["run"]) == RUN
    assert made["run"]["idempotencyKey"] == "one:e1"
    (action,) = made["actions"]
    assert set(action) - {"attempts"} == ACTION
    assert set(action["invocation"]) == INVOCATION
    assert (action["status"], action["idempotencyKey"]) == ("queued", "one:e1:only")


def test_an_event_sent_twice_answers_the_same_and_starts_nothing_new(automations: CommandLine) -> None:
    automations.applied(["one"])
    first, second = automations.send(1), automations.send(1)
    assert (first["duplicate"], second["duplicate"]) == (False, True)
    assert [made["run"]["id"] for made in first["materialized"]] == [
        made["run"]["id"] for made in second["materialized"]
    ]
    assert len(automations.json("runs", "list")) == 1


@pytest.mark.parametrize("way", ["option", "attached", "file", "stdin"])
def test_an_event_is_taken_from_wherever_it_is(automations: CommandLine, way: str) -> None:
    automations.applied(["one"])
    text = json.dumps({"id": "e1", "source": "test", "type": "ticket"})
    file = automations.folder / "event.json"
    file.write_text(text)
    words = {
        "option": ["--event-json", text],
        "attached": [f"--event-json={text}"],
        "file": [str(file)],
        "stdin": ["-"],
    }
    answer = automations.json("events", "send", *words[way], stdin=text.encode())
    assert len(answer["materialized"]) == 1


def test_a_person_is_told_what_an_event_did(automations: CommandLine) -> None:
    automations.applied(["one"])
    event = '{"id":"e1","source":"test","type":"ticket"}'
    assert automations("events", "send", "--event-json", event).out.startswith("one: run ")
    assert "was seen before" in automations("events", "send", "--event-json", event).out
    other = event.replace("ticket", "other").replace("e1", "e2")
    assert automations("events", "send", "--event-json", other).out == "event e2 matched no trigger\n"


def test_an_endless_or_huge_event_is_refused_without_being_read_whole(automations: CommandLine) -> None:
    huge = automations.folder / "huge.json"
    with huge.open("wb") as sparse:
        sparse.truncate(1 << 40)
    assert "larger than 1048576 bytes" in automations.refused("events", "send", str(huge), status=1)["error"]
    assert automations.refused("events", "send", "/dev/zero", status=1)["code"] == "file_unreadable"
    assert "larger" in automations.refused("events", "send", "-", stdin=b" " * (2 << 20), status=1)["error"]


def test_an_event_is_read_from_what_another_command_writes(automations: CommandLine) -> None:
    reader, writer = os.pipe()
    with open(writer, "wb") as written:  # noqa: PTH123  # a descriptor, as `<(…)` of a shell hands one on
        written.write(b'{"source": "test", "type": "ticket"}')
    assert automations.json("events", "send", f"/dev/fd/{reader}")["event"]["type"] == "ticket"
    os.close(reader)


def test_a_runner_has_a_name(automations: CommandLine) -> None:
    automations.applied(["a"])
    action = automations.send(1)["materialized"][0]["actions"][0]["id"]
    for words in (["claim"], *([verb, action] for verb in ("heartbeat", "release", "complete", "fail"))):
        refused = automations.refused("queue", *words, "--runner", "", status=2)
        assert refused["error"] == "--runner requires a value"
    assert automations.json("queue", "show", action)["status"] == "queued"


def test_a_claim_is_the_action_with_its_lease_or_null(automations: CommandLine) -> None:
    assert automations.json("queue", "claim") is None
    action = claimed(automations)
    assert set(action) == CLAIMED
    assert (action["status"], action["claimedBy"], action["attempt"], action["fence"]) == ("claimed", "r", 0, 1)
    assert automations.json("queue", "claim") is None
    assert json.loads(automations("queue", "claim").out) is None  # JSON is what it speaks, asked or not


def test_a_claim_with_a_limit_is_a_list(automations: CommandLine) -> None:
    assert automations.json("queue", "claim", "--limit", "2") == []
    automations.applied(["one"])
    for number in range(3):
        automations.send(number)
    taken = [automations.json("queue", "claim", "--limit=2") for _ in range(3)]
    assert [len(each) for each in taken] == [2, 1, 0]
    assert len({action["id"] for each in taken for action in each}) == 3


def test_a_completed_action_keeps_its_result_and_ends_its_run(automations: CommandLine) -> None:
    action = claimed(automations)
    words = ("queue", "complete", action["id"], "--runner", "r", "--result-json", '{"output":{"n":1}}')
    done = automations.json(*words, "--fence", "1")
    assert set(done) - {"completedAt", "result"} <= CLAIMED
    assert (done["status"], done["result"]) == ("succeeded", {"output": {"n": 1}})
    assert automations.json("runs", "list")[0]["status"] == "succeeded"
    assert automations.refused(*words, status=1)["code"] == "conflict"


def test_a_failed_action_is_retried_then_dead(automations: CommandLine) -> None:
    action = claimed(automations)
    words = ("queue", "fail", action["id"], "--runner", "r", "--code", "BROKEN", "--message", "it broke")
    failed = automations.json(*words, "--retry-backoff-ms", "0")
    assert (failed["status"], failed["attempt"]) == ("retrying", 1)
    assert failed["error"]["code"] == "BROKEN"
    assert automations.json("queue", "claim", "--runner", "r")["id"] == action["id"]
    dead = automations.json(*words)
    assert (dead["status"], dead["attempt"]) == ("dead", 2)
    assert set(dead["deadLetter"]) == {"reason", "failedAt", "lastError", "attempts", "replayable"}
    assert automations.json("status")["counts"]["deadActions"] == 1
    assert automations.json("runs", "list")[0]["status"] == "failed"


def test_a_failure_that_shall_not_be_retried_is_dead_at_once(automations: CommandLine) -> None:
    action = claimed(automations)
    words = ("queue", "fail", action["id"], "--runner", "r")
    assert automations.json(*words, "--retryable", "false")["status"] == "dead"


@pytest.mark.parametrize("verb", ["complete", "fail"])
@pytest.mark.parametrize(
    "words", [[], ["--runner", "another"], ["--runner", "r", "--fence", "2"], ["--runner", "R"]], ids=str
)
def test_only_the_holder_may_report_and_is_named_to_others(
    automations: CommandLine, verb: str, words: list[str]
) -> None:
    action = claimed(automations)
    error = automations.refused("queue", verb, action["id"], *words, status=1)
    assert error["code"] == "conflict"
    assert "--fence" in words or "is claimed by r, not " in error["error"]
    assert automations.json("runs", "show", action["automationRunId"])["actions"][0]["status"] == "claimed"


def test_a_result_must_be_an_object(automations: CommandLine) -> None:
    action = claimed(automations)
    for text in ("[]", "1", '"x"', "null", "{", "", '{"a":1,"a":2}'):
        words = ("queue", "complete", action["id"], "--runner", "r", "--result-json", text)
        assert automations.refused(*words, status=1)["code"] == "malformed_json"


def test_a_lease_must_be_a_lease(automations: CommandLine) -> None:
    for value in ("0", "-1", "86400001"):
        assert automations.refused("queue", "claim", "--lease-ms", value, status=2)["code"] == "usage"
        assert automations.refused("queue", "fail", "x", f"--retry-backoff-ms={value}", status=1 if value == "0" else 2)
