"""A bad file keeps more than itself as it is: the manifests that its last good generation takes, and what goes with them."""

from pathlib import Path
from random import Random
from typing import Any

import pytest

from automations.core.plan.prune import Policy
from automations.store import manifests
from automations.store.database import Database
from samples import action, spec, step
from watched_source import Loop

ASKED = [{"kind": "manual", "roles": ["sre"], "reason": "production"}]
NEEDS_BODY = {"type": "object", "required": ["body"], "properties": {"body": {"type": "string"}}}


def taking(identity: str, **keys: Any) -> dict[str, Any]:
    """An automation with a step of `say.it`, whatever its version."""
    return spec(identity, actions=[step(actionId="say.it", **keys)])


def manifest(version: str, **keys: Any) -> dict[str, Any]:
    return action("say.it", version=version, **keys)


@pytest.fixture
def loop(database: Database, tmp_path: Path) -> Loop:
    directory = tmp_path / "specs"
    directory.mkdir()
    found = Loop(database, directory)
    found.write("say.yaml", manifest("1.0.0", requiredApprovals=ASKED))
    found.write("a.yaml", taking("a"))
    found.write("b.yaml", taking("b"))
    found.write("other.yaml", spec("other"))
    assert found.round()
    return found


def pins(loop: Loop) -> dict[str, str]:
    """By automation, the version of the manifest that its step takes."""
    bound = loop.plane.bindings.current().bound
    return {name: manifest.version for name, each in bound.items() for manifest in each.manifests.values()}


def digests(loop: Loop) -> dict[str, str]:
    bound = loop.plane.bindings.current().bound
    return {name: manifest.digest for name, each in bound.items() for manifest in each.manifests.values()}


def versions(loop: Loop) -> set[str]:
    """The manifests of the store."""
    with loop.plane.database.read() as tx:
        return {f"{row['action_id']}@{row['version']}" for row in manifests.live(tx)}


def waits(loop: Loop) -> set[str]:
    assert loop.last.plan is not None
    return {each.id for each in loop.last.plan.held_back}


def test_an_approval_that_moves_to_a_spec_with_a_slip_is_not_lost_on_its_way(loop: Loop) -> None:
    loop.write("say.yaml", manifest("1.1.0"))
    loop.write("a.yaml", taking("a", approval={"mode": "manual", "rolls": ["sre"]}))
    loop.round()
    assert pins(loop) == {"a": "1.0.0", "b": "1.0.0"}
    assert waits(loop) == {"say.it@1.1.0"}
    assert loop.condition("Reconciling")["reason"] == "Together"
    assert loop.condition("PruneBlocked")["status"] == "False"
    loop.write("a.yaml", taking("a", approval={"mode": "manual", "roles": ["sre"]}))
    assert loop.round()
    assert (pins(loop), waits(loop)) == ({"a": "1.1.0", "b": "1.1.0"}, set())
    assert loop.condition("Reconciling")["status"] == "False"


def test_a_manifest_that_is_edited_in_place_waits_for_those_that_no_longer_fit_it(loop: Loop) -> None:
    before = digests(loop)
    loop.write("say.yaml", manifest("1.0.0", inputSchema=NEEDS_BODY))
    loop.write("other.yaml", spec("other", version="2.0.0"))
    loop.round()
    assert digests(loop) == before
    assert loop.generations()["other"] == 2
    for name in ("a", "b"):
        loop.write(f"{name}.yaml", taking(name, input={"body": "hello"}))
    assert loop.round()
    assert digests(loop) != before


def test_what_goes_by_the_new_manifest_waits_with_it_and_what_does_not_goes_on(loop: Loop) -> None:
    loop.write("say.yaml", manifest("2.0.0", inputSchema=NEEDS_BODY))
    loop.write("a.yaml", "id: a\n: [")
    loop.write("b.yaml", taking("b", input={"body": "hello"}))
    loop.write("new.yaml", taking("new", input={"body": "hello"}))
    loop.write("other.yaml", spec("other", version="2.0.0"))
    loop.round()
    assert loop.generations() == {"a": 1, "b": 1, "other": 2}
    assert waits(loop) == {"say.it@2.0.0", "b", "new"}
    assert loop.plane.automations()["b"]["observed_generation"] == 1
    loop.write("a.yaml", taking("a", input={"body": "hello"}))
    assert loop.round()
    assert loop.generations() == {"a": 2, "b": 2, "new": 1, "other": 2}
    assert set(pins(loop).values()) == {"2.0.0"}


def test_a_file_that_is_bad_and_elsewhere_now_keeps_as_much(loop: Loop) -> None:
    loop.write("say.yaml", manifest("1.1.0"))
    loop.remove("a.yaml")
    loop.write("team/wipe.yaml", "id: a\n: [")
    loop.round()
    assert pins(loop) == {"a": "1.0.0", "b": "1.0.0"}
    (loop.directory / "team" / "wipe.yaml").rename(loop.directory / "other-name.yaml")
    loop.round()
    assert pins(loop) == {"a": "1.0.0", "b": "1.0.0"}
    loop.remove("other-name.yaml")
    loop.write("a.yaml", taking("a"))
    assert loop.round()
    assert pins(loop) == {"a": "1.1.0", "b": "1.1.0"}


