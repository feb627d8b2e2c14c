"""`plan` shows, `apply` commits: what they print, what they exit with, and what they refuse."""

import json
import os
import shlex
from typing import Any

import pytest

from automations.services.plan import apply as applying
from command_line import SPEC, CommandLine
from samples import action as action_manifest

PLAN = {
    "formatVersion", "toolVersion", "lineage", "serial", "source", "sourceRevision", "files", "summary", "changes",
    "withheld", "hazards", "diagnostics", "planDigest", "expiresAt",
}  # fmt: skip
SUMMARY = {"create", "update", "rename", "move", "adopt", "delete", "unchanged"}
CHANGE = {"id", "kind", "action", "reason", "file", "line", "fields", "impact"}
IMPACT = {"running", "queued", "retrying", "waitingApproval", "pending", "dead", "waitingEvents"} | {
    "begun",
    "notBegun",
    "ending",
    "cancels",
}
MANIFEST = """\
id: x.do
name: Do
version: 1.0.0
inputSchema: {type: object}
executorBindings: [{kind: local-shell, command: 'true'}]
"""
TWELVE = tuple(f"spec-{letter}" for letter in "abcdefghijkl")


def changed(identity: str) -> str:
    return SPEC.replace("name: {id}", "name: Another")


def test_a_plan_is_the_document_that_was_agreed(automations: CommandLine) -> None:
    automations.applied(["one", "two"])
    automations.write("one", changed("one"))
    automations.write("three")
    (automations.specs / "two.yaml").unlink()
    automations.send(1)
    plan = automations.json("plan", "--source", "default")
    assert set(plan) == PLAN
    assert plan["formatVersion"] == 1
    assert plan["serial"] == 1
    assert set(plan["files"]) == {"automations.d/one.yaml", "automations.d/three.yaml"}
    assert plan["summary"] == dict.fromkeys(SUMMARY, 0) | {"create": 1, "update": 1, "delete": 1}
    assert all(set(change) >= CHANGE for change in plan["changes"])
    found = {change["id"]: change for change in plan["changes"]}
    assert [found[each]["action"] for each in ("one", "two", "three")] == ["update", "delete", "create"]
    assert found["one"]["fields"] == [{"path": "name", "line": 3, "beforeLine": 3, "before": "one", "after": "Another"}]
    assert found["one"]["file"] == "automations.d/one.yaml"
    assert (found["one"]["beforeFile"], found["one"]["beforeLine"]) == ("automations.d/one.yaml", 3)
    assert set(found["two"]["impact"]) == {*IMPACT, "onDelete"}
    assert found["two"]["impact"]["queued"] == 1
    assert [(each["code"], each["id"]) for each in plan["hazards"]] == [("AU100", "two")]
    assert automations.json("plan", "--format=human")["planDigest"] == plan["planDigest"]


def test_planning_twice_gives_the_same_plan_and_writes_nothing(automations: CommandLine) -> None:
    automations.write("one")
    plans = [automations.json("plan") for _ in range(2)]
    assert plans[0]["planDigest"] == plans[1]["planDigest"]
    assert automations.json("list") == []
    assert automations.json("status")["serial"] == 0


def test_a_plan_for_people_begins_with_its_summary(automations: CommandLine) -> None:
    automations.write("one")
    ended = automations("plan")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("Plan: 1 to add, 0 to change, 0 to destroy; 0 unchanged, not rebound.\n\n+ one  ")
    automations.json("apply", "--auto-approve")
    assert automations("plan").out.startswith("No changes: 1 unchanged, not rebound.\n")


@pytest.mark.parametrize("form", ["json", "human"])
def test_the_detailed_exit_status_says_what_a_plan_would_do(automations: CommandLine, form: str) -> None:
    words = ("plan", "--detailed-exitcode", "--format", form)
    automations.specs.mkdir()
    assert automations(*words).status == 0
    automations.write("one")
    automations.write("two")
    assert automations(*words).status == 2
    automations.json("apply", "--auto-approve")
    assert automations(*words).status == 0
    (automations.specs / "two.yaml").unlink()
    assert automations(*words).status == 3
    assert automations("plan", "--format", form).status == 0
    automations.write("two", "id: [")
    assert automations(*words).status == 1
    assert automations("plan", "nope", "--detailed-exitcode").status == 1


