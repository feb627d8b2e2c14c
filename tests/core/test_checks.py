"""Checks beyond the schema: each says what is wrong, where, and all of them at once."""

from typing import Any

import pytest

from automations.core.diagnostic import dotted
from automations.core.spec.catalogue import Interpreted, interpret
from automations.core.spec.checks import RESERVED_PATHS, path_problem
from samples import event_trigger, raw, spec, step, webhook_trigger


def read(document: Any) -> Interpreted:
    return interpret(raw(document), "a.yaml")


def found(document: Any, *, severity: str = "error") -> list[tuple[str, str]]:
    """Codes and paths."""
    return [(each.code, dotted(each.path)) for each in read(document).diagnostics if each.severity == severity]


def actions(*steps: Any, **keys: Any) -> Any:
    return spec("a", actions=list(steps), **keys)


def test_a_plain_automation_has_nothing_wrong() -> None:
    assert read(spec("a")).diagnostics == ()


# The graph


@pytest.mark.parametrize(
    ("steps", "finals", "expected"),
    [
        ([step("s"), step("s")], [], [("spec/duplicate-step", "actions[1].id")]),
        ([step("s")], [step("s")], [("spec/duplicate-step", "finally[0].id")]),
        ([step("s", dependsOn=["ghost"])], [], [("spec/depends-on", "actions[0].dependsOn[0]")]),
        ([step("s", dependsOn=["s"])], [], [("spec/depends-on", "actions[0].dependsOn[0]")]),
        ([step("s", dependsOn=["f"])], [step("f")], [("spec/depends-on", "actions[0].dependsOn[0]")]),
        ([step("a", dependsOn=["b"]), step("b", dependsOn=["a"])], [], [("spec/cycle", "actions[0].dependsOn")]),
        ([step("s")], [step("f", dependsOn=["s"])], []),
        ([step("s")], [step("f", dependsOn=["g"]), step("g")], []),
        (
            [step("s")],
            [step("f", dependsOn=["g"]), step("g", dependsOn=["f"])],
            [("spec/cycle", "finally[0].dependsOn")],
        ),
        ([step("s", dependsOn=["t", "t"]), step("t")], [], []),
        (
            [step("s", dependsOn=["t", {"step": "ghost", "on": "failed"}]), step("t")],
            [],
            [("spec/depends-on", "actions[0].dependsOn[1]")],
        ),
    ],
)
def test_a_graph_that_cannot_run_is_refused_at_the_step_to_blame(
    steps: list[Any], finals: list[Any], expected: list[tuple[str, str]]
) -> None:
    assert found(actions(*steps, **({"finally": finals} if finals else {}))) == expected


def test_a_circle_is_told_whole() -> None:
    ring = [step(name, dependsOn=[on]) for name, on in (("a", "b"), ("b", "c"), ("c", "a"))]
    (only,) = read(actions(*ring)).diagnostics
    assert only.message.count("→") == 3
    assert only.span.line > 1


def test_a_circle_is_told_beside_other_slips_of_the_graph_and_none_is_made_up_from_them() -> None:
    ring = [step("a", dependsOn=["b"]), step("b", dependsOn=["a"])]
    slips = [step("own", dependsOn=["own"]), step("ghostly", dependsOn=["ghost"]), step("twice"), step("twice")]
    assert sorted(found(actions(*ring, *slips))) == [
        ("spec/cycle", "actions[0].dependsOn"),
        ("spec/depends-on", "actions[2].dependsOn[0]"),
        ("spec/depends-on", "actions[3].dependsOn[0]"),
        ("spec/duplicate-step", "actions[5].id"),
    ]
    misnamed = actions(step("a"), step("b", dependsOn=["a"]), step("a", dependsOn=["b"]))
    assert found(misnamed) == [("spec/duplicate-step", "actions[2].id")]


def test_two_ways_to_ask_for_approval_at_once_are_refused() -> None:
    both = step("s", approval={"mode": "manual"}, approvalGate={"requirement": {"mode": "manual"}})
    assert ("spec/approval", "actions[0].approvalGate") in found(actions(both))


