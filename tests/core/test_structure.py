"""The schemas and the verdicts on documents: a corpus, laws over mutations of it, and the schemas' own good order."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from automations.core.spec import schemas
from automations.core.spec.document import Document
from automations.core.spec.example import example_automation_spec
from automations.core.spec.explain import _EXPLANATIONS, explain
from automations.core.spec.reader import read
from automations.core.spec.structure import check, kind_of
from automations.errors import NotFound

CORPUS = Path(__file__).parents[1] / "data" / "specs"
VALID = sorted((CORPUS / "valid").iterdir())
INVALID = sorted((CORPUS / "invalid").iterdir())


def document(file: Path) -> Document:
    reading = read(file.read_bytes(), file.name)
    assert reading.document is not None, reading.diagnostics
    return reading.document


def of(value: Any) -> Document:
    return Document("spec.yaml", value, dict)


def schema_of(document: Document) -> str:
    return kind_of(document) or "automation"


def expectations(file: Path) -> list[tuple[str, int, int | None]]:
    first = file.read_text(encoding="utf-8").split("\n", 1)[0].removeprefix("# expect: ")
    found = []
    for each in first.split(", "):
        code, place = each.split(" ")
        line, _, column = place.partition(":")
        found.append((code, int(line), int(column) if column else None))
    return found


# ------------------------------------------------------------------ the corpus


def test_the_corpus_is_large_enough_to_mean_something() -> None:
    assert len(VALID) >= 25
    assert len(INVALID) >= 50


@pytest.mark.parametrize("file", VALID, ids=lambda file: file.name)
def test_a_valid_file_has_no_findings(file: Path) -> None:
    given_document = document(file)
    assert check(given_document, schema_of(given_document)) == ()


@pytest.mark.parametrize("file", INVALID, ids=lambda file: file.name)
def test_an_invalid_file_has_exactly_the_findings_its_first_line_names(file: Path) -> None:
    given_document = document(file)
    found = check(given_document, schema_of(given_document))
    expected = expectations(file)
    columns = [each.span.column if want[2] else None for each, want in zip(found, expected, strict=False)]
    assert [(each.code, each.span.line) for each in found] == [(code, line) for code, line, _ in expected]
    assert columns == [column for _, _, column in expected]


@pytest.mark.parametrize("file", [*VALID, *INVALID], ids=lambda file: file.name)
def test_the_fast_and_the_explaining_validator_agree_on_every_file(file: Path) -> None:
    given_document = document(file)
    name = schema_of(given_document)
    fast = jsonschema_rs.Draft202012Validator(dict(schemas.schema(name))).is_valid(given_document.value)
    assert fast == (not explain(given_document, name))


@pytest.mark.parametrize("file", INVALID, ids=lambda file: file.name)
def test_every_finding_is_an_error_with_one_plain_sentence_and_no_secret(file: Path) -> None:
    given_document = document(file)
    for each in check(given_document, schema_of(given_document)):
        assert each.severity == "error"
        assert each.message
        assert "\n" not in each.message + each.hint
        assert "hunter2" not in each.message + each.hint


# ------------------------------------------------------------------ the original's words

ID = "must start with an alphanumeric character and contain only letters, numbers, dots, underscores, colons, or dashes"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"schemaVersion": "2.0"}, "unsupported automation schemaVersion: 2.0"),
        ({"id": ""}, f"automation id {ID}"),
        ({"id": "-x"}, f"automation id {ID}"),
        ({"id": "a b"}, f"automation id {ID}"),
        ({"name": ""}, "automation name is required"),
        ({"version": ""}, "automation version is required"),
        ({"status": "zzz"}, "unsupported automation status: zzz"),
        ({"status": 7}, "unsupported automation status: 7"),
        ({"triggers": []}, "automation requires at least one trigger"),
        ({"triggers": "x"}, "automation requires at least one trigger"),
        ({"triggers": [{"kind": "zzz"}]}, "unsupported automation trigger kind: zzz"),
        ({"actions": []}, "automation requires at least one action step"),
        ({"actions": {}}, "automation requires at least one action step"),
        ({"actions": [{"id": "a"}]}, "automation action step a requires a valid actionId"),
        ({"actions": [{"id": "", "actionId": "x"}]}, f"automation action step id {ID}"),
        ({"actions": [{"id": "a", "actionId": "bad id"}]}, "automation action step a requires a valid actionId"),
        (
            {"actions": [{"id": "a", "actionId": "x", "dependsOn": "b"}]},
            "automation action step a dependsOn must be an array",
        ),
        (
            {"actions": [{"id": "a", "actionId": "x", "approval": {"requiresApproval": "yes"}}]},
            "automation action step a approval.requiresApproval must be a boolean",
        ),
        (
            {"actions": [{"id": "a", "actionId": "x", "approvalGate": {"decision": {"status": "approved"}}}]},
            "automation action step a approval gate templates cannot include decisions",
        ),
    ],
)
def test_what_the_original_refused_is_refused_in_its_words(overrides: dict[str, Any], message: str) -> None:
    found = check(of({**example_automation_spec(), **overrides}), "automation")
    assert [each.message for each in found] == [message]


@pytest.mark.parametrize(
    ("route", "message"),
    [
        ({"id": "bad id"}, f"webhook route id {ID}"),
        ({"path": "nolead"}, "webhook route path must start with /"),
        ({"signature": {"secretRef": "plain"}}, "webhook signature secretRef must be a secret:// reference"),
        (
            {"signature": {"secretRef": "secret://x", "encoding": "rot13"}},
            "unsupported webhook signature encoding: rot13",
        ),
    ],
)
def test_a_route_in_a_spec_is_refused_in_the_words_for_routes(route: dict[str, Any], message: str) -> None:
    spec = {**example_automation_spec(), "triggers": [{"kind": "webhook", "route": route}]}
    assert [each.message for each in check(of(spec), "automation")] == [message]


@pytest.mark.parametrize(
    ("overrides", "hint"),
    [
        ({"staus": "active"}, 'did you mean "status"?'),
        ({"depends_on": []}, "the keys here are: "),
        ({"retry": {}}, "the keys here are: "),
        ({"maxQueued": 3}, 'did you mean "concurrency.maxQueued"?'),
        ({"schemaVersion": 1.0}, 'use "1.0", in quotes: it is a text, not a number'),
        ({"version": 2}, "found a number; put it in quotes"),
        ({"timeout": 30}, "found a number; it must be a duration longer than 0: "),
        ({"status": "Active"}, 'did you mean "active"? use one of: active, paused, archived'),
        ({"lifecycle": {"protect": "yes"}}, "found a string; write true or false, without quotes"),
    ],
)
def test_the_hint_is_the_next_step(overrides: dict[str, Any], hint: str) -> None:
    spec = {key: value for key, value in example_automation_spec().items() if key != "status"}
    found = check(of({**spec, **overrides}), "automation")
    assert [each.hint[: len(hint)] for each in found] == [hint]


def test_a_mistyped_required_key_is_one_finding_not_two() -> None:
    spec = example_automation_spec()
    spec["nmae"] = spec.pop("name")
    (found,) = check(of(spec), "automation")
    assert (found.code, found.path, found.hint) == ("spec/unknown-key", ("nmae",), 'did you mean "name"?')


def test_a_missing_key_points_at_its_parent_and_names_itself() -> None:
    given_document = document(CORPUS / "invalid" / "signature-without-secret.yaml")
    (found,) = check(given_document, "automation")
    assert found.path == ("triggers", 0, "route", "signature", "secretRef")
    assert found.span == given_document.key(found.path[:-1])


def test_findings_are_the_same_and_in_the_same_order_every_time() -> None:
    given_document = document(CORPUS / "invalid" / "everything-at-once.yaml")
    first = check(given_document, "automation")
    assert [each.span.line for each in first] == sorted(each.span.line for each in first)
    backwards = dict(reversed(given_document.value.items()))
    assert check(Document(given_document.file, backwards, given_document.locate), "automation") == first


# ------------------------------------------------------------------ laws over mutations

SAMPLES = [(schema_of(each), each.value) for each in map(document, VALID)]
ODD = [None, True, 0, -1, 1.5, "", "x", "a\n", "30s", "secret://x\n", [], ["x"], [None], {}, {"x": 1}]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        yield (*path, key)
        yield from places(each, (*path, key))


@st.composite
def mutations(draw: st.DrawFn) -> tuple[str, Any]:
    name, original = draw(st.sampled_from(SAMPLES))
    value = copy.deepcopy(original)
    for _ in range(draw(st.integers(1, 3))):
        found = list(places(value))
        if not found:  # everything was deleted
            break
        *above, key = draw(st.sampled_from(found))
        holder = value
        for part in above:
            holder = holder[part]
        match draw(st.sampled_from(["delete", "rename", "retype"])):
            case "delete":
                del holder[key]
            case "rename" if isinstance(holder, dict):
                holder[draw(st.sampled_from([f"{key}s", str(key).upper(), str(key)[::-1], "x"]))] = holder.pop(key)
            case _:
                holder[key] = copy.deepcopy(draw(st.sampled_from(ODD)))
    return name, value


@settings(deadline=None)  # a busy machine is not a failure
@given(mutations())
def test_both_validators_agree_on_any_mutation_and_a_bad_one_is_explained(mutation: tuple[str, Any]) -> None:
    name, value = mutation
    fast = jsonschema_rs.Draft202012Validator(dict(schemas.schema(name))).is_valid(value)
    found = explain(of(value), name)
    assert fast == (not found)
    assert check(of(value), name) == found
    assert len({each.path for each in found}) == len(found)


@pytest.mark.parametrize("value", [*ODD, [example_automation_spec()]])
@pytest.mark.parametrize("name", schemas.NAMES)
def test_a_document_of_any_shape_is_refused_with_a_finding(name: str, value: Any) -> None:
    assert check(of(value), name)


# ------------------------------------------------------------------ what a document is


@pytest.mark.parametrize(
    ("file", "value", "kind"),
    [
        ("a.yaml", {"id": "a"}, "automation"),
        ("a.yaml", {}, "automation"),
        ("a.yaml", {"kind": "Event"}, "automation"),
        ("a.yaml", {"executorBindings": []}, "action"),
        ("a.json", {"kind": "Action"}, "action"),
        ("deep/a.test.yaml", {"executorBindings": []}, "test"),
        ("a.test.yml", [], "test"),
        ("a.test.json", {}, "test"),
        ("test.yaml", {}, "automation"),
        ("a.yaml", [], None),
        ("a.yaml", None, None),
    ],
)
def test_a_document_is_known_by_its_name_and_its_keys(file: str, value: Any, kind: str | None) -> None:
    assert kind_of(Document(file, value, dict)) == kind


def test_the_example_is_exactly_the_original_one_and_new_at_each_call() -> None:
    original = json.loads((CORPUS / "valid" / "original-example.json").read_text(encoding="utf-8"))
    first = example_automation_spec()
    assert json.dumps(first) == json.dumps(original)
    first["triggers"].clear()
    assert example_automation_spec() == original


# ------------------------------------------------------------------ the schemas themselves


def test_an_unknown_schema_is_not_found_by_name() -> None:
    with pytest.raises(NotFound) as caught:
        schemas.text("../pyproject")
    assert caught.value.hint == "the schemas are: automation, action, test, plan"


def subschemas(part: Any, path: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every subschema with where it stands; annotations are not walked into."""
    if not isinstance(part, dict):
        return
    yield path, part
    for keyword in ("properties", "$defs"):
        for key, each in part.get(keyword, {}).items():
            yield from subschemas(each, f"{path}/{keyword}/{key}")
    for keyword in ("items", "additionalProperties", "if", "then", "else"):
        yield from subschemas(part.get(keyword), f"{path}/{keyword}")
    for index, each in enumerate(part.get("allOf", ())):
        yield from subschemas(each, f"{path}/allOf/{index}")