def test_a_new_version_of_an_action_destroys_nothing_and_one_that_goes_while_it_is_used_does(
    automations: CommandLine,
) -> None:
    words = ("plan", "--detailed-exitcode")
    automations.write("one")
    action = automations.specs / "note.yaml"
    action.write_text(json.dumps(action_manifest("x.do", "1.0.0")))
    automations.json("apply", "--auto-approve")
    action.write_text(json.dumps(action_manifest("x.do", "1.1.0")))
    assert automations(*words).status == 2
    automations.write("one", SPEC.replace("x.do", "y.do"))
    action.unlink()
    assert automations(*words).status == 2
    automations.write("one")
    assert automations(*words).status == 3


WAITS = {
    "debounce": "debounce: {{quiet: 1h}}",
    "a rate limit": "rateLimit: {{limit: 1, per: 1h, excess: delay}}",
}


@pytest.mark.parametrize("waits", WAITS.values(), ids=WAITS)
def test_a_plan_counts_the_events_that_wait_for_a_timer(automations: CommandLine, waits: str) -> None:
    waiting = SPEC.replace("type: {type}}}", f"type: {{type}}, {waits}}}}}")
    automations.write("one", waiting)
    automations.write("two")
    automations.json("apply", "--auto-approve")
    for number in range(3):
        automations.send(number)
    count = 3 if "debounce" in waits else 2
    automations.write("one", waiting.replace("version: 1.0.0", "version: 1.1.0"))
    (change,) = automations.json("plan")["changes"]
    assert change["impact"]["waitingEvents"] == count
    assert f"{count} events wait for a debounce window or a rate limit: judged anew when due" in automations("plan").out
    (automations.specs / "one.yaml").unlink()
    assert automations.json("plan")["changes"][0]["impact"]["waitingEvents"] == count
    assert f"{count} events wait for a debounce window or a rate limit: dropped" in automations("plan").out
    automations.json("plan", "--out", "plan.json")
    assert f"{count} events wait" in automations("apply", "plan.json", "--auto-approve").out


def test_a_suspended_source_is_told_of_in_every_plan_and_by_whoever_applies_through_it(
    automations: CommandLine,
) -> None:
    automations.applied(["one", "two"])
    (automations.folder / "automations.toml").write_text('[[source]]\nname = "default"\npath = "automations.d"\n')
    automations.json("reconcile")
    automations.json("suspend", "source:default", "--reason", "freeze", "--until", "1h")
    assert [each["code"] for each in automations.json("plan")["hazards"]] == ["AU106"]
    assert (
        automations.json("plan", "--source", "other", "--adopt", "one", "--adopt", "two")["hazards"][0]["code"]
        == "AU500"
    )
    automations.write("one", SPEC.replace("version: 1.0.0", "version: 1.1.0"))
    automations.json("plan", "--out", "plan.json")
    shown = automations("apply", "plan.json", "--auto-approve").out
    assert "! AU106 source:default is suspended by " in shown
    assert shown.endswith("It was committed through the suspension of source default.\n")
    rolled = automations("rollback", "one", "--to", "1", "--auto-approve").out
    assert "AU106" in rolled
    assert "through the suspension" in rolled
    automations.write("two", SPEC.replace("version: 1.0.0", "version: 1.1.0"))
    assert automations.json("apply", "--auto-approve")["throughSuspension"] is True
    automations.json("resume", "source:default")
    automations.write("two")
    assert "throughSuspension" not in automations.json("apply", "--auto-approve")
    assert automations.json("plan")["hazards"] == []


