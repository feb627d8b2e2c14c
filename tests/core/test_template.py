"""Templates: where `${{ … }}` begins and ends, what type it takes, and how its mistakes are told."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automations.core.expression.cel import Activation, EvaluationFailed, ExpressionInvalid
from automations.core.expression.template import compile_template, scan

DATA: dict[str, Any] = {
    "event": {"data": {"tag": "v1.2", "n": 3, "price": 92.5, "whole": 1.0, "on": True, "none": None, "list": [1, "a"]}},
    "vars": {"team": "sre", "quote": '}} "${{'},
}


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("${{ event.data.n }}", 3),
        ("${{event.data.n}}", 3),
        ("${{\n  event.data.n\n}}", 3),
        ("${{ event.data.price }}", 92.5),
        ("${{ event.data.whole }}", 1.0),
        ("${{ event.data.on }}", True),
        ("${{ event.data.none }}", None),
        ("${{ event.data.list }}", [1, "a"]),
        ("${{ event.data }}", DATA["event"]["data"]),
        ("${{ 3 + 4 }}", 7),
        ("${{ '3' }}", "3"),
        ("${{ duration('90s') }}", "90s"),
        ("x${{ event.data.n }}", "x3"),
        (" ${{ event.data.n }}", " 3"),
        ("${{ event.data.n }}${{ event.data.on }}", "3true"),
        ("${{ event.data.price }}/${{ event.data.whole }}", "92.5/1.0"),
        ("release ${{ event.data.tag }} by ${{ vars.team }}!", "release v1.2 by sre!"),
        ("${{ vars.quote }}", '}} "${{'),
        ("a${{ vars.quote }}b", 'a}} "${{b'),
        ("$${{ event.data.n }}", "${{ event.data.n }}"),
        ("$$${{ x }}", "$${{ x }}"),
        ("$${{ x }} and ${{ event.data.n }}", "${{ x }} and 3"),
        ("${{ event.data.n }}$${{", "3${{"),
        ("$ {{ x }} $1 {{ y }} }}", "$ {{ x }} $1 {{ y }} }}"),
        ("${{ {'a': {'b': 1}}.a.b }}", 1),
        ("${{ {'a': {'b': 1}} }}", {"a": {"b": 1}}),
        ("${{ {'a': {'b': 1}}}}", {"a": {"b": 1}}),
        ('${{ "}}" }}', "}}"),
        ("${{ '}}' + \"}}\" }}", "}}}}"),
        ("${{ '\\'}}' }}", "'}}"),
        ("${{ r'\\d}}' + '}}' }}", "\\d}}}}"),
        ("${{ b'}}' == b'' || br'}}' == b'' }}", False),
        ('${{ """ " }} """ }}', ' " }} '),
        ("${{ '''\n}}''' }}", "\n}}"),
        ("${{ '{' }}${{ '}' }}", "{}"),
        ("${{ 1 // isn't }} text", "1 text"),
        ("${{ event.data.tag // the \"tag\n + 'x' }}", "v1.2x"),
        ({"a": ["${{ event.data.n }}", {"b": "n=${{ event.data.n }}"}], "c": 1}, {"a": [3, {"b": "n=3"}], "c": 1}),
        ({"a": ["$${{ x }}", 1]}, {"a": ["${{ x }}", 1]}),
        (5, 5),
        (None, None),
        ({}, {}),
    ],
)
def test_a_template_renders_with_its_types(value: Any, result: Any) -> None:
    got = compile_template(value).render(DATA)
    assert got == result
    assert type(got) is type(result)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("${{ {'a': {'b': 1}}}}}}", "${{ {'a': {'b': 1}} }} is an object, which cannot be part of a text"),
        ("x ${{ event.data }}", "${{ event.data }} is an object, which cannot be part of a text"),
        ({"a": ["x ${{ event.data.list }}"]}, "a[0]: ${{ event.data.list }} is a list, which cannot be part of a text"),
        ({"a": "${{ event.data.none }}!"}, "a: ${{ event.data.none }} is null, which cannot be part of a text"),
        ({"a": {"b": "${{ event.data.gone }}"}}, 'a.b: there is no key "gone"'),
        (["ok", "${{ inputs.x }}"], "[1]: `inputs` has no value here"),
    ],
)
def test_a_failure_names_the_path_of_the_scalar(value: Any, message: str) -> None:
    with pytest.raises(EvaluationFailed) as caught:
        compile_template(value).render(DATA)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("text", "line", "column", "reason"),
    [
        ("${{ event.data.n", 1, 1, "this `${{` is never closed by `}}`"),
        ("a\nbc ${{ event.data.n }", 2, 4, "this `${{` is never closed by `}}`"),
        ("${{ '}}'", 1, 1, "this `${{` is never closed by `}}`"),
        ("${{ {'a': 1 }}", 1, 1, "this `${{` is never closed by `}}`"),
        ("${{ " + "x" * 9000 + " }}", 1, 1, "this `${{` is never closed by `}}` within 8192 characters"),
        ("${{ }}", 1, 5, "the expression is empty"),
        ("${{ 'abc }}", 1, 5, "unreadable text 'abc: a quote that is never closed, or an unknown escape"),
        ("é ${{ 1 + }}", 1, 10, "the expression ends too early"),
        ("${{ 1 }}\n ${{\n  a b }}", 3, 5, "unexpected `b`"),
        ("${{ 1 }}${{ '${{' }}", 1, 14, "`${{` does not belong inside an expression"),
    ],
)
def test_a_mistake_in_a_template_is_told_with_its_place_in_the_scalar(
    text: str, line: int, column: int, reason: str
) -> None:
    [(path, problem)] = scan({"input": [text]}).problems
    assert path == ("input", 0)
    assert (problem.line, problem.column, problem.reason) == (line, column, reason)
    with pytest.raises(ExpressionInvalid) as caught:
        compile_template({"input": [text]})
    assert caught.value.message == f"input[0]: {reason} (line {line}, column {column})"


