"""References to secrets: where they may stand, that they are never evaluated, and that only templates are ever filled."""

from dataclasses import replace
from typing import Any

import pytest

import samples
from automations.core.expression.secret import filled, secret_field, secret_name, without_fields
from automations.core.expression.template import INPUT_ROOTS, compile_template, scan
from automations.core.run.edge import binding_problems, ready
from automations.core.run.machine import ActionView, RunView, advance
from automations.core.run.states import ActionStatus, RunStatus
from automations.core.spec.catalogue import with_executors
from automations.core.spec.conform import compile_schema
from automations.core.spec.model import Binding
from automations.errors import SecretUnavailable
from samples import action, catalogue, manifest, program, spec, step

VALUES = {"TOKEN": "hunter2-canary", "team/key": "other-canary"}
SCHEMA = {
    "type": "object",
    "properties": {
        "token": {"type": "string", "pattern": "^hunter", "x-secret": True},
        "auth": {"type": "object", "x-secret": True, "properties": {"key": {"type": "string"}}},
        "list": {"type": "array", "items": {"type": "string", "x-secret": True}},
        "plain": {"type": "string"},
    },
    "additionalProperties": False,
}


NEW = RunView("run-1", RunStatus.MATERIALIZED, 0, {}, {}, (ActionView("id-1", "work", ActionStatus.BLOCKED),))


def value(name: str) -> str:
    if name not in VALUES:
        raise SecretUnavailable(f"There is no secret {name}.")
    return VALUES[name]


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("secrets.TOKEN", "TOKEN"),
        ("secrets['team/key']", "team/key"),
        ('secrets[ "team/key" ]', "team/key"),
        ("secrets.a.b", None),
        ("secrets.TOKEN + 'x'", None),
        ("size(secrets.TOKEN)", None),
        ("secrets['a' + 'b']", None),
        ("xsecrets.TOKEN", None),
        ("secrets.TOKEN\n", None),
    ],
)
def test_a_reference_is_exactly_a_name(source: str, name: str | None) -> None:
    assert secret_name(source) == name


def test_what_is_rendered_shows_the_reference_and_only_its_place_is_filled() -> None:
    value_ = {
        "header": "Bearer ${{secrets.TOKEN}}!",
        "deep": [{"key": "${{ secrets['team/key'] }}"}],
        "data": "${{ event.text }}",
    }
    template = compile_template(value_, roots=INPUT_ROOTS)
    hostile = {"event": {"text": "${{ secrets.TOKEN }}"}}
    rendered = template.render(hostile)
    assert rendered == {
        "header": "Bearer ${{ secrets.TOKEN }}!",
        "deep": [{"key": "${{ secrets['team/key'] }}"}],
        "data": "${{ secrets.TOKEN }}",
    }
    assert filled(rendered, template.secrets(), value) == {
        "header": "Bearer hunter2-canary!",
        "deep": [{"key": "other-canary"}],
        "data": "${{ secrets.TOKEN }}",
    }
    assert rendered["header"] == "Bearer ${{ secrets.TOKEN }}!", "what is stored is left alone"


@pytest.mark.parametrize(
    "text", ["${{ secrets.A + 'x' }}", "${{ event.user }}:${{ secrets.A }}", "${{ size(secrets.A) }}", "${{ secrets }}"]
)
def test_a_secret_takes_part_in_no_expression(text: str) -> None:
    ((path, problem),) = scan({"x": text}, roots=INPUT_ROOTS).problems
    assert path == ("x",)
    assert "secret" in problem.message


def test_where_no_secret_may_stand_it_is_refused_and_the_way_out_is_told() -> None:
    ((_, problem),) = scan("${{ secrets.A }}").problems
    assert problem.message.startswith("a secret has no place here")
    assert "x-secret" in problem.hint


@pytest.mark.parametrize(
    ("path", "marked"),
    [
        (("token",), True),
        (("auth", "key"), True),
        (("auth", "other"), True),
        (("list", 3), True),
        (("plain",), False),
        (("elsewhere",), False),
        ((), False),
    ],
)
def test_a_field_is_marked_by_itself_or_by_what_is_around_it(path: tuple[Any, ...], marked: bool) -> None:
    assert secret_field(SCHEMA, path) is marked


def test_the_form_of_a_secret_is_not_checked_and_all_else_is() -> None:
    relaxed = compile_schema(without_fields(SCHEMA, [("token",), ("list", 0)]))
    assert not relaxed.violations({"token": "${{ secrets.A }}", "list": ["${{ secrets.A }}"], "plain": "x"})
    assert relaxed.violations({"token": "${{ secrets.A }}", "plain": 7})
    assert relaxed.violations({"more": 1})