# Inputs


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"type": "array"}, "inputs.type"),
        ({"type": ["string", "null"]}, "inputs.type"),
        ({"enum": ["a", 1]}, "inputs"),
        ({"allOf": [{"$ref": "#/$defs/text"}], "$defs": {"text": {"type": "string"}}}, "inputs"),
        ({"properties": {"a": {"type": "string", "default": 5}}}, "inputs.properties.a.default"),
        ({"properties": {"a": {"enum": ["x", "y"], "default": None}}}, "inputs.properties.a.default"),
        (
            {"properties": {"a": {"properties": {"b~/ü%": {"minimum": 3, "default": 2}}}}},
            'inputs.properties.a.properties["b~/ü%"].default',
        ),
        (
            {"properties": {"a": {"$ref": "#/$defs/n", "default": "x"}}, "$defs": {"n": {"type": "number"}}},
            "inputs.properties.a.default",
        ),
    ],
)
def test_inputs_that_nobody_could_give_are_refused_where_it_says_so(schema: Any, path: str) -> None:
    assert found(spec("a", inputs=schema)) == [("spec/schema", path)]


def test_inputs_and_defaults_that_fit_are_fine() -> None:
    schemas = [
        {},
        {"type": ["object", "null"]},
        {"anyOf": [{"type": "array"}, {"type": "object"}]},
        {
            "properties": {"a": {"$ref": "#/$defs/n", "default": 1}},
            "$defs": {"n": {"$ref": "#/$defs/m"}, "m": {"type": "number"}},
        },
        {"properties": {"default": {"type": "string", "default": "x"}, "b": {"const": {"default": 1}}}},
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "definitions": {"n": {"type": "number"}},
            "properties": {"a": {"$ref": "#/definitions/n", "type": "string", "default": 1}},
        },
    ]
    for schema in schemas:
        assert found(spec("a", inputs=schema)) == []


def test_a_schema_of_events_whose_data_is_no_object_is_refused() -> None:
    document = spec("a", triggers=[event_trigger(eventSchema={"type": "array"})])
    assert found(document) == [("spec/schema", "triggers[0].eventSchema.type")]


def test_an_automation_was_not_called_what_it_is_called() -> None:
    assert found(spec("a", lifecycle={"renamedFrom": "a"})) == [("spec/renamed-from", "lifecycle.renamedFrom")]
    assert found(spec("a", lifecycle={"renamedFrom": "b"})) == []


# Expressions


@pytest.mark.parametrize(
    ("document", "path"),
    [
        (actions(step("s", when="1 +")), "actions[0].when"),
        (actions(step("s", when="1")), "actions[0].when"),
        (actions(step("s", when="unknown.x")), "actions[0].when"),
        (actions(step("s", when="${{ true }}")), "actions[0].when"),
        (actions(step("s", when={"nothing.x": "y"})), "actions[0].when"),
        (actions(step("s", input={"a": ["${{ 1 + }}"]})), "actions[0].input.a[0]"),
        (actions(step("s", input="${{ unknown }}")), "actions[0].input"),
        (actions(step("s", input={"a": "${{ open"})), "actions[0].input.a"),
        (actions(step("s"), **{"finally": [step("f", when="1 +")]}), "finally[0].when"),
        (spec("a", triggers=[event_trigger(expr="steps.x.output == 1")]), "triggers[0].expr"),
        (spec("a", triggers=[event_trigger(expr="event.data +")]), "triggers[0].expr"),
        (
            spec("a", triggers=[webhook_trigger(mapping={"typeTemplate": "x.${{ event.type }}"})]),
            "triggers[0].route.mapping.typeTemplate",
        ),
    ],
)
def test_an_expression_that_cannot_work_is_refused_where_it_stands(document: Any, path: str) -> None:
    assert found(document) == [("spec/expression", path)]


def test_a_bad_condition_does_not_hide_a_bad_input() -> None:
    bad = step("s", when="1 +", input={"a": "${{ steps.ghost.output }}", "b": "${{ 1 + }}"})
    assert set(found(actions(bad))) == {
        ("spec/expression", "actions[0].when"),
        ("spec/step-reference", "actions[0].input.a"),
        ("spec/expression", "actions[0].input.b"),
    }


def test_a_wrong_graph_is_told_alone_without_guesses_about_who_may_read_whom() -> None:
    slip = actions(step("a"), step("b", dependsOn=["ah"], input="${{ steps.a.output }}"))
    assert found(slip) == [("spec/depends-on", "actions[1].dependsOn[0]")]


