"""`validate`: every problem of everything at once, each with its place, in an order that never changes."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest

from command_line import SPEC, CommandLine
from e2e.conftest import BIN

SARIF = Path(__file__).parents[1] / "data" / "sarif-2.1.0.json"
DIAGNOSTIC = {"code", "severity", "message", "file", "line", "column", "path", "hint"}
SLIPS = (
    ("version: 1.0.0", "versoin: 1.0.0", "spec/unknown-key"),
    ("kind: event", "kind: evnet", "spec/value"),
    ("id: only", "id: [only]", "spec/type"),
    ("actions:", "actions: [", "yaml/syntax"),
    ('schemaVersion: "1.0"', 'schemaVersion: "1.0"\nschemaVersion: "1.0"', "yaml/duplicate-key"),
    ("actionId: x.do", "actionId: x.do\n    dependsOn: [nobody]", "spec/depends-on"),
    ("actionId: x.do", 'actionId: x.do\n    input: {a: "${{ event. }}"}', "spec/expression"),
)


def test_a_good_file_gives_its_spec(automations: CommandLine) -> None:
    file = automations.write("one")
    answer = automations.json("validate", str(file))
    assert answer["valid"] is True
    assert answer["spec"]["id"] == "one"
    assert [each["code"] for each in answer["diagnostics"]] == ["spec/no-manifest"]  # a warning
    ended = automations("validate", str(file))
    assert (ended.status, ended.out.splitlines()[-1]) == (0, "valid")
    assert not automations.root.exists()


ACTION = """\
id: x.do
name: Do
version: 1.0.0
inputSchema: {type: object, additionalProperties: false, properties: {n: {type: integer}}}
executorBindings: [{kind: local-shell, command: "true"}]
"""


def told(automations: CommandLine, path: str) -> list[str]:
    found = automations("--json", "validate", path).document.get("diagnostics", [])
    return [each["code"] for each in found]


@pytest.mark.parametrize("place", ["action.yaml", "actions/deep/action.yaml"])
def test_a_single_file_is_held_against_the_actions_of_its_tree(automations: CommandLine, place: str) -> None:
    file = automations.write("one")
    team = automations.specs / "team" / "two.yaml"
    team.parent.mkdir()
    team.write_text(SPEC.format(id="two", type="t").replace("actionId: x.do", "actionId: x.do\n    input: {n: many}"))
    manifest = automations.specs / place
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(ACTION)
    assert told(automations, str(file)) == []
    assert told(automations, "automations.d/one.yaml") == []
    assert told(automations, "automations.d/team/two.yaml") == ["spec/input"]
    manifest.write_text(ACTION.replace("inputSchema", "inputShcema"))
    assert told(automations, str(file)) == ["spec/no-manifest"]


def test_the_tree_of_a_file_is_the_source_that_the_settings_name_or_else_its_own_folder(
    automations: CommandLine,
) -> None:
    specs = automations.folder / "specs"
    (specs / "team").mkdir(parents=True)
    (specs / "action.yaml").write_text(ACTION)
    (specs / "team" / "one.yaml").write_text(SPEC.format(id="one", type="t"))
    (specs / "two.yaml").write_text(SPEC.format(id="two", type="t"))
    assert told(automations, "specs/two.yaml") == []
    assert told(automations, "specs/team/one.yaml") == ["spec/no-manifest"]
    (automations.folder / "automations.toml").write_text('specs = "specs"\n')
    assert told(automations, "specs/team/one.yaml") == []


def test_warnings_count_when_they_shall(automations: CommandLine) -> None:
    file = automations.write("one")
    assert automations("validate", "--strict", str(file)).status == 1


def test_a_bad_file_gives_every_error_as_text_and_as_a_diagnostic(automations: CommandLine) -> None:
    file = automations.write("one", SPEC.replace("kind: event", "kind: evnet").replace("name:", "nmae:"))
    ended = automations("--json", "validate", str(file))
    assert (ended.status, ended.err) == (1, "")
    answer = ended.document
    assert set(answer) == {"valid", "errors", "diagnostics"}
    assert answer["valid"] is False
    assert all(set(each) == DIAGNOSTIC for each in answer["diagnostics"])
    assert answer["errors"] == [each["message"] for each in answer["diagnostics"] if each["severity"] == "error"]
    assert [(each["code"], each["line"]) for each in answer["diagnostics"]] == [
        ("spec/unknown-key", 3),
        ("spec/value", 6),
    ]
    assert {each["file"] for each in answer["diagnostics"]} == {str(file)}


def test_a_person_reads_place_first_then_the_next_step(automations: CommandLine) -> None:
    file = automations.write("one", SPEC.replace("kind: event", "kind: evnet"))
    lines = automations("validate", str(file)).out.splitlines()
    assert lines[0].startswith(f"{file}:6:12: error: ")
    assert lines[0].endswith("[spec/value]")
    assert lines[1].startswith('    did you mean "event"?')
    assert lines[-1] == "invalid: 1 error, 1 warning in 1 file"


def test_a_pipeline_reads_findings_as_annotations_and_as_sarif(automations: CommandLine) -> None:
    automations.write("bad", SPEC.replace("version: 1.0.0", "versoin: 1.0.0"))
    automations.write("good")
    for path in ("automations.d", str(automations.specs)):
        ended = automations("validate", path, "--format", "github")
        assert (ended.status, ended.err) == (1, "")
        assert "::error file=automations.d/bad.yaml,line=4,col=1,title=spec/unknown-key::" in ended.out
        assert "::warning file=automations.d/good.yaml,line=9,col=15,title=spec/no-manifest::" in ended.out
        assert ended.out.splitlines()[-1].startswith("invalid: ")
        log = automations("validate", path, "--format", "sarif").document
        jsonschema.Draft7Validator(json.loads(SARIF.read_text())).validate(log)
        (run,) = log["runs"]
        places = {each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for each in run["results"]}
        assert places == {"automations.d/bad.yaml", "automations.d/good.yaml"}
    assert automations("validate", "--format", "json").document == automations("--json", "validate").document
    assert automations.refused("validate", "--format", "markdown", status=2)["error"] == "unknown format: markdown"


@pytest.mark.parametrize("text", [SPEC.format(id="one", type="t"), json.dumps({"schemaVersion": "1.0", "id": "x"})])
def test_standard_input_is_read_for_a_dash_as_yaml_or_json(automations: CommandLine, text: str) -> None:
    ended = automations("--json", "validate", "-", stdin=text.encode())
    assert ended.document["valid"] is (ended.status == 0) is text.startswith("schemaVersion")


def test_json_with_a_surrogate_pair_is_a_spec_from_everywhere(automations: CommandLine) -> None:
    spec = automations.json("spec", "example") | {"name": "Smile 😀"}
    raw = json.dumps(spec).encode()
    assert b"\\ud83d\\ude00" in raw
    for name in ("spec.json", "spec.yaml"):
        (automations.folder / name).write_bytes(raw)
        assert automations.json("validate", str(automations.folder / name))["spec"] == spec
    assert automations.json("validate", "-", stdin=raw)["spec"] == spec
    assert automations.json("simulate", "-", stdin=raw)["run"]["automationId"] == spec["id"]
    automations.json("create", "-", stdin=raw)
    assert [each["spec"]["name"] for each in automations.json("list")] == ["Smile 😀"]


def test_a_json_file_is_a_spec_as_well(automations: CommandLine) -> None:
    spec = automations.json("spec", "example")
    file = automations.folder / "spec.json"
    file.write_text(json.dumps(spec))
    assert automations.json("validate", str(file))["spec"] == spec
    file.write_text(json.dumps(spec)[:-1])
    assert automations("--json", "validate", str(file)).document["diagnostics"][0]["code"] == "yaml/syntax"


def test_all_problems_of_a_thousand_files_come_at_once_in_a_stable_order(automations: CommandLine) -> None:
    automations.specs.mkdir()
    bad = {f"spec-{number:04}": SLIPS[number % len(SLIPS)] for number in range(0, 999, 27)}
    for number in reversed(range(1000)):
        name = f"spec-{number:04}"
        right, wrong, _ = bad.get(name, ("", "", ""))
        (automations.specs / f"{name}.yaml").write_text(SPEC.format(id=name, type="t").replace(right, wrong, 1))
    ended = automations("--json", "validate")
    assert (ended.status, ended.err) == (1, "")
    found = [each for each in ended.document["diagnostics"] if each["severity"] == "error"]
    assert [(each["file"], each["code"]) for each in found] == [
        (f"automations.d/{name}.yaml", code) for name, (_, _, code) in bad.items()
    ]
    assert len(ended.document["errors"]) == 37
    assert automations("--json", "validate").out == ended.out
    assert automations("validate").out.endswith("invalid: 37 errors, 979 warnings in 1000 files\n")


def test_two_files_with_one_id_are_each_told_of_the_other(automations: CommandLine) -> None:
    automations.write("one")
    (automations.specs / "two.yaml").write_text(SPEC.format(id="one", type="t"))
    ended = automations("--json", "validate")
    found = [each for each in ended.document["diagnostics"] if each["code"] == "spec/duplicate-id"]
    assert [each["file"] for each in found] == ["automations.d/one.yaml", "automations.d/two.yaml"]
    assert "automations.d/two.yaml:2:5" in found[0]["message"]


def test_a_folder_without_specs_is_valid_and_says_that_it_holds_none(automations: CommandLine) -> None:
    automations.specs.mkdir()
    ended = automations("validate")
    assert (ended.status, ended.out) == (0, "valid: 0 files, 0 warnings\n")
    assert automations.json("validate") == {"valid": True, "files": 0}


def test_binary_junk_is_a_finding_not_a_crash(automations: CommandLine) -> None:
    automations.specs.mkdir()
    junk = bytes(range(255, -1, -1)) * 16
    for name, content in (("noise.yaml", junk), ("zeros.json", bytes(100)), ("wide.yml", "id: x".encode("utf-16"))):
        (automations.specs / name).write_bytes(content)
    ended = automations("--json", "validate")
    assert ended.status == 1
    assert {each["file"] for each in ended.document["diagnostics"]} == {
        "automations.d/noise.yaml",
        "automations.d/zeros.json",
        "automations.d/wide.yml",
    }
    assert automations("--json", "validate", "-", stdin=junk).status == 1


def test_what_is_too_large_is_told_without_being_read(automations: CommandLine) -> None:
    automations.specs.mkdir()
    file = automations.specs / "huge.yaml"
    with file.open("wb") as sparse:
        sparse.truncate(1 << 40)
    found = automations("--json", "validate").document["diagnostics"]
    assert [(each["code"], each["file"]) for each in found] == [("file/unusable", "automations.d/huge.yaml")]
    assert "larger than 1048576 bytes" in automations.refused("validate", str(file), status=1)["error"]
    ended = automations("--json", "validate", "-", stdin=b"#" * (2 << 20))
    assert ended.document["diagnostics"][0]["code"] == "yaml/size"


@pytest.mark.parametrize("path", ["nope.yaml", "", "/dev/null"])
def test_what_cannot_be_read_is_an_error_that_names_it(automations: CommandLine, path: str) -> None:
    error = automations.refused("validate", path, status=1)
    assert path in error["error"]
    assert error["hint"]


def test_create_refuses_what_validate_calls_an_error_with_the_actions_that_the_store_knows(
    automations: CommandLine,
) -> None:
    automations.specs.mkdir()
    (automations.specs / "action.yaml").write_text(ACTION)
    assert automations("apply", "--auto-approve").status == 0
    slip = SPEC.format(id="one", type="t").replace("actionId: x.do", "actionId: x.do\n    when: run.staus == 'x'")
    refused = automations.refused("create", "-", stdin=slip.encode(), status=1)
    assert (refused["code"], refused["diagnostics"][0]["code"]) == ("spec_invalid", "spec/unknown-field")
    many = SPEC.format(id="one", type="t").replace("actionId: x.do", "actionId: x.do\n    input: {n: many}")
    refused = automations.refused("create", "-", stdin=many.encode(), status=1)
    assert refused["diagnostics"][0]["code"] == "spec/input"
    assert automations.json("list") == []
    assert automations.json("create", "-", stdin=many.replace("many", "3").encode())["id"] == "one"


RIGHTS = "-dac_override,-dac_read_search"
"""What lets root read everything."""


def bound_by_modes(*words: str) -> subprocess.CompletedProcess[str]:
    """A command that may read what its user may, also where that is root."""
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root reads everything, and there is no setpriv")
        words = ("setpriv", f"--bounding-set={RIGHTS}", f"--inh-caps={RIGHTS}", *words)
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_what_cannot_be_read_is_one_finding_among_all_others_and_stops_whoever_would_act(
    automations: CommandLine,
) -> None:
    automations.write("good")
    automations.write("bad", SPEC.replace("kind: event", "kind: evnet"))
    shut = automations.write("shut")
    folder = automations.specs / "team"
    folder.mkdir()
    (folder / "inner.yaml").write_text(SPEC)
    shut.chmod(0)
    folder.chmod(0)
    try:
        program = str(BIN / "automations")
        done = bound_by_modes(program, "--json", "validate", str(automations.specs))
        found = [
            (Path(each["file"]).name, each["code"])
            for each in json.loads(done.stdout)["diagnostics"]
            if each["severity"] == "error"
        ]
        assert found == [("bad.yaml", "spec/value"), ("shut.yaml", "file/unusable"), ("team", "file/unusable")]
        there = ("--dir", str(automations.root))
        refused = bound_by_modes(program, *there, "plan", str(automations.specs))
        assert refused.returncode == 1
        assert "Permission denied" in refused.stderr
        assert "let the user read it that this runs as" in refused.stderr
        folder.chmod(0o700)
        shut.chmod(0o600)
        assert bound_by_modes(program, *there, "plan", str(automations.specs / "nothing")).stderr.endswith(
            "name the directory that holds the specs\n"
        )
    finally:
        folder.chmod(0o700)
        shut.chmod(0o600)
