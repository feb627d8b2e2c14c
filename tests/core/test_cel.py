"""Expressions: what they answer, how their mistakes are told, and that nothing hostile crashes or hangs the process."""

import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automations.core.expression.cel import (
    BODY_ROOTS,
    Activation,
    EvaluationFailed,
    ExpressionInvalid,
    compile_expression,
)
from automations.core.expression.matcher import compile_when
from automations.errors import InvalidInput

DATA: dict[str, Any] = {
    "event": {
        "source": "github",
        "data": {
            "n": 1.0,
            "i": 2,
            "price": 92.5,
            "name": "ünïcode 😀",
            "on": True,
            "none": None,
            "items": [{"id": 1, "ok": True}, {"id": 2, "ok": False}],
            "time": "2026-11-23T00:29:32.543Z",
            "odd-key": "odd",
            "big": 2**63 - 1,
        },
    },
    "steps": {"build": {"status": "succeeded", "output": {"failed": 0}}, "a-b": {"status": "failed"}},
    "vars": {"team": "sre"},
}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("1 + 2", 3),
        ("92.5 > 90", True),
        ("90 <= 92.5", True),
        ("1u < 2", True),
        ("event.data.price > 90", True),
        ("event.data.price > event.data.i", True),
        ("size(event.data.name) > 8.5", True),
        ('"a" < "b"', True),
        ("event.data.n == 1", True),
        ("event.data.i == 2.0", True),
        ("event.data.i == '2'", False),
        ("event.data.n", 1.0),
        ("event.data.i * 21", 42),
        ("event.data.name", "ünïcode 😀"),
        ("size(event.data.name)", 9),
        ("event.data.none", None),
        ("null", None),
        ("event.data.on", True),
        ("event.data.big", 2**63 - 1),
        ("18446744073709551615u", 2**64 - 1),
        ("event.data.items", [{"id": 1, "ok": True}, {"id": 2, "ok": False}]),
        ("event.data.items.filter(i, i.ok).map(i, i.id)", [1]),
        ("event.data.items.exists(i, i.id == 2)", True),
        ("event.data['odd-key']", "odd"),
        ("has(event.data.missing)", False),
        ("event.data.missing == 1 || true", True),
        ("{'b': 1, 'a': [true, null]}", {"a": [True, None], "b": 1}),
        ("timestamp(event.data.time)", "2026-11-23T00:29:32.543Z"),
        ("timestamp(event.data.time) > timestamp('2026-01-01T00:00:00Z')", True),
        ("timestamp(event.data.time) + duration('1h')", "2026-11-23T01:29:32.543Z"),
        ("duration('90s')", "90s"),
        ("duration('-1.5s')", "-1.5s"),
        ("{'at': timestamp('0001-01-01T00:00:00Z')}", {"at": "0001-01-01T00:00:00.000Z"}),
        ("event.source.matches('^git')", True),
        ("steps['a-b'].status == 'failed'", True),
        ("vars.team in ['sre', 'web']", True),
        ("// a comment\n true", True),
    ],
)
def test_an_expression_gives_plain_data(text: str, result: Any) -> None:
    got = compile_expression(text).evaluate(DATA)
    assert got == result
    assert type(got) is type(result)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("event.data.missing", 'there is no key "missing"'),
        ("event.data.items[7].id", "there is no item 7 in a list of 2"),
        ("event.data.n.x", "a field is read from something that is no object"),
        ("event.data.name < 1", "`<` does not work on (string, int)"),
        ("event.data.name && true", "`&&` does not work on these values"),
        ("event.data.i * 2.0 == 4.0", "`*` does not work on (int, double)"),
        ("event.data.i ? 1 : 2", "`? :` does not work on these values"),
        ("event.data.none['x']", "[ ] is used on null, not an object or list"),
        ("inputs.x", "`inputs` has no value here"),
        ("event.data.i / 0", "divide by zero"),
        ("event.data.big + 1", "integer overflow"),
        ("event.data.name.matches('(')", "invalid regular expression: missing ): ("),
        ("b'abc'", "the result is bytes, which is not plain data"),
        ("[b'abc']", "the result is bytes, which is not plain data"),
        ("type(1)", "the result is a type, which is not plain data"),
        ("0.0 / 0.0", "the result is a number that is not finite"),
        ("[1.5e400]", "the result is a number that is not finite"),
        ("{1: 2}", "the result is an object with keys that are not text"),
        ("{'a': 1, 'a': 2}", "duplicate key in map"),
        ("google.protobuf.Any{}", "unable to find descriptor for type URL: "),
    ],
)
def test_an_error_while_evaluating_is_raised_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(EvaluationFailed) as caught:
        compile_expression(text).evaluate(DATA)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("event.data.i", "the result is a number, not true or false"),
        ("event.data.name", "the result is text, not true or false"),
        ("event.data.none", "the result is null, not true or false"),
        ("event.data.items", "the result is a list, not true or false"),
        ("event", "the result is an object, not true or false"),
        ("'true'", "the result is text, not true or false"),
        ("event.data.missing", 'there is no key "missing"'),
    ],
)
def test_only_true_and_false_pass_a_test(text: str, reason: str) -> None:
    with pytest.raises(EvaluationFailed) as caught:
        compile_expression(text).test(DATA)
    assert caught.value.reason == reason
    assert compile_expression("event.data.on").test(DATA) is True
    assert compile_expression("!event.data.on").test(DATA) is False


