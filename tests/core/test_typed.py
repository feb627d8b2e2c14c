"""Checks that know the data: a corpus of specs, each with what must be found in it, and the rules one by one."""

from pathlib import Path
from typing import Any

import pytest

from automations.core.diagnostic import Diagnostic
from automations.core.spec.catalogue import assemble, interpret, with_circles
from automations.core.spec.graph import succeeded
from samples import action, automation, catalogue, event_trigger, spec, step

CORPUS = Path(__file__).parents[1] / "data" / "checks"
GOOD, BAD = sorted((CORPUS / "good").iterdir()), sorted((CORPUS / "bad").iterdir())
ACTIONS = sorted((CORPUS / "actions").iterdir())
PASSED_OVER = {"spec/no-manifest"}


def beside_actions(file: Path) -> list[Diagnostic]:
    files = [interpret(each.read_bytes(), each.name) for each in (*ACTIONS, file)]
    return [each for each in with_circles(assemble(files)).diagnostics if each.code not in PASSED_OVER]


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_a_good_file_has_nothing_wrong(file: Path) -> None:
    assert list(map(str, beside_actions(file))) == []


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_a_bad_file_has_exactly_the_findings_its_first_line_names(file: Path) -> None:
    expected = file.read_text().split("\n", 1)[0].removeprefix("# expect: ").split(", ")
    found = beside_actions(file)
    shown = [f"{each.code} {each.span.line}:{each.span.column}" for each in found]
    assert [
        f"warning {each}" if one.severity == "warning" else each for each, one in zip(shown, found, strict=True)
    ] == expected


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_every_finding_is_one_line_and_most_have_a_next_step(file: Path) -> None:
    for each in beside_actions(file):
        assert each.message
        assert "\n" not in each.message + each.hint
        assert "{" not in each.message


# What is certain before a step starts


@pytest.mark.parametrize(
    ("steps", "sure"),
    [
        ([step("a"), step("b", dependsOn=["a"])], {"a"}),
        ([step("a", when="true"), step("b", dependsOn=["a"])], set()),
        ([step("a", when="true"), step("b", dependsOn=[{"step": "a", "on": "succeeded"}])], {"a"}),
        ([step("a", onFailure="continue"), step("b", dependsOn=["a"])], set()),
        ([step("a"), step("b", dependsOn=[{"step": "a", "on": "completed"}])], set()),
        ([step("a"), step("b", dependsOn=[{"step": "a", "on": "failed"}])], set()),
        # A step that was skipped by its own `when` was ready for it: what it waits for had succeeded.
        ([step("a"), step("m", dependsOn=["a"], when="true"), step("b", dependsOn=["m"])], {"a"}),
        ([step("a"), step("m", dependsOn=[{"step": "a", "on": "completed"}]), step("b", dependsOn=["m"])], {"m"}),
        ([step("a"), step("m", dependsOn=["a"]), step("b", dependsOn=[{"step": "m", "on": "completed"}])], set()),
    ],
)
def test_which_steps_have_succeeded_for_certain(steps: list[Any], sure: set[str]) -> None:
    assert succeeded(automation(actions=steps).steps)["b"] == sure


def test_a_circle_of_steps_does_not_hang_the_search() -> None:
    assert succeeded(automation(actions=[step("a", dependsOn=["b"]), step("b", dependsOn=["a"])]).steps)


# Everything at once, and only where something is known


SCHEMA = {"type": "object", "additionalProperties": False, "required": ["n"], "properties": {"n": {"type": "integer"}}}


def codes(*documents: Any) -> list[str]:
    files = {f"{number}.yaml": document for number, document in enumerate(documents)}
    return [each.code for each in with_circles(catalogue(files)).diagnostics if each.code not in PASSED_OVER]


def test_all_problems_of_triggers_and_steps_are_told_in_one_go() -> None:
    slip = spec(
        triggers=[event_trigger(eventSchema=SCHEMA, expr="event.data.x == 1", filter={"y": "z"})],
        actions=[
            step(when="event.data.n", input={"a": "${{ event.data.z }}"}),
            step("b", input={"t": "${{ vars.no }}"}),
        ],
    )
    found = codes(slip)
    assert found.count("spec/unknown-field") == 3
    assert set(found) == {"spec/unknown-field", "spec/expression", "spec/filter-never"}


def test_what_only_some_triggers_give_is_not_held_against_a_step() -> None:
    both = spec(
        triggers=[event_trigger(eventSchema=SCHEMA), {"kind": "manual"}],
        inputs={"type": "object", "properties": {"ref": {"type": "string"}}},
        actions=[step(input={"n": "${{ event.data.n }}", "ref": "${{ inputs.ref }}"})],
    )
    assert codes(both) == []


