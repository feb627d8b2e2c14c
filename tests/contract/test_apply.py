"""Apply, on every store: what a plan predicts is what the state becomes, or nothing happens at all."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automations.core.audit import broken_at
from automations.core.canonical import decode
from automations.core.plan.plan import make_plan
from automations.errors import AutomationsError, Refused, SpecInvalid, StalePlan
from automations.services.plan.apply import Authority
from automations.services.plan.definitions import load_state
from automations.store import audit, automations, manifests, routes, state
from automations.store.database import Database
from control_plane import START, ControlPlane, in_memory
from samples import action, catalogue, event_trigger, spec, step, webhook_trigger

Files = Mapping[str, Any]
ME = Authority("tester")


@pytest.fixture
def plane(database: Database) -> ControlPlane:
    return ControlPlane(database)


def everything(plane: ControlPlane) -> Any:
    """All that a failed apply must not touch."""
    tables = ("state", "automations", "generations", "manifests", "manifest_bodies", "routes", "audit")
    with plane.database.read() as tx:
        return [sorted(map(repr, tx.all(f"SELECT * FROM {table}"))) for table in tables]  # noqa: S608  # fixed names


def hook(identity: str, path: str | None = None, **keys: Any) -> Any:
    return spec(identity, triggers=[webhook_trigger(path)], **keys)


def many(count: int) -> dict[str, Any]:
    return {f"{index:02}.yaml": spec(f"a{index:02}") for index in range(count)}


# One transaction


def test_what_is_applied_is_bound_with_its_routes_manifests_and_first_generation(plane: ControlPlane) -> None:
    applied = plane.apply({"a.yaml": hook("a", "/x"), "m.yaml": action()})
    row = plane.automations()["a"]
    assert (applied.changes, row["generation"], row["file"], row["status"]) == (2, 1, "a.yaml", "active")
    assert plane.routes() == {"/x": "a"}
    with plane.database.read() as tx:
        assert [each["action_id"] for each in manifests.live(tx)] == ["todos.create"]
        kept = automations.generation(tx, row["uid"], 1)
    assert kept is not None
    assert (decode(kept["spec_json"])["id"], kept["applied_by"], kept["digest"]) == ("a", "tester", row["digest"])


def test_applying_the_same_again_changes_nothing_not_even_the_serial(plane: ControlPlane) -> None:
    files = {"a.yaml": hook("a"), "m.yaml": action()}
    serial = plane.apply(files).serial
    before = everything(plane)
    again = plane.apply(files)
    assert (again.serial, again.changes) == (serial, 0)
    assert everything(plane) == before


def test_an_unchanged_automation_keeps_its_row_while_another_changes(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": spec("a"), "b.yaml": spec("b")})
    before = plane.automations()["a"]
    plane.clock.at += 1
    plane.apply({"a.yaml": spec("a"), "b.yaml": spec("b", version="2")})
    assert plane.automations()["a"] == before
    assert plane.automations()["b"]["generation"] == 2


def test_a_plan_whose_serial_has_moved_is_stale_and_writes_nothing(plane: ControlPlane) -> None:
    first, second = plane.plan({"a.yaml": spec("a")}), plane.plan({"b.yaml": spec("b")})
    plane.applying.strict(first, ME)
    before = everything(plane)
    with pytest.raises(StalePlan, match="made at serial 0, the state is at 1") as refused:
        plane.applying.strict(second, ME)
    assert refused.value.exit_status == 5
    assert everything(plane) == before


def test_a_plan_can_be_applied_only_once(plane: ControlPlane) -> None:
    made = plane.plan({"a.yaml": spec("a")})
    plane.applying.strict(made, ME)
    with pytest.raises(StalePlan):
        plane.applying.strict(made, ME)


def test_specs_with_errors_are_applied_by_nobody_who_is_strict(plane: ControlPlane) -> None:
    with pytest.raises(SpecInvalid) as refused:
        plane.apply({"a.yaml": spec("a"), "b.yaml": spec("b", bogus=1)})
    assert [each.span.file for each in refused.value.diagnostics if each.severity == "error"] == ["b.yaml"]
    assert plane.serial() == 0
    assert plane.automations() == {}


def test_a_failure_in_the_middle_leaves_nothing_behind(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": hook("a", "/x"), "b.yaml": spec("b")})
    made = plane.plan({"a.yaml": hook("a", "/y"), "b.yaml": spec("b", version="2")})
    with plane.database.write() as tx:  # a hand in the store that does not raise the serial
        tx.run("UPDATE automations SET generation = 9 WHERE id = 'b'")
    before = everything(plane)
    with pytest.raises(AutomationsError, match="automation b changed while it was being applied"):
        plane.applying.strict(made, ME)
    assert everything(plane) == before


# Safety rules


@pytest.mark.parametrize(
    ("owned", "left", "refused"),
    [
        (1, 0, True),  # a directory with nothing in it
        (2, 1, False),
        (2, 0, True),
        (9, 8, False),
        (9, 7, True),
        (10, 8, False),
        (10, 7, True),
        (60, 50, False),
        (60, 49, True),
    ],
)
def test_more_than_a_fifth_or_ten_or_all_at_once_are_refused(
    plane: ControlPlane, owned: int, left: int, refused: bool
) -> None:
    plane.apply(many(owned))
    made = plane.plan(many(left))
    if not refused:
        plane.applying.strict(made, ME)
        assert len(plane.automations()) == left
        return
    with pytest.raises(Refused) as told:
        plane.applying.strict(made, ME)
    assert told.value.exit_status == 4
    assert f"--allow-deletes={owned - left}" in told.value.hint
    assert len(plane.automations()) == owned


@pytest.mark.parametrize(("allowed", "works"), [(3, True), (2, False), (4, False), (0, False)])
def test_only_the_exact_number_allows_deletes(plane: ControlPlane, allowed: int, works: bool) -> None:
    plane.apply(many(3))
    made = plane.plan({})
    if works:
        plane.applying.strict(made, Authority("tester", allow_deletes=allowed))
        assert plane.automations() == {}
    else:
        with pytest.raises(Refused, match="3 would be deleted"):
            plane.applying.strict(made, Authority("tester", allow_deletes=allowed))
        assert len(plane.automations()) == 3


def test_a_number_that_does_not_fit_refuses_even_harmless_plans(plane: ControlPlane) -> None:
    with pytest.raises(Refused, match="0 would be deleted"):
        plane.apply({"a.yaml": spec("a")}, allow_deletes=1)


def test_renames_moves_and_manifests_are_no_deletes(plane: ControlPlane) -> None:
    plane.apply({"1.yaml": spec("a"), "2.yaml": spec("b"), "m.yaml": action("x"), "n.yaml": action("y")})
    renames = {
        "1.yaml": spec("a2", lifecycle={"renamedFrom": "a"}),
        "2.yaml": spec("b2", lifecycle={"renamedFrom": "b"}),
    }
    plane.applying.strict(plane.plan(renames), ME)
    assert set(plane.automations()) == {"a2", "b2"}


# Identity


def test_a_rename_keeps_the_uid_counts_on_and_moves_its_route(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": hook("a")})
    before = plane.automations()["a"]
    plane.apply({"b.yaml": hook("b", lifecycle={"renamedFrom": "a"})})
    after = plane.automations()["b"]
    assert (after["uid"], after["generation"], after["created_at"]) == (before["uid"], 2, before["created_at"])
    assert plane.routes() == {"/webhooks/b.0": "b"}
    assert set(plane.automations()) == {"b"}


def test_a_rename_and_back_again_keeps_the_uid(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": spec("a")})
    uid = plane.automations()["a"]["uid"]
    plane.apply({"a.yaml": spec("b", lifecycle={"renamedFrom": "a"})})
    plane.apply({"a.yaml": spec("a", lifecycle={"renamedFrom": "b"})})
    assert {name: row["uid"] for name, row in plane.automations().items()} == {"a": uid}


def test_a_deleted_automation_that_comes_back_has_its_uid_and_history(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": hook("a")})
    uid = plane.automations()["a"]["uid"]
    plane.apply({})
    assert plane.routes() == {}
    plane.apply({"a.yaml": hook("a")})
    back = plane.automations()["a"]
    assert (back["uid"], back["generation"]) == (uid, 2)
    assert plane.routes() == {"/webhooks/a.0": "a"}


def test_a_move_is_no_new_generation_and_binds_nothing_anew(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": hook("a")})
    table = plane.bindings.current()
    plane.apply({"sub/b.yaml": hook("a")})
    row = plane.automations()["a"]
    assert (row["generation"], row["file"]) == (1, "sub/b.yaml")
    assert plane.bindings.current().bound["a"] is table.bound["a"]


def test_names_of_files_are_kept_without_the_prefix_that_people_see(plane: ControlPlane) -> None:
    shown = {"specs/a.yaml": spec("a"), "specs/m.yaml": action()}
    made = plane.plan(shown)
    plane.applying.strict(made, ME, prefix="specs/")
    assert plane.automations()["a"]["file"] == "a.yaml"
    with plane.database.read() as tx:
        again = make_plan(catalogue(shown), load_state(tx, prefix="specs/"), _request())
        elsewhere = make_plan(catalogue({"a.yaml": spec("a"), "m.yaml": action()}), load_state(tx), _request())
    assert (again.changes, elsewhere.changes) == ((), ())


def _request() -> Any:
    from automations.core.plan.plan import Request  # noqa: PLC0415  # one test plans by hand

    return Request("default")


# Owners


def test_sources_share_a_store_and_touch_only_their_own(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": hook("a")}, source="one")
    plane.apply({"b.yaml": hook("b")}, source="two")
    plane.apply({}, source="one")
    assert set(plane.automations(source="two")) == {"b"}
    assert plane.routes() == {"/webhooks/b.0": "b"}
    with pytest.raises(SpecInvalid):
        plane.apply({"x.yaml": spec("b")}, source="one")


def test_an_action_of_another_source_changes_nothing_for_those_who_have_their_own(plane: ControlPlane) -> None:
    own = {"a.yaml": spec("a"), "m.yaml": action(version="1.1.0")}
    plane.apply(own, source="one")
    plane.apply({"b.yaml": spec("b")}, source="lone")
    closed = {"type": "object", "required": ["x"], "properties": {"x": {"type": "string"}}}
    plane.apply({"n.yaml": action(version="9.0.0", inputSchema=closed)}, source="two")
    pinned = {
        identity: [each.version for each in bound.manifests.values()]
        for identity, bound in plane.bindings.current().bound.items()
    }
    assert pinned == {"a": ["1.1.0"], "b": ["9.0.0"]}
    assert plane.plan(own, source="one").changes == ()
    plane.applying.strict(plane.plan({"a.yaml": spec("a")}, source="lone", adopt=frozenset({"a"})), ME)
    assert [each.version for each in plane.bindings.current().bound["a"].manifests.values()] == ["9.0.0"]


def test_a_route_id_of_another_source_cannot_be_taken_over(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": spec("a", triggers=[webhook_trigger("/x", id="github")])}, source="one")
    with pytest.raises(SpecInvalid):
        plane.apply({"b.yaml": spec("b", triggers=[webhook_trigger("/y", id="github")])}, source="two")
    assert plane.routes() == {"/x": "a"}


@pytest.mark.parametrize("path", ["/x", "/z"])
def test_an_adopted_automation_brings_exactly_its_declared_routes(plane: ControlPlane, path: str) -> None:
    plane.apply({"a.yaml": spec("a", triggers=[webhook_trigger("/x", id="one")])}, source="old")
    uid = plane.automations(source="old")["a"]["uid"]
    files = {"a.yaml": spec("a", triggers=[webhook_trigger(path, id="two")])}
    plane.applying.strict(plane.plan(files, source="new", adopt=frozenset({"a"})), ME)
    assert plane.automations(source="new")["a"]["uid"] == uid
    assert plane.automations(source="old") == {}
    assert plane.routes() == {path: "a"}
    assert plane.plan(files, source="new").changes == ()


def test_an_unchanged_adopted_automation_keeps_its_generation(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": hook("a")}, source="old")
    plane.applying.strict(plane.plan({"a.yaml": hook("a")}, source="new", adopt=frozenset({"a"})), ME)
    assert plane.automations(source="new")["a"]["generation"] == 1
    assert plane.routes() == {"/webhooks/a.0": "a"}


def test_a_route_registered_by_hand_outlives_every_change_of_its_automation(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": hook("a", "/x")})
    by_hand = {
        "id": "by-hand", "automation_id": "a", "trigger_id": None, "path": "/hand", "status": "active", "owner": "api",
        "signature_json": None, "mapping_json": '{"source":"s","type":"t"}', "now": START,
    }  # fmt: skip
    with plane.database.write() as tx:
        routes.put(tx, by_hand)
    plane.apply({"a.yaml": hook("a", "/y")})
    plane.applying.strict(plane.plan({"a.yaml": hook("a", "/y")}, source="new", adopt=frozenset({"a"})), ME)
    assert plane.routes() == {"/hand": "a", "/y": "a"}


# Routes


def test_two_automations_swap_their_paths_in_one_apply(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": hook("a", "/x"), "b.yaml": hook("b", "/y")})
    plane.apply({"a.yaml": hook("a", "/y"), "b.yaml": hook("b", "/x")})
    assert plane.routes() == {"/y": "a", "/x": "b"}


@pytest.mark.parametrize(("loser", "winner"), [("a", "b"), ("b", "a")])
def test_a_path_moves_from_one_to_another_whatever_their_order(plane: ControlPlane, loser: str, winner: str) -> None:
    plane.apply({"1.yaml": hook(loser, "/x"), "2.yaml": spec(winner)})
    plane.apply({"1.yaml": spec(loser), "2.yaml": hook(winner, "/x")})
    assert plane.routes() == {"/x": winner}


def test_a_path_goes_from_a_deleted_automation_to_a_new_one(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": hook("a", "/x")})
    plane.apply({"b.yaml": hook("b", "/x")})
    assert plane.routes() == {"/x": "b"}
    table = plane.bindings.current()
    assert not table.routes["/x"].gone


def test_a_deleted_route_is_known_to_be_gone(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": hook("a", "/x")})
    plane.apply({})
    assert plane.bindings.current().routes["/x"].gone


# Manifests


def test_a_manifest_version_with_an_at_sign_can_be_deleted(plane: ControlPlane) -> None:
    plane.apply({"m.yaml": action("x", "1@beta")})
    plane.apply({})
    assert plane.plan({}).changes == ()
    with plane.database.read() as tx:
        assert manifests.live(tx) == []


def test_a_changed_manifest_is_used_by_new_runs_and_old_runs_keep_theirs(plane: ControlPlane) -> None:
    strict = {"type": "object", "required": ["n"]}
    files = {"a.yaml": spec("a", actions=[step("one"), step("two", dependsOn=["one"])])}
    plane.apply({**files, "m.yaml": action()})
    old = plane.send("e1").materialized[0]["runId"]
    made = plane.plan({**files, "m.yaml": action(outputSchema=strict, requiredApprovals=1)})
    assert [(each.resource, each.action) for each in made.changes] == [("action", "update")]
    plane.applying.strict(made, ME)
    assert plane.automations()["a"]["generation"] == 1
    new = plane.send("e2").materialized[0]["runId"]
    assert plane.steps(new)["one"] == "waiting_approval"
    (row,) = plane.claim()
    assert row["run_id"] == old
    plane.done(row, {})
    assert plane.steps(old) == {"one": "succeeded", "two": "queued"}
    assert plane.run(old)["manifests_json"] != plane.run(new)["manifests_json"]


def test_old_runs_keep_a_deleted_manifest_even_in_a_process_that_never_saw_it(plane: ControlPlane) -> None:
    files = {"a.yaml": spec("a", actions=[step("one"), step("two", dependsOn=["one"])])}
    plane.apply({**files, "m.yaml": action(outputSchema={"type": "object", "required": ["n"]})})
    run = plane.send().materialized[0]["runId"]
    plane.apply(files)
    plane.apply({"a.yaml": spec("a", version="2")})
    fresh = ControlPlane(plane.database)
    fresh.clock.at = plane.clock.at
    (row,) = fresh.claim()
    assert fresh.done(row, {})["status"] == "dead"
    assert fresh.steps(run) == {"one": "dead", "two": "skipped"}


def test_a_run_works_to_its_end_on_the_generation_that_it_began_with(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": spec("a", actions=[step("one"), step("two", dependsOn=["one"], input={"v": "old"})])})
    run = plane.send().materialized[0]["runId"]
    plane.apply({"a.yaml": spec("a", version="2", actions=[step("one")])})
    plane.apply({})
    (row,) = plane.claim()
    plane.done(row)
    (row,) = plane.claim()
    assert (row["step_id"], decode(row["input_json"])) == ("two", {"v": "old"})
    plane.done(row)
    assert plane.run(run)["status"] == "succeeded"


# Audit


def test_every_apply_is_audited_in_one_unbroken_chain(plane: ControlPlane) -> None:
    for version in ("1", "2", "3"):
        plane.apply({"a.yaml": spec("a", version=version)})
    with plane.database.read() as tx:
        rows = audit.after(tx, 0, limit=10_000)
    assert [(row["actor"], row["action"], row["subject"]) for row in rows] == [
        ("tester", "apply", "source:default")
    ] * 3
    assert broken_at(rows) is None


def test_the_serial_rises_by_one_with_each_change_of_definitions_and_not_with_runs(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": spec("a")})
    plane.send()
    plane.claim()
    assert plane.serial() == 1
    plane.apply({"a.yaml": spec("a", version="2")})
    assert plane.serial() == 2


# What is predicted is what happens


identities = st.sampled_from("abcd")
documents = st.builds(
    lambda identity, version, route, previous: spec(
        identity,
        version=version,
        triggers=[webhook_trigger(**route)] if route else [event_trigger()],
        **({"lifecycle": {"renamedFrom": previous}} if previous and previous != identity else {}),
    ),
    identities,
    st.sampled_from(["1", "2"]),
    st.none() | st.fixed_dictionaries({"path": st.sampled_from(["/x", "/y"])}, optional={"id": st.sampled_from("pq")}),
    st.none() | identities,
)
actions = st.builds(action, st.sampled_from("mn"), st.sampled_from(["1", "2"]), description=st.sampled_from(["", "d"]))
trees = st.dictionaries(st.sampled_from([f"{n}.yaml" for n in range(5)]), documents | actions, max_size=5)


def holds(plane: ControlPlane, files: Files, *, source: str = "default") -> None:
    """The state is exactly what these files declare, as far as this source goes."""
    declared = catalogue(files)
    rows = plane.automations(source=source)
    assert {name: (row["digest"], row["file"]) for name, row in rows.items()} == {
        name: (each.value.digest, each.document.file) for name, each in declared.automations.items()
    }
    wanted = {
        trigger.route.path: (trigger.route.id, name)
        for name, each in declared.automations.items()
        for trigger in each.value.triggers
        if trigger.route
    }
    with plane.database.read() as tx:
        live = [row for row in routes.every(tx) if row["deleted_at"] is None and row["owner"] == f"source:{source}"]
        assert {row["path"]: (row["id"], row["automation_id"]) for row in live} == wanted
        assert {
            (row["action_id"], row["version"]): row["digest"]
            for row in manifests.live(tx)
            if row["owner"] == f"source:{source}"
        } == {key: each.value.digest for key, each in declared.manifests.items()}
        for row in rows.values():
            kept = automations.generation(tx, row["uid"], row["generation"])
            assert kept is not None
            assert kept["digest"] == row["digest"]


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(trees, min_size=1, max_size=4))
def test_after_any_series_of_plans_was_applied_the_state_is_what_the_last_sound_one_said(series: list[Files]) -> None:
    with in_memory() as plane:
        for files in series:
            made = plane.plan(files)
            if not made.sound:
                before = everything(plane)
                with pytest.raises(SpecInvalid):
                    plane.applying.strict(made, ME)
                assert everything(plane) == before
                continue
            plane.apply(files)
            holds(plane, files)
            again = plane.plan(files)
            assert (again.changes, again.unchanged) == ((), len(catalogue(files).digests))


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(trees, min_size=1, max_size=4))
def test_the_sound_part_of_any_tree_can_be_committed_and_then_nothing_is_left_to_do(series: list[Files]) -> None:
    with in_memory() as plane:
        for files in series:
            plane.applying.commit(plane.plan(files, prune=False), ME)
            assert plane.plan(files, prune=False).changes == ()


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(["one", "two"]), trees, st.frozensets(identities)), min_size=2, max_size=5))
def test_no_series_of_two_sources_adopting_from_each_other_ever_breaks_the_store(
    series: list[tuple[str, Files, frozenset[str]]],
) -> None:
    with in_memory() as plane:
        for source, files, adopt in series:
            other = "two" if source == "one" else "one"
            theirs = {name for name in plane.automations(source=other) if name not in adopt}
            made = plane.plan(files, source=source, adopt=adopt)
            plane.applying.commit(made, ME)
            assert plane.plan(files, source=source, adopt=adopt).changes == ()
            assert theirs <= set(plane.automations(source=other))
            if made.sound:
                holds(plane, files, source=source)
        with plane.database.read() as tx:
            assert broken_at(audit.after(tx, 0, limit=10_000)) is None
            assert state.read(tx)["serial"] <= len(series)


def test_a_protected_automation_is_not_deleted_until_a_version_without_protection_was_applied(
    plane: ControlPlane,
) -> None:
    plane.apply({"a.yaml": spec("a", lifecycle={"protect": True}), "b.yaml": spec("b")})
    with pytest.raises(SpecInvalid) as refused:
        plane.apply({"b.yaml": spec("b")})
    assert "plan/protected" in [each.code for each in refused.value.diagnostics]
    assert set(plane.automations()) == {"a", "b"}
    plane.apply({"a.yaml": spec("a"), "b.yaml": spec("b")})
    plane.apply({"b.yaml": spec("b")})
    assert set(plane.automations()) == {"b"}


def test_a_route_that_loses_its_signature_is_a_hazard_by_name(plane: ControlPlane) -> None:
    signed = webhook_trigger("/webhooks/a", signature={"secretRef": "secret://a"})
    plane.apply({"a.yaml": spec("a", triggers=[signed])})
    made = plane.plan({"a.yaml": spec("a", triggers=[webhook_trigger("/webhooks/a")])})
    assert [(hazard.code, hazard.id) for hazard in made.hazards] == [("AU310", "a")]
    assert "triggers[0].route.signature" in [field.label for field, _ in made.changes[0].fields]
    fresh = plane.plan({"b.yaml": spec("b", triggers=[webhook_trigger("/webhooks/b")])}, source="other")
    assert [hazard.code for hazard in fresh.hazards] == ["AU311"]
