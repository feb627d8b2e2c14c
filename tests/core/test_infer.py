"""What expressions come to before there is data: never a false alarm, and the slips that can be known are told.

The laws hold the walk to the library itself: whatever evaluates on data that conforms to a schema was not called impossible, and
comes to a kind that was foreseen.
"""

from collections.abc import Mapping
from itertools import product
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from automations.core.expression import operators
from automations.core.expression.cel import Activation, EvaluationFailed, ExpressionInvalid, compile_expression
from automations.core.expression.infer import infer
from automations.core.expression.schema_shape import shape_of
from automations.core.expression.shape import KINDS, Reading, Shape, fields, of_value
from samples import catalogue, event_trigger, spec

TICKET = {
    "type": "object",
    "additionalProperties": False,
    "required": ["count", "title", "level"],
    "properties": {
        "count": {"type": "integer"},
        "title": {"type": "string"},
        "level": {"enum": ["low", "high"]},
        "note": {"type": "string"},
        "items": {
            "type": "array",
            "items": {"type": "object", "required": ["price"], "properties": {"price": {"type": "number"}}},
        },
        "owner": {"type": "object", "properties": {"name": {"type": "string"}}},
        "either": {"type": ["string", "integer"]},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "any": {},
    },
}


def data(schema: Any) -> dict[str, Shape]:
    return {"event": fields({"data": Reading(shape_of(schema), "always", "yes")})}


def faults(text: str, schema: Any = TICKET) -> list[str]:
    return [each.fault for each in infer(compile_expression(text), data(schema)).found]


@pytest.mark.parametrize(
    "text",
    [
        "event.data.count > 3",
        "event.data.count > 3.5",
        "event.data.title.startsWith('x') && event.data.level == 'high'",
        "event.data['title'] == 'x'",
        "has(event.data.any) && event.data.any.thing[3].at == 'all'",
        "has(event.data.note) && event.data.note == 'x'",
        "event.data.note == 'x' && has(event.data.note)",
        "!has(event.data.note) || event.data.note == 'x'",
        "event.data.note == 'x' || !has(event.data.note)",
        "has(event.data.note) ? event.data.note : 'none'",
        "!has(event.data.note) ? 'none' : event.data.note",
        "'note' in event.data && event.data.note == 'x'",
        "has(event.data.note) && (event.data.count > 3 || event.data.note == 'x')",
        "has(event.data.owner) && has(event.data.owner.name) && event.data.owner.name != ''",
        "has(event.data.items) && event.data.items.exists(each, each.price > 3)",
        "has(event.data.items) && event.data.items.map(each, each.price).size() > 1",
        "has(event.data.either) && event.data.either > 3",
        "has(event.data.either) && event.data.either + 'x' == 'yx'",
        "has(event.data.labels) && event.data.labels.env == 'prod'",
        "size(event.data) > 1",
        "event.data.count in [1, 2]",
        "{'a': event.data.count}.a + 1 > 2",
        "event.subject == 'x' || event.anything == 1",
    ],
)
def test_what_may_work_is_not_called_wrong(text: str) -> None:
    assert faults(text) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("event.data.cuont > 3", "unknown-field"),
        ("event.data['cuont'] > 3", "unknown-field"),
        ("has(event.data.cuont)", "never-there"),
        ("event.data.note == 'x'", "optional-field"),
        ("has(event.data.note) || event.data.note == 'x'", "optional-field"),
        ("has(event.data.note) ? 'x' : event.data.note", "optional-field"),
        ("has(event.data.owner.name)", "optional-field"),
        ("event.data.note == 'x' && event.data.note == 'y'", "optional-field"),
        ("[1].exists(note, event.data.note == 'x') && has(event.data.note) == false", "optional-field"),
        ("event.data.count > 'x'", "operand-type"),
        ("event.data.title + 1 == event.data.title", "operand-type"),
        ("event.data.title && true", "operand-type"),
        ("!event.data.count", "operand-type"),
        ("event.data.count ? 1 : 2", "operand-type"),
        ("event.data.count.size() > 1", "operand-type"),
        ("event.data.title.name == 'x'", "operand-type"),
        ("event.data.count[0] == 1", "operand-type"),
        ("event.data.count.exists(each, each == 1)", "operand-type"),
        ("'x' in event.data.title", "operand-type"),
        ("-event.data.title == 'x'", "operand-type"),
        ("has(event.data.title.x)", "operand-type"),
        ("event.data.count == '3'", "never-equal"),
        ("event.data.level == 'hihg'", "never-equal"),
        ("has(event.data.owner) && event.data.owner.nmae == 'x'", "undeclared-field"),
        ("has(event.data.items) && event.data.items[0].prize > 1", "undeclared-field"),
        ("has(event.data.items) && event.data.items['x'] == 1", "operand-type"),
        ("has(event.data.items) && event.data.items.exists(each, each.price > 'x')", "operand-type"),
    ],
)
def test_a_slip_is_told_once_and_as_what_it_is(text: str, fault: str) -> None:
    assert set(faults(text)) == {fault}


