"""What the original said and did, where we promise the same: words of errors, spellings of options, shapes of answers.

Not kept, by decision: status 1 for a command line that was not understood (it is 2), a JSON parser's own messages, database
messages, and runs without actions.
"""

import json
from typing import Any

import pytest

from automations import __version__
from automations.core.instant import parse_iso
from command_line import CommandLine
from compat.record_shapes import ACTION, AUTOMATION, EVENT, MATERIALIZED, ROUTE, SIMULATED, STATUS, conforms

USAGE, FAILED = 2, 1
BAD_ID = (
    "must start with an alphanumeric character and contain only letters, numbers, dots, underscores, colons, or dashes"
)

Q: dict[str, Any] = {
    "schemaVersion": "1.0",
    "id": "q",
    "name": "q",
    "version": "1",
    "triggers": [{"kind": "event", "source": "s", "type": "t"}],
    "actions": [
        {"id": "a", "actionId": "x.one"},
        {"id": "b", "actionId": "x.two", "dependsOn": ["a"]},
        {"id": "c", "actionId": "x.three", "approval": {"requiresApproval": True, "reason": "money"}},
    ],
    "status": "active",
}
WH: dict[str, Any] = {**Q, "id": "wh", "triggers": [{"kind": "webhook"}], "actions": [{"id": "a", "actionId": "x.one"}]}


def send(automations: CommandLine, event_id: str = "e1", spec: Any = Q, **keys: Any) -> dict[str, Any]:
    """`simulate --persist`; the one run's actions by step."""
    event = json.dumps({"id": event_id, "source": "s", "type": "t", **keys})
    found = automations.json("simulate", "-", "--persist", "--event-json", event, stdin=json.dumps(spec).encode())
    (made,) = conforms(found, [MATERIALIZED])
    return {action["stepId"]: action for action in made["actions"]}


def claim(automations: CommandLine, runner: str = "r1") -> Any:
    """`queue claim`."""
    return automations.json("queue", "claim", "--runner", runner)


def route(automations: CommandLine, *words: str) -> dict[str, Any]:
    """A route of `wh`, which is created first."""
    automations.json("create", "-", stdin=json.dumps(WH).encode())
    made: dict[str, Any] = automations.json("webhooks", "create", "wh", "--source", "gh", "--type", "push", *words)
    return made


# The command line itself


@pytest.mark.parametrize(
    "line", ["", "--help", "help", "-h", "--json", "queue", "webhooks", "dlq", "spec", "queue --help"]
)
def test_help_is_printed_and_is_no_failure(automations: CommandLine, line: str) -> None:
    ended = automations(*line.split())
    assert (ended.status, ended.err, ended.out[:6]) == (0, "", "Usage:")


@pytest.mark.parametrize("line", ["--version", "-v", "version"])
def test_the_version_is_one_word(automations: CommandLine, line: str) -> None:
    assert automations(line).out == f"{__version__}\n"
    assert automations.json(line) == {"version": __version__}


@pytest.mark.parametrize("line", ["--json status", "-j status", "status --json", "status -j", "--json init", "-j init"])
def test_json_may_be_asked_for_before_and_after(automations: CommandLine, line: str) -> None:
    ended = automations(*line.split())
    assert (ended.status, ended.err) == (0, "")
    conforms(ended.document, STATUS)


@pytest.mark.parametrize(
    "line",
    ["--dir other --json status", "--dir=other --json status", "--json status --dir other", "status -j --dir=other"],
)
def test_the_data_root_may_be_named_before_and_after(automations: CommandLine, line: str) -> None:
    assert automations(*line.split()).document["dataDir"] == str(automations.folder / "other")


