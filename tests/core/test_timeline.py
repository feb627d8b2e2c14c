"""A run's record as a story in order."""

from typing import Any

import pytest

from automations.core.instant import iso
from automations.core.run.replay import EARLIER
from automations.core.run.timeline import lasted, timeline


def at(second: float) -> str:
    return f"2026-11-26T10:00:{second:06.3f}Z"


def action(step: str, status: str, **keys: Any) -> dict[str, Any]:
    return {"stepId": step, "status": status, "attempt": 0, "attempts": [], **keys}


def run(*actions: dict[str, Any], **keys: Any) -> dict[str, Any]:
    given = {"createdAt": at(0), "status": "running", "trigger": {"kind": "manual"}, "actions": list(actions)}
    return {**given, "metadata": {"startedBy": "ada"}, **keys}


def told(record: dict[str, Any]) -> list[str]:
    return [f"{each.step or '-'} {each.text}" for each in timeline(record)]


def test_a_run_is_told_from_what_began_it_to_how_it_ended() -> None:
    failed = {"attempt": 1, "runner": "r1", "startedAt": at(1), "endedAt": at(2.5), "outcome": "failed"}
    failed["error"] = {"code": "HTTP_503", "message": "try later"}
    done = action(
        "call", "succeeded", attempt=1, attempts=[failed], claimedAt=at(4), claimedBy="r2", completedAt=at(4.2)
    )
    record = run(done, status="succeeded", completedAt=at(4.2))
    assert told(record) == [
        "- began: by ada",
        "call attempt 1 begins at r1",
        "call attempt 1 failed after 1.5 s: HTTP_503: try later",
        "call attempt 2 begins at r2",
        "call attempt 2 succeeded after 200 ms",
        "- succeeded after 4.2 s",
    ]


def test_what_failed_before_a_replay_stays_in_the_story_with_the_replay() -> None:
    error = {"code": "EXPRESSION_ERROR", "message": "there is no key"}
    metadata = {"startedBy": "ada", EARLIER: [{"stepId": "call", "at": at(1), "error": error}]}
    replay = {"requestedAt": at(5), "requestedBy": "bob", "mode": "failed-actions", "generation": 2, "reason": "mended"}
    made = {"requestedAt": at(6), "requestedBy": "bob", "mode": "entire-run", "madeRunId": "r2"}
    assert told(run(action("call", "queued"), metadata=metadata, replays=[replay, made])) == [
        "- began: by ada",
        "call failed before any attempt: there is no key",
        "- replayed by bob (failed-actions, with generation 2): mended",
        "- replayed by bob (entire-run, as run r2)",
    ]


def test_who_approved_is_told_and_how_many_were_needed() -> None:
    decision = {"requestedAt": at(1), "status": "pending", "approvals": [{"by": "ada", "at": at(2)}]}
    gate = {"requirement": {"count": 2, "reason": "money", "roles": ["sre"]}, "decision": decision}
    assert told(run(action("pay", "queued", state="waiting_approval", approvalGate=gate)))[1:] == [
        "pay asks for the approval of 2 people with a role of sre (money)",
        "pay approved by ada (1 of 2)",
    ]


def test_who_rejected_and_why_is_told() -> None:
    decision = {"requestedAt": at(1), "status": "rejected", "decidedAt": at(3), "reason": "too dear"}
    gate = {"requirement": {}, "decision": {**decision, "metadata": {"decidedBy": "bob"}}}
    letter = {"reason": "too dear"}
    rejected = action("pay", "dead", state="rejected", approvalGate=gate, deadLetter=letter, completedAt=at(3))
    assert told(run(rejected))[1:] == ["pay asks for the approval of one person", "pay rejected by bob: too dear"]


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"status": "skipped", "reason": "when"}, "skipped: its `when` is false"),
        ({"status": "skipped", "reason": "upstream_failed"}, "skipped: a step before it failed"),
        ({"status": "cancelled", "reason": "by ada"}, "cancelled: by ada"),
        (
            {"status": "failed", "error": {"message": "input: no such key"}},
            "failed before any attempt: input: no such key",
        ),
        ({"status": "dead", "deadLetter": {"reason": "poison"}}, "dead: poison"),
    ],
)
def test_a_step_that_did_not_run_says_why(keys: dict[str, Any], sentence: str) -> None:
    assert told(run(action("one", **keys, completedAt=at(1))))[1:] == [f"one {sentence}"]


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"event": {"source": "gh", "type": "push", "id": "e1"}, "trigger": {"kind": "webhook"}}, "webhook gh push e1"),
        ({"replayOf": "r0"}, "a replay of r0"),
        (
            {"metadata": {"schedule": {"trigger": "0", "nominalTime": at(0), "localTime": "11:00"}}},
            f"schedule 0 for {at(0)} (11:00)",
        ),
    ],
)
def test_what_began_a_run_is_named(keys: dict[str, Any], sentence: str) -> None:
    assert told(run(**keys)) == [f"- began: {sentence}"]


def test_a_run_that_waits_or_was_told_to_end_says_so() -> None:
    waiting = run(status="pending", slot={"key": "prod", "limit": 1, "state": "waiting"})
    assert told(waiting) == ["- began: by ada", "- waits for one of 1 slots of prod"]
    stop = {"status": "cancelled", "by": "bob", "reason": "wrong tag", "at": at(2)}
    assert told(run(stop=stop))[1:] == ["- told to end, cancelled by bob: wrong tag"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.35, "350 ms"), (59.94, "59.9 s"), (125, "2 min 5 s"), (7260, "2 h 1 min"), (-5, "0 ms")]
)
def test_a_time_is_said_as_people_say_it(seconds: float, text: str) -> None:
    base = 1_700_000_000_000_000
    assert lasted(iso(base), iso(base + int(seconds * 1_000_000))) == text