def test_all_problems_are_found_in_order() -> None:
    value = {
        "a": "${{ foo }} and ${{ 1 + }} and ${{",
        "b": {"good": "${{ event.x }}", "bad": ["${{ evnt.x }}"]},
        "k${{ x }}": 1,
    }
    found = [(path, problem.column, problem.reason.split(";")[0]) for path, problem in scan(value).problems]
    assert found == [
        (("a",), 5, "unknown name `foo`"),
        (("a",), 23, "the expression ends too early"),
        (("a",), 31, "this `${{` is never closed by `}}`"),
        (("b", "bad", 0), 5, "unknown name `evnt`"),
        (("k${{ x }}",), 2, "the key of an object cannot be a template"),
    ]
    assert scan({"fine": ["${{ event.x }}", "$${{ ", 1]}).problems == []


def test_references_are_told_by_scalar() -> None:
    value = {
        "a": "${{ event.x }} ${{ steps.build.output.y }}",
        "b": [{"c": "${{ steps['a-b'].status }}"}, "plain"],
        "bad": "${{ foo }}",
    }
    assert [tuple(each) for each in scan(value).references()] == [
        (("a",), {"build"}),
        (("b", 0, "c"), {"a-b"}),
    ]


def test_where_templates_stand_is_told_though_they_are_wrong() -> None:
    value = {"a": "x ${{ foo( }}", "b": [1, "plain", {"c": "${{ event.x }}"}], "d": "$${{ literal", "e": {}}
    assert list(scan(value).templated()) == [("a",), ("b", 2, "c")]
    assert list(scan("${{ event.x }}").templated()) == [()]


def test_only_the_given_roots_are_known() -> None:
    template = compile_template("release.${{ body.action }}", roots=("body",))
    assert template.render({"body": {"action": "published"}}) == "release.published"
    [(_, problem)] = scan("${{ event.x }}", roots=("body",)).problems
    assert problem.reason == "unknown name `event`; the roots are body"


def test_a_constant_costs_nothing_and_is_the_given_value() -> None:
    constant = {"deep": [{"er": "text"}]}
    assert compile_template(constant).constant
    assert compile_template(constant).render({}) is constant
    mixed = compile_template({"constant": constant, "n": "${{ event.data.n }}"})
    assert not mixed.constant
    assert mixed.render(Activation(DATA))["constant"] is constant


def test_nesting_has_a_bound() -> None:
    value: Any = "${{ event.data.n }}"
    for _ in range(5000):
        value = [value]
    [(path, problem)] = scan(value).problems
    assert len(path) == 100
    assert problem.reason == "nested more than 100 levels deep"


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
SCALAR = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.recursive(
    SCALAR | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


def _untemplated(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("${{", "$ {{")
    if isinstance(value, list):
        return [_untemplated(item) for item in value]
    if isinstance(value, dict):
        return {_untemplated(key): _untemplated(item) for key, item in value.items()}
    return value


@given(PLAIN.map(_untemplated))
def test_a_value_without_templates_renders_to_itself(value: Any) -> None:
    assert compile_template(value).render({}) is value


@given(PLAIN)
def test_a_value_goes_through_a_template_unchanged(value: Any) -> None:
    rendered = compile_template({"x": "${{ vars.x }}"}).render({"vars": {"x": value}})
    assert rendered == {"x": value}
    assert repr(type(rendered["x"])) == repr(type(value))


@given(st.lists(TEXT.map(lambda text: text.replace("$", "")), min_size=1, max_size=4))
def test_text_around_expressions_is_kept_as_it_is(pieces: list[str]) -> None:
    text = "${{ vars.x }}".join(pieces)
    rendered = compile_template(f"<{text}>").render({"vars": {"x": "|"}})
    assert rendered == "<" + "|".join(pieces) + ">"


@given(st.text(alphabet="${}'\"r/\\\n a1", max_size=40))
def test_any_text_compiles_or_has_problems(text: str) -> None:
    found = scan(text).problems
    if not found:
        compile_template(text)
    assert all(path == () and problem.line >= 1 and problem.column >= 1 for path, problem in found)