def test_a_plan_of_bad_specs_shows_every_finding_and_exits_one(automations: CommandLine) -> None:
    automations.write("one", SPEC.replace("kind: event", "kind: evnet"))
    automations.write("two", "id: [")
    ended = automations("--json", "plan")
    assert (ended.status, ended.err) == (1, "")
    assert [(each["file"], each["code"]) for each in ended.document["diagnostics"]] == [
        ("automations.d/one.yaml", "spec/value"),
        ("automations.d/one.yaml", "spec/no-manifest"),
        ("automations.d/two.yaml", "yaml/syntax"),
    ]
    assert automations("plan").status == 1


def test_applying_answers_with_the_serial_and_the_changes(automations: CommandLine) -> None:
    automations.write("one")
    plan = automations.json("plan")
    applied = automations.json("apply", "--auto-approve")
    same = {key: plan[key] for key in ("summary", "changes", "hazards")}
    assert applied == {"ok": True, "serial": 1, **same}
    again = automations.json("apply")  # nothing to approve
    nothing = dict.fromkeys(SUMMARY, 0) | {"unchanged": 1}
    assert again == {"ok": True, "serial": 1, "summary": nothing, "changes": [], "hazards": []}


def test_applying_for_people_shows_the_plan_and_what_was_done(automations: CommandLine) -> None:
    automations.write("one")
    ended = automations("apply", "--auto-approve")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("Plan: 1 to add")
    assert ended.out.endswith("Applied at serial 1: 1 added, 0 changed, 0 destroyed; 0 unchanged, not rebound.\n")


@pytest.mark.parametrize("words", [["apply"], ["--json", "apply"]])
def test_without_a_person_or_approval_nothing_is_applied(automations: CommandLine, words: list[str]) -> None:
    automations.write("one")
    ended = automations(*words)
    assert ended.status == 4
    assert "automations apply automations.d --auto-approve" in ended.err
    assert automations.json("list") == []


@pytest.mark.parametrize(("answer", "status"), [(b"y\n", 0), (b"n\n", 4), (b"\n", 4), (b"", 130)])
def test_a_person_at_a_terminal_is_asked(automations: CommandLine, answer: bytes, status: int) -> None:
    automations.write("one")
    ended = automations("apply", stdin=answer, terminal=True)
    assert ended.status == status
    assert "Apply these changes?" in ended.out
    assert len(automations.json("list")) == (status == 0)


def test_json_never_asks(automations: CommandLine) -> None:
    automations.write("one")
    ended = automations("--json", "apply", stdin=b"y\n", terminal=True)
    assert (ended.status, ended.error["code"]) == (4, "refused")


def test_bad_specs_are_not_applied_and_every_finding_is_told(automations: CommandLine) -> None:
    automations.write("good")
    automations.write("bad", SPEC.replace("kind: event", "kind: evnet"))
    ended = automations("apply", "--auto-approve")
    assert (ended.status, ended.out) == (1, "")
    assert "automations.d/bad.yaml:6:12: error:" in ended.err
    assert automations.refused("apply", "--auto-approve", status=1)["code"] == "spec_invalid"
    assert automations.json("list") == []


def test_deleting_much_is_refused_until_the_exact_number_is_said(automations: CommandLine) -> None:
    automations.applied(TWELVE)
    for name in TWELVE[:4]:
        (automations.specs / f"{name}.yaml").unlink()
    error = automations.refused("apply", "--auto-approve", status=4)
    assert "4 of 12 automations would be deleted" in error["error"]
    assert "--allow-deletes=4" in error["hint"]
    for wrong in ("3", "5", "0", "-4"):
        assert automations.refused("apply", "--auto-approve", "--allow-deletes", wrong, status=4)["code"] == "refused"
    assert len(automations.json("list")) == 12
    assert automations.json("apply", "--auto-approve", "--allow-deletes=4")["summary"]["delete"] == 4
    assert len(automations.json("list")) == 8


