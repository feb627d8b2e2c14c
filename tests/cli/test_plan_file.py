"""Plan files: what was approved is what is applied, once, on the store that it was made for; anything else is refused."""

import json
import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from automations.core.canonical import digest
from command_line import SPEC, CommandLine

SIGNED = """\
schemaVersion: "1.0"
id: hook
name: hook
version: 1.0.0
triggers:
  - {kind: webhook, route: {path: /hook, signature: {preset: github, secretRef: "secret://team/hook"}}}
actions:
  - {id: only, actionId: x.do, input: {note: NOTE}}
"""


@pytest.fixture
def plan(automations: CommandLine) -> Path:
    """A plan of two creates, one update and one delete, with comments and an action manifest."""
    automations.applied(["one", "two"])
    automations.write("one", "# Why: because.\n" + SPEC.replace("name: {id}", "name: Another"))
    automations.write("three")
    (automations.specs / "hook.yaml").write_text(SIGNED)
    (automations.specs / "act.yaml").write_text(
        "id: x.do\nname: Do\nversion: 1.0.0\ninputSchema: {type: object}\n"
        "executorBindings: [{kind: local-shell, command: 'true'}]\n"
    )
    (automations.specs / "two.yaml").unlink()
    ended = automations("plan", "--out", "plan.json")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.endswith("Saved. To apply exactly this: automations apply plan.json\n")
    return automations.folder / "plan.json"


def sealed(body: dict[str, Any]) -> str:
    """A plan file with the digest that its content asks for."""
    rest = {key: value for key, value in body.items() if key != "fileDigest"}
    return json.dumps({**rest, "fileDigest": digest(rest)})


def test_what_was_approved_is_applied_whatever_the_files_say_by_then(automations: CommandLine, plan: Path) -> None:
    shown = json.loads(plan.read_text())
    automations.write("one", SPEC.replace("name: {id}", "name: Sneaked in"))
    automations.write("four")
    applied = automations.json("apply", "plan.json", "--auto-approve")
    assert applied["summary"] == shown["summary"] | {"create": 3, "update": 1, "delete": 1}
    assert [each["id"] for each in applied["changes"]] == [each["id"] for each in shown["changes"]]
    assert {each["id"]: each["spec"]["name"] for each in automations.json("list")} == {
        "one": "Another", "three": "three", "hook": "hook",
    }  # fmt: skip
    assert automations.json("webhooks", "list")[0]["path"] == "/hook"
    # What travelled in the file is what a plan of the same files makes: only what sneaked in is left to do.
    left = automations.json("plan")
    assert [(each["action"], each["id"]) for each in left["changes"]] == [("create", "four"), ("update", "one")]
    assert left["changes"][1]["fields"][0]["beforeLine"] == 4  # the comment above counts


def test_a_plan_file_is_for_its_owner_s_eyes_and_shows_like_the_plan(automations: CommandLine, plan: Path) -> None:
    assert plan.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in automations.folder.iterdir() if each.name.startswith(".plan")] == []
    shown = automations("apply", "plan.json", "--auto-approve").out
    assert shown.startswith("Plan: 3 to add, 1 to change, 1 to destroy")
    assert "~ one  automations.d/one.yaml:4  (was automations.d/one.yaml:3)" in shown
    assert '~ name: "one" → "Another"  (line 4, was 3)' in shown


def test_hazards_keep_their_places_in_a_plan_file_and_in_what_apply_answers(automations: CommandLine) -> None:
    automations.applied(["one", "two"])
    automations.write("one", SPEC + "status: paused\n")
    assert automations("plan", "--out", "plan.json").status == 0
    line = "! AU102 one becomes paused: nothing starts it any more  automations.d/one.yaml:11"
    assert line in automations("apply", "plan.json").out.splitlines()
    (hazard,) = automations.json("apply", "plan.json", "--auto-approve")["hazards"]
    assert {key: hazard[key] for key in ("code", "severity", "id", "file", "line")} == {
        "code": "AU102", "severity": "danger", "id": "one", "file": "automations.d/one.yaml", "line": 11,
    }  # fmt: skip


def test_a_plan_file_is_good_for_one_use(automations: CommandLine, plan: Path) -> None:
    automations.json("apply", "plan.json", "--auto-approve")
    error = automations.refused("apply", "plan.json", "--auto-approve", status=5)
    assert (error["code"], error["error"][:41]) == ("plan_used", "this plan was applied already, by tester ")


def test_a_stale_plan_is_refused(automations: CommandLine, plan: Path) -> None:
    (automations.folder / "made.yaml").write_text(SPEC.format(id="made", type="t"))
    automations.json("create", "made.yaml")
    error = automations.refused("apply", "plan.json", "--auto-approve", status=5)
    assert (error["code"], error["error"]) == ("stale_plan", "the plan was made at serial 1, the state is at 2")


def test_a_plan_for_another_store_is_refused(automations: CommandLine, plan: Path) -> None:
    assert automations.refused("--dir", "elsewhere", "apply", "plan.json", status=5)["code"] == "plan_lineage"


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"expiresAt": "2020-01-01T00:00:00.000Z"}, 5, "plan_expired"),
        ({"formatVersion": 2}, 1, "plan_format"),
        ({"formatVersion": "1"}, 1, "plan_format"),
        ({"kind": "other"}, 1, "invalid_input"),
        ({"contents": []}, 1, "invalid_input"),
        ({"changes": None}, 1, "invalid_input"),
        ({"summary": {"unchanged": 0}}, 1, "invalid_input"),
        ({"serial": [1]}, 1, "invalid_input"),
    ],
)
def test_a_file_that_is_not_a_plan_for_this_program_is_refused_even_when_its_digest_fits(
    automations: CommandLine, plan: Path, change: dict[str, Any], status: int, code: str
) -> None:
    plan.write_text(sealed(json.loads(plan.read_text()) | change))
    assert automations.refused("apply", "plan.json", "--auto-approve", status=status)["code"] == code
    assert len(automations.json("list")) == 2