def test_a_plan_refuses_a_secret_where_the_manifest_does_not_mark_it_and_where_there_is_none() -> None:
    given = {"token": "${{ secrets.TOKEN }}", "plain": "${{ secrets.TOKEN }}"}
    steps = [step("one", input=given), step("two", actionId="no.manifest", input={"a": "${{ secrets.TOKEN }}"})]
    found = catalogue({"a.json": spec(actions=steps), "m.json": action(inputSchema=SCHEMA)})
    told = [(each.path, each.code) for each in found.diagnostics if each.code == "spec/secret"]
    assert told == [
        (("actions", 0, "input", "plain"), "spec/secret"),
        (("actions", 1, "input", "a"), "spec/secret"),
    ]


def test_a_run_refuses_it_too_when_its_manifest_is_another() -> None:
    plan = program(
        step("work", input={"plain": "${{ secrets.TOKEN }}"}), manifests={"work": manifest(inputSchema=SCHEMA)}
    )
    (change,) = advance(plan, NEW).actions
    assert (change.status, change.error and change.error["code"]) == ("failed", "INPUT_INVALID")


def test_the_frozen_input_holds_the_reference() -> None:
    plan = program(
        step("work", input={"token": "${{ secrets.TOKEN }}"}), manifests={"work": manifest(inputSchema=SCHEMA)}
    )
    (change,) = advance(plan, NEW).actions
    assert (change.status, change.input) == ("queued", {"token": "${{ secrets.TOKEN }}"})
    assert [each.path for each in plan.step("work").secrets] == [("token",)]


def test_a_binding_s_variables_take_the_input_and_secrets_and_nothing_else_is_a_template() -> None:
    config = {"command": "x", "env": {"A": "${{ input.branch }}", "B": "k=${{ secrets.TOKEN }}", "C": "plain"}}
    asked = samples.invocation("local-shell", config, branch="$(rm -rf /)")
    assert ready(asked, value).binding == Binding(
        "local-shell", {"command": "x", "env": {"A": "$(rm -rf /)", "B": "k=hunter2-canary", "C": "plain"}}
    )
    assert binding_problems("local-shell", config) == []


def test_an_input_that_is_a_secret_may_go_into_a_variable_too() -> None:
    template = compile_template({"token": "${{ secrets.TOKEN }}"}, roots=INPUT_ROOTS)
    asked = samples.invocation("python", {"ref": "a:b", "env": {"T": "${{ input.token }}"}}, **template.render({}))
    filled_in = ready(replace(asked, secrets=template.secrets()), value)
    assert (filled_in.input, filled_in.binding.config["env"]) == ({"token": "hunter2-canary"}, {"T": "hunter2-canary"})


@pytest.mark.parametrize(
    ("kind", "config", "where"),
    [
        ("local-shell", {"command": "${{ input.x }}"}, ("command",)),
        ("local-shell", {"command": "sh", "args": ["-c", "echo ${{ input.x }}"]}, ("args", 1)),
        ("local-shell", {"command": "sh", "cwd": "${{ input.x }}"}, ("cwd",)),
        ("local-shell", {"command": "sh", "env": {"A": "${{ event.x }}"}}, ("env", "A")),
        ("http", {"method": "GET", "url": "https://${{ input.host }}/"}, ("url",)),
        ("python", {"ref": "${{ input.x }}"}, ("ref",)),
        ("mcp", {"server": "s", "tool": "${{ input.x }}"}, ("tool",)),
    ],
)
def test_a_template_elsewhere_in_a_binding_is_refused_by_its_place(
    kind: str, config: dict[str, Any], where: tuple[str | int, ...]
) -> None:
    assert [path for path, _ in binding_problems(kind, config)] == [where]


def test_a_manifest_with_data_in_its_command_is_refused() -> None:
    bad = action(executorBindings=[{"kind": "local-shell", "command": "sh", "args": ["-c", "echo ${{ input.x }}"]}])
    (found,) = catalogue({"m.json": bad}).diagnostics
    assert (found.code, found.path) == ("action/template", ("executorBindings", 0, "args", 1))


def test_a_manifest_that_nothing_here_carries_out_is_told_of() -> None:
    tool = {"kind": "mcp", "server": "s", "tool": "t"}
    only = catalogue({"m.json": action(executorBindings=[tool])})
    other = catalogue({"m.json": action(executorBindings=[tool, {"kind": "python", "ref": "a:b"}])})
    kinds = ("local-shell", "http", "python")
    assert [each.code for each in with_executors(only, kinds).diagnostics] == ["action/no-executor"]
    assert with_executors(only, (*kinds, "mcp")).diagnostics == ()
    assert with_executors(other, kinds).diagnostics == ()