def test_a_rename_with_a_slip_keeps_what_the_old_id_goes_by_and_loses_no_history(
    database: Database, tmp_path: Path
) -> None:
    directory = tmp_path / "specs"
    directory.mkdir()
    loop = Loop(database, directory, Policy("auto"))
    loop.write("say.yaml", manifest("1.0.0"))
    for name in ("a", "b", "c", "d", "e", "f"):
        loop.write(f"{name}.yaml", taking(name))
    assert loop.round()
    loop.remove("a.yaml")
    loop.write("clean.yaml", {**taking("clean", approvl=1), "lifecycle": {"renamedFrom": "a"}})
    loop.write("say.yaml", manifest("2.0.0"))
    for _ in range(4):
        loop.round(seconds=100)
    assert pins(loop)["a"] == "1.0.0"
    loop.write("clean.yaml", {**taking("clean"), "lifecycle": {"renamedFrom": "a"}})
    assert loop.round()
    assert loop.generations()["clean"] == 2
    assert set(pins(loop).values()) == {"2.0.0"}


def test_what_goes_by_a_manifest_that_is_bad_waits_for_it(loop: Loop) -> None:
    loop.write("say.yaml", {**manifest("1.0.0"), "requiredApprovals": [{"kind": "manual", "cuont": 2}]})
    loop.write("a.yaml", taking("a", input={"body": "without its own approval now"}))
    loop.write("new.yaml", taking("new"))
    loop.write("pinned.yaml", taking("pinned", manifestVersion="1.0.0"))
    loop.write("other.yaml", spec("other", version="2.0.0"))
    loop.round()
    assert loop.generations() == {"a": 1, "b": 1, "other": 2}
    assert waits(loop) == {"a", "new", "pinned"}
    loop.write("say.yaml", manifest("1.0.0", requiredApprovals=ASKED))
    assert loop.round()
    assert loop.generations() == {"a": 2, "b": 1, "new": 1, "pinned": 1, "other": 2}


@pytest.mark.parametrize("prune", ["confirm", "auto"])
def test_the_version_that_a_bad_file_goes_by_is_not_taken_away(database: Database, tmp_path: Path, prune: Any) -> None:
    directory = tmp_path / "specs"
    directory.mkdir()
    loop = Loop(database, directory, Policy(prune))
    loop.write("say.yaml", manifest("1.0.0"))
    loop.write("a.yaml", taking("a"))
    assert loop.round()
    loop.write("say.yaml", manifest("2.0.0"))
    loop.write("a.yaml", taking("a", dependsOn=["nobody"]))
    for _ in range(3):
        loop.round(seconds=100)
    assert pins(loop) == {"a": "1.0.0"}
    loop.write("a.yaml", taking("a"))
    assert loop.round()
    loop.round(seconds=100)
    assert pins(loop) == {"a": "2.0.0"}
    assert versions(loop) == {"say.it@2.0.0"}


def test_an_edit_that_brings_an_old_version_back_is_followed_like_one_that_brings_a_new_one(loop: Loop) -> None:
    loop.write("say.yaml", manifest("2.0.0"))
    assert loop.round()
    assert pins(loop) == {"a": "2.0.0", "b": "2.0.0"}
    loop.write("say.yaml", manifest("1.0.0", requiredApprovals=ASKED))
    assert loop.round()
    assert versions(loop) == {"say.it@1.0.0"}
    assert pins(loop) == {"a": "1.0.0", "b": "1.0.0"}
    loop.write("a.yaml", taking("a", manifestVersion="1.0.0"))
    assert loop.round()
    loop.write("say.yaml", manifest("3.0.0"))
    loop.round()
    assert pins(loop)["a"] == "1.0.0"


@pytest.mark.parametrize("seed", range(15))
def test_what_a_bad_file_left_bound_goes_by_the_manifests_that_it_went_by(loop: Loop, seed: int) -> None:
    acts = Random(seed)  # noqa: S311  # a test's choice
    for turn in range(10):
        before = digests(loop)
        for _ in range(acts.choice((1, 2, 3))):
            name = acts.choice(("a", "b", "c"))
            what = acts.choice(("bump", "edit", "break", "change", "pin"))
            if what == "bump":
                loop.write("say.yaml", manifest(f"{acts.randrange(1, 4)}.0.{turn}"))
            elif what == "edit":
                loop.write("say.yaml", manifest("1.0.0", description=f"edited {turn}"))
            elif what == "break":
                loop.write(f"{name}.yaml", acts.choice(["id: a\n: [", {**taking(name), "bogus": turn}]))
            elif what == "change":
                loop.write(f"{name}.yaml", taking(name, input={"turn": turn}))
            else:
                loop.write(f"{name}.yaml", taking(name, manifestVersion="1.0.0"))
        loop.round()
        assert loop.last.plan is not None
        bad = {each.span.file for each in loop.last.plan.diagnostics if each.severity == "error"}
        kept = {name for name in before if f"specs/{name}.yaml" in bad}
        after = digests(loop)
        assert {name: after.get(name) for name in kept} == {name: before[name] for name in kept}