def test_no_changed_byte_of_a_plan_s_content_goes_unnoticed(automations: CommandLine, plan: Path) -> None:
    body = json.loads(plan.read_text())
    for key in body:
        if key in ("formatVersion", "kind", "fileDigest"):
            continue
        plan.write_text(json.dumps({**body, key: "other"}))
        assert automations.refused("apply", "plan.json", status=1)["code"] == "plan_tampered"
    body["contents"][0]["spec"]["name"] = "Sneaked in"
    plan.write_text(json.dumps(body))
    assert automations.refused("apply", "plan.json", status=1)["code"] == "plan_tampered"


def test_a_plan_that_holds_an_invalid_spec_is_refused(automations: CommandLine, plan: Path) -> None:
    body = json.loads(plan.read_text())
    body["contents"][0]["spec"] = {"id": body["changes"][0]["id"]}
    plan.write_text(sealed(body))
    assert "is not valid to this program" in automations.refused("apply", "plan.json", status=1)["error"]


@pytest.mark.parametrize("option", [["--source", "x"], ["--adopt", "one"], ["--unprotect", "one"]])
def test_a_plan_file_takes_no_options_of_a_plan(automations: CommandLine, plan: Path, option: list[str]) -> None:
    assert automations.refused("apply", "plan.json", *option, status=2)["code"] == "usage"


@pytest.mark.parametrize("text", ["", "{", "id: x", "[1]", '{"kind": 1}', "\0"])
def test_another_file_is_told_apart_from_a_plan(automations: CommandLine, text: str) -> None:
    (automations.folder / "other.json").write_text(text)
    assert "not a plan file" in automations.refused("apply", "other.json", status=1)["error"]


def test_a_plan_with_a_known_secret_in_it_is_shown_without_and_not_kept(
    automations: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HASNA_AUTOMATIONS_SECRET_TEAM_HOOK", "canary-5f7c9b")
    automations.specs.mkdir()
    (automations.specs / "hook.yaml").write_text(SIGNED.replace("NOTE", "canary-5f7c9b"))
    automations.json("apply", "--auto-approve")
    (automations.specs / "hook.yaml").write_text(SIGNED.replace("NOTE", "x-canary-5f7c9b"))
    for form in ("human", "json", "markdown", "github", "sarif"):
        shown = automations("plan", "--format", form)
        assert (shown.status, "canary" in shown.out) == (0, False), form
        assert "secret://team/hook" in shown.out or form in ("github", "sarif")
    refused = automations("plan", "--out", "plan.json")
    assert refused.status == 1
    assert "canary" not in refused.out + refused.err
    assert not (automations.folder / "plan.json").exists()


def test_a_bad_plan_is_not_kept(automations: CommandLine) -> None:
    automations.write("one", "id: [")
    assert automations("plan", "--out", "plan.json").status == 1
    assert not (automations.folder / "plan.json").exists()
    automations.write("one")
    assert "cannot write nowhere/plan.json" in automations("plan", "--out", "nowhere/plan.json").err


def test_a_plan_is_written_through_a_link_which_stays(automations: CommandLine) -> None:
    automations.write("one")
    (automations.folder / "kept").mkdir()
    for name in ("there.json", "yet to come.json"):
        real, link = automations.folder / "kept" / name, automations.folder / f"link to {name}"
        link.symlink_to(real)
        if name == "there.json":
            real.write_text("an older plan")
        ended = automations("plan", "--out", link.name)
        assert (ended.status, link.readlink()) == (0, real), ended
        assert json.loads(real.read_text())["kind"] == "automations.plan"
        assert real.stat().st_mode & 0o777 == 0o600
        assert ended.out.endswith(f"automations apply 'link to {name}'\n")
    assert [each.name for each in (automations.folder / "kept").iterdir() if each.name.startswith(".")] == []


def test_a_pipe_takes_the_plan_and_stays_a_pipe(automations: CommandLine) -> None:
    automations.write("one")
    pipe = automations.folder / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert automations("plan", "--out", "pipe").status == 0
        assert json.loads(os.read(reader, 1 << 16))["kind"] == "automations.plan"
        assert pipe.is_fifo()
    finally:
        os.close(reader)


def test_a_device_takes_the_plan_and_stays_a_device(automations: CommandLine) -> None:
    automations.write("one")
    device = automations.folder / "null"
    try:
        os.mknod(device, stat.S_IFCHR | 0o600, os.makedev(1, 3))
        device.write_bytes(b"")
    except PermissionError:
        pytest.skip("only root makes devices, and not in every container")
    assert automations("plan", "--out", "null").status == 0
    assert device.is_char_device()


def test_what_is_neither_a_file_nor_takes_a_stream_is_left_alone(automations: CommandLine) -> None:
    automations.write("one")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        error = automations.refused("plan", "--format", "markdown", "--out", "socket", status=1)
    assert error["error"] == "socket is there and is no regular file"
    assert (automations.folder / "socket").is_socket()


@pytest.mark.parametrize("out", ["", ".", "..", "/", "automations.d", "new/"])
def test_a_plan_file_has_a_name(automations: CommandLine, out: str) -> None:
    automations.write("one")
    ended = automations("plan", "--out", out)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("automations: --out ")
    assert ended.err.count("\n") == 2  # the hint
    assert sorted(each.name for each in automations.folder.iterdir()) == ["automations.d"]
