"""Inputs of manual and api starts: defaults, types of words, what is missing, and how large they may be."""

from typing import Any

import pytest

from automations.core.run.inputs import bounded, missing, typed, with_defaults
from automations.errors import InvalidInput

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["ref", "count", "dry"],
    "properties": {
        "ref": {"type": "string", "description": "What to ship."},
        "count": {"type": "integer"},
        "dry": {"type": "boolean", "default": True},
        "where": {"enum": ["eu", "us", 3]},
        "options": {
            "type": "object",
            "properties": {"depth": {"default": 2}, "deep": {"properties": {"x": {"default": 1}}}},
        },
        "any": {},
        "maybe": {"type": ["integer", "null", "string"]},
        "list": {"type": "array"},
    },
}


def test_defaults_are_filled_in_also_inside_objects_that_were_given() -> None:
    assert with_defaults(SCHEMA, {"ref": "a"}) == {"ref": "a", "dry": True}
    assert with_defaults(SCHEMA, {"dry": False, "options": {"deep": {}}}) == {
        "dry": False, "options": {"depth": 2, "deep": {"x": 1}},
    }  # fmt: skip


def test_what_is_missing_is_required_without_default_and_not_given() -> None:
    asked = missing(SCHEMA, {"count": 1})
    assert [each.name for each in asked] == ["ref"]
    assert asked[0].text == "ref (string): What to ship."


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("ref", "7", "7"),
        ("count", "7", 7),
        ("dry", "No", False),
        ("where", "3", 3),
        ("where", "eu", "eu"),
        ("any", "true", "true"),
        ("unknown", "x", "x"),
        ("maybe", "null", None),
        ("maybe", "5", 5),
        ("maybe", "five", "five"),
        ("list", "[1]", [1]),
        ("options", '{"depth": 1}', {"depth": 1}),
    ],
)
def test_a_word_takes_the_type_that_the_schema_gives_it(name: str, text: str, value: Any) -> None:
    assert typed(SCHEMA, name, text) == value
    assert type(typed(SCHEMA, name, text)) is type(value)


@pytest.mark.parametrize(("name", "text"), [("count", "7.5"), ("count", "x"), ("dry", "1"), ("list", "{}")])
def test_a_word_of_another_type_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(InvalidInput, match=name):
        typed(SCHEMA, name, text)


def test_inputs_are_bounded() -> None:
    with pytest.raises(InvalidInput, match="262144"):
        bounded({"text": "x" * 262_144})