def test_a_slip_is_told_where_it_stands_with_what_was_meant() -> None:
    expression = compile_expression("event.data.title == 'x' && event.data.cuont > 3")
    (found,) = infer(expression, data(TICKET)).found
    assert expression.text[expression.offsets()[found.node] :].startswith(".cuont")
    assert found.path == ("event", "data", "cuont")
    assert found.hint.startswith("did you mean `count`? the fields are: count, title, level, ")


ONE_KIND = {"properties": {"k": {"const": "a"}, "x": {}}, "required": ["k", "x"]}
EMPTY = {"type": "object", "additionalProperties": False}
NULL_X = {"x": {"type": "null"}}
DRAFT_7 = "http://json-schema.org/draft-07/schema#"


@pytest.mark.parametrize(
    ("schema", "text", "expected"),
    [
        (True, "event.data.x > 'a'", []),
        ({}, "event.data.x > 'a'", []),
        ({"properties": {"x": {"type": "string"}}}, "event.data.x > 1", ["operand-type", "optional-field"]),
        ({"type": "object", "required": ["x"]}, "event.data.x > 1", []),
        ({"$ref": "#/$defs/t", "$defs": {"t": TICKET}}, "event.data.cuont == 1", ["unknown-field"]),
        ({"allOf": [{"$ref": "#/$defs/t"}], "$defs": {"t": TICKET}}, "event.data.note == ''", ["optional-field"]),
        ({"allOf": [TICKET, {"required": ["note"]}]}, "event.data.note == ''", []),
        # What a condition may ask for is not held against a reader.
        ({"properties": {"x": {}}, "if": {"required": ["y"]}, "then": {"required": ["x"]}}, "event.data.x == 1", []),
        ({"allOf": [{"properties": {"x": {}}}, {"if": True, "then": {"required": ["x"]}}]}, "event.data.x == 1", []),
        ({"properties": {"x": {}}, "dependentRequired": {"y": ["x"]}}, "event.data.x == 1", []),
        # Which of two it is may hang on another field.
        (
            {"oneOf": [ONE_KIND, {"properties": {"k": {"const": "b"}}, "required": ["k"]}]},
            "event.data.k == 'a' && event.data.x == 1",
            [],
        ),
        ({"anyOf": [{"type": "string"}, EMPTY]}, "event.data.x == 1", ["unknown-field"]),
        ({"type": "object", "patternProperties": {"^x": {}}, "additionalProperties": False}, "event.data.xy == 1", []),
        ({"properties": {"x": False}}, "event.data.x == 1", []),
        ({"$ref": "https://example.com/other.json"}, "event.data.x > 'a'", []),
        ({"$ref": "#anchor", "$defs": {"t": {"$anchor": "anchor", "type": "string"}}}, "event.data.x > 'a'", []),
        # Before 2019-09 what stands beside a reference means nothing.
        (
            {"$schema": DRAFT_7, "$ref": "#/definitions/t", "type": "string", "definitions": {"t": {"type": "object"}}},
            "event.data.x > 1",
            [],
        ),
        ({"items": [{"type": "string"}]}, "event.data[0] > 1", []),
        ({"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "integer"}}, "event.data[0] > 1", []),
        ({"type": ["object", "null"], "required": ["x"], "properties": NULL_X}, "event.data.x > 1", ["operand-type"]),
        ({"const": {"x": 1}}, "event.data.x > 1", []),
        ({"type": "no such type", "properties": 3, "required": "x", "allOf": 7, "$ref": 4, "enum": []}, "event.data.x > 1", []),
    ],
)  # fmt: skip
def test_a_schema_says_what_it_says_and_no_more(schema: Any, text: str, expected: list[str]) -> None:
    assert sorted(set(faults(text, schema))) == expected


def test_schemas_that_refer_to_themselves_end() -> None:
    tree = {
        "type": "object",
        "properties": {"child": {"$ref": "#"}, "name": {"type": "string"}},
        "required": ["child", "name"],
    }
    assert faults("event.data.child.child.child.name > 1", tree) == ["operand-type"]
    assert faults("event.data.x > 1", {"$ref": "#"}) == []
    billion: dict[str, Any] = {
        f"a{number}": {"anyOf": [{"$ref": f"#/$defs/a{number + 1}"}] * 8} for number in range(40)
    }
    assert faults("event.data.x > 1", {"$ref": "#/$defs/a0", "$defs": {**billion, "a40": {"type": "string"}}}) == []


# ------------------------------------------------------------------ the tables, held to the library

SAMPLES: dict[str, list[Any]] = {
    "null": [None],
    "bool": [True, False],
    "int": [2, -1],
    "double": [2.5, 4.0],
    "string": ["x", "1", "true", "90s", "2026-01-01T00:00:00Z"],
    "list": [[], [1, "x"]],
    "map": [{}, {"x": 1}],
}
METHODS = {"size", "contains", "startsWith", "endsWith", "matches"}


def written(name: str, count: int) -> str:
    """An operator or function applied to fields of the data."""
    operands = [f"event.{letter}" for letter in "ab"[:count]]
    if name.startswith("_") or name == "@in":
        return f" {operators.symbol(name)} ".join(operands)
    if name == "-_":
        return f"-{operands[0]}"
    if name in METHODS and count == 2:
        return f"{operands[0]}.{name}({operands[1]})"
    return f"{name}({', '.join(operands)})"


@pytest.mark.parametrize("name", operators.names())
@pytest.mark.parametrize("count", [1, 2])
def test_the_tables_say_what_the_library_does(name: str, count: int) -> None:
    """Nothing that works is called impossible; what works is of a kind that was foreseen."""
    if operators.result(name, [KINDS] * count) is None:
        return
    expression = compile_expression(written(name, count))
    for kinds in product(SAMPLES, repeat=count):
        foreseen = operators.result(name, [frozenset({kind}) for kind in kinds])
        assert foreseen is not None
        for values in product(*(SAMPLES[kind] for kind in kinds)):
            event = dict(zip("ab", values, strict=False))
            try:
                answer = expression.evaluate(Activation({"event": event}))
            except EvaluationFailed:
                continue
            assert foreseen, (expression.text, event, answer)
            assert of_value(answer).kinds <= {AS_PLAIN_DATA.get(kind, kind) for kind in foreseen}


AS_PLAIN_DATA = {"uint": "int", "timestamp": "string", "duration": "string"}


# ------------------------------------------------------------------ laws over random schemas, data and expressions

NAMES = ["a", "b", "c"]
LEAVES: list[dict[str, Any]] = [
    {"type": "string"},
    {"type": "integer"},
    {"type": "number"},
    {"type": "boolean"},
    {"type": "null"},
    {"enum": ["x", "y"]},
    {"const": 3},
    {"type": ["string", "integer"]},
    {},
]
SCALARS = st.sampled_from([None, True, 1, 2.0, -3.5, "", "x", "y"])


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(
        {"type": st.just("object"), "properties": st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)},
        optional={
            "required": st.lists(st.sampled_from(NAMES), unique=True, max_size=2),
            "additionalProperties": st.one_of(st.booleans(), st.sampled_from(LEAVES)),
        },
    )


def combined(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(inner, min_size=1, max_size=2)
    extra = st.fixed_dictionaries({"required": st.lists(st.sampled_from(NAMES), unique=True, min_size=1, max_size=2)})
    return st.one_of(
        objects(inner),
        st.fixed_dictionaries({"type": st.just("array"), "items": inner}),
        st.fixed_dictionaries({"anyOf": some}),
        st.fixed_dictionaries({"oneOf": some}),
        st.tuples(inner, extra).map(lambda both: {"allOf": list(both)}),
        st.tuples(inner, inner, extra).map(lambda three: {**three[0], "if": three[1], "then": three[2]}),
    )


SCHEMAS = st.recursive(st.sampled_from(LEAVES), combined, max_leaves=6)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from([*NAMES, "d"]), inner, max_size=4), st.lists(inner, max_size=2)
    ),
    max_leaves=8,
)
PATHS = st.lists(st.sampled_from([*[f".{name}" for name in NAMES], "['a']", "[0]"]), max_size=3).map(
    lambda parts: "event.data" + "".join(parts)
)
LITERALS = st.sampled_from(["1", "2.5", "'x'", "true", "null", "[1]", "{'a': 1}"])