def test_without_json_a_failure_is_one_line_with_a_next_step(automations: CommandLine) -> None:
    ended = automations("queue", "complete", "nope")
    assert (ended.status, ended.out) == (FAILED, "")
    assert ended.err.splitlines()[0] == "automations: queued action not found: nope"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("queue complete", "queue complete requires an action id"),
        ("queue fail", "queue fail requires an action id"),
        ("queue approve", "queue approve requires an action id"),
        ("queue reject", "queue reject requires an action id"),
        ("queue approve --json", "queue approve requires an action id"),
        ("dlq replay", "dlq replay requires an action id"),
        ("webhooks create", "webhooks create requires an automation id"),
        ("webhooks create wh", "webhooks create requires --source"),
        ("webhooks create wh --source s", "webhooks create requires --type"),
        ("webhooks show", "webhooks show requires a route id or path"),
        ("webhooks enable", "webhooks enable requires a route id or path"),
        ("webhooks disable", "webhooks disable requires a route id or path"),
        ("webhooks archive", "webhooks archive requires a route id or path"),
        ("webhooks event", "webhooks event requires a route id or path"),
        ("webhooks test", "webhooks test requires a route id or path"),
        ("webhooks rotate-secret", "webhooks rotate-secret requires a route id or path"),
        ("webhooks rotate-secret x", "webhooks rotate-secret requires --secret-ref"),
        ("queue claim --runner", "--runner requires a value"),
        ("simulate a.json --event-json", "--event-json requires a value"),
    ],
)
def test_what_a_command_lacks_is_said_in_the_originals_words(automations: CommandLine, line: str, said: str) -> None:
    assert automations.refused(*line.split(), status=USAGE)["error"] == said


@pytest.mark.parametrize("line", ["bogus", "spec bogus", "queue bogus", "dlq bogus", "webhooks bogus"])
def test_an_unknown_command_is_named(automations: CommandLine, line: str) -> None:
    assert "'bogus'" in automations.refused(*line.split(), status=USAGE)["error"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("run --interval-ms 5", "--interval-ms must be at least 100"),
        ("run --once --interval-ms 5000 --ttl-ms 100", "--ttl-ms must be greater than or equal to --interval-ms"),
        ("serve --port 70000", "--port must be an integer from 0 to 65535"),
        ("serve --max-body-bytes 0", "--max-body-bytes must be a positive integer"),
        ("serve --host=", "--host is required"),
        ("serve --interval-ms=5", "--interval-ms must be at least 100"),
    ],
)
def test_the_daemon_refuses_odd_options_in_one_line(automations: CommandLine, line: str, said: str) -> None:
    ended = automations(*line.split(), daemon=True)
    assert (ended.status, ended.out, ended.err.splitlines()[0]) == (USAGE, "", f"automations-daemon: {said}")


# Specs


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ({"schemaVersion": "2.0"}, "unsupported automation schemaVersion: 2.0"),
        ({"id": ""}, f"automation id {BAD_ID}"),
        ({"id": "-x"}, f"automation id {BAD_ID}"),
        ({"id": "a b"}, f"automation id {BAD_ID}"),
        ({"name": ""}, "automation name is required"),
        ({"version": ""}, "automation version is required"),
        ({"status": "zzz"}, "unsupported automation status: zzz"),
        ({"status": 7}, "unsupported automation status: 7"),
        ({"triggers": []}, "automation requires at least one trigger"),
        ({"triggers": [{"kind": "zzz"}]}, "unsupported automation trigger kind: zzz"),
        ({"actions": []}, "automation requires at least one action step"),
        ({"actions": [{"id": "a"}]}, "automation action step a requires a valid actionId"),
        ({"actions": [{"id": "a", "actionId": "bad id"}]}, "automation action step a requires a valid actionId"),
        ({"actions": [{"id": "", "actionId": "x"}]}, f"automation action step id {BAD_ID}"),
        ({"actions": [{"id": "a", "actionId": "x"}] * 2}, "duplicate automation action step id: a"),
        (
            {"actions": [{"id": "a", "actionId": "x", "dependsOn": ["zzz"]}]},
            "automation action step a depends on unknown step: zzz",
        ),
        (
            {"actions": [{"id": "a", "actionId": "x", "dependsOn": ["a"]}]},
            "automation action step a cannot depend on itself",
        ),
    ],
)
def test_a_bad_spec_is_refused_in_the_originals_words(
    automations: CommandLine, override: dict[str, Any], said: str
) -> None:
    text = json.dumps({**Q, **override}).encode()
    ended = automations("--json", "validate", "-", stdin=text)
    assert (ended.status, ended.err) == (FAILED, "")
    assert (ended.document["valid"], said in ended.document["errors"]) == (False, True)
    diagnostic = ended.document["diagnostics"][0]
    assert set(diagnostic) - {"hint"} == {"code", "severity", "message", "file", "line", "column", "path"}
    refused = automations("--json", "create", "-", stdin=text)
    assert (refused.status, refused.out) == (FAILED, "")
    assert json.loads(refused.err)["error"] in ended.document["errors"]


