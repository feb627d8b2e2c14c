"""Manifests among specs: which one a step means, and which inputs it can never take."""

from typing import Any

import pytest

from automations.core.spec.catalogue import Catalogue
from automations.core.spec.manifests import Shelf, resolve, resolve_all, shelve
from automations.core.spec.model import Step
from samples import action, catalogue, manifest, spec, step

TEMPLATE = "${{ event.data.n }}"
OBJECT = {"type": "object", "properties": {"n": {"type": "integer"}, "s": {"type": "string"}}}
CLOSED = {**OBJECT, "additionalProperties": False}
NEEDS = {**OBJECT, "required": ["n"]}


def known(*versions: str) -> Shelf:
    return shelve(manifest(version=version) for version in versions)


def declared(value: Any, schema: Any, **keys: Any) -> Catalogue:
    """An automation with this input beside a manifest with this schema."""
    files = {"a.yaml": spec("a", actions=[step(input=value, **keys)]), "m.yaml": action(inputSchema=schema)}
    return catalogue(files)


def told(value: Any, schema: Any) -> list[str]:
    return [each.message for each in declared(value, schema).diagnostics if each.severity == "error"]


@pytest.mark.parametrize(
    ("versions", "highest"),
    [
        (["1.0.0"], "1.0.0"),
        (["1.9.0", "1.10.0"], "1.10.0"),
        (["2", "1.99"], "2"),
        (["1.0.0-rc1", "1.0.0"], "1.0.0"),
        (["1.0", "1.00"], "1.00"),
        (["beta", "0.1"], "0.1"),
        (["9" * 5000, "1" + "0" * 5000], "1" + "0" * 5000),
        (["007", "8"], "8"),
        (["1.\u0662", "1.1"], "1.1"),
    ],
)
def test_a_step_without_a_version_takes_the_highest_whatever_order_they_are_known_in(
    versions: list[str], highest: str
) -> None:
    plain = Step("s", "todos.create")
    for order in (versions, versions[::-1]):
        found, listed = resolve(plain, known(*order))
        assert found is not None
        assert (found.version, listed[-1], len(listed)) == (highest, highest, len(versions))


def test_a_step_with_a_version_takes_exactly_that_or_nothing() -> None:
    found, listed = resolve(Step("s", "todos.create", "1"), known("1", "2"))
    assert found is not None
    assert (found.version, listed) == ("1", ("1", "2"))
    assert resolve(Step("s", "todos.create", "3"), known("1", "2"))[0] is None
    assert resolve(Step("s", "other"), known("1")) == (None, ())


def test_steps_without_a_manifest_are_left_out() -> None:
    steps = (Step("one", "todos.create"), Step("two", "other"))
    assert list(resolve_all(steps, known("1"))) == ["one"]


def test_a_version_that_does_not_exist_is_an_error_that_lists_those_that_do() -> None:
    found = declared({}, OBJECT, manifestVersion="9").diagnostics
    (error,) = [each for each in found if each.severity == "error"]
    assert (error.code, error.hint) == ("spec/manifest-version", "known versions: 1.0.0")


def test_an_action_that_nobody_describes_is_only_a_warning() -> None:
    (warning,) = catalogue({"a.yaml": spec("a")}).diagnostics
    assert (warning.code, warning.severity) == ("spec/no-manifest", "warning")
    assert "did you mean" not in warning.hint


def test_a_manifest_that_is_there_and_bad_is_not_said_to_be_missing() -> None:
    broken = {key: value for key, value in action().items() if key != "inputSchema"}
    found = catalogue({"a.yaml": spec("a"), "b.yaml": broken, "c.yaml": spec("c", actions=[step(actionId="other")])})
    assert [(each.span.file, each.code) for each in found.diagnostics] == [
        ("b.yaml", "spec/missing-key"),
        ("c.yaml", "spec/no-manifest"),
    ]