def test_a_wrong_step_hides_nothing_about_steps_that_do_not_wait_for_it() -> None:
    document = actions(
        step("a"),
        step("b", dependsOn=["ah"], input="${{ steps.a.output }}"),
        step("c", dependsOn=["b"], input="${{ steps.a.output }}"),
        step("d", input="${{ steps.a.output }}"),
        step("e", dependsOn=["b"], input="${{ steps.ghost.output }}"),
    )
    assert found(document) == [
        ("spec/depends-on", "actions[1].dependsOn[0]"),
        ("spec/step-reference", "actions[3].input"),
        ("spec/step-reference", "actions[4].input"),
    ]


# What is told beside a wrong structure


@pytest.mark.parametrize(
    ("slip", "structure"),
    [
        ({"colour": "red"}, ("spec/unknown-key", "colour")),
        ({"version": 1.0}, ("spec/type", "version")),
        ({"name": ""}, ("spec/too-short", "name")),
        ({"concurrency": {"limit": 0}}, ("spec/range", "concurrency.limit")),
        ({"id": "not an id"}, ("spec/pattern", "id")),
    ],
)
def test_a_wrong_key_hides_nothing_that_it_could_not_change(slip: Any, structure: tuple[str, str]) -> None:
    triggers = [{"kind": "schedule", "cron": "61 9 * * *"}, event_trigger(filter={"a": [1]}, expr="event.data +")]
    steps = [step("a", when="1 +"), step("b", dependsOn=["ghost"], input={"x": "${{ open"})]
    document = actions(*steps, triggers=triggers) | slip
    assert set(found(document)) == {
        structure,
        ("spec/schedule", "triggers[0].cron"),
        ("spec/filter", "triggers[1].filter.a[0]"),
        ("spec/expression", "triggers[1].expr"),
        ("spec/expression", "actions[0].when"),
        ("spec/depends-on", "actions[1].dependsOn[0]"),
        ("spec/expression", "actions[1].input.x"),
    }


def test_what_a_wrong_key_may_have_been_meant_to_say_is_not_guessed_at() -> None:
    steps = [
        step("a"),
        step("b", dependOn=["a"], input="${{ steps.a.output }}", when="1 +"),
        step("c", dependsOn=["b"], input="${{ steps.a.output }}"),
    ]
    triggers = [{"kind": "schedule", "cron": "61 9 * * *", "timezon": "UTC"}]
    assert set(found(actions(*steps, triggers=triggers))) == {
        ("spec/unknown-key", "triggers[0].timezon"),
        ("spec/unknown-key", "actions[1].dependOn"),
        ("spec/expression", "actions[1].when"),
    }


def test_a_list_of_the_wrong_kind_or_a_missing_key_of_an_optional_part_hides_no_more_than_itself() -> None:
    steps = [step("a", dependsOn=[5]), step("b", approval={"count": 1}), step("c", when="1 +")]
    assert ("spec/expression", "actions[2].when") in found(actions(*steps))


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ({"id": "a", "actoinId": "x", "when": "1 +"}, "spec/unknown-key"),
        ({"id": "a"}, "spec/missing-key"),
        ({"id": "a", "actionId": 5}, "spec/type"),
    ],
)
def test_a_step_that_cannot_do_without_what_is_wrong_hides_only_itself(first: Any, code: str) -> None:
    second = step("b", dependsOn=["a"], when="1 +", input="${{ steps.a.output }}")
    one, other = found(actions(first, second))
    assert (one[0], other) == (code, ("spec/expression", "actions[1].when"))


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"kind": "schedule", "corn": "0 9 * * *"}, "spec/unknown-key"),
        ({"kind": "evnet", "source": "a", "type": "b", "expr": "1 +"}, "spec/value"),
        (5, "spec/type"),
    ],
)
def test_a_trigger_that_cannot_do_without_what_is_wrong_hides_only_itself(wrong: Any, code: str) -> None:
    document = actions(step("b", when="1 +"), triggers=[event_trigger(expr="2 +"), wrong])
    assert sorted(found(document)[1:]) == [
        ("spec/expression", "actions[0].when"),
        ("spec/expression", "triggers[0].expr"),
    ]
    assert found(document)[0][0] == code


@pytest.mark.parametrize("nameless", [{"actionId": "x"}, {"id": 5, "actionId": "x"}, "step"])
def test_where_a_steps_id_is_not_known_nothing_deeper_is_looked_at(nameless: Any) -> None:
    document = actions(nameless, step("b", dependsOn=["a"], when="1 +"))
    assert not {"spec/expression", "spec/depends-on"} & {each for each, _ in found(document)}