ROOT_LIST = "automation, event, inputs, item, run, schedule, steps, vars"


@pytest.mark.parametrize(
    ("text", "line", "column", "reason"),
    [
        ("", 1, 1, "the expression is empty"),
        ("  // nothing", 1, 13, "the expression ends too early"),
        ("1 +", 1, 4, "the expression ends too early"),
        ("a b", 1, 3, "unexpected `b`"),
        ("event.data ==\n  == 1", 2, 3, "unexpected `==`"),
        ("event.data and true", 1, 12, "unexpected `and`; CEL writes it `&&`"),
        ("event.x = 1", 1, 9, "unexpected `=`; comparison is `==`"),
        ("'abc", 1, 1, "unreadable text 'abc: a quote that is never closed, or an unknown escape"),
        ("event.data.in", 1, 12, "unexpected `.in`"),
        ("let", 1, 1, "`let` is a reserved word"),
        ("99999999999999999999", 1, 1, "this int does not fit 64 bits"),
        ("foo", 1, 1, f"unknown name `foo`; the roots are {ROOT_LIST}"),
        ("true &&\n evnt.data.x", 2, 2, f"unknown name `evnt`; the roots are {ROOT_LIST}"),
        ("'😀é' + secrets.token", 1, 8, f"unknown name `secrets`; the roots are {ROOT_LIST}"),
        ("event.l.exists(y, y > 1) && y", 1, 29, f"unknown name `y`; the roots are {ROOT_LIST}"),
        ("event.x.lowerAscii()", 1, 19, "there is no function or type `lowerAscii` that fits here"),
        ("size()", 1, 5, "there is no function or type `size` that fits here"),
        ("1 == 'a'", 1, 3, "`==` does not work on (int, string)"),
        ("event.x.startsWith(1)", 1, 19, "`startsWith` does not work on (anything, int)"),
        ("true ? 1 : 'a'", 1, 6, "`? :` does not work on (bool, int, string)"),
        ("null.x", 1, 5, "null has no fields"),
        ("event.?x", 1, 1, "the optional syntax `.?` is not available"),
        ("has(event)", 1, 5, "has() argument must be a field selection"),
        ("${{ event.x }}", 1, 1, "`${{` does not belong inside an expression"),
        ("event.x ==\n '${{ a }}'", 2, 3, "`${{` does not belong inside an expression"),
        ("'\ud800'", 1, 2, "a lone surrogate is no character"),
        ("1 \0", 1, 3, "unexpected character ``"),
        ("'" + "é" * 4096 + "'", 1, 1, "the expression has 8194 bytes; the limit is 8192"),
        (
            "(" * 40 + "1" + ")" * 40,
            1,
            1,
            "the expression is nested or chained more than about 30 levels deep; split it",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, line: int, column: int, reason: str) -> None:
    with pytest.raises(ExpressionInvalid) as caught:
        compile_expression(text)
    assert (caught.value.line, caught.value.column, caught.value.reason) == (line, column, reason)
    assert isinstance(caught.value, InvalidInput)
    assert caught.value.message == f"{reason} (line {line}, column {column})"


def test_an_unknown_name_comes_with_the_nearest_root() -> None:
    with pytest.raises(ExpressionInvalid) as caught:
        compile_expression("evnt.data.x == 1")
    assert caught.value.hint == "did you mean `event`?"


def test_only_the_given_roots_are_known() -> None:
    assert (
        compile_expression("body.action", roots=BODY_ROOTS).evaluate({"body": {"action": "published"}}) == "published"
    )
    with pytest.raises(ExpressionInvalid, match="the roots are body"):
        compile_expression("event.x", roots=BODY_ROOTS)
    with pytest.raises(ExpressionInvalid, match="unknown name `body`"):
        compile_expression("body.action")


@pytest.mark.parametrize(
    ("text", "roots", "steps"),
    [
        ("1 + 1", set(), set()),
        ("event.data.x == vars.x", {"event", "vars"}, set()),
        ("steps.build.status == 'x' && steps['a-b'].ok", {"steps"}, {"build", "a-b"}),
        ("has(steps.x.y) || has(steps.z)", {"steps"}, {"x", "z"}),
        ("steps.`odd.id`.status == 1", {"steps"}, {"odd.id"}),
        ("'steps.no' == '${' && event.steps.no", {"event"}, set()),
        ("steps[vars.name].ok", {"steps", "vars"}, set()),
        ("[1].exists(steps, steps == 1)", set(), set()),
        ("[1].exists(event, .event.x == event)", {"event"}, set()),
        ("[event].map(x, steps.a.output)", {"event", "steps"}, {"a"}),
        ("{'k': steps.a}[run.id] == {inputs.x: item}", {"steps", "run", "inputs", "item"}, {"a"}),
        ("[1.5, 2u, -3].size() == int('7')", set(), set()),
    ],
)
def test_an_expression_knows_what_it_reads(text: str, roots: set[str], steps: set[str]) -> None:
    expression = compile_expression(text)
    assert expression.roots() == roots
    assert expression.step_references() == steps


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("event.x", "dyn"),
        ("event.x == 1", "bool"),
        ("event.x > 1.5", "bool"),
        ("size(event.x)", "int"),
        ("[1]", "list"),
        ("{'a': 1}", "map"),
        ("'a'", "string"),
        ("null", "null"),
        ("timestamp(event.x)", "timestamp"),
    ],
)
def test_an_expression_knows_its_type_as_far_as_it_can(text: str, kind: str) -> None:
    assert compile_expression(text).return_type == kind


