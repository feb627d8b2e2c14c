"""What a plan says of steps that take another manifest is what becomes of them, whoever owns the automation and the manifest."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automations.core.plan.effects import Repin
from automations.core.plan.file import from_file, to_file
from automations.core.plan.plan import Plan, Request
from automations.core.plan.render.human import human
from automations.core.plan.render.words import done_line, summary_line
from automations.core.spec.model import Step
from automations.services.plan.adopt import takeover
from automations.services.plan.apply import Authority
from automations.services.plan.definitions import load_state
from automations.services.plan.plan import with_old
from automations.services.plan.rollback import rollback_to
from control_plane import START, ControlPlane, in_memory
from samples import action, catalogue, spec, step

Files = Mapping[str, Any]
Pin = tuple[str, str]
"""Version and digest."""


@pytest.fixture
def plane() -> Iterator[ControlPlane]:
    with in_memory() as made:
        yield made


def pins(plane: ControlPlane) -> dict[str, tuple[str, dict[str, tuple[Step, Pin | None]]]]:
    """By uid what is bound: its id, and the manifest that each step would be carried out by if a run started now."""
    found = {}
    for bound in plane.bindings.current().bound.values():
        pinned = {name: (each.version, each.digest) for name, each in bound.manifests.items()}
        steps = {each.id: (each, pinned.get(each.id)) for each in bound.automation.steps}
        found[bound.uid] = (bound.automation.id, steps)
    return found


def moved(plane: ControlPlane, made: Plan) -> set[tuple[str, str, str | None, str | None]]:
    """Commit the plan; the steps that name their action as before and take another manifest than before."""
    before = pins(plane)
    plane.applying.commit(made, Authority("tester"))
    after = pins(plane)
    return {
        (after[uid][0], name, was and was[0], now and now[0])
        for uid in before.keys() & after.keys()
        for name, (each, now) in after[uid][1].items()
        if name in before[uid][1]
        for old, was in [before[uid][1][name]]
        if (old.action_id, old.manifest_version) == (each.action_id, each.manifest_version) and was != now
    }


def told(made: Plan) -> list[Repin]:
    return [each for change in made.changes for each in change.effects.repins]


def messages(made: Plan, *codes: str) -> list[str]:
    return [each.message for each in made.hazards if each.code in codes]


versions = st.sampled_from(["1.0.0", "2.0.0", "10.0.0"])
names = st.sampled_from(["do.a", "do.b"])
manifests = st.builds(
    lambda name, version, words, required: action(
        name, version, description=words, inputSchema={"type": "object", "required": required}
    ),
    names,
    versions,
    st.sampled_from(["", "other"]),
    st.sampled_from([[], ["text"]]),
)
steps = st.lists(st.tuples(names, st.none() | versions, st.sampled_from([{}, {"text": "t"}])), min_size=1, max_size=2)
specs = st.builds(
    lambda identity, steps, previous: spec(
        identity,
        actions=[
            step(f"s{index}", actionId=name, input=input_, **({"manifestVersion": version} if version else {}))
            for index, (name, version, input_) in enumerate(steps)
        ],
        **({"lifecycle": {"renamedFrom": previous}} if previous and previous != identity else {}),
    ),
    st.sampled_from("abcd"),
    steps,
    st.none() | st.sampled_from("abcd"),
)
trees = st.dictionaries(st.sampled_from([f"{n}.yaml" for n in range(6)]), manifests | specs, max_size=6)
requests = st.fixed_dictionaries(
    {
        "source": st.sampled_from(["one", "two"]),
        "adopt": st.frozensets(st.sampled_from("abcd")),
        "prune": st.sampled_from([True, True, False]),
        "hold": st.frozensets(st.sampled_from("abcd"), max_size=1),
    }
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(trees, requests), min_size=2, max_size=5))
def test_the_steps_that_a_plan_names_are_those_that_take_another_manifest(series: list[tuple[Files, Any]]) -> None:
    with in_memory() as plane:
        for files, request in series:
            bound = {identity for identity, _ in pins(plane).values()}
            adopt = request["adopt"] & bound & {each["id"] for each in files.values()}
            made = plane.plan(files, **{**request, "adopt": adopt})
            said = told(made)
            assert len({(each.automation, each.step) for each in said}) == len(said)
            found = moved(plane, made)
            assert {(each.automation, each.step, each.before, each.after) for each in said} == found
            owner = {row["id"]: row["owner"] for source in ("one", "two") for row in rows(plane, source)}
            assert all(
                each.owner == (None if owner[each.automation] == made.owner else owner[each.automation])
                for each in said
            )
            assert ("not rebound" in summary_line(made)) == (found == set())


def rows(plane: ControlPlane, source: str) -> list[Any]:
    return list(plane.automations(source=source).values())


BUILD = {"build.yaml": spec("build", actions=[step("make", actionId="ci.build", input={"ref": "main"})])}
ONE = {"one.yaml": action("ci.build", "1.0.0", requiredApprovals=2)}
TWO = {
    "two.yaml": action(
        "ci.build", "2.0.0", executorBindings=[{"kind": "local-shell", "command": "false"}], requiredApprovals=1
    )
}
RELEASE = {"release.yaml": spec("release", actions=[step("build", actionId="ci.build", input={"tag": "v1"})])}
PINNED = {
    "release.yaml": spec("release", actions=[step("build", actionId="ci.build", manifestVersion="1.0.0", input={})])
}


def test_a_new_version_is_as_visible_as_a_change_of_the_old_one(plane: ControlPlane) -> None:
    plane.apply({**BUILD, **ONE})
    made = plane.plan({**BUILD, **ONE, **TWO})
    assert told(made) == [Repin("build", "make", "ci.build", "1.0.0", "2.0.0")]
    assert messages(made, "AU330", "AU320") == [
        "action ci.build@2.0.0, which steps take instead of 1.0.0, is carried out by false instead of true",
        "action ci.build@2.0.0, which steps take instead of 1.0.0, requires 1 approvals instead of 2",
    ]
    assert {(each.id, each.file) for each in made.hazards} == {("ci.build@2.0.0", "two.yaml")}
    assert "steps: build/make takes 2.0.0 instead of 1.0.0 with its next run" in human(made)
    assert summary_line(made) == (
        "Plan: 1 to add, 0 to change, 0 to destroy; 2 unchanged; 1 automation takes another manifest."
    )
    assert done_line(made) == "1 added, 0 changed, 0 destroyed; 2 unchanged; 1 automation takes another manifest."


def test_going_back_to_the_version_that_is_left_is_told_where_the_other_goes(plane: ControlPlane) -> None:
    plane.apply({**BUILD, **ONE, **TWO})
    made = plane.plan({**BUILD, **ONE})
    (change,) = made.changes
    assert (change.id, change.action) == ("ci.build@2.0.0", "delete")
    assert change.effects.repins == (Repin("build", "make", "ci.build", "2.0.0", "1.0.0"),)
    assert messages(made, "AU332") == []
    assert len(messages(made, "AU330")) == 1


@pytest.mark.parametrize("others", [{}, TWO], ids=["the last version", "one of two versions"])
def test_a_version_that_another_source_s_step_names_does_not_go_unnoticed(plane: ControlPlane, others: Files) -> None:
    plane.apply({**ONE, **others})
    plane.apply(PINNED, source="ops")
    made = plane.plan(others)
    assert told(made) == [Repin("release", "build", "ci.build", "1.0.0", None, owner="source:ops")]
    assert messages(made, "AU332") == ["action ci.build@1.0.0 is used by release/build (source:ops)"]
    assert "release/build (source:ops) has no manifest afterwards: its runs wait for an external runner" in human(made)
    assert summary_line(made).endswith("unchanged; 1 automation of another owner takes no manifest any more.")


def test_a_step_of_another_source_that_does_not_fit_what_it_takes_is_told(plane: ControlPlane) -> None:
    plane.apply(ONE)
    plane.apply(RELEASE, source="ops")
    strict = {"two.yaml": action("ci.build", "2.0.0", inputSchema={"type": "object", "required": ["ref"]})}
    made = plane.plan({**ONE, **strict})
    (hazard,) = [each for each in made.hazards if each.code == "AU333"]
    assert hazard.message == (
        'release (source:ops): input of step build does not conform to ci.build 2.0.0: "ref" is a required property'
    )
    assert (hazard.id, hazard.file) == ("release", "two.yaml")
    assert made.sound
    assert messages(plane.plan({**ONE, **TWO}), "AU333") == []


def test_a_later_step_that_reads_what_is_not_given_any_more_is_told_too(plane: ControlPlane) -> None:
    gives = {"type": "object", "properties": {"url": {"type": "string"}}, "additionalProperties": False}
    plane.apply({"one.yaml": action("ci.build", outputSchema=gives)})
    reads = step("tell", actionId="chat.post", dependsOn=["build"], input={"text": "${{ steps.build.output.url }}"})
    plane.apply({"r.yaml": spec("release", actions=[step("build", actionId="ci.build"), reads])}, source="ops")
    other = {"type": "object", "properties": {"link": {"type": "string"}}, "additionalProperties": False}
    made = plane.plan({"one.yaml": action("ci.build", outputSchema=other)})
    (message,) = messages(made, "AU333")
    assert message.startswith("release (source:ops): ")
    assert "url" in message


def test_the_last_good_version_of_a_bad_file_takes_the_new_manifest_and_the_plan_says_so(plane: ControlPlane) -> None:
    plane.apply({**BUILD, **ONE})
    made = plane.plan({"build.yaml": "id: build\n: [", **ONE, **TWO})
    assert not made.sound
    assert told(made) == [Repin("build", "make", "ci.build", "1.0.0", "2.0.0")]


def test_a_step_that_another_team_s_new_manifest_takes_from_an_external_runner_is_a_danger(plane: ControlPlane) -> None:
    plane.apply(RELEASE, source="ops")
    made = plane.plan(ONE)
    assert messages(made, "AU330") == [
        "action ci.build@1.0.0 is carried out by true instead of an external runner, for release/build (source:ops)"
    ]
    mine = plane.plan({**RELEASE, **ONE}, source="ops")
    assert (len(told(mine)), mine.hazards) == (1, ())


def test_taking_over_an_automation_gives_it_the_manifests_of_its_new_owner(plane: ControlPlane) -> None:
    plane.apply({**BUILD, **ONE}, source="one")
    plane.apply(TWO, source="two")
    made = takeover(plane.database, catalogue(BUILD), Request("two", adopt=frozenset({"build"})))
    (change,) = made.changes
    assert (change.id, change.action) == ("build", "adopt")
    assert told(made) == [Repin("build", "make", "ci.build", "1.0.0", "2.0.0")]
    assert "steps: build/make takes ci.build 2.0.0 instead of ci.build 1.0.0 with its next run" in human(made)
    assert {"AU330", "AU320", "AU500"} == {each.code for each in made.hazards}


def test_a_manifest_that_only_moves_to_another_file_is_taken_as_before(plane: ControlPlane) -> None:
    other = action("ci.sign")
    both = [step("make", actionId="ci.build"), step("sign", actionId="ci.sign")]
    plane.apply({"sign.yaml": other}, source="two")
    plane.apply({"build.yaml": spec("build", actions=both), **ONE}, source="one")
    assert told(plane.plan({**TWO, "moved.yaml": other}, source="two")) == []


def test_what_an_automation_s_own_change_says_is_not_said_twice(plane: ControlPlane) -> None:
    plane.apply({**BUILD, **ONE})
    pinned = step("make", actionId="ci.build", manifestVersion="2.0.0", input={"ref": "main"})
    assert told(plane.plan({"build.yaml": spec("build", actions=[pinned]), **ONE, **TWO})) == []
    assert told(plane.plan({"new.yaml": spec("new", actions=[step(actionId="ci.build")]), **ONE, **TWO})) == []


def test_a_plan_file_keeps_who_takes_what(plane: ControlPlane) -> None:
    plane.apply({**BUILD, **ONE})
    plane.apply(RELEASE, source="ops")
    made = plane.plan({**BUILD, **ONE, **TWO})
    kept, _, _ = from_file(to_file(made, prefix="", now=START), now=START)
    assert told(kept) == told(made)
    assert done_line(kept) == done_line(made)
    assert "1 automation and 1 of another owner take another manifest" in done_line(made)


def test_nothing_is_loaded_for_pins_where_no_manifest_is_touched(plane: ControlPlane) -> None:
    plane.apply({**BUILD, **ONE})
    later = {"build.yaml": spec("build", description="d", actions=BUILD["build.yaml"]["actions"])}
    with plane.database.read() as tx:
        state = load_state(tx)
        still = with_old(tx, state, catalogue({**later, "elsewhere/one.yaml": ONE["one.yaml"]}), Request("default"))
        asked = with_old(tx, state, catalogue({**later, **TWO}), Request("default"))
    assert (still.using, still.manifest_documents, set(still.specs)) == ({}, {}, {"build"})
    assert (set(asked.using), set(asked.manifest_documents)) == ({"build"}, {("ci.build", "1.0.0")})
    plane.apply({**later, **ONE})
    assert told(rollback_to(plane.database, "build", 1, now=START).plan) == []
