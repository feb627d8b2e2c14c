"""Parts of ids at the command line: wherever people type one, and nowhere in the protocol of runners."""

import pytest

from command_line import SPEC, CommandLine

ASKING = SPEC.replace(
    "    actionId: x.do\n", "    actionId: x.do\n    approval: {{mode: manual, requiresApproval: true}}\n"
)


@pytest.fixture
def started(automations: CommandLine) -> dict[str, str]:
    """A run that waits for an approval; its ids by what they are of."""
    automations.write("a", ASKING)
    assert automations("apply", "--auto-approve").status == 0
    answer = automations.send(1)["materialized"][0]
    (event,) = automations.json("events", "list")
    return {"run": answer["run"]["id"], "action": answer["actions"][0]["id"], "event": event["eventId"]}


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("runs show", "run"),
        ("runs cancel", "run"),
        ("events show", "event"),
        ("why", "event"),
        ("queue show", "action"),
        ("queue approve", "action"),
        ("queue reject", "action"),
        ("queue cancel", "action"),
        ("approvals approve", "action"),
        ("approvals reject", "action"),
    ],
)
def test_the_end_of_an_id_is_enough_for_people(
    automations: CommandLine, started: dict[str, str], words: str, kind: str
) -> None:
    assert automations(*words.split(), started[kind][-8:]).status == 0


def test_what_ended_is_found_by_the_end_of_its_id_too(automations: CommandLine, started: dict[str, str]) -> None:
    action = started["action"]
    automations.json("approvals", "approve", action)
    automations.json("queue", "claim", "--runner", "r")
    automations.json("queue", "fail", action, "--runner", "r", "--retryable", "false")
    assert automations.json("dlq", "show", action[-8:])["id"] == action
    assert automations.json("runs", "replay", started["run"][-8:], "--dry-run")["runId"] == started["run"]
    assert automations("runs", "watch", started["run"][-8:]).status == 1
    assert automations.json("dlq", "replay", action[-8:])["id"] == action


@pytest.mark.parametrize("verb", ["complete", "fail", "heartbeat", "release"])
def test_runners_say_the_whole_id(automations: CommandLine, started: dict[str, str], verb: str) -> None:
    automations.json("approvals", "approve", started["action"])
    automations.json("queue", "claim", "--runner", "r")
    refused = automations.refused("queue", verb, started["action"][-8:], "--runner", "r", status=1)
    assert refused["error"] == f"queued action not found: {started['action'][-8:]}"