def test_the_warning_of_a_mistyped_action_names_the_one_that_was_meant() -> None:
    mistyped = spec("a", actions=[step(actionId="todos.craete")])
    (warning,) = catalogue({"a.yaml": mistyped, "b.yaml": action(), "c.yaml": action("mail.send")}).diagnostics
    assert (warning.code, warning.severity) == ("spec/no-manifest", "warning")
    assert warning.hint.startswith("did you mean todos.create? ")


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        ({"n": "one"}, OBJECT),
        ({}, NEEDS),
        ({"x": 1}, CLOSED),
        ({"n": 1.5}, OBJECT),
        ([], OBJECT),
        (None, OBJECT),
        ({"s": TEMPLATE}, NEEDS),
        ({"s": TEMPLATE, "n": "one"}, OBJECT),
        ({"x": TEMPLATE}, CLOSED),
        ({"x": {"deep": [TEMPLATE]}}, CLOSED),
        ([TEMPLATE], OBJECT),
        ({"n": TEMPLATE, "s": 1}, {**OBJECT, "$defs": {"x": {}}}),
        ({"n": f"a {TEMPLATE} b"}, CLOSED),
    ],
)
def test_an_input_that_can_never_conform_is_an_error_of_the_automation(value: Any, schema: Any) -> None:
    found = declared(value, schema)
    assert [each.code for each in found.diagnostics if each.severity == "error"] == ["spec/input"]
    assert found.automations == {}
    assert ("todos.create", "1.0.0") in found.manifests


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        ({"n": 1, "s": "x"}, CLOSED),
        ({"n": TEMPLATE}, CLOSED),
        (TEMPLATE, OBJECT),
        (TEMPLATE, {"type": "integer"}),
        (f"text {TEMPLATE}", {"type": "string"}),
        ({"n": {"very": [{"deep": TEMPLATE}]}}, NEEDS),
        ({"count": TEMPLATE}, {"type": "object", "additionalProperties": {"type": "integer"}}),
        (
            {"x-count": TEMPLATE},
            {"type": "object", "patternProperties": {"^x-": {"type": "integer"}}, "additionalProperties": False},
        ),
        ({"x-a": 1, "s": TEMPLATE}, {**CLOSED, "patternProperties": {"^x-": {"type": "integer"}}}),
        ({"n": TEMPLATE, "s": "x"}, {**OBJECT, "minProperties": 1, "allOf": [NEEDS]}),
        ([TEMPLATE, 1], {"type": "array", "items": {"type": "integer"}}),
        (
            {"n": TEMPLATE, "d": "x"},
            {
                "type": "object",
                "definitions": {"t": {"type": "string"}},
                "properties": {"d": {"$ref": "#/definitions/t"}},
            },
        ),
        ("$${{ not.a.template }}", {"type": "string"}),
    ],
)
def test_an_input_that_may_conform_once_it_is_rendered_is_fine(value: Any, schema: Any) -> None:
    assert told(value, schema) == []


def test_a_constant_beside_a_template_is_still_checked_through_references() -> None:
    schema = {
        "type": "object",
        "definitions": {"t": {"type": "string"}},
        "properties": {"d": {"$ref": "#/definitions/t"}},
    }
    assert len(told({"n": TEMPLATE, "d": 1}, schema)) == 1


def test_a_violation_names_step_action_version_and_place() -> None:
    (message,) = told({"n": "one"}, OBJECT)
    assert message.startswith("input of step work does not conform to todos.create 1.0.0: n: ")


@pytest.mark.parametrize("key", ["inputSchema", "outputSchema"])
@pytest.mark.parametrize(
    "bad",
    [{"type": "nope"}, {"$ref": "#/nothing"}, {"$ref": "https://example.org/x"}, {"pattern": "("}, {"properties": 5}],
)
def test_a_manifest_whose_schema_is_none_is_refused_at_the_schema(key: str, bad: Any) -> None:
    found = catalogue({"m.yaml": action(**{key: bad})})
    assert [(each.code, each.path) for each in found.diagnostics] == [("action/schema", (key,))]
    assert found.manifests == {}


def test_a_bad_manifest_does_not_spoil_the_automations_that_name_it() -> None:
    found = catalogue({"m.yaml": action(inputSchema={"type": "nope"}), "a.yaml": spec("a")})
    assert list(found.automations) == ["a"]


def test_what_others_own_counts_only_where_the_source_has_none_of_that_action() -> None:
    plain = Step("s", "todos.create")
    shelf = shelve([manifest(version="1.0.0")], [manifest(version="9.0.0")])
    own, _ = resolve(plain, shelf)
    others, _ = resolve(plain, shelve((), [manifest(version="9.0.0"), manifest(version="10.0.0")]))
    named, _ = resolve(Step("s", "todos.create", "9.0.0"), shelf)
    assert own is not None
    assert others is not None
    assert named is not None
    assert (own.version, others.version, named.version) == ("1.0.0", "10.0.0", "9.0.0")
