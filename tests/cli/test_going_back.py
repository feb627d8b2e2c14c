"""`history`, `diff`, `rollback` and `drift` as people use them."""

import json
from contextlib import closing

import apsw
import pytest
import yaml

from command_line import SPEC, CommandLine

ANOTHER = "# Because.\n" + SPEC.replace("name: {id}", "name: Another")


@pytest.fixture
def applied(automations: CommandLine) -> CommandLine:
    """`one` in two generations, `two` in one."""
    automations.write("one", ANOTHER)
    automations.applied(["two"])
    automations.write("one")
    automations.json("apply", "--auto-approve")
    return automations


def test_rollback_shows_applies_and_prints_what_to_commit(applied: CommandLine) -> None:
    ended = applied("rollback", "one", "--to", "1", "--auto-approve")
    assert (ended.status, ended.err) == (0, "")
    assert '~ name: "one" → "Another"  (line 4, was 3)' in ended.out
    assert "rolled back to generation 1" in ended.out
    assert "automations.d/one.yaml:4" in ended.out
    assert "until automations.d/one.yaml declares something else" in ended.out
    assert ended.out.endswith(ANOTHER.format(id="one", type="ticket"))
    assert applied.json("show", "one")["spec"]["name"] == "Another"
    assert [each["generation"] for each in applied.json("history", "one")] == [3, 2, 1]
    assert [each["action"] for each in applied.json("history")] == ["rollback", "apply", "apply"]
    shown = applied("history").out
    assert shown.startswith("SERIAL")
    assert "1 unchanged, 1 update" in shown


def test_rollback_as_json_has_the_text_and_what_is_rejected(applied: CommandLine) -> None:
    digest = applied.json("show", "one")["digest"]
    answer = applied.json("rollback", "one", "--to=1", "--auto-approve")
    assert set(answer) == {"ok", "serial", "summary", "changes", "file", "yaml", "rejected"}
    assert (answer["rejected"], answer["serial"], answer["file"]) == (digest, 3, "automations.d/one.yaml")
    again = applied.json("rollback", "one", "--to=1", "--auto-approve")
    assert (again["changes"], "rejected" in again) == ([], False)


def test_a_rollback_leaves_the_file_called_as_it_was(applied: CommandLine) -> None:
    before = applied.json("show", "one")["file"]
    applied.json("rollback", "one", "--to=1", "--auto-approve")
    assert applied.json("show", "one")["file"] == before
    (applied.specs / "one.yaml").unlink()
    assert applied.json("rollback", "one", "--to=2", "--auto-approve")["file"] == "one.yaml"


@pytest.mark.parametrize(("answer", "status"), [(b"y\n", 0), (b"n\n", 4)])
def test_rollback_asks_on_a_terminal(applied: CommandLine, answer: bytes, status: int) -> None:
    assert applied("rollback", "one", "--to", "1", stdin=answer, terminal=True).status == status
    assert applied.json("show", "one")["generation"] == (3 if status == 0 else 2)


def test_rollback_without_a_person_a_generation_or_an_automation_says_so(applied: CommandLine) -> None:
    assert applied.refused("rollback", "one", "--to", "1", status=4)["code"] == "refused"
    assert applied.refused("rollback", "one", status=2)["hint"] == "see: automations history one"
    assert "has no generation 9" in applied.refused("rollback", "one", "--to", "9", "--auto-approve", status=1)["error"]
    assert applied.refused("rollback", "nope", "--to", "1", "--auto-approve", status=1)["code"] == "not_found"


def test_diff_compares_with_the_file_and_with_an_earlier_generation(applied: CommandLine) -> None:
    assert applied.json("diff", "one") == {
        "id": "one", "before": "generation 2", "after": "automations.d/one.yaml", "fields": [],
    }  # fmt: skip
    assert "no difference" in applied("diff", "one").out
    applied.write("one", SPEC.replace("name: {id}", "name: Third"))
    assert applied.json("diff", "one")["fields"] == [{"path": "name", "before": "one", "after": "Third"}]
    found = applied.json("diff", "one", "--revision", "1")
    assert (found["before"], found["after"]) == ("generation 1", "generation 2")
    assert applied("diff", "one", "--revision", "1").out.endswith('~ name: "Another" → "one"\n')
    assert applied.refused("diff", "one", "--revision", "7", status=1)["code"] == "not_found"
    assert applied.refused("diff", "nope", status=1)["error"] == "automation not found: nope"
    applied.write("fresh")
    error = applied.refused("diff", "fresh", status=1)
    assert error["error"] == "automation fresh is declared in automations.d/fresh.yaml and bound nowhere yet"


def test_drift_lists_every_way_in_which_state_and_files_part(applied: CommandLine) -> None:
    assert applied.json("drift") == []
    assert applied("drift", "--detailed-exitcode").status == 0
    (applied.specs / "two.yaml").unlink()
    applied.write("three")
    (applied.folder / "made.yaml").write_text(SPEC.format(id="made", type="t"))
    applied.json("create", "made.yaml")
    applied.json("rollback", "one", "--to", "1", "--auto-approve")
    found = {each["id"]: each["drift"] for each in applied.json("drift")}
    assert found == {"made": "by-hand", "one": "held", "three": "missing", "two": "undeclared"}
    with closing(apsw.Connection(str(applied.folder / "root" / "automations.db"))) as store:
        store.execute("UPDATE automations SET status = 'paused' WHERE id IN ('one', 'made')")
    edited = {each["id"]: each["reason"] for each in applied.json("drift") if each["drift"] == "edited"}
    assert edited == dict.fromkeys(("one", "made"), "its status is paused, its spec says active")
    ended = applied("drift", "--detailed-exitcode")
    assert ended.status == 2
    assert ended.out.startswith("ID")


