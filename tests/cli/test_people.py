"""What people are shown without --json: text, never a document; the words for how an action stands; what to do next."""

import json
from typing import Any

import pytest

from command_line import SPEC, CommandLine

ASKING = SPEC.replace(
    "    actionId: x.do\n", "    actionId: x.do\n    approval: {{mode: manual, requiresApproval: true}}\n"
)


def applied(automations: CommandLine, text: str = SPEC) -> str:
    """Apply a spec, start a run of it; its action's id."""
    bound(automations, text)
    return str(automations.send(1)["materialized"][0]["actions"][0]["id"])


def bound(automations: CommandLine, text: str) -> None:
    automations.write("a", text)
    assert automations("apply", "--auto-approve").status == 0


def failed_for_good(automations: CommandLine) -> str:
    identity = applied(automations)
    automations.json("queue", "claim", "--runner", "r")
    automations.json(
        "queue", "fail", identity, "--runner", "r", "--code", "E1", "--message", "no", "--retryable", "false"
    )
    return identity


def shown(automations: CommandLine, *words: str) -> str:
    """What a person reads; it is no JSON, and the document is there with --json."""
    ended = automations(*words)
    assert ended.status == 0, ended
    with pytest.raises(ValueError):  # noqa: PT011  # whatever json says
        json.loads(ended.out)
    return ended.out


def test_a_queued_action_is_a_card_with_what_happened_to_it(automations: CommandLine) -> None:
    identity = applied(automations)
    assert f"{identity}  a / only: x.do" in shown(automations, "queue", "show", identity)
    automations.json("queue", "claim", "--runner", "r")
    assert "state     claimed by r until 20" in shown(automations, "queue", "show", identity)
    automations.json("queue", "fail", identity, "--runner", "r", "--code", "E1", "--message", "no")
    text = shown(automations, "queue", "show", identity)
    assert "state     retrying, next attempt at 20" in text
    assert "attempt 1 by r (fence 1) failed: E1 no" in text


def test_an_action_that_was_given_up_says_after_what_and_how_to_try_again(automations: CommandLine) -> None:
    identity = failed_for_good(automations)
    for words in (("queue", "show"), ("dlq", "show")):
        text = shown(automations, *words, identity)
        assert "dead after 1 attempt: non-retryable action error: E1 no" in text
        assert f"automations dlq replay {identity} --reason WHY" in text
    (row,) = shown(automations, "dlq", "list").splitlines()[1:]
    assert row.split()[4:6] == ["dead", "1"]
    assert "back in the queue; its run goes on" in shown(automations, "dlq", "replay", identity)
    assert automations.json("queue", "show", identity)["status"] == "queued"


def test_a_lapsed_approval_that_is_replayed_is_said_to_be_asked_for_again(automations: CommandLine) -> None:
    identity = applied(automations, ASKING.replace("requiresApproval: true", "requiresApproval: true, expires: 1ms"))
    automations.refused("approvals", "approve", identity, status=1)
    text = shown(automations, "dlq", "replay", identity)
    assert "its approval is asked for again; its run goes on" in text
    assert "queue" not in text
    assert automations.json("queue", "show", identity)["state"] == "waiting_approval"


def test_a_rejected_action_is_told_apart_from_a_failed_one(automations: CommandLine) -> None:
    identity = applied(automations, ASKING)
    assert "decide    automations approvals approve" in shown(automations, "queue", "show", identity)
    assert "rejected by tester; it will never run" in shown(
        automations, "queue", "reject", identity, "--reason", "not today"
    )
    (row,) = shown(automations, "dlq", "list").splitlines()[1:]
    assert row.split()[4:] == ["rejected", "0", "not", "today"]
    for words in (("queue", "show"), ("dlq", "show")):
        text = shown(automations, *words, identity)
        assert "rejected by tester: not today" in text
        assert "it is not replayable" in text
    (run,) = automations.json("runs", "list")
    story = shown(automations, "runs", "show", run["id"])
    assert "rejected by tester: not today" in story
    assert "0 attempts" not in story
    record: dict[str, Any] = automations.json("dlq", "show", identity)
    assert (record["status"], record["state"]) == ("dead", "rejected")


def test_a_run_that_its_spec_failed_is_told_how_to_go_by_the_mended_one_and_keeps_its_story(
    automations: CommandLine,
) -> None:
    broken = SPEC.replace(
        "    actionId: x.do\n", "    actionId: x.do\n    input: {{n: '${{{{ event.data.nope }}}}'}}\n"
    )
    bound(automations, broken)
    automations.send(1)
    (run,) = automations.json("runs", "list")
    again = f"automations runs replay {run['id']}"
    told = automations("runs", "show", run["id"]).err
    assert f"{again} --current  (by the spec once that is mended; without it by generation 1 again)" in told
    bound(automations, broken.replace("nope", "number"))
    told = automations("runs", "show", run["id"]).err
    assert "(by today's spec, generation 2; without it by generation 1 again)" in told
    pinned = automations("runs", "replay", run["id"])
    assert pinned.err.endswith(f"by today's, 2: {again} --mode failed-actions --current\n")
    assert automations("runs", "replay", run["id"], "--current", "--reason", "mended").err == ""
    story = shown(automations, "runs", "show", run["id"]).split("what happened")[1]
    assert story.count('failed before any attempt: input: n: there is no key "nope"') == 2
    assert "replayed by tester (failed-actions, with generation 2): mended" in story
    assert automations.json("runs", "show", run["id"])["status"] == "running"
    assert automations("runs", "show", run["id"]).err == ""


def test_an_approval_and_a_cancel_of_the_queue_are_told_in_words(automations: CommandLine) -> None:
    identity = applied(automations, ASKING)
    assert "approved by tester; that was enough" in shown(automations, "queue", "approve", identity)
    assert "a / only: x.do: cancelled" in shown(automations, "queue", "cancel", identity)


def test_runtimes_and_a_test_of_a_route_are_told_in_words(automations: CommandLine) -> None:
    text = shown(automations, "runtimes")
    for each in automations.json("runtimes"):
        assert each["kind"] in text
        assert each["description"] in text
    assert "automations queue claim --runner" in text
    bound(automations, SPEC.replace("kind: event, source: test", "kind: webhook, source: test"))
    automations.json("webhooks", "create", "a", "--id", "hook", "--source", "test", "--type", "ticket")
    assert "a: run " in shown(automations, "webhooks", "test", "hook", "--body-json", '{"id": 7}')
