"""Manifests of open-actions load unchanged and run; envelopes of open-events are taken in unchanged."""

import json
from typing import Any

import pytest
import yaml

from command_line import CommandLine

PROGRAM = """
import json, os, sys
name = json.loads(sys.stdin.readline())["name"]
assert sys.stdin.read() == ""
print(json.dumps({
    "message": name.upper(),
    "run": os.environ["OPEN_ACTIONS_RUN_ID"],
    "action": os.environ["OPEN_ACTIONS_ACTION_ID"],
    "version": os.environ["OPEN_ACTIONS_ACTION_VERSION"],
    "dry": os.environ["OPEN_ACTIONS_DRY_RUN"],
    "input": os.environ.get("OPEN_ACTIONS_INPUT"),
    "own": os.environ["GREETING"],
    "leaked": os.environ.get("AMBIENT"),
}))
"""
MANIFEST: dict[str, Any] = {
    "id": "text.shout",
    "name": "Shout",
    "version": "1.0.0",
    "description": "Says a name in capitals.",
    "inputSchema": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
    "outputSchema": {"type": "object", "required": ["message"]},
    "actor": {"types": ["human", "agent"], "required": False, "roles": ["writer"], "notes": "anyone"},
    "resource": {"type": "local-process", "identifiers": ["name"], "description": "one process"},
    "scope": {"level": "local", "permissions": ["shell:execute"], "boundaries": ["this machine"]},
    "riskLevel": "low",
    "requiredApprovals": [],
    "idempotency": {"supported": True, "required": False, "keyHint": "name", "retentionSeconds": 3600},
    "dryRun": {"supported": True, "default": False, "notes": "prints only"},
    "confirmation": {"title": "Shout?", "summaryTemplate": "Shout {{name}}", "fields": ["name"], "warnings": ["loud"]},
    "guardrail": {"hook": "noise", "failClosed": True, "description": "not at night"},
    "audit": {"eventTypes": ["action.executed"], "includeInput": False, "includeOutput": True, "redactedFields": []},
    "evidence": {"required": False, "fields": ["stdout", "stderr"], "retention": "7d"},
    "rollback": {"strategy": "none", "notes": "nothing to undo"},
    "executorBindings": [
        {
            "kind": "local-shell",
            "command": "python3",
            "args": ["-c", PROGRAM],
            "env": {"GREETING": "hello"},
            "inheritEnv": False,
            "inputMode": "stdin-json",
            "outputMode": "json",
            "timeoutMs": 60000,
        }
    ],
    "metadata": {"owner": "tests"},
}
SPEC: dict[str, Any] = {
    "schemaVersion": "1.0",
    "id": "shouts",
    "name": "Shouts",
    "version": "1",
    "triggers": [{"kind": "event", "source": "open-events", "type": "name.given"}, {"kind": "webhook"}],
    "actions": [{"id": "shout", "actionId": "text.shout", "input": {"name": "${{ event.data.name }}"}}],
}
ENVELOPE: dict[str, Any] = {
    "id": "evt_9",
    "source": "open-events",
    "type": "name.given",
    "subject": "people/ada",
    "time": "2026-11-23T00:29:32.543Z",
    "severity": "info",
    "message": "A name was given",
    "schemaVersion": "1.0",
    "data": {"name": "ada"},
    "dedupeKey": "people/ada#1",
    "metadata": {"package": "people"},
}


def declare(automations: CommandLine, manifest: dict[str, Any], *, suffix: str = "json") -> None:
    """Put the manifest and the spec into the directory and apply it."""
    automations.specs.mkdir(exist_ok=True)
    text = json.dumps(manifest) if suffix == "json" else yaml.safe_dump(manifest)
    (automations.specs / f"shout.action.{suffix}").write_text(text)
    (automations.specs / "shouts.json").write_text(json.dumps(SPEC))
    automations.json("apply", "--auto-approve")