@pytest.mark.parametrize(
    "override",
    [
        {"id": 12},
        {"name": 5},
        {"triggers": [{"kind": "event", "filter": "text"}]},
        {"actions": [{"id": "a", "actionId": "x", "when": 5}]},
        {"concurrency": "x"},
        {"unknownField": 1},
        {
            "actions": [
                {"id": "a", "actionId": "x", "dependsOn": ["b"]},
                {"id": "b", "actionId": "x", "dependsOn": ["a"]},
            ]
        },
    ],
)
def test_what_the_original_let_through_unread_is_refused_here(
    automations: CommandLine, override: dict[str, Any]
) -> None:
    ended = automations("--json", "validate", "-", stdin=json.dumps({**Q, **override}).encode())
    assert (ended.status, ended.document["valid"]) == (FAILED, False)


def test_validate_answers_on_stdout_whatever_the_verdict(automations: CommandLine) -> None:
    automations.folder.joinpath("a.json").write_text(json.dumps(Q))
    ended = automations("validate", "a.json")
    assert (ended.status, ended.out.splitlines()[-1]) == (0, "valid")
    assert automations.json("validate", "a.json")["spec"] == Q
    assert automations.json("validate", "-", stdin=json.dumps(Q).encode())["valid"] is True
    automations.folder.joinpath("bad.json").write_text("{bad")
    ended = automations("validate", "bad.json")
    assert (ended.status, ended.err, ended.out.splitlines()[-1][:8]) == (FAILED, "", "invalid:")


def test_create_takes_a_file_or_standard_input_and_updates(automations: CommandLine) -> None:
    automations.folder.joinpath("a.json").write_text(json.dumps(Q))
    first = conforms(automations.json("create", "a.json"), AUTOMATION)
    other = conforms(automations.json("create", "-", stdin=json.dumps({**Q, "id": "viastdin"}).encode()), AUTOMATION)
    renamed = automations.json("create", "-", stdin=json.dumps({**Q, "name": "new"}).encode())
    assert (renamed["id"], renamed["createdAt"], renamed["spec"]["name"]) == ("q", first["createdAt"], "new")
    assert [each["id"] for each in automations.json("list")] == ["q", other["id"]]
    assert automations.refused("create", "missing.json", status=FAILED)["error"].startswith("missing.json")


# Simulate


def test_simulate_makes_an_event_up_from_the_first_trigger(automations: CommandLine) -> None:
    shown = conforms(automations.json("simulate", "-", stdin=json.dumps(Q).encode()), SIMULATED)
    assert (shown["event"]["id"], shown["event"]["source"], shown["event"]["type"]) == ("sim_q", "s", "t")
    assert [each["idempotencyKey"] for each in shown["actions"]] == ["q:sim_q:a", "q:sim_q:b", "q:sim_q:c"]


def test_simulate_shows_the_run_also_of_an_event_that_would_start_none_and_says_so(automations: CommandLine) -> None:
    words = ("simulate", "-", "--event-json", '{"id": "e", "source": "s", "type": "other"}')
    shown = conforms(automations.json(*words, stdin=json.dumps(Q).encode()), SIMULATED)
    assert (shown["event"]["type"], shown["fires"]) == ("other", False)
    assert automations.json(*words, "--persist", stdin=json.dumps(Q).encode()) == []


