"""Which manifest versions go by themselves: those that another version took the place of, and that nothing takes any more."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from automations.core.plan.plan import Plan, Request, make_plan, with_specs
from automations.core.plan.state import Held, HeldManifest, State
from automations.core.plan.superseded import superseded
from automations.core.spec import build
from samples import Data, action, catalogue, spec, step

OWN, OTHER = "source:s", "source:other"
ACT = "todos.create"


def using(identity: str = "a", version: str | None = None, **keys: Any) -> Data:
    named = {} if version is None else {"manifestVersion": version}
    return spec(identity, actions=[step(**named)], **keys)


def state_of(versions: Mapping[str, str], bound: Mapping[str, tuple[str, Data]]) -> State:
    """Manifests by version and owner, automations by id with owner and spec."""
    held = {
        name: Held(name, name, owner, "active", 1, build.automation(document).digest, f"{name}.yaml")
        for name, (owner, document) in bound.items()
    }
    manifests = {
        (ACT, version): HeldManifest(
            ACT, version, owner, build.manifest(action(ACT, version)).digest, f"{version}.yaml"
        )
        for version, owner in versions.items()
    }
    return with_specs(State("l", 1, held, manifests, {}), {name: document for name, (_, document) in bound.items()})


def found(files: Mapping[str, Data], state: State, bound: Mapping[str, tuple[str, Data]]) -> frozenset[str]:
    declared = catalogue(files)
    plan: Plan = make_plan(declared, state, Request("s", prune=False))
    return superseded(plan, declared, state=state, bound=[build.automation(document) for _, document in bound.values()])


@pytest.mark.parametrize(
    ("before", "after", "goes"),
    [
        (using(), using(), True),
        (using(version="1.0.0"), using(version="1.0.0"), False),
        (using(version="1.0.0"), using(version="1.1.0"), True),
        (using(version="1.0.0"), using(), True),
        (using(), using(version="1.1.0", status="paused"), True),
        (using(version="1.0.0"), using(version="1.1.0", status="paused"), False),  # the pause may be held back
    ],
)
def test_a_version_goes_with_the_plan_after_which_nothing_takes_it(before: Data, after: Data, goes: bool) -> None:
    bound = {"a": (OWN, before)}
    state = state_of({"1.0.0": OWN}, bound)
    files = {"a.yaml": after, "m.yaml": action(ACT, "1.1.0")}
    assert found(files, state, bound) == (frozenset({f"{ACT}@1.0.0"}) if goes else frozenset())


@pytest.mark.parametrize(
    ("theirs", "goes"),
    [(using("b"), True), (using("b", "1.0.0"), False), (using("b", "1.1.0"), True)],
)
def test_what_another_source_takes_is_taken(theirs: Data, goes: bool) -> None:
    bound = {"a": (OWN, using()), "b": (OTHER, theirs)}
    state = state_of({"1.0.0": OWN}, bound)
    files = {"a.yaml": using(), "m.yaml": action(ACT, "1.1.0")}
    assert bool(found(files, state, bound)) == goes


def test_a_lower_version_supersedes_nothing_that_a_step_without_a_version_takes() -> None:
    bound = {"a": (OWN, using())}
    state = state_of({"1.10.0": OWN}, bound)
    assert found({"a.yaml": using(), "m.yaml": action(ACT, "1.9.0")}, state, bound) == frozenset()


def test_a_version_whose_own_file_says_another_one_now_was_edited_and_goes_unless_a_step_names_it() -> None:
    for before, goes in ((using(), True), (using(version="1.10.0"), False)):
        bound = {"a": (OWN, before)}
        files = {"a.yaml": before, "1.10.0.yaml": action(ACT, "1.9.0")}
        assert bool(found(files, state_of({"1.10.0": OWN}, bound), bound)) is goes


def test_an_edited_version_goes_while_that_of_another_action_waits_with_its_new_one() -> None:
    other = "mail.send"
    both = spec("a", actions=[step("one"), step("two", actionId=other)])
    bound = {"a": (OWN, both)}
    state = state_of({"1.0.0": OWN}, bound)
    theirs = HeldManifest(other, "1.0.0", OWN, build.manifest(action(other, "1.0.0")).digest, "mail.yaml")
    state = replace(state, manifests={**state.manifests, (other, "1.0.0"): theirs})
    declared = catalogue({"a.yaml": both, "1.0.0.yaml": action(ACT, "1.1.0"), "mail.yaml": action(other, "1.1.0")})
    plan = make_plan(declared, state, Request("s", prune=False))
    held = tuple(change for change in plan.changes if change.id == f"{other}@1.1.0")
    plan = replace(plan, changes=tuple(each for each in plan.changes if each not in held), held_back=held)
    goes = superseded(plan, declared, state=state, bound=[build.automation(both)])
    assert goes == frozenset({f"{ACT}@1.0.0"})


def test_nor_does_one_that_is_gone_itself() -> None:
    """1.10.0 may be deleted first; then 1.9.0 would be what the step takes."""
    bound = {"a": (OWN, using())}
    state = state_of({"1.10.0": OWN, "1.9.0": OWN, "1.0.0": OWN}, bound)
    assert found({"a.yaml": using(), "m.yaml": action(ACT, "1.1.0")}, state, bound) == {f"{ACT}@1.0.0"}


def test_a_source_with_versions_of_its_own_takes_none_of_ours() -> None:
    bound = {"a": (OWN, using()), "b": (OTHER, using("b"))}
    state = state_of({"1.10.0": OWN, "1.0.0": OTHER}, bound)
    files = {"a.yaml": using(version="1.9.0"), "m.yaml": action(ACT, "1.9.0")}
    assert found(files, state, bound) == frozenset({f"{ACT}@1.10.0"})


def test_without_another_version_a_manifest_that_is_gone_is_no_superseded_one() -> None:
    state = state_of({"1.0.0": OWN}, {})
    assert found({"b.yaml": spec("b")}, state, {}) == frozenset()


def test_what_is_bound_and_not_known_may_take_anything() -> None:
    bound = {"a": (OWN, using())}
    state = state_of({"1.0.0": OWN}, bound)
    assert found({"a.yaml": using(), "m.yaml": action(ACT, "1.1.0")}, state, {}) == frozenset()


def test_an_automation_whose_file_is_gone_still_takes_its_version_until_it_is_deleted() -> None:
    bound = {"a": (OWN, using(version="1.0.0")), "c": (OWN, using("c"))}
    state = state_of({"1.0.0": OWN}, bound)
    assert found({"c.yaml": using("c"), "m.yaml": action(ACT, "1.1.0")}, state, bound) == frozenset()