@pytest.mark.parametrize(
    ("reader", "ok"),
    [
        (step("b", dependsOn=["a"], when="steps.a.status == 'succeeded'"), True),
        (step("b", dependsOn=["a"], input="${{ steps.a.output }}"), True),
        (step("b", dependsOn=["a"], input={"x": "${{ steps['a'].output }}"}), True),
        (step("b", dependsOn=["m"], input="${{ steps.a.output }}"), True),
        (step("b", input="${{ steps.a.output }}"), False),
        (step("b", dependsOn=["a"], input="${{ steps.b.output }}"), False),
        (step("b", dependsOn=["a"], when={"steps.m.status": "succeeded"}), False),
    ],
)
def test_a_step_reads_only_steps_that_are_over_before_it_starts(reader: Any, ok: bool) -> None:
    document = actions(step("a"), step("m", dependsOn=["a"]), reader)
    assert [code for code, _ in found(document)] == ([] if ok else ["spec/step-reference"])


def test_a_finally_step_reads_every_action() -> None:
    assert found(actions(step("a"), **{"finally": [step("f", input="${{ steps.a.status }}")]})) == []


def test_a_step_reference_says_what_to_do() -> None:
    (unknown,) = read(actions(step("a"), step("b", dependsOn=["a"], input="${{ steps.ghost.output }}"))).diagnostics
    (unrelated,) = read(actions(step("a"), step("b", input="${{ steps.a.output }}"))).diagnostics
    assert (unknown.hint, "does not exist" in unknown.message) == ("it can read: a", True)
    assert (unrelated.hint, "does not wait for" in unrelated.message) == ("add a to dependsOn of b", True)


# Filters and routes


@pytest.mark.parametrize("bad", [{"a": [1]}, {"a": {"b": 1}}, {"a": {"not": []}}])
def test_a_filter_that_means_nothing_is_refused(bad: Any) -> None:
    (problem,) = found(spec("a", triggers=[event_trigger(), event_trigger(filter=bad)]))
    assert problem[0] == "spec/filter"
    assert problem[1].startswith("triggers[1].filter.a")


@pytest.mark.parametrize("path", ["/x", "/webhooks/github/releases", "/a-b_c.d~e/f", "/apis", "/api-v2", "/healthz2"])
def test_a_plain_path_is_fine(path: str) -> None:
    assert path_problem(path) is None


@pytest.mark.parametrize(
    "path",
    [
        "", "x", "/x?y", "/x#y", "/../x", "/x/..", "/x..y", "/x y", "/x\n", "/\u00e4", "/%2e", "/a;b", "/a\\b", "//x", "/x//y",
        "/x/", "/\x00", *RESERVED_PATHS, "/api/v1/x",
    ],
)  # fmt: skip
def test_a_path_that_servers_could_read_differently_is_refused(path: str) -> None:
    assert path_problem(path) is not None


def test_a_bad_path_is_told_at_the_path() -> None:
    assert found(spec("a", triggers=[webhook_trigger("/a//b")])) == [("spec/route-path", "triggers[0].route.path")]


@pytest.mark.parametrize(("value", "fine"), [("off", True), ("7d", True), ("7d1ms", False), ("30d", False)])
def test_replays_are_rejected_for_as_long_as_events_are_known(value: str, *, fine: bool) -> None:
    signature = {"preset": "github", "secretRef": "secret://x", "rejectReplays": value}
    path = "triggers[0].route.signature.rejectReplays"
    wanted = [] if fine else [("spec/reject-replays", path)]
    assert found(spec("a", triggers=[webhook_trigger(signature=signature)])) == wanted


# Warnings


def test_what_is_declared_and_not_carried_out_yet_is_a_warning_and_no_error() -> None:
    document = spec("a", triggers=[{"kind": "manual"}], concurrency={"key": "k"}, timeout="1h")
    assert found(document) == []
    assert {code for code, _ in found(document, severity="warning")} <= {"spec/not-executed"}


def test_all_problems_are_told_in_one_go() -> None:
    document = actions(
        step("s", dependsOn=["ghost"], when="1 +"),
        step("s", input="${{ nope }}"),
        triggers=[webhook_trigger("/x//y"), event_trigger(filter={"a": [1]}, expr="1 +")],
    )
    assert {code for code, _ in found(document)} == {
        "spec/duplicate-step",
        "spec/depends-on",
        "spec/expression",
        "spec/filter",
        "spec/route-path",
    }