def _nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


def _cyclic() -> Any:
    value: dict[str, Any] = {}
    value["self"] = value
    return value


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (2**63, "an integer beyond 64 bits"),
        (-(2**63) - 1, "an integer beyond 64 bits"),
        (float("nan"), "a number that is not finite"),
        (float("-inf"), "a number that is not finite"),
        (datetime(2026, 1, 1, tzinfo=UTC), "a datetime, which is not plain data"),
        (b"x", "a bytes, which is not plain data"),
        ((1, 2), "a tuple, which is not plain data"),
        ({1: 2}, "an object whose keys are not all text"),
        ("a\0b", "text with a NUL character"),
        ({"\0": 1}, "text with a NUL character"),
        ("\ud800", "text with a lone surrogate, which is no character"),
        ({"\udfff": 1}, "text with a lone surrogate, which is no character"),
    ],
)
def test_data_that_is_not_plain_is_refused_before_the_library_sees_it(value: Any, problem: str) -> None:
    for data in (value, [value], {"deep": [{"er": value}]}):
        with pytest.raises(EvaluationFailed) as caught:
            compile_expression("event == 1").test({"event": data})
        assert caught.value.reason == f"`event` holds {problem}"


@pytest.mark.parametrize("value", [_nested(100), _nested(100_000), _cyclic()], ids=["just too deep", "deep", "cyclic"])
def test_deep_data_is_refused(value: Any) -> None:
    with pytest.raises(EvaluationFailed, match="`event` is nested more than 100 levels deep"):
        compile_expression("event == 1").test({"event": value})
    assert compile_expression("event == event").test({"event": _nested(99)})


