"""A catalogue: good files are never hidden by bad ones, and whoever shares a name is told of the others."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automations.core.diagnostic import dotted, has_errors
from automations.core.spec.catalogue import Catalogue, Declared, interpret
from automations.core.spec.document import Document
from automations.core.spec.example import example_automation_spec
from samples import action, automation, catalogue, event_trigger, manifest, raw, spec, step, webhook_trigger

BAD = "id: a\n: ["


def errors(found: Catalogue) -> list[tuple[str, str]]:
    return [(each.span.file, each.code) for each in found.diagnostics if each.severity == "error"]


def test_every_kind_of_file_finds_its_place() -> None:
    found = catalogue({"a.yaml": spec("a"), "m.yaml": action("x", "2"), "k.yaml": {**action("y"), "kind": "Action"}})
    assert list(found.automations) == ["a"]
    assert sorted(found.manifests) == [("x", "2"), ("y", "1.0.0")]
    assert set(found.digests) == {"a.yaml", "m.yaml", "k.yaml"}


@pytest.mark.parametrize("slip", [{"when": "1 +"}, {"dependsOn": ["ghost"]}, {"input": {"x": "${{ secrets. }}"}}])
def test_a_slip_of_one_step_hides_nothing_that_another_steps_manifest_says(slip: dict[str, Any]) -> None:
    shut = {"type": "object", "properties": {"n": {"type": "number"}}, "additionalProperties": False}
    steps = [
        step("bad", **slip),
        step("leaky", input={"token": "${{ secrets.T }}"}),
        step("old", manifestVersion="0.1"),
        step("wrong", actionId="strict", input={"n": "x"}),
    ]
    found = errors(
        catalogue({"a.yaml": spec(actions=steps), "m.yaml": action(), "s.yaml": action("strict", inputSchema=shut)})
    )
    said = [code for _, code in found]
    assert len(said) == 4
    assert {"spec/secret", "spec/manifest-version", "spec/input"} < set(said)


def test_a_wrong_key_hides_nothing_that_other_steps_manifests_say() -> None:
    shut = {"type": "object", "properties": {"n": {"type": "number"}}, "additionalProperties": False}
    steps = [
        step("bad", actionId="unknown.one", inptu={"n": 1}),
        step("unsure", actionId="strict", inptu={"n": 1}, input={"m": 1}),
        step("wrong", actionId="strict", input={"n": "x"}),
        step("lost", actionId="unknown.two", input={"x": "${{ vars.y.z }}"}),
    ]
    found = catalogue({"a.yaml": spec(actions=steps, varz={"y": 1}), "s.yaml": action("strict", inputSchema=shut)})
    said = [(each.code, dotted(each.path)) for each in found.diagnostics]
    assert sorted(said) == [
        ("spec/input", "actions[2].input"),
        ("spec/no-manifest", "actions[0].actionId"),
        ("spec/no-manifest", "actions[3].actionId"),
        ("spec/unknown-key", "actions[0].inptu"),
        ("spec/unknown-key", "actions[1].inptu"),
        ("spec/unknown-key", "varz"),
    ]
    assert (found.automations, found.claimed) == ({}, {"tickets.escalate": frozenset({"a.yaml"})})


def test_the_example_for_users_is_good() -> None:
    assert errors(catalogue({"a.yaml": example_automation_spec()})) == []


def test_a_bad_file_never_hides_another() -> None:
    found = catalogue({"bad.yaml": BAD, "a.yaml": spec("a"), "worse.yaml": b"\xff\xff", "m.yaml": action()})
    assert list(found.automations) == ["a"]
    assert len(found.manifests) == 1
    assert found.bad_files == {"bad.yaml", "worse.yaml"}
    assert found.unidentified == {"bad.yaml", "worse.yaml"}


def test_a_bad_file_still_claims_the_id_that_it_shows() -> None:
    found = catalogue({"a.yaml": spec("a", bogus=1), "b.yaml": spec("b", actions=[step("s", dependsOn=["s"])])})
    assert found.automations == {}
    assert found.claimed == {"a": {"a.yaml"}, "b": {"b.yaml"}}
    assert found.unidentified == frozenset()


@pytest.mark.parametrize("identity", [5, None, ["a"], {"a": 1}])
def test_an_id_that_is_no_text_claims_nothing(identity: Any) -> None:
    found = catalogue({"a.yaml": {**spec("a"), "id": identity}})
    assert found.claimed == {}
    assert found.unidentified == {"a.yaml"}


@pytest.mark.parametrize("second", [spec("a", version="2"), spec("a", bogus=1), spec("a")])
def test_files_that_share_an_id_are_all_invalid_and_name_each_other(second: Any) -> None:
    found = catalogue({"1.yaml": spec("a"), "2.yaml": second, "3.yaml": spec("a"), "z.yaml": spec("z")})
    assert list(found.automations) == ["z"]
    assert found.claimed == {"a": {"1.yaml", "2.yaml", "3.yaml"}}
    told = {each.span.file: each.message for each in found.diagnostics if each.code == "spec/duplicate-id"}
    assert set(told) == {"1.yaml", "2.yaml", "3.yaml"}
    assert "2.yaml:3:9, 3.yaml:3:9" in told["1.yaml"]


def test_manifests_that_share_id_and_version_are_all_invalid_and_other_versions_are_not() -> None:
    found = catalogue({"1.yaml": action("x", "1"), "2.yaml": action("x", "1"), "3.yaml": action("x", "2")})
    assert list(found.manifests) == [("x", "2")]
    assert errors(found) == [("1.yaml", "spec/duplicate-action"), ("2.yaml", "spec/duplicate-action")]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (webhook_trigger("/x"), webhook_trigger("/x")),
        (webhook_trigger("/x", id="same"), webhook_trigger("/y", id="same")),
        (webhook_trigger("/webhooks/b.0"), webhook_trigger()),
        (webhook_trigger("/x", id="b.0"), webhook_trigger("/y")),
    ],
)
def test_routes_that_share_a_path_or_an_id_invalidate_both_even_where_one_is_a_default(one: Any, other: Any) -> None:
    found = catalogue({"a.yaml": spec("a", triggers=[one]), "b.yaml": spec("b", triggers=[other]), "c.yaml": spec("c")})
    assert list(found.automations) == ["c"]
    assert {code for _, code in errors(found)} == {"spec/duplicate-route"}
    assert {file for file, _ in errors(found)} == {"a.yaml", "b.yaml"}


def test_two_triggers_of_one_automation_cannot_share_a_path_either() -> None:
    found = catalogue({"a.yaml": spec("a", triggers=[webhook_trigger("/x"), webhook_trigger("/x")])})
    assert errors(found) == [("a.yaml", "spec/duplicate-route")] * 2


def test_manifests_that_others_own_count_for_inputs_and_versions() -> None:
    theirs = manifest("x", "1", inputSchema={"type": "object", "required": ["n"]})
    files = {"a.yaml": spec("a", actions=[step(actionId="x")])}
    assert errors(catalogue(files, known={("x", "1"): theirs})) == [("a.yaml", "spec/input")]
    assert errors(catalogue({**files, "m.yaml": action("x", "2")}, known={("x", "1"): theirs})) == []


def test_the_digest_of_a_tree_is_of_what_it_means() -> None:
    one = catalogue({"a.yaml": spec("a"), "b.yaml": spec("b")})
    spelled = catalogue({"b.yaml": raw(dict(reversed(spec("b").items()))) + b"\n# a comment\n", "a.yaml": spec("a")})
    assert one.digest == spelled.digest
    assert one.digest != catalogue({"a.yaml": spec("a")}).digest
    assert one.digest != catalogue({"a.yaml": spec("b"), "b.yaml": spec("a")}).digest


def test_diagnostics_come_in_the_order_of_files_and_lines() -> None:
    found = catalogue({"b.yaml": spec("b", bogus=1, other=2), "a.yaml": BAD, "c.yaml": spec("c", bogus=1)})
    spans = [each.span for each in found.diagnostics]
    assert spans == sorted(spans)
    assert {span.file for span in spans} == {"a.yaml", "b.yaml", "c.yaml"}


def test_a_declaration_can_be_made_by_its_plain_and_its_typed_name_and_never_changed() -> None:
    document = Document("a.yaml", {}, dict)
    plain, typed = Declared(automation(), document), Declared[Any](automation(), document)
    assert plain == typed
    assert copy.copy(plain) == plain
    with pytest.raises(AttributeError):
        plain.value = automation("b")  # type: ignore[misc]  # that is the point


# Whatever a file holds, reading it ends in findings and never in an exception.

ODD: Any = st.recursive(
    st.sampled_from(
        [None, True, 0, -1, 2**63 - 1, 1.5, "", "a", "a.b", "${{ 1 }}", "${{", "1h", "/x", "*", "\u202e", [], {}]
    ),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["id", "not", "step", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)
WHOLE = spec(
    "a",
    triggers=[
        event_trigger(filter={"a": "b"}, expr="event.data.a == 1"),
        webhook_trigger("/x", signature={"preset": "github", "secretRef": "secret://x"}),
    ],
    actions=[
        step("one", input={"a": "${{ event.data }}"}, retry={"base": "1s"}, timeout="1m", approval={"mode": "manual"}),
        step("two", dependsOn=["one", {"step": "one", "on": "failed"}], when="steps.one.status == 'dead'"),
    ],
    lifecycle={"renamedFrom": "b"},
    **{"finally": [step("end")]},
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path in a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, each in items for found in places(each, (*path, key)))]


def mutated(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    result = copy.deepcopy(document)
    if not path:
        return value
    place = result
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    return result


@settings(max_examples=400)
@given(
    st.sampled_from([WHOLE, action(outputSchema={"type": "object"}, requiredApprovals=1)]).flatmap(
        lambda document: st.tuples(st.just(document), st.sampled_from(places(document)), ODD)
    )
)
def test_no_document_however_odd_is_an_exception(case: tuple[Any, tuple[Any, ...], Any]) -> None:
    document, path, value = case
    odd = mutated(document, path, value)
    found = catalogue({"odd.yaml": odd, "good.yaml": spec("good"), "m.yaml": action()})
    assert "good" in found.automations or "spec/duplicate-id" in {each.code for each in found.diagnostics}
    alone = interpret(raw(odd), "odd.yaml")
    assert alone.document is not None or has_errors(alone.diagnostics)


@given(st.binary(max_size=60))
def test_no_bytes_are_an_exception(noise: bytes) -> None:
    assert interpret(noise, "odd.yaml").file == "odd.yaml"
    assert interpret(noise, "odd.json").file == "odd.json"