def test_what_a_refusal_says_to_do_is_the_same_command_again(automations: CommandLine) -> None:
    automations.applied(TWELVE)
    for name in TWELVE[:4]:
        (automations.specs / f"{name}.yaml").unlink()
    automations.specs.rename(automations.specs.with_name("my specs"))
    words = ("apply", "my specs", "--source", "default", "--unprotect", TWELVE[0])
    same = f"automations apply 'my specs' --source default --unprotect {TWELVE[0]}"
    hints = [
        automations.refused(*words, *more, status=4)["hint"]
        for more in ((), ("--auto-approve",), ("--allow-deletes=4",))
    ]
    assert hints == [
        f"if that is meant: {same} --allow-deletes=4",
        f"if that is meant: {same} --auto-approve --allow-deletes=4",
        f"look at the plan, then: {same} --auto-approve --allow-deletes=4",
    ]
    said = shlex.split(hints[2].partition(": automations ")[2])
    assert automations.json(*said)["summary"]["delete"] == 4


def test_errors_of_the_plan_alone_send_to_the_plan(automations: CommandLine) -> None:
    automations.applied(["one"])
    hint = automations.refused("apply", "--source", "other", "--auto-approve", status=1)["hint"]
    assert hint == "see: automations plan automations.d --source other"
    shown = automations(*shlex.split(hint.partition(": automations ")[2]))
    assert (shown.status, "plan/owned-elsewhere" in shown.out) == (1, True)


def test_a_spec_file_is_no_plan_file_whatever_the_options_are(automations: CommandLine) -> None:
    automations.write("one")
    for more in ((), ("--source", "other"), ("--adopt", "one")):
        error = automations.refused("apply", "automations.d/one.yaml", "--auto-approve", *more, status=1)
        assert error["error"] == "automations.d/one.yaml is not a plan file"
        assert error["hint"] == "apply takes a directory of specs, or what `plan --out` wrote"


def test_an_emptied_directory_does_not_delete_the_only_automation_either(automations: CommandLine) -> None:
    automations.applied(["one"])
    (automations.specs / "one.yaml").unlink()
    said = "nothing at all is declared: 1 of 1 automations would be deleted; to do that, say --allow-deletes=1"
    planned = automations.json("plan")
    assert [each["message"] for each in planned["hazards"] if each["code"] == "AU001"] == [said]
    error = automations.refused("apply", "--auto-approve", status=4)
    hint = "if that is meant: automations apply automations.d --auto-approve --allow-deletes=1"
    assert (error["error"], error["hint"]) == (said, hint)
    assert len(automations.json("list")) == 1
    (automations.specs / "do.yaml").write_text(MANIFEST)  # something is declared: it is no wrong directory
    assert not [each for each in automations.json("plan")["hazards"] if each["code"] == "AU001"]
    (automations.specs / "do.yaml").unlink()
    assert automations.json("apply", "--auto-approve", "--allow-deletes=1")["summary"]["delete"] == 1


@pytest.mark.parametrize("command", [("plan",), ("apply", "--auto-approve")])
def test_a_name_that_is_nothing_to_take_over_or_to_unprotect_is_told_before_anything_happens(
    automations: CommandLine, command: tuple[str, ...]
) -> None:
    automations.applied(["kept", "guarded"])
    automations.write("free")
    (automations.folder / "made.yaml").write_text(SPEC.format(id="loose", type="t"))
    automations.json("create", "made.yaml")
    (automations.specs / "guarded.yaml").unlink()
    for option, name, said, hint in (
        ("--adopt", "lose", "is declared in none of these files", "see: automations list"),
        ("--adopt", "free", "is bound nowhere, so there is nothing to take over", "apply it without --adopt"),
        ("--unprotect", "gaurded", "is not bound by this source", "did you mean guarded?"),
        ("--unprotect", "kept", "is declared, and stays", "remove it from automations.d/kept.yaml first"),
        ("--unprotect", "loose", "is not bound by this source", "see: automations list"),
    ):
        error = automations.refused(*command, option, name, status=2)
        assert error["error"] == f"{option} {name}: an automation of that name {said}"
        assert error["hint"] == hint
    automations.write("loose")
    assert automations.refused(*command, "--adopt", "lose", status=2)["hint"] == "did you mean loose?"
    assert {each["id"] for each in automations.json("list")} == {"kept", "guarded", "loose"}
    done = automations.json(*command, "--adopt", "loose", "--adopt", "kept", "--unprotect", "guarded")
    assert (done["summary"]["adopt"], done["summary"]["delete"]) == (1, 1)