def described(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property that a person may write (the branches of conditions only narrow what is described elsewhere)."""
    for path, part in subschemas(schemas.schema(name)):
        if "/if" in path or "/then" in path or "/else" in path:
            continue
        for key, each in part.get("properties", {}).items():
            if each is not False:
                yield f"{path}/properties/{key}", each


@pytest.mark.parametrize("name", schemas.NAMES)
def test_a_schema_is_a_schema_that_needs_no_network(name: str) -> None:
    schema = schemas.schema(name)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"].startswith("urn:automations:schema:")
    references = [part["$ref"] for _, part in subschemas(schema) if "$ref" in part]
    assert references
    assert all(each.removeprefix("#/$defs/") in schema["$defs"] for each in references)


@pytest.mark.parametrize("name", schemas.NAMES)
def test_every_property_is_described_and_shown_by_examples_that_are_valid(name: str) -> None:
    properties = list(described(name))
    assert len(properties) > 20
    for path, each in properties:
        assert each.get("description", "").endswith("."), path
        assert each.get("examples"), path
        whole = {"$defs": schemas.schema(name)["$defs"], **each}
        values = [*each["examples"], *([each["default"]] if "default" in each else [])]
        for value in values:
            assert Draft202012Validator(whole).is_valid(value), (path, value)


@pytest.mark.parametrize("name", schemas.NAMES)
def test_a_schema_refuses_only_by_keywords_that_can_be_explained(name: str) -> None:
    annotations = {"$schema", "$id", "$defs", "$ref", "title", "description", "default", "examples"}
    annotations |= {"errorMessage", "patternErrorMessage", "defaultSnippets"}
    structure = {"properties", "items", "allOf", "if", "then", "else"}
    for path, part in subschemas(schemas.schema(name)):
        # `const` only tells kinds apart: the set of kinds is held by an `enum` beside it.
        assert set(part) <= annotations | structure | set(_EXPLANATIONS) | {"const"}, path


@pytest.mark.parametrize("name", schemas.NAMES)
def test_an_object_with_known_keys_refuses_others_except_where_a_kind_decides(name: str) -> None:
    for path, part in subschemas(schemas.schema(name)):
        if "properties" in part and "/if" not in path and "/then" not in path and "/allOf" not in path:
            decided = any("then" in each for each in part.get("allOf", ())) and set(part["properties"]) == {"kind"}
            assert part.get("additionalProperties") is False or decided, path


@pytest.mark.parametrize("name", schemas.NAMES)
def test_patterns_mean_the_same_in_every_language(name: str) -> None:
    for path, part in subschemas(schemas.schema(name)):
        if "pattern" in part:
            assert "\\w" not in part["pattern"], path
            assert "\\s" not in part["pattern"], path
            assert "\\d" not in part["pattern"], path
            assert part["pattern"].startswith("^"), path
            assert "maxLength" in part, path
            assert "patternErrorMessage" in part or "errorMessage" in part, path


def filled(body: Any) -> Any:
    """A snippet as an editor inserts it when nothing is changed."""
    if isinstance(body, dict):
        return {filled(key): filled(value) for key, value in body.items()}
    if isinstance(body, list):
        return [filled(each) for each in body]
    return re.sub(r"\$\{\d+:([^}]*)\}", r"\1", body) if isinstance(body, str) else body


@pytest.mark.parametrize("name", schemas.NAMES)
def test_every_snippet_is_valid_as_it_is_inserted(name: str) -> None:
    schema = schemas.schema(name)
    snippets = [(part, each) for _, part in subschemas(schema) for each in part.get("defaultSnippets", ())]
    assert snippets
    for part, snippet in snippets:
        whole = {"$defs": schema["$defs"], **part}
        assert Draft202012Validator(whole).is_valid(filled(snippet["body"])), snippet["label"]
        assert snippet["description"]
