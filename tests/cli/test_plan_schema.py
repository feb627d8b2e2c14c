"""The plan's JSON is what its schema says, key for key: plans of every kind, and real ones."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from automations.core.plan.risks import RISKS
from automations.core.spec.schemas import schema
from command_line import SPEC, CommandLine

SCHEMA = schema("plan")
GOLDEN = sorted((Path(__file__).parents[1] / "golden" / "plans").glob("*.json"))


def violations(document: Any) -> list[str]:
    found = Draft202012Validator(SCHEMA).iter_errors(document)
    return [f"{'.'.join(map(str, each.path))}: {each.message[:200]}" for each in found]


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_a_plan_of_every_kind_is_what_the_schema_says(file: Path) -> None:
    text = file.read_text().replace("(digest)", f"sha256:{'0' * 64}")
    assert violations(json.loads(text)) == []


def test_a_real_plan_with_a_replay_is_what_the_schema_says(automations: CommandLine) -> None:
    automations.applied(["one", "two"])
    automations.send(1)
    automations.write("one", SPEC.replace("version: 1.0.0", "version: 1.0.1"))
    automations.write("three")
    (automations.specs / "two.yaml").unlink()
    made = automations.json("plan", "--format", "json", "--replay", "7d")
    assert violations(made) == []
    assert {each["action"] for each in made["changes"]} == {"create", "update", "delete"}
    assert made["replay"]["events"] == 1
    automations.write("bad", "id: [\n")
    ended = automations("plan", "--format", "json")
    assert violations(json.loads(ended.out)) == []


def test_the_schema_knows_every_severity_of_a_risk() -> None:
    known = SCHEMA["$defs"]["hazard"]["properties"]["severity"]["enum"]
    assert set(known) == {str(each.severity) for each in RISKS.values()}


def objects() -> list[tuple[str, dict[str, Any]]]:
    return [("plan", dict(SCHEMA)), *SCHEMA["$defs"].items()]


@pytest.mark.parametrize(("name", "part"), objects(), ids=[name for name, _ in objects()])
def test_every_key_is_described_and_shown_by_examples_that_are_valid(name: str, part: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert part["additionalProperties"] is False
    for key, each in part["properties"].items():
        assert each["description"].endswith("."), f"{name}.{key}"
        for value in each["examples"]:
            assert Draft202012Validator({"$defs": SCHEMA["$defs"], **each}).is_valid(value), f"{name}.{key}"