def test_names_are_no_matter_while_the_files_have_errors(automations: CommandLine) -> None:
    automations.write("one", "id: [")
    assert "automations.d/one.yaml:1" in automations("plan", "--adopt", "one").out


def test_a_signed_address_that_another_automation_takes_without_a_signature_is_a_danger(
    automations: CommandLine,
) -> None:
    hook = SPEC.replace(
        "{{kind: event, source: test, type: {type}}}", "{{kind: webhook, route: {{path: /in, SIGNED}}}}"
    )
    automations.write("kept")
    automations.write("old", hook.replace("SIGNED", 'signature: {{preset: github, secretRef: "secret://team/hook"}}'))
    automations.json("apply", "--auto-approve")
    (automations.specs / "old.yaml").unlink()
    automations.write("new", hook.replace(", SIGNED", ""))
    (found,) = [each for each in automations.json("plan")["hazards"] if each["code"] in ("AU310", "AU311")]
    assert (found["code"], found["file"], found["line"]) == ("AU310", "automations.d/new.yaml", 6)
    assert found["message"] == "new takes /in over without its signature: anybody may post there"
    automations.write("new", hook.replace("/in, SIGNED", "/other"))
    assert "AU310" not in automations("plan").out


def test_a_rename_that_cannot_be_is_told_at_its_line(automations: CommandLine) -> None:
    (automations.folder / "made.yaml").write_text(SPEC.format(id="loose", type="t"))
    automations.json("create", "made.yaml")
    automations.applied(["one"])
    automations.write("new", SPEC + "lifecycle: {{renamedFrom: loose}}\n")
    shown = automations("plan").out
    assert "automations.d/new.yaml:11:26: error: automation new cannot be renamed from loose" in shown
    assert "that one is owned by api [plan/rename]" in shown
    automations.write("new", SPEC + "lifecycle: {{renamedFrom: one}}\n")
    (automations.specs / "one.yaml").unlink()
    automations.write("two")
    automations.json("apply", "--auto-approve")
    assert "rename" not in automations("plan").out  # `new` says it for ever
    (automations.specs / "two.yaml").unlink()
    automations.json("apply", "--auto-approve")
    automations.write("later", SPEC + "lifecycle: {{renamedFrom: two}}\n")
    shown = automations("plan").out
    assert "automations.d/later.yaml:11:26: warning: automation two was deleted at 20" in shown
    assert automations("apply", "--auto-approve").status == 0
    assert "plan/" not in automations("plan").out