def test_the_same_event_again_is_answered_with_the_same_run(automations: CommandLine) -> None:
    first = send(automations, "e1")
    assert {step: each["id"] for step, each in send(automations, "e1").items()} == {
        step: each["id"] for step, each in first.items()
    }
    assert send(automations, "e2", dedupeKey="e1")["a"]["id"] == first["a"]["id"]
    assert send(automations, "e2")["a"]["id"] != first["a"]["id"]


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ('{"id": "e", "source": "s", "type": "t", "time": "garbage"}', "event time is not an RFC 3339 time"),
        ('{"source": "s", "type": "t"}', "event id is missing"),
        ('{"id": "e", "source": "s", "type": "t", "dedupeKey": ""}', "event dedupeKey must not be empty"),
    ],
)
def test_a_bad_event_is_a_clear_error_that_starts_nothing(automations: CommandLine, event: str, said: str) -> None:
    words = ("simulate", "-", "--persist", "--event-json", event)
    assert automations.refused(*words, status=FAILED, stdin=json.dumps(Q).encode())["error"] == said
    assert automations.json("status")["counts"]["runs"] == 0


def test_an_event_of_the_future_is_worked_on_now(automations: CommandLine) -> None:
    made = send(automations, "e1", time="2999-01-01T00:00:00Z")
    assert claim(automations)["id"] == made["a"]["id"]


@pytest.mark.parametrize("status", ["paused", "archived"])
def test_an_automation_that_is_not_active_starts_nothing(automations: CommandLine, status: str) -> None:
    words = ("simulate", "-", "--persist", "--event-json", '{"id": "e", "source": "s", "type": "t"}')
    assert automations.json(*words, stdin=json.dumps({**Q, "status": status}).encode()) == []


# The queue


def test_a_new_run_shows_its_steps_as_the_original_did(automations: CommandLine) -> None:
    made = send(automations)
    assert {step: each["status"] for step, each in made.items()} == {"a": "queued", "b": "queued", "c": "queued"}
    gate = made["c"]["approvalGate"]
    assert gate["requirement"]["reason"] == "money"
    assert (gate["blockedUntilApproved"], gate["decision"]["status"]) == (True, "pending")
    assert "approvalGate" not in made["a"]


def test_dependencies_and_approvals_are_honoured(automations: CommandLine) -> None:
    made = send(automations)
    assert claim(automations)["id"] == made["a"]["id"]
    assert claim(automations, "r2") is None
    automations.json("queue", "complete", made["a"]["id"], "--runner", "r1")
    assert claim(automations)["id"] == made["b"]["id"]
    assert claim(automations) is None
    approved = conforms(automations.json("queue", "approve", made["c"]["id"]), ACTION)
    assert (approved["status"], approved["approvalGate"]["blockedUntilApproved"]) == ("queued", False)
    assert approved["approvalGate"]["decision"]["metadata"] == {"decidedBy": "tester"}
    assert claim(automations)["id"] == made["c"]["id"]


def test_completion_is_the_holders_alone(automations: CommandLine) -> None:
    action = send(automations)["a"]["id"]
    refused = [
        (("complete", "nope"), "queued action not found: nope"),
        (("complete", action, "--runner", "r1"), f"queued action is not claimed: {action}"),
    ]
    for words, said in refused:
        assert automations.refused("queue", *words, status=FAILED)["error"] == said
    claim(automations)
    for verb in ("complete", "fail"):
        said = f"queued action {action} is claimed by r1, not r2"
        assert automations.refused("queue", verb, action, "--runner", "r2", status=FAILED)["error"] == said
    said = automations.refused("queue", "complete", action, status=FAILED)["error"]
    assert said.startswith(f"queued action {action} is claimed by r1, not cli:")
    words = ("queue", "complete", action, "--runner=r1", '--result-json={"ok":true,"output":{"n":1}}')
    done = conforms(automations.json(*words), ACTION)
    assert (done["status"], done["result"]) == ("succeeded", {"ok": True, "output": {"n": 1}})
    for verb in ("complete", "fail"):
        error = automations.refused("queue", verb, action, "--runner", "r1", status=FAILED)["error"]
        assert error == f"cannot {verb} terminal queued action: {action}"