def shouted(automations: CommandLine) -> dict[str, Any]:
    """Send the envelope, let the daemon work one round, and give the one action of the run."""
    answer = automations.json("events", "send", "-", stdin=json.dumps(ENVELOPE).encode())
    (made,) = answer["materialized"]
    assert automations("run", "automations.d", "--once", daemon=True).status == 0
    (action,) = automations.json("runs", "show", made["run"]["id"])["actions"]
    return dict(action)


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_a_manifest_with_every_field_loads_unchanged_and_runs(
    automations: CommandLine, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMBIENT", "not for children")
    assert automations.json("validate", "-", stdin=json.dumps(MANIFEST).encode())["spec"] == MANIFEST
    declare(automations, MANIFEST, suffix=suffix)
    action = shouted(automations)
    assert action["status"] == "succeeded"
    assert action["result"]["output"] == {
        "message": "ADA",
        "run": action["automationRunId"],
        "action": "text.shout",
        "version": "1.0.0",
        "dry": "false",
        "input": None,
        "own": "hello",
        "leaked": None,
    }


def test_the_modes_of_open_actions_are_the_defaults(automations: CommandLine) -> None:
    program = "import json,sys; print(json.dumps({'message': json.load(sys.stdin)['name']}))"
    kept = {key: MANIFEST[key] for key in ("id", "name", "version", "inputSchema", "outputSchema")}
    binding = {"kind": "local-shell", "command": "python3", "args": ["-c", program]}
    declare(automations, {**kept, "executorBindings": [binding]})
    assert shouted(automations)["result"]["output"] == {"message": "ada"}


def test_an_action_that_only_others_can_carry_out_waits_for_a_runner(automations: CommandLine) -> None:
    declare(automations, {**MANIFEST, "executorBindings": [{"kind": "typescript", "ref": "./shout.ts"}]})
    assert shouted(automations)["status"] == "queued"
    action = automations.json("queue", "claim", "--runner", "open-loops:w1")
    assert action["invocation"]["input"] == {"name": "ada"}
    words = ("queue", "complete", action["id"], "--runner", "open-loops:w1", "--result-json")
    assert automations.json(*words, '{"ok": true, "output": {"message": "ADA"}}')["status"] == "succeeded"


def test_an_output_that_the_manifest_does_not_allow_is_dead_and_said_so_again(automations: CommandLine) -> None:
    declare(automations, {**MANIFEST, "executorBindings": [{"kind": "typescript", "ref": "./shout.ts"}]})
    shouted(automations)
    action = automations.json("queue", "claim", "--runner", "r1")
    words = ("queue", "complete", action["id"], "--runner", "r1", "--fence", "1", "--result-json", "{}")
    dead = automations.json(*words)
    assert (dead["status"], dead["error"]["code"]) == ("dead", "OUTPUT_INVALID")
    assert automations.json(*words) == dead


@pytest.mark.parametrize("how", ["option", "file", "stdin", "simulate"])
def test_an_envelope_is_taken_in_as_it_is_by_every_door(automations: CommandLine, how: str) -> None:
    text = json.dumps(ENVELOPE)
    words: tuple[str, ...]
    if how == "simulate":
        words = ("simulate", "-", "--persist", "--event-json", text)
        (made,) = automations.json(*words, stdin=json.dumps(SPEC).encode())
    else:
        automations.json("create", "-", stdin=json.dumps(SPEC).encode())
        automations.folder.joinpath("event.json").write_text(text)
        words = {"option": ("--event-json", text), "file": ("event.json",), "stdin": ("-",)}[how]
        answer = automations.json("events", "send", *words, stdin=text.encode())
        assert answer["event"] == ENVELOPE
        (made,) = answer["materialized"]
    assert made["run"]["idempotencyKey"] == "shouts:people/ada#1"
    assert automations.json("runs", "show", made["run"]["id"])["event"] == ENVELOPE


def test_an_exported_envelope_is_an_ordinary_event_to_whoever_takes_it_in(automations: CommandLine) -> None:
    automations.json("create", "-", stdin=json.dumps(SPEC).encode())
    words = ("--source", "elsewhere", "--type", "name.given", "--id", "names", "--data-path", ".")
    automations.json("webhooks", "create", "shouts", *words)
    event = automations.json("webhooks", "event", "names", "--body-json", '{"name": "ada"}')
    answer = automations.json("events", "send", "-", stdin=json.dumps(event).encode())
    assert (answer["event"], answer["materialized"]) == (event, [])  # its webhook metadata is believed nothing
    assert len(automations.json("webhooks", "test", "names", "--body-json", '{"name": "ada"}')["materialized"]) == 1