def test_a_constant_may_be_compared_with_what_it_is_not_at_the_moment() -> None:
    by_zone = [step(when="vars.zone == 'prod'")]
    assert codes(spec(triggers=[{"kind": "manual"}], vars={"zone": "dev"}, actions=by_zone)) == []
    assert codes(spec(triggers=[{"kind": "manual"}], vars={"zone": 3}, actions=by_zone)) == ["spec/never-equal"]


def test_an_input_with_a_default_needs_no_guard() -> None:
    where = {"type": "object", "properties": {"zone": {"type": "string", "default": "eu"}, "host": {"type": "string"}}}
    inputs = {"type": "object", "properties": {"ref": {"type": "string", "default": "main"}, "where": where}}
    given = {"ref": "${{ inputs.ref }}", "zone": "${{ has(inputs.where) ? inputs.where.zone : '' }}"}
    by_hand: dict[str, Any] = {"triggers": [{"kind": "manual"}], "inputs": inputs}
    assert codes(spec(actions=[step(input=given)], **by_hand)) == []
    slip = {"host": "${{ has(inputs.where) ? inputs.where.host : '' }}"}
    assert codes(spec(actions=[step(input=slip)], **by_hand)) == ["spec/optional-field"]


def test_two_events_have_the_fields_of_either() -> None:
    other = {"type": "object", "additionalProperties": False, "properties": {"m": {"type": "integer"}}}
    triggers = [event_trigger(eventSchema=SCHEMA), event_trigger(id="b", eventSchema=other)]
    assert codes(spec(triggers=triggers, actions=[step(input={"n": "${{ event.data.n }}"})])) == []
    assert codes(spec(triggers=triggers, actions=[step(input={"n": "${{ event.data.x }}"})])) == ["spec/unknown-field"]


@pytest.mark.parametrize(
    ("trigger", "fine"),
    [
        ({"filter": {"note": "*"}}, True),
        ({"filter": {"note": {"not": "x"}}}, False),
        ({"expr": "has(event.data.note)"}, True),
        ({"expr": "event.data.n > 3"}, False),
    ],
)
def test_what_the_trigger_asked_for_needs_no_guard_in_steps(trigger: dict[str, Any], fine: bool) -> None:
    schema = {**SCHEMA, "properties": {**SCHEMA["properties"], "note": {"type": "string"}}}  # type: ignore[dict-item]  # plain data
    document = spec(
        triggers=[event_trigger(eventSchema=schema, **trigger)], actions=[step(input={"a": "${{ event.data.note }}"})]
    )
    assert codes(document) == ([] if fine else ["spec/optional-field"])


def test_the_object_form_of_when_guards_too() -> None:
    first = step("a", when="false")
    for when, fine in (
        ({"steps.a.status": "succeeded"}, True),
        ({"steps.a.output": "*"}, True),
        ({"vars.x": "y"}, False),
    ):
        second = step("b", dependsOn=["a"], when=when, input={"t": "${{ steps.a.output }}"})
        assert codes(spec(actions=[first, second], vars={"x": "z"})) == ([] if fine else ["spec/step-skipped"])


def test_a_wrong_graph_is_told_without_guesses_about_outputs() -> None:
    slip = spec(actions=[step("a", when="false"), step("b", dependsOn=["ah"], input={"t": "${{ steps.a.output }}"})])
    assert codes(slip) == ["spec/depends-on"]


# Events that go round


def emitter(identity: str, emits: str, starts: str, **keys: Any) -> list[Any]:
    trigger = {"kind": "event", "source": "apps", "type": starts}
    document = spec(identity, triggers=[trigger], actions=[step(actionId=f"do.{identity}")], **keys)
    return [document, action(f"do.{identity}", audit={"eventTypes": [emits]})]


def test_a_circle_over_several_automations_is_told_once_with_the_whole_way() -> None:
    source = {"audit": {"eventSource": "apps"}}
    files = [*emitter("a", "x", "z", **source), *emitter("b", "y", "x", **source), *emitter("c", "z", "y", **source)]
    found = with_circles(catalogue({f"{number}.yaml": each for number, each in enumerate(files)})).diagnostics
    assert [(each.code, str(each.severity), each.span.file) for each in found] == [
        ("spec/event-circle", "warning", "0.yaml")
    ]
    assert "a → b → c → a" in found[0].message


def test_events_that_do_not_come_back_or_from_nobody_known_are_no_circle() -> None:
    source = {"audit": {"eventSource": "apps"}}
    assert codes(*emitter("a", "x", "z", **source), *emitter("b", "y", "x", **source)) == []
    assert codes(*emitter("a", "x", "x")) == []
    assert codes(*emitter("a", "x", "x", audit={"eventSource": "elsewhere"})) == []