def test_failures_wait_as_long_as_in_the_original_or_half_of_it(automations: CommandLine) -> None:
    action = send(automations)["a"]["id"]
    for attempt, words, (least, most) in (
        (1, ("--retry-backoff-ms", "0"), (0, 0)),
        (2, (), (1_000_000, 2_000_000)),
    ):
        assert claim(automations)["id"] == action
        failed = conforms(automations.json("queue", "fail", action, "--runner", "r1", *words), ACTION)
        waits = parse_iso(failed["availableAt"]) - parse_iso(failed["updatedAt"])
        assert (failed["status"], failed["attempt"]) == ("retrying", attempt)
        assert least <= waits <= most
        assert failed["error"] == {"code": "ACTION_FAILED", "message": "Action failed", "retryable": True}
    assert claim(automations) is None


def test_three_attempts_are_the_default_and_then_it_is_dead(automations: CommandLine) -> None:
    action = send(automations)["a"]["id"]
    for attempt in (1, 2, 3):
        claim(automations)
        words = ("queue", "fail", action, "--runner", "r1", "--code", "E1", "--message", "m", "--retry-backoff-ms=0")
        failed = conforms(automations.json(*words), ACTION)
        assert failed["attempt"] == attempt
    error = {"code": "E1", "message": "m", "retryable": True}
    letter = failed["deadLetter"]
    assert (failed["status"], letter["reason"], letter["lastError"]) == ("dead", "max attempts exceeded", error)
    assert (letter["attempts"], letter["replayable"]) == (3, True)


def test_an_error_that_cannot_be_retried_is_dead_at_once(automations: CommandLine) -> None:
    action = send(automations)["a"]["id"]
    claim(automations)
    dead = automations.json("queue", "fail", action, "--runner", "r1", "--retryable", "false")
    assert (dead["status"], dead["deadLetter"]["reason"]) == ("dead", "non-retryable action error")
    assert dead["error"]["retryable"] is False


def test_dead_letters_are_replayed_once_and_recorded(automations: CommandLine) -> None:
    action = send(automations)["a"]["id"]
    assert automations.json("dlq", "list") == []
    assert automations.refused("dlq", "replay", "nope", status=FAILED)["error"] == "queued action not found: nope"
    said = f"queued action is not dead: {action}"
    assert automations.refused("dlq", "replay", action, status=FAILED)["error"] == said
    claim(automations)
    automations.json("queue", "fail", action, "--runner", "r1", "--retryable=false")
    assert [each["id"] for each in conforms(automations.json("dlq", "list"), [ACTION])] == [action]
    assert automations.json("status")["counts"]["deadActions"] == 1
    back = conforms(automations.json("dlq", "replay", action), ACTION)
    assert (back["status"], back["attempt"]) == ("queued", 0)
    assert automations.json("dlq", "list") == []
    assert automations.json("status")["counts"]["replayRequests"] == 1
    assert claim(automations, "r9")["id"] == action


def test_decisions_are_refused_in_the_originals_words(automations: CommandLine) -> None:
    made = send(automations)
    plain, gated = made["a"]["id"], made["c"]["id"]
    for verb in ("approve", "reject"):
        for identity, said in (
            ("nope", "queued action not found: nope"),
            (plain, f"queued action has no approval gate: {plain}"),
        ):
            assert automations.refused("queue", verb, identity, status=FAILED)["error"] == said
    automations.json("queue", "approve", gated)
    pending = f"queued action approval decision is not pending: {gated}"
    for verb in ("approve", "reject"):
        assert automations.refused("queue", verb, gated, status=FAILED)["error"] == pending
    claim(automations)
    assert claim(automations)["id"] == gated
    said = automations.refused("queue", "approve", gated, status=FAILED)["error"]
    assert said == f"cannot approve claimed queued action: {gated}"


def test_a_rejected_action_is_dead_for_good(automations: CommandLine) -> None:
    action = send(automations)["c"]["id"]
    rejected = conforms(automations.json("queue", "reject", action, "--reason", "too dear"), ACTION)
    decision, letter = rejected["approvalGate"]["decision"], rejected["deadLetter"]
    assert (rejected["status"], decision["status"], decision["reason"]) == ("dead", "rejected", "too dear")
    assert (letter["reason"], letter["attempts"], letter["replayable"]) == ("too dear", 0, False)
    assert letter["metadata"] == {"approvalDecisionId": decision["id"]}
    for words, said in (
        (("queue", "reject"), "cannot reject terminal queued action"),
        (("queue", "approve"), "cannot approve terminal queued action"),
        (("dlq", "replay"), "queued action is not replayable"),
    ):
        assert automations.refused(*words, action, status=FAILED)["error"] == f"{said}: {action}"