def strict(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Expressions every part of which is evaluated."""
    pair = st.tuples(inner, inner)
    return st.one_of(
        st.tuples(inner, st.sampled_from(["==", "!=", "<", ">=", "+", "-", "*", "%", "in"]), inner).map(
            lambda three: f"({' '.join(three)})"
        ),
        inner.map(lambda one: f"size({one})"),
        inner.map(lambda one: f"string({one})"),
        pair.map(lambda two: f"{two[0]}.startsWith({two[1]})"),
        inner.map(lambda one: f"(-{one})"),
        inner.map(lambda one: f"(!{one})"),
        pair.map(lambda two: f"[{two[0]}, {two[1]}]"),
        pair.map(lambda two: f"{{'a': {two[0]}, 'b': {two[1]}}}"),
    )


def lenient(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Expressions that may pass over some of their parts."""
    three = st.tuples(inner, inner, inner)
    return st.one_of(
        strict(inner),
        three.map(lambda each: f"({each[0]} ? {each[1]} : {each[2]})"),
        three.map(lambda each: f"({each[0]} && {each[1]} || {each[2]})"),
        PATHS.filter(lambda path: path[-2:] in (".a", ".b", ".c")).map(lambda one: f"has({one})"),
        st.tuples(inner, inner).map(lambda two: f"{two[0]}.exists(v, v == {two[1]})"),
        st.tuples(inner, inner).map(lambda two: f"{two[0]}.map(v, {two[1]})"),
    )


STRICT = st.recursive(st.one_of(PATHS, PATHS, LITERALS), strict, max_leaves=4)
LENIENT = st.recursive(st.one_of(PATHS, PATHS, LITERALS), lenient, max_leaves=5)


def likely(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that mostly conform; what else a schema says is left to the validator."""
    if "anyOf" in schema or "oneOf" in schema:
        return st.one_of(*map(likely, schema.get("anyOf", []) + schema.get("oneOf", [])))
    if "allOf" in schema:
        return likely(schema["allOf"][0])
    kind = schema.get("type")
    if kind == "object":
        known = {name: likely(each) for name, each in schema["properties"].items()}
        extra = {name: SCALARS for name in schema.get("required", []) if name not in known}
        needed = {name: each for name, each in {**known, **extra}.items() if name in schema.get("required", [])}
        return st.fixed_dictionaries(
            needed, optional={name: each for name, each in known.items() if name not in needed}
        )
    if kind == "array":
        return st.lists(likely(schema["items"]), max_size=2)
    return st.one_of(SCALARS, VALUES) if kind is None else SCALARS


CASES = SCHEMAS.flatmap(lambda schema: st.tuples(st.just(schema), likely(schema)))


def conforming(schema: Any, value: Any) -> None:
    assume(jsonschema_rs.Draft202012Validator(schema).is_valid(value))


def outcome(text: str, value: Any) -> Any:
    try:
        expression = compile_expression(text)
    except ExpressionInvalid:
        assume(False)  # CEL's own checker knows
    try:
        return expression, expression.evaluate(Activation({"event": {"data": value}}))
    except EvaluationFailed:
        assume(False)


LAW = settings(
    deadline=None, max_examples=200, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)


@LAW
@given(CASES, STRICT)
@example(({"type": "integer"}, 2.0), "event.data + 1.5")
@example(({"anyOf": [{"type": "string"}, {"type": "integer"}]}, 1), "event.data + 1")
def test_whatever_evaluates_on_conforming_data_was_not_called_impossible(case: tuple[Any, Any], text: str) -> None:
    schema, value = case
    conforming(schema, value)
    expression, _ = outcome(text, value)
    found = infer(expression, data(schema)).found
    assert [each for each in found if each.fault in ("unknown-field", "operand-type")] == []


@LAW
@given(CASES, LENIENT)
def test_whatever_it_comes_to_is_of_a_kind_that_was_foreseen(case: tuple[Any, Any], text: str) -> None:
    schema, value = case
    conforming(schema, value)
    expression, answer = outcome(text, value)
    inferred = infer(expression, data(schema))
    assert fits(inferred.shape, answer), (inferred.shape, answer)


def fits(shape: Shape, value: Any) -> bool:
    """Whether a value is of a shape, all the way down."""
    if not of_value(value).kinds & {AS_PLAIN_DATA.get(kind, kind) for kind in shape.kinds}:
        return False
    if isinstance(value, str) and shape.values is not None and shape.kinds == {"string"} and value not in shape.values:
        return False
    if isinstance(value, list):
        return all(fits(shape.item(), each) for each in value)
    if not isinstance(value, Mapping):
        return True
    readings = {name: shape.read(name) for name in value}
    missing = [name for name in (*NAMES, "d") if name not in value and shape.read(name).presence == "always"]
    return not missing and all(
        reading.shape is not None and fits(reading.shape, value[name]) for name, reading in readings.items()
    )


@LAW
@given(CASES)
def test_a_value_that_conforms_to_a_schema_is_of_its_shape(case: tuple[Any, Any]) -> None:
    schema, value = case
    conforming(schema, value)
    assert fits(shape_of(schema), value)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": [{"a": 1}, None, "string"]},
        {"type": [["string"]], "enum": [{}]},
        {"allOf": [{"$ref": f"#/allOf/{'9' * 5000}"}]},
        {"properties": {"a": {"$ref": "#/properties/a"}}, "required": "a"},
    ],
)
def test_a_schema_that_is_none_is_told_and_does_not_end_the_program(schema: Any) -> None:
    reads = spec("a", triggers=[event_trigger(eventSchema=schema, expr="event.data.a.b > 1")])
    assert "spec/schema" in [each.code for each in catalogue({"a.yaml": reads}).diagnostics]