def test_drift_tells_the_errors_of_files_that_were_compared_with_nothing(applied: CommandLine) -> None:
    applied.write("bad", SPEC.replace("kind: event", "kind: evnet"))
    (applied.specs / "torn.yaml").write_text("id: [")
    for words in (("drift",), ("drift", "--detailed-exitcode")):
        ended = applied(*words)
        assert (ended.status, ended.out) == (1, "no drift among what is valid: 2 declarations bound as declared\n")
        assert "what bad files declare was compared with nothing" in ended.err
        assert {"automations.d/bad.yaml:6:12", "automations.d/torn.yaml:1:6"} <= {
            line.split(": ")[0].strip() for line in ended.err.splitlines()
        }, ended.err
        assert ended.err.endswith("  see: automations plan automations.d\n")
    applied.write("three")
    ended = applied("--json", "drift")
    assert (ended.status, [each["id"] for each in ended.document]) == (1, ["three"])
    told = json.loads(ended.err)
    assert (told["code"], {each["file"] for each in told["diagnostics"]}) == (
        "spec_invalid", {"automations.d/bad.yaml", "automations.d/torn.yaml"},
    )  # fmt: skip


def test_reconcile_says_what_drifted_and_puts_it_right_when_asked(applied: CommandLine) -> None:
    (applied.folder / "automations.toml").write_text('[[source]]\nname = "default"\npath = "automations.d"\n')
    words = "its status is paused, its spec says active"
    with closing(apsw.Connection(str(applied.folder / "root" / "automations.db"))) as store:
        store.execute("UPDATE automations SET status = 'paused' WHERE id = 'two'")
    told = applied("reconcile").out
    assert f"  drifted: two: {words}\n    put it right with: automations reconcile --source default --heal" in told
    assert applied.json("reconcile")[0]["drifted"] == {"two": words}
    healed = applied("reconcile", "--source", "default", "--heal").out
    assert healed.startswith("source default: 1 put right. No other changes: 2 unchanged")
    assert f"  put right: two: {words}" in healed
    assert applied.json("show", "two")["status"] == "active"
    assert {"healed", "drifted"}.isdisjoint(applied.json("reconcile", "--heal")[0])
    assert applied.json("drift") == []


@pytest.mark.parametrize("name", ["", "a\nb", "a b", "ü", "x" * 101])
@pytest.mark.parametrize(
    "command", [("plan",), ("apply", "--auto-approve"), ("drift",), ("diff", "one"), ("adopt", "one")]
)
def test_a_source_that_cannot_be_called_so_is_refused(
    applied: CommandLine, command: tuple[str, ...], name: str
) -> None:
    refused = applied.refused(*command, "--source", name, status=2)
    assert refused["error"].startswith("the name of a source must be of letters, digits")


@pytest.mark.parametrize("name", ["three.YAML", "three.Yml", "three.JSON"])
def test_a_file_with_an_ending_in_upper_case_is_a_spec_like_any_other(applied: CommandLine, name: str) -> None:
    (applied.specs / name).write_text(json.dumps(yaml.safe_load(SPEC.format(id="three", type="t"))))
    assert applied.json("plan")["summary"]["create"] == 1
    assert applied.json("validate", str(applied.specs / name))["valid"] is True
    (applied.specs / name).write_text("id: [")
    assert name in applied("validate").out


def test_a_difference_from_a_bad_file_names_that_file_and_one_from_no_file_sends_nowhere(
    automations: CommandLine,
) -> None:
    automations.applied(["one", "two"])
    automations.write("one", SPEC.replace("kind: event", "kind: evnet"))
    (automations.specs / "two.yaml").unlink()
    bad = automations.refused("diff", "one", status=1)
    assert bad["error"] == "automation one is not valid in automations.d/one.yaml"
    assert bad["hint"] == "see: automations validate automations.d/one.yaml"
    assert "validate" not in automations.refused("diff", "two", status=1)["hint"]
    (automations.specs / "two.yaml").write_text("id: [")
    torn = automations.refused("diff", "two", status=1)
    assert torn["error"].endswith("as far as they are valid; automations.d/two.yaml is not")
    assert torn["hint"] == "see: automations validate automations.d/two.yaml"


def test_a_condition_with_a_long_name_stands_in_the_column_of_the_others(applied: CommandLine) -> None:
    (applied.folder / "automations.toml").write_text('[[source]]\nname = "default"\npath = "automations.d"\n')
    (applied.specs / "two.yaml").unlink()
    applied.json("reconcile")
    lines = applied("show", "two").out.split("  triggers\n")[0].splitlines()[1:]
    assert any(line.startswith("  PruneBlocked True ") for line in lines), lines
    columns = {line.index(line[2:].split(maxsplit=1)[1], 3) for line in lines if not line.startswith("   ")}
    assert columns == {2 + len("PruneBlocked ")}