# Webhook routes


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--id", "bad id"), f"webhook route id {BAD_ID}"),
        (("--id", "p1", "--path", "nolead"), "webhook route path must start with /"),
        (("--id", "p1", "--path", "/a?b"), "webhook route path must not include query or fragment"),
        (("--id", "p1", "--path", "/a/../b"), "webhook route path must not contain .."),
        (("--secret-ref", "plain"), "webhook signature secretRef must be a secret:// reference"),
        (
            ("--secret-ref", "secret://x", "--signature-encoding", "rot13"),
            "unsupported webhook signature encoding: rot13",
        ),
    ],
)
def test_a_bad_route_is_refused_in_the_originals_words(
    automations: CommandLine, words: tuple[str, ...], said: str
) -> None:
    automations.json("create", "-", stdin=json.dumps(WH).encode())
    full = ("webhooks", "create", "wh", "--source", "gh", "--type", "push", *words)
    assert automations.refused(*full, status=FAILED)["error"] == said
    assert automations.json("webhooks", "list") == []


def test_a_route_needs_an_automation(automations: CommandLine) -> None:
    words = ("webhooks", "create", "nope", "--source", "s", "--type", "t")
    assert automations.refused(*words, status=FAILED)["error"] == "automation not found: nope"


def test_a_routes_options_become_its_mapping_and_signature(automations: CommandLine) -> None:
    made = conforms(
        route(
            automations, "--id", "pfx", "--path", "/webhooks//pfx/", "--subject=x", "--subject-path", "sub", "--data-path",
            "data", "--id-path=id", "--time-path=time", "--dedupe-key-path=meta.key", "--dedupe-key-header=X-Key",
            "--secret-ref", "secret://a/pfx", "--signature-header", "X-Hub-Signature-256", "--signature-prefix", "sha256=",
            "--signature-encoding", "hex",
        ),
        ROUTE,
    )  # fmt: skip
    assert (made["path"], made["status"], made["automationId"]) == ("/webhooks/pfx", "active", "wh")
    assert made["mapping"] == {
        "source": "gh", "type": "push", "subject": "x", "subjectPath": "sub", "dataPath": "data", "idPath": "id",
        "timePath": "time", "dedupeKeyPath": "meta.key", "dedupeKeyHeader": "X-Key",
    }  # fmt: skip
    assert made["signature"] == {
        "algorithm": "hmac-sha256", "secretRef": "secret://a/pfx", "header": "X-Hub-Signature-256", "encoding": "hex",
        "prefix": "sha256=",
    }  # fmt: skip


def test_a_route_without_an_id_gets_one_and_its_path(automations: CommandLine) -> None:
    made = conforms(route(automations), ROUTE)
    assert made["path"] == f"/webhooks/{made['id']}"
    assert "signature" not in made


def test_a_route_made_again_is_replaced_and_keeps_its_age(automations: CommandLine) -> None:
    first = route(automations, "--id", "bare")
    again = automations.json("webhooks", "create", "wh", "--source", "S2", "--type", "t2", "--id", "bare")
    assert (again["createdAt"], again["mapping"]) == (first["createdAt"], {"source": "S2", "type": "t2"})
    assert [each["id"] for each in automations.json("webhooks", "list")] == ["bare"]


def test_a_path_in_use_is_named_with_its_route(automations: CommandLine) -> None:
    route(automations, "--id", "one", "--path", "/hooks/x")
    words = ("webhooks", "create", "wh", "--source", "s", "--type", "t", "--id", "two", "--path", "/hooks/x")
    assert "in use by one" in automations.refused(*words, status=FAILED)["error"]