def test_bad_data_behind_a_root_that_is_not_read_does_no_harm() -> None:
    activation = Activation({"event": {"n": 1}, "vars": {"big": 2**70}})
    assert compile_expression("event.n == 1").test(activation)
    for _ in range(2):
        with pytest.raises(EvaluationFailed, match="`vars` holds an integer beyond 64 bits"):
            compile_expression("event.n == vars.big").test(activation)


def test_an_activation_on_another_adds_its_roots() -> None:
    event = Activation({"event": {"n": 1}})
    for team in ("sre", "web"):
        more = Activation({"vars": {"team": team}}, base=event)
        assert compile_expression("event.n == 1").test(more)
        assert compile_expression("vars.team + string(event.n)").evaluate(more) == f"{team}1"


def test_the_same_text_is_compiled_once() -> None:
    assert compile_expression("event.once == 1") is compile_expression("event.once == 1")


HOSTILE_TEXT = {
    "parentheses": "'(' * 4000 + '1' + ')' * 4000",
    "unclosed parentheses": "'(' * 8000",
    "lists": "'[' * 4000 + ']' * 4000",
    "maps": "'{1:' * 2000 + '1' + '}' * 2000",
    "calls": "'size(' * 1300 + '1' + ')' * 1300",
    "conditionals": "'true?1:' * 1100 + '1'",
    "negations": "'!' * 8000 + 'true'",
    "minuses": "'- ' * 4000 + '1'",
    "fields": "'event' + '.a' * 4000",
    "indexes": "'event' + '[0]' * 2700",
    "sums": "'1' + '+1' * 4000",
    "conjunctions": "'event.a' + '&&event.a' * 900",
    "nested loops": "'event.map(x,' * 30 + '1' + ')' * 30",
    "chained loops": "'event' + '.map(x,x)' * 30",
    "doubling lists": "'[1]' + '.map(a,[a,a,a,a,a,a,a,a,a,a])' * 25",
    "doubling text": "'[event.s]' + '.map(a,a+a+a+a)' * 25",
    "comparing doubled lists": "'[1]' + '.map(a,[a,a,a,a,a,a,a,a])' * 20 + '.map(a,a==a)'",
    "huge text": "'a' * 10_000_000",
    "huge number": "'9' * 8000",
    "nul": "'\\0' * 100",
    "random-looking": "''.join(chr(33 + i * 7919 % 90) for i in range(8000))",
}
_PROBE = """
import resource
from automations.core.expression.cel import EvaluationFailed, ExpressionInvalid, compile_expression
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
try:
    compile_expression({text}).evaluate({{"event": {{"s": "x" * 1000}}}})
    print("ok")
except (EvaluationFailed, ExpressionInvalid) as error:
    print("told:", error.message[:80])
"""


@pytest.mark.parametrize("text", HOSTILE_TEXT.values(), ids=HOSTILE_TEXT.keys())
def test_hostile_text_neither_crashes_nor_hangs(text: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROBE.format(text=text)], capture_output=True, timeout=20, check=False
    )
    assert done.returncode == 0, done.stderr[-400:]
    assert done.stdout.startswith((b"ok", b"told:"))


BIG = list(range(10_000))
HOSTILE_LOOPS = {
    "nested map": ("event.l.map(x, event.l.map(y, event.l.map(z, 1)))", {"l": BIG}),
    "nested exists": ("event.l.exists(x, event.l.exists(y, event.l.exists(z, x + y + z < 0)))", {"l": BIG}),
    "one map": ("event.l.map(x, x)", {"l": BIG}),
    "text in every step": ("event.l.all(x, event.s.size() > x)", {"l": BIG, "s": "é" * 1_000_000}),
    "copied text": ("event.l.map(x, event.s + event.s)", {"l": BIG[:1000], "s": "a" * 500_000}),
    "compared data": ("event.l.all(x, event.m == event.m)", {"l": BIG, "m": [{"a": i} for i in range(50_000)]}),
    "squared search": ("event.l.all(x, x in event.l)", {"l": list(range(60_000))}),
}


