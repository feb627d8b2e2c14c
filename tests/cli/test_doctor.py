"""`automations doctor`: what it says, and its exit status."""

import sqlite3
from contextlib import closing

import pytest

from automations.core.doctor import Grade
from command_line import SPEC, CommandLine

SIGNED = """\
schemaVersion: "1.0"
id: {id}
name: {id}
version: 1.0.0
triggers:
  - kind: webhook
    source: test
    type: {type}
    route: {{path: /webhooks/{id}, signature: {{secretRef: "secret://{id}"}}}}
actions:
  - {{id: only, actionId: x.do}}
"""


def test_a_fresh_store_is_well(automations: CommandLine) -> None:
    ended = automations("doctor")
    assert (ended.status, ended.out.splitlines()[-1]) == (0, "all is well")


def test_every_check_has_a_verdict_for_programs(automations: CommandLine) -> None:
    found = automations.json("doctor")
    assert found["ok"] is True
    assert {each["status"] for each in found["checks"]} == {str(Grade.OK)}
    assert {"store.integrity", "store.wal", "disk.free", "audit.chain"} <= {each["id"] for each in found["checks"]}


def test_a_signed_route_without_its_secret_ends_with_1_and_says_where_one_would_be_found(
    automations: CommandLine,
) -> None:
    automations.write("billing", SIGNED)
    automations.json("apply", "--auto-approve")
    ended = automations("doctor")
    assert ended.status == 1
    assert "✗ secrets.missing" in ended.out
    assert "AUTOMATIONS_WEBHOOK_SECRET_BILLING" in ended.out
    assert "the environment of this command, and a daemon or worker may have another" in ended.out
    assert ended.out.splitlines()[-1] == "1 error, 1 warning"


def test_a_data_root_that_others_may_read_is_told_with_the_command_that_closes_it(automations: CommandLine) -> None:
    automations("status")
    automations.root.chmod(0o755)
    ended = automations("doctor")
    assert ended.status == 0
    assert f"chmod go= {automations.root}" in ended.out


ACTION = """\
id: x.do
name: Do
version: 1.0.0
inputSchema: {type: object, properties: {token: {type: string, x-secret: true}}}
executorBindings:
  - kind: local-shell
    command: "true"
    env: {KEY: "key-${{ secrets.BINDING_KEY }}"}
    inheritEnv: [NOT_SET_ANYWHERE, PATH]
"""
GIVEN = SPEC.replace(
    "    actionId: x.do\n", "    actionId: x.do\n    input: {{token: '${{{{ secrets[\"team/token\"] }}}}'}}\n"
)


def test_what_actions_need_and_would_not_find_here_is_a_warning_by_name(
    automations: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    automations.write("a", GIVEN)
    automations.write("b", GIVEN.replace("version: 1.0.0", "version: 1.0.0\nstatus: paused"))
    (automations.specs / "action.yaml").write_text(ACTION)
    automations.json("apply", "--auto-approve")
    found = automations.json("doctor")
    missing = {each["subject"]: each for each in found["checks"] if each["id"] == "secrets.missing"}
    assert set(missing) == {"BINDING_KEY", "team/token", "NOT_SET_ANYWHERE"}
    assert (found["ok"], {each["status"] for each in missing.values()}) == (True, {"warning"})
    assert missing["team/token"]["message"].startswith("a/only needs this secret")
    assert "HASNA_AUTOMATIONS_SECRET_TEAM_TOKEN" in missing["team/token"]["hint"]
    assert all("may have another" in each["hint"] for each in missing.values())
    monkeypatch.setenv("HASNA_AUTOMATIONS_SECRET_TEAM_TOKEN", "t")
    monkeypatch.setenv("HASNA_AUTOMATIONS_SECRET_BINDING_KEY", "k")
    monkeypatch.setenv("NOT_SET_ANYWHERE", "")
    assert automations("doctor").out.splitlines()[-1] == "all is well"


def test_a_row_that_cannot_be_read_is_named_by_what_runs_into_it_and_by_the_doctor(automations: CommandLine) -> None:
    automations.applied(["a"])
    automations.send(1)
    claimed = automations.json("queue", "claim", "--runner", "r")
    automations.json("queue", "fail", claimed["id"], "--runner", "r", "--retryable", "false")
    damage = {
        ("runs", "list"): "UPDATE runs SET error_json = '{'",
        ("dlq", "list"): "UPDATE actions SET input_json = '{'",
        ("audit", "list"): "UPDATE audit SET detail_json = '{' WHERE seq = 1",
    }
    for words, statement in damage.items():
        with closing(sqlite3.connect(automations.root / "automations.db")) as store, store:
            store.execute(statement)
        refused = automations.refused(*words, status=1)
        assert refused["code"] == "store_damaged"
        assert statement.split()[1] in refused["error"]
        assert "automations doctor" in refused["hint"]
        told = automations("doctor")
        assert told.status == 1
        assert f"✗ store.documents      {statement.split()[1]}, row " in told.out


def test_what_a_person_rejected_is_told_by_doctor_and_status_and_is_no_fault(automations: CommandLine) -> None:
    automations.write("a", SPEC.replace("    actionId: x.do\n", "    actionId: x.do\n    approval: {{mode: manual}}\n"))
    automations.json("apply", "--auto-approve")
    automations.send(1)
    (asked,) = automations.json("approvals", "list")
    automations.json("approvals", "reject", asked["id"], "--reason", "no")
    ended = automations("doctor")
    assert "no action is dead; 1 was rejected, which is no fault" in ended.out
    assert ended.out.splitlines()[-1] == "all is well"
    assert "0 actions queued, 1 dead or rejected" in automations("status").out


def test_one_fault_of_a_source_is_spelt_out_once_for_people_and_everywhere_for_programs(
    automations: CommandLine,
) -> None:
    (automations.folder / "automations.toml").write_text('[[source]]\nname = "default"\npath = "automations.d"\n')
    automations.write("a", SPEC.replace("kind: event", "kind: evnet"))
    automations("reconcile")
    message = automations.json("status")["sources"][0]["conditions"]["SpecValid"]["message"]
    assert automations.json("status")["sources"][0]["conditions"]["Ready"]["message"] == message
    for told in (automations("status").out, automations("doctor").out):
        assert told.count(message) == 1
        assert "Ready=False (Invalid)" in told
    by_program = [each["message"] for each in automations.json("doctor")["checks"] if each["id"] == "source.condition"]
    assert [message in each for each in by_program] == [True, True]