def test_routes_go_through_their_states_by_id_or_path(automations: CommandLine) -> None:
    route(automations, "--id", "bare")
    assert automations.json("webhooks", "show", "/webhooks/bare") == automations.json("webhooks", "show", "bare")
    for verb, status in (("disable", "disabled"), ("archive", "archived"), ("enable", "active")):
        assert conforms(automations.json("webhooks", verb, "/webhooks/bare"), ROUTE)["status"] == status
        said = automations.refused("webhooks", verb, "nope", status=FAILED)["error"]
        assert said == "webhook route not found: nope"
        if status != "active":
            for try_it in ("test", "event"):
                error = automations.refused("webhooks", try_it, "bare", status=FAILED)["error"]
                assert error == "webhook route is not active: bare"


def test_a_secret_is_rotated_only_where_there_is_one(automations: CommandLine) -> None:
    route(automations, "--id", "open")
    signed = route(automations, "--id", "signed", "--secret-ref", "secret://old")
    for name, ref, said in (
        ("nope", "secret://q", "webhook route not found: nope"),
        ("open", "secret://q", "webhook route has no signature config: open"),
        ("signed", "bad", "webhook signature secretRef must be a secret:// reference"),
    ):
        words = ("webhooks", "rotate-secret", name, "--secret-ref", ref)
        assert automations.refused(*words, status=FAILED)["error"] == said
    rotated = conforms(automations.json("webhooks", "rotate-secret", "signed", "--secret-ref=secret://new/ref"), ROUTE)
    assert rotated["signature"] == {**signed["signature"], "secretRef": "secret://new/ref"}


@pytest.mark.parametrize("header", ["X-Key:k1", "X-Key=k1", "x-key: k1", "X-KEY=k1"])
def test_a_header_may_be_written_with_a_colon_or_an_equals_sign(automations: CommandLine, header: str) -> None:
    route(automations, "--id", "keyed", "--data-path", "data", "--dedupe-key-header", "X-Key")
    for words in (("--header", header), (f"--header={header}",)):
        event = automations.json("webhooks", "event", "keyed", '--body-json={"data":{"p":1}}', *words)
        assert (event["id"], event["dedupeKey"]) == ("webhook:keyed:k1", "k1")
        assert set(conforms(event, {**EVENT, "metadata": dict})) == {
            "id", "source", "type", "time", "data", "dedupeKey", "metadata",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--header", "noval"), "invalid header option: noval"),
        (("--body-json", "[1]"), "webhook payload must be a JSON object"),
        (("--body-json", '{"data":5}'), "webhook route dataPath must resolve to a JSON object: data"),
    ],
)
def test_a_request_that_cannot_be_mapped_is_refused_in_the_originals_words(
    automations: CommandLine, words: tuple[str, ...], said: str
) -> None:
    route(automations, "--id", "mapped", "--data-path", "data")
    for verb in ("event", "test"):
        assert automations.refused("webhooks", verb, "mapped", *words, status=FAILED)["error"] == said
    assert automations.json("status")["counts"]["runs"] == 0


def test_json_that_is_none_is_an_error_with_its_place(automations: CommandLine) -> None:
    route(automations, "--id", "mapped")
    for line in (
        ("webhooks", "event", "mapped", "--body-json", "{bad"),
        ("queue", "complete", "x", "--result-json", "{bad"),
        ("simulate", "-", "--event-json", "{bad"),
    ):
        error = automations.refused(*line, status=FAILED, stdin=json.dumps(Q).encode())
        assert (error["code"], "line 1" in error["error"]) == ("malformed_json", True)


def test_a_webhook_tried_twice_is_one_run(automations: CommandLine) -> None:
    route(automations, "--id", "w", "--data-path", "data")
    words = ("webhooks", "test", "w", "--body-json", '{"data":{"p":1}}')
    first, second = automations.json(*words), automations.json(*words)
    digest = "dee5175965a74f53275018021fdc784c2a02aa9a4d0be256d39885dbc07fb909"
    assert first["event"]["dedupeKey"] == f"body-sha256:{digest}"
    assert first["event"]["metadata"]["webhook"]["rawBodySha256"] == digest
    assert first["materialized"][0]["run"]["idempotencyKey"] == f"wh:body-sha256:{digest}"
    assert second["materialized"] == first["materialized"]