@pytest.mark.parametrize(("text", "event"), HOSTILE_LOOPS.values(), ids=HOSTILE_LOOPS.keys())
@pytest.mark.timeout(10)
def test_loops_over_hostile_data_are_refused_in_bounded_time(text: str, event: Any) -> None:
    with pytest.raises(EvaluationFailed, match=r"too much work|more than 10,000 times"):
        compile_expression(text).evaluate({"event": event})


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("event.l.exists(x, x.id == 999)", True),
        ("event.l.filter(x, x.id < 3).map(x, x.id)", [0, 1, 2]),
        ("size(event.l.map(x, x.name))", 1000),
        ("event.l.exists(x, x.labels.exists(l, l == 'none'))", False),
    ],
)
def test_loops_over_ordinary_lists_are_affordable(text: str, result: Any) -> None:
    items = [{"id": i, "name": f"item {i}", "labels": ["bug", "new"]} for i in range(1000)]
    assert compile_expression(text).evaluate({"event": {"l": items}}) == result


def test_a_result_has_a_size() -> None:
    many = {"event": {"l": [1] * 60_000, "s": "é" * 3_000_000}}
    with pytest.raises(EvaluationFailed, match="the result holds more than 100000 values"):
        compile_expression("[event.l, event.l]").evaluate(many)
    with pytest.raises(EvaluationFailed, match="the result holds more than 4194304 characters of text"):
        compile_expression("[event.s, event.s]").evaluate(many)


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_any_json_value_comes_back_unchanged(value: Any) -> None:
    assert compile_expression("vars.x").evaluate({"vars": {"x": value}}) == value


def _complaint(text: str) -> ExpressionInvalid | None:
    try:
        compile_expression(text)
    except ExpressionInvalid as problem:
        return problem
    return None


@given(st.text(max_size=60))
def test_any_text_compiles_or_is_told_why_not(text: str) -> None:
    problem = _complaint(text)
    assert problem is None or (problem.reason and problem.line >= 1 and problem.column >= 1)


@pytest.mark.parametrize(
    ("when", "verdict"),
    [
        ("steps.build.status == 'succeeded'", True),
        ("event.data.on", True),
        ({}, True),
        ({"steps.build.status": "succeeded"}, True),
        ({"steps.build.status": "failed"}, False),
        ({"steps.build.status": ["failed", "succ*"], "vars.team": "sre"}, True),
        ({"steps.build.status": "succeeded", "vars.team": {"not": "sre"}}, False),
        ({"steps.none.status": "succeeded"}, False),
        ({"inputs.x": {"not": "y"}}, True),
    ],
)
def test_a_condition_takes_both_forms(when: Any, verdict: bool) -> None:
    assert compile_when(when).test(DATA) is verdict
    assert compile_when(when).test(Activation(DATA)) is verdict


def test_a_condition_of_matchers_knows_what_it_reads() -> None:
    when = compile_when({"steps.build.status": "x", "vars.team": "y"})
    assert when.roots() == {"steps", "vars"}
    assert when.step_references() == {"build"}


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("size(event.x)", "a condition must be true or false; this is int (line 1, column 1)"),
        ({"step.build.status": "x"}, f'["step.build.status"]: unknown name `step`; the roots are {ROOT_LIST}'),
        ({"steps.build": {"is": 1}}, '["steps.build"]: an object is no matcher'),
        ("event.x ==", "the expression ends too early (line 1, column 11)"),
    ],
)
def test_a_condition_that_can_never_hold_is_refused(when: Any, message: str) -> None:
    with pytest.raises(ExpressionInvalid) as caught:
        compile_when(when)
    assert caught.value.message.startswith(message)