@pytest.mark.parametrize("said", ["automations.toml", "AUTOMATIONS_SPECS"])
def test_a_source_is_read_where_settings_say_that_it_is(
    automations: CommandLine, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    team = () if said == "AUTOMATIONS_SPECS" else ("--source", "team")
    if team:
        (automations.folder / "automations.toml").write_text('[[source]]\nname = "team"\npath = "team/specs"\n')
    else:
        monkeypatch.setenv(said, str(automations.folder / "team" / "specs"))
    specs = automations.folder / "team" / "specs"
    specs.mkdir(parents=True)
    (specs / "one.yaml").write_text(SPEC.format(id="one", type="t"))
    automations.write("elsewhere")  # in automations.d, which is nobody's
    (change,) = automations.json("plan", *team)["changes"]
    assert (change["id"], change["file"]) == ("one", "team/specs/one.yaml")
    hint = automations.refused("apply", *team, status=4)["hint"]
    words = shlex.join(("team/specs", *team))
    assert hint == f"look at the plan, then: automations apply {words} --auto-approve"
    assert automations.json("apply", *team, "--auto-approve")["summary"]["create"] == 1
    assert automations.json("diff", "one", *team)["fields"] == []
    assert automations.json("drift", *team) == []
    assert automations.json("plan", *team)["changes"] == []
    # What is given wins; and a source of another name is read where one is by default.
    assert automations.json("plan", "automations.d", *team)["summary"]["delete"] == 1
    assert automations.json("plan", "--source", "other")["changes"][0]["id"] == "elsewhere"


def test_files_below_the_working_directory_are_named_from_there(automations: CommandLine) -> None:
    automations.write("one")
    for form in ("human", "markdown", "github", "sarif"):
        shown = automations("plan", str(automations.specs), "--format", form).out
        assert "automations.d/one.yaml" in shown or form == "markdown"
        assert str(automations.folder) not in shown
    (automations.folder / "below").mkdir()
    os.chdir(automations.folder / "below")
    assert f"{automations.specs}/one.yaml" in automations("plan", str(automations.specs)).out


def test_an_emptied_directory_does_not_empty_the_state(automations: CommandLine) -> None:
    automations.applied(["one", "two"])
    for file in automations.specs.iterdir():
        file.unlink()
    assert automations.refused("apply", "--auto-approve", status=4)["code"] == "refused"
    automations.specs.rmdir()
    assert automations.refused("apply", "--auto-approve", status=1)["code"] == "source_untrusted"
    assert len(automations.json("list")) == 2


def test_a_plan_that_another_was_faster_than_is_stale(
    automations: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An automation is made by hand between this plan and its commit."""
    automations.write("one")
    commit = applying.Apply.commit
    faster = [["create", "two.yaml"]]
    (automations.folder / "two.yaml").write_text(SPEC.format(id="two", type="t"))

    def overtaken(self: applying.Apply, *given: Any, **named: Any) -> Any:
        if faster:
            automations.json(*faster.pop())
        return commit(self, *given, **named)

    monkeypatch.setattr(applying.Apply, "commit", overtaken)
    error = automations.refused("apply", "--auto-approve", status=5)
    assert error["code"] == "stale_plan"
    assert [each["id"] for each in automations.json("list")] == ["two"]
    assert automations.json("apply", "--auto-approve")["serial"] == 2


def test_two_applies_at_once_are_told_who_is_at_it(automations: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    automations.write("one")
    commit = applying.Apply.commit
    errors: list[dict[str, Any]] = []

    def during(self: applying.Apply, *given: Any, **named: Any) -> Any:
        if not errors:
            errors.append(automations.refused("apply", "--auto-approve", "--source", "other", status=6))
        return commit(self, *given, **named)

    monkeypatch.setattr(applying.Apply, "commit", during)
    assert automations.json("apply", "--auto-approve")["serial"] == 1
    assert errors[0]["code"] == "lock_not_held"
    assert "definitions are locked by tester@" in errors[0]["error"]
    assert "to apply automations.d since" in errors[0]["error"]
    assert automations.json("apply", "--auto-approve", "--lock-timeout=1")["serial"] == 1  # given up at the end


def test_another_source_cannot_take_what_is_owned(automations: CommandLine) -> None:
    automations.applied(["one"])
    ended = automations("--json", "plan", "--source", "other")
    assert ended.status == 1
    assert ended.document["diagnostics"][0]["code"] == "plan/owned-elsewhere"
    assert automations.refused("apply", "--source", "other", "--auto-approve", status=1)["code"] == "spec_invalid"


def test_colour_is_for_terminals_that_want_it(automations: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    automations.write("one")
    assert "\x1b[" in automations("plan", terminal=True).out
    assert "\x1b[" not in automations("plan").out
    assert "\x1b[" not in automations("--json", "plan", terminal=True).out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in automations("plan", terminal=True).out
    monkeypatch.setenv("NO_COLOR", "")  # "when present and not an empty string", no-color.org
    assert "\x1b[" in automations("plan", terminal=True).out


def test_what_a_spec_says_cannot_drive_the_terminal(automations: CommandLine) -> None:
    automations.write("one", SPEC.replace("name: {id}", r'name: "\e[31mred\a"'))
    assert automations("plan").status == 0
    automations.json("apply", "--auto-approve")
    automations.write("one", SPEC.replace("name: {id}", r'name: "\e[32mgreen\a"'))
    for words in (["plan"], ["show", "one"], ["list"]):
        shown = automations(*words).out
        assert "\x1b" not in shown
        assert "\a" not in shown
