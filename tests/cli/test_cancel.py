"""`runs cancel` and `queue cancel` as a person and a runner use them, and how states look on a terminal."""

import pytest

from command_line import SPEC, CommandLine


@pytest.fixture
def shared(automations: CommandLine) -> CommandLine:
    """An automation whose runs go on one after the other, with a `finally` step and a time for everything."""
    text = SPEC.format(id="one", type="ticket")
    text += (
        'concurrency: {key: "k-${{ event.data.number > 0 }}"}\ntimeout: 1h\nfinally: [{id: report, actionId: x.tell}]\n'
    )
    automations.specs.mkdir()
    (automations.specs / "one.yaml").write_text(text)
    automations.json("apply", "--auto-approve")
    return automations


def run_of(automations: CommandLine, number: int) -> str:
    return str(automations.send(number)["materialized"][0]["run"]["id"])


def test_a_run_is_cancelled_and_its_story_says_by_whom_and_why(shared: CommandLine) -> None:
    run = run_of(shared, 1)
    shared.json("queue", "claim", "--runner", "r")
    said = shared("runs", "cancel", run, "--reason", "wrong branch")
    assert said.status == 0
    assert "is being cancelled" in said.out
    story = shared("runs", "show", run).out
    assert "slot        k-true: one of 1, held" in story
    assert "stopped     cancelled by" in story
    assert "wrong branch" in story
    assert "asked to stop at" in story
    record = shared.json("runs", "cancel", run)
    assert (record["status"], record["stop"]["status"], record["stop"]["reason"]) == (
        "running",
        "cancelled",
        "wrong branch",
    )


def test_a_runner_hears_of_it_lets_go_and_then_the_run_ends(shared: CommandLine) -> None:
    run = run_of(shared, 1)
    action = shared.json("queue", "claim", "--runner", "r")
    shared.json("runs", "cancel", run)
    assert shared.json("queue", "heartbeat", action["id"], "--runner", "r")["cancelRequested"] is True
    refused = shared("queue", "complete", action["id"], "--runner", "r")
    assert (refused.status, "cannot complete cancelled queued action" in refused.err) == (1, True)
    assert shared.json("queue", "release", action["id"], "--runner", "r")["status"] == "cancelled"
    report = shared.json("queue", "claim", "--runner", "r")
    assert report["stepId"] == "report"
    shared.json("queue", "complete", report["id"], "--runner", "r")
    assert shared.json("runs", "show", run)["status"] == "cancelled"


def test_runs_in_line_are_listed_and_counted(shared: CommandLine) -> None:
    first, second = run_of(shared, 1), run_of(shared, 2)
    assert [each["id"] for each in shared.json("runs", "list", "--status", "pending")] == [second]
    record = shared.json("runs", "show", second)
    assert record["slot"] == {"key": "k-true", "limit": 1, "state": "waiting"}
    assert "deadlineAt" not in record
    assert "deadlineAt" in shared.json("runs", "show", first)
    assert shared.json("status")["counts"]["queuedActions"] == 4
    over = shared("runs", "cancel", second)
    assert (over.status, over.out.strip()) == (0, f"run {second}: cancelled")
    assert shared.json("status")["counts"]["queuedActions"] == 2


def test_one_action_is_cancelled(shared: CommandLine) -> None:
    run = run_of(shared, 1)
    action = shared.json("runs", "show", run)["actions"][0]["id"]
    record = shared.json("queue", "cancel", action, "--reason", "not this one")
    assert (record["status"], record["reason"], record["cancel"]["reason"]) == (
        "cancelled",
        "cancelled",
        "not this one",
    )
    refused = shared("runs", "cancel", run)
    assert (refused.status, "about to end" in refused.err) == (1, True)


@pytest.mark.parametrize(
    ("words", "said"), [(("runs", "cancel", "x"), "run not found"), (("queue", "cancel", "x"), "not found")]
)
def test_what_is_not_there_cannot_be_cancelled(shared: CommandLine, words: tuple[str, ...], said: str) -> None:
    ended = shared(*words)
    assert (ended.status, said in ended.err, "Traceback" in ended.err) == (1, True, False)


def test_every_cancel_is_audited(shared: CommandLine) -> None:
    run = run_of(shared, 1)
    shared.json("runs", "cancel", run, "--reason", "wrong branch")
    shared.json("runs", "cancel", run)
    entries = [each for each in shared.json("audit", "list") if each["action"] == "run.cancel"]
    assert [(each["subject"], each["detail"]["reason"]) for each in entries] == [(run, "wrong branch")]
