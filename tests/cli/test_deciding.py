"""What people type to decide and to try again: approvals, roles, dead letters, replays, and the record of all that."""

import json
from typing import Any

from command_line import CommandLine

GATED = {"mode": "manual", "count": 2, "roles": ["sre"], "reason": "Production", "expires": "4h"}


def create(automations: CommandLine, *steps: dict[str, Any], **keys: Any) -> None:
    """An automation `a` with these steps, started by hand."""
    document = {"schemaVersion": "1.0", "id": "a", "name": "a", "version": "1.0.0", "triggers": [{"kind": "manual"}]}
    path = automations.folder / "a.json"
    path.write_text(json.dumps({**document, "actions": list(steps), **keys}))
    automations.json("create", str(path))


def started(automations: CommandLine) -> str:
    """A new run of it, by ada."""
    return str(automations.json("--actor", "ada", "trigger", "a")["id"])


def worked(automations: CommandLine, verb: str, *words: str) -> str:
    """Claim the next action and report on it; its id."""
    claimed = automations.json("queue", "claim", "--runner", "r1")
    automations.json("queue", verb, claimed["id"], "--runner", "r1", *words)
    return str(claimed["id"])


def died(automations: CommandLine, code: str = "E") -> str:
    return worked(automations, "fail", "--code", code, "--message", "m", "--retryable", "false")


STEP = {"id": "one", "actionId": "x.one"}


def test_a_question_tells_who_asks_what_of_whom_until_when_and_ends_with_the_last_that_was_needed(
    automations: CommandLine,
) -> None:
    create(automations, {**STEP, "input": {"tag": "v1"}, "approval": GATED})
    run = started(automations)
    for name in ("bob", "eve"):
        assert automations("roles", "grant", name, "sre").out == f"{name} has the role sre\n"
    (asked,) = automations.json("approvals", "list")
    assert (asked["startedBy"], asked["missing"]) == ("ada", [{"count": 2, "roles": ["sre"]}])
    action = asked["id"]
    refused = automations.refused("--actor", "mallory", "approvals", "approve", action, status=1)
    assert refused["error"] == f"mallory has no role that queued action {action} still waits for: sre"
    assert automations.json("--actor", "bob", "approvals", "approve", action)["state"] == "waiting_approval"
    told = automations("approvals", "list").out
    for words in (
        "a / one: x.one",
        "Production",
        "by ada",
        run,
        '{"tag": "v1"}',
        "approved  bob (sre)",
        "needs     1 more (sre)",
    ):
        assert words in told, told
    assert "then it is rejected" in told
    assert automations.json("--actor", "eve", "queue", "approve", action)["status"] == "queued"
    again = automations.refused("--actor", "eve", "approvals", "approve", action, status=1)
    assert again["error"] == f"queued action approval decision is not pending: {action}"
    kinds = [each["action"] for each in automations.json("audit", "list", "--subject", action)]
    assert kinds == ["approval.approve", "approval.approve"]
    assert [each["subject"] for each in automations.json("audit", "list", "--action", "role.grant")] == ["eve", "bob"]
    assert automations.json("audit", "verify")["ok"]


def test_a_question_that_lapsed_is_asked_again_when_it_is_replayed(automations: CommandLine) -> None:
    create(automations, {**STEP, "approval": {"mode": "manual", "requiresApproval": True, "expires": "1ms"}})
    started(automations)
    (asked,) = automations.json("approvals", "list")
    assert "its time ran out" in automations.refused("approvals", "approve", asked["id"], status=1)["error"]
    told = automations("dlq", "replay", asked["id"]).out
    assert "its approval is asked for again; its run goes on" in told
    assert "back in the queue" not in told


def test_dead_letters_are_listed_by_what_is_known_of_them_shown_and_put_back_together(automations: CommandLine) -> None:
    create(automations, STEP)
    for _ in range(3):
        started(automations)
    first, second, third = died(automations, "TIMEOUT"), died(automations), died(automations, "TIMEOUT")
    late = automations.json("dlq", "list", "--error-code", "TIMEOUT")
    assert [each["id"] for each in late] == [first, third]
    page = automations("dlq", "list", "--automation", "a", "--limit", "2")
    assert page.err == f"more: automations dlq list --automation a --limit 2 --cursor {second}\n"
    assert [each["id"] for each in automations.json("dlq", "list", "--cursor", second)] == [third]
    automations.json("dlq", "replay", second, "--reason", "again")
    died(automations)
    told = automations("dlq", "show", second).out
    assert told.count("attempt 1 by r1") == 2
    assert "(dead-actions): again" in told
    filters = ("dlq", "replay", "--error-code", "TIMEOUT", "--since", "1h")
    assert automations.json(*filters, "--dry-run") == {"dryRun": True, "matched": 2, "ids": [first, third]}
    assert automations.refused(*filters, status=2)["hint"] == "add: --reason WHY; it is kept with every request"
    assert automations.refused(*filters, "--reason", "up again", status=4)["hint"].endswith("then add: --yes")
    done = automations.json(*filters, "--reason", "up again", "--yes")
    assert (done["matched"], sorted(done["replayed"]), done["skipped"]) == (2, sorted([first, third]), [])
    assert automations.refused("dlq", "replay", status=2)["error"] == "dlq replay requires an action id"


def test_a_run_is_replayed_with_a_mended_spec_or_made_anew(automations: CommandLine) -> None:
    create(automations, {**STEP, "input": {"n": "${{ vars.some / vars.none }}"}}, vars={"some": 1, "none": 0})
    run = started(automations)
    assert automations.json("runs", "show", run)["status"] == "failed"
    create(automations, {**STEP, "input": {"n": "${{ vars.some }}"}}, vars={"some": 1, "none": 0})
    shown = automations("runs", "replay", run, "--current", "--dry-run").out
    assert f"run {run} would be replayed: failed-actions" in shown
    assert automations.json("runs", "show", run)["status"] == "failed"
    found = automations.json("runs", "replay", run, "--current", "--reason", "mended")
    assert (found["status"], found["generation"]) == ("running", 2)
    worked(automations, "complete")
    made = automations.json("runs", "replay", run, "--mode", "entire-run")
    assert (made["replayOf"], made["generation"]) == (run, 2)
    told = automations("runs", "show", run).out
    assert "(failed-actions): mended" in told
    assert f"(entire-run, as run {made['runId']})" in told
    assert f"replay of   {run}" in automations("runs", "show", made["runId"]).out
    assert automations.refused("runs", "replay", status=2)["error"] == "runs replay requires a run id, or a filter"
    assert automations.refused("runs", "replay", run, "--mode", "all", status=2)["hint"].startswith("one of: failed-")


def test_many_runs_are_replayed_by_a_filter(automations: CommandLine) -> None:
    create(automations, STEP)
    runs = [started(automations) for _ in range(3)]
    for _ in runs:
        died(automations)
    words = ("runs", "replay", "--automation", "a", "--error-code", "E")
    assert automations.json(*words, "--dry-run") == {"dryRun": True, "matched": 3, "ids": runs}
    assert automations(*words, "--dry-run").out == "3 runs to replay: failed-actions\n"
    done = automations.json(*words, "--reason", "up again", "--yes")
    assert [each["runId"] for each in done["replayed"]] == runs
    ends = automations.json("audit", "list", "--action", "run.end")
    assert sorted(each["subject"] for each in ends) == sorted(runs)
