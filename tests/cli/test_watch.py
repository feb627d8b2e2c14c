"""`runs watch`: a run's moments as they come, and an exit status that says how it ended."""

import json

import pytest

from automations.core.run.queue import Failure, Holder
from automations.runtime import open_runtime
from automations.services.run.queue import Claim, Done, Undone
from automations.settings import load
from command_line import CommandLine


@pytest.fixture
def run(automations: CommandLine) -> str:
    """A run with one queued action."""
    automations.applied(["one"])
    return str(automations.send(1)["materialized"][0]["run"]["id"])


def end(*, well: bool) -> None:
    """A runner does its work, or cannot."""
    runtime = open_runtime(load())
    (row,) = runtime.queue.claim(Claim("r1"))
    if well:
        runtime.queue.complete(Done(row["id"], Holder("r1"), {"output": 1}))
    else:
        runtime.queue.fail(Undone(row["id"], Holder("r1"), Failure("NO", "never", retryable=False)))
    runtime.close()


def test_a_run_that_succeeded_is_told_once_and_ends_with_0(automations: CommandLine, run: str) -> None:
    end(well=True)
    ended = automations("runs", "watch", run)
    assert ended.status == 0
    told = [line.split("  ", 1)[1].strip() for line in ended.out.splitlines()]
    assert told[0].startswith("began: event test ticket e1")
    assert told[1] == "only              attempt 1 begins at r1"
    assert told[-1].startswith("succeeded after")
    assert len(told) == 4


def test_a_run_that_failed_ends_with_1_and_says_why(automations: CommandLine, run: str) -> None:
    end(well=False)
    ended = automations("runs", "watch", run)
    assert ended.status == 1
    assert "failed after" in ended.out
    assert "NO: never" in ended.out
    assert json.loads(automations("--json", "runs", "watch", run).out)["status"] == "failed"


def test_watching_everything_as_json_is_refused_with_the_next_step(automations: CommandLine) -> None:
    assert "runs list" in automations.refused("runs", "watch", status=2)["hint"]


def test_the_story_of_a_run_ends_with_what_happened(automations: CommandLine, run: str) -> None:
    end(well=False)
    lines = automations("runs", "show", run).out.splitlines()
    happened = lines[lines.index("  what happened") + 1 :]
    assert happened[-2].endswith("dead: non-retryable action error")
    assert "failed after" in happened[-1]
