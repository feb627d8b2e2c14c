"""The plan: what changes, why, and what it refuses to do, as a pure function of catalogue and state."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automations.core.diagnostic import Diagnostic
from automations.core.plan.diff import ABSENT
from automations.core.plan.plan import Change, Plan, Request, changed_ids, make_plan, with_specs
from automations.core.plan.state import Held, HeldManifest, HeldRoute, InFlight, State, source_owner
from samples import action, catalogue, event_trigger, raw, spec, step, webhook_trigger

Files = Mapping[str, Any]
Value = TypeVar("Value")
BAD = "id: x\n: ["
EMPTY = State("lineage-1", 7, {}, {}, {})


def state_of(files: Files, *, source: str = "default", deleted: Iterable[str] = ()) -> State:
    """The state in which exactly these files are bound, and these ids were deleted."""
    owner = source_owner(source)
    declared = catalogue(files)
    held = {
        identity: Held(f"uid-{identity}", identity, owner, "active", 1, each.value.digest, each.document.file)
        for identity, each in declared.automations.items()
    }
    gone = {
        identity: Held(f"uid-{identity}", identity, owner, "active", 3, "old", None, deleted=True)
        for identity in deleted
    }
    manifests = {
        key: HeldManifest(*key, owner, each.value.digest, each.document.file)
        for key, each in declared.manifests.items()
    }
    routes = {
        trigger.route.path: HeldRoute(trigger.route.id, identity, trigger.route.path, owner)
        for identity, each in declared.automations.items()
        for trigger in each.value.triggers
        if trigger.route
    }
    specs = {identity: each.value.spec for identity, each in declared.automations.items()}
    return State("lineage-1", 7, {**held, **gone}, manifests, routes, specs)


def both(one: State, other: State) -> State:
    """What two sources bound in one store."""
    return replace(
        one,
        automations={**one.automations, **other.automations},
        manifests={**one.manifests, **other.manifests},
        routes={**one.routes, **other.routes},
        specs={**one.specs, **other.specs},
    )


def planned(files: Files, state: State = EMPTY, **request: Any) -> Plan:
    return make_plan(catalogue(files), state, Request("default", **request))


def shown(plan: Plan) -> list[tuple[str, str]]:
    return [(each.action, each.id) for each in plan.changes]


def conflicts(plan: Plan) -> list[Diagnostic]:
    """What is found that no file alone shows."""
    return [each for each in plan.diagnostics if each.code.startswith("plan/")]


def errors(plan: Plan) -> list[Diagnostic]:
    return [each for each in plan.diagnostics if each.severity == "error"]


def codes(plan: Plan) -> list[str]:
    return [each.code for each in errors(plan)]


def only(plan: Plan) -> Change:
    (change,) = plan.changes
    return change


def test_a_new_file_is_created_where_it_stands() -> None:
    plan = planned({"a.yaml": spec("a")})
    change = only(plan)
    assert (change.action, change.file, change.uid, change.based_on) == ("create", "a.yaml", None, 0)
    assert change.line == 3
    assert change.reason == "new"
    assert plan.sound


def test_what_is_bound_already_is_unchanged() -> None:
    files = {"a.yaml": spec("a", triggers=[webhook_trigger()]), "b.yaml": spec("b"), "m.yaml": action()}
    plan = planned(files, state_of(files))
    assert (shown(plan), plan.unchanged) == ([], 3)


def test_a_changed_field_is_an_update_with_its_line_on_both_sides_of_the_arrow() -> None:
    old, new = spec("a", actions=[step(input={"tag": "v1"})]), spec("a", actions=[step(input={"tag": "v2"})])
    change = only(planned({"a.yaml": new}, state_of({"a.yaml": old})))
    (found, line), *rest = change.fields
    assert rest == []
    assert (found.label, found.before, found.after) == ("actions[work].input.tag", "v1", "v2")
    assert (change.action, change.reason, change.line) == ("update", "actions[work].input.tag changed", line)
    assert (change.uid, change.based_on) == ("uid-a", 1)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ({}, {"description": "d"}, "description added"),
        ({"description": "d"}, {}, "description removed"),
        ({"vars": {"a": 1}}, {"vars": {"a": 2, "b": 3}}, "vars.a changed and 1 more"),
    ],
)
def test_the_reason_says_what_happened_to_the_first_field(old: Any, new: Any, reason: str) -> None:
    assert only(planned({"a.yaml": spec("a", **new)}, state_of({"a.yaml": spec("a", **old)}))).reason == reason


def test_a_removed_step_points_at_the_list_that_lost_it_and_not_at_another_step() -> None:
    old = spec("a", actions=[step("one"), step("two"), step("three")])
    new = spec("a", actions=[step("one"), step("three")])
    change = only(planned({"a.yaml": new}, state_of({"a.yaml": old})))
    ((found, line),) = change.fields
    assert found.after is ABSENT
    actions_line = next(i for i, text in enumerate(raw(new).decode().splitlines(), start=1) if '"actions"' in text)
    assert line == change.line == actions_line


def test_a_file_that_only_moved_is_a_move_without_fields() -> None:
    change = only(planned({"b.yaml": spec("a")}, state_of({"a.yaml": spec("a")})))
    assert (change.action, change.previous_file, change.fields) == ("move", "a.yaml", ())


def test_a_file_that_moved_and_changed_at_once_is_one_update_that_knows_both_files() -> None:
    plan = planned({"sub/b.yaml": spec("a", version="2")}, state_of({"a.yaml": spec("a")}))
    change = only(plan)
    assert (change.action, change.file, change.previous_file) == ("update", "sub/b.yaml", "a.yaml")
    assert [each.label for each, _ in change.fields] == ["version"]


def test_two_files_that_swap_their_documents_are_two_moves() -> None:
    old = {"1.yaml": spec("a"), "2.yaml": spec("b")}
    assert shown(planned({"1.yaml": spec("b"), "2.yaml": spec("a")}, state_of(old))) == [("move", "a"), ("move", "b")]


def test_what_is_declared_nowhere_is_deleted_with_the_reason() -> None:
    old = {"a.yaml": spec("a"), "b.yaml": spec("b")}
    change = only(planned({"b.yaml": spec("b")}, state_of(old)))
    assert (change.action, change.id, change.reason) == ("delete", "a", "file removed: a.yaml")
    replaced = planned({"a.yaml": spec("c"), "b.yaml": spec("b")}, state_of(old))
    assert [each.reason for each in replaced.changes if each.action == "delete"] == ["no longer in a.yaml"]


def test_a_deleted_id_that_comes_back_keeps_its_uid_and_counts_on() -> None:
    change = only(planned({"a.yaml": spec("a")}, state_of({}, deleted=["a"])))
    assert (change.action, change.uid, change.based_on) == ("create", "uid-a", 3)


def test_work_in_flight_is_told_with_each_change() -> None:
    state = replace(state_of({"a.yaml": spec("a")}), in_flight={"a": InFlight(running=2, dead=1)})
    assert only(planned({"a.yaml": spec("a", version="2")}, state)).in_flight == InFlight(running=2, dead=1)
    assert only(planned({}, state)).in_flight == InFlight(running=2, dead=1)


# Rename


def renamed(identity: str, previous: str, **keys: Any) -> Any:
    return spec(identity, lifecycle={"renamedFrom": previous}, **keys)


def test_a_rename_keeps_the_uid_and_deletes_nothing() -> None:
    change = only(planned({"b.yaml": renamed("b", "a")}, state_of({"a.yaml": spec("a")})))
    assert (change.action, change.id, change.previous_id, change.uid) == ("rename", "b", "a", "uid-a")


def test_a_rename_that_was_done_is_not_done_again() -> None:
    files = {"b.yaml": renamed("b", "a")}
    assert shown(planned(files, state_of(files))) == []
    assert shown(planned(files, state_of(files, deleted=["a"]))) == []


def test_a_renamed_from_that_names_nothing_bound_is_a_create() -> None:
    assert shown(planned({"b.yaml": renamed("b", "ghost")})) == [("create", "b")]
    assert shown(planned({"b.yaml": renamed("b", "a")}, state_of({}, deleted=["a"]))) == [("create", "b")]


@pytest.mark.parametrize("deleted", [[], ["b"]])
def test_a_rename_from_what_another_owns_is_refused_naming_it_and_touches_nothing_of_it(deleted: list[str]) -> None:
    state = both(state_of({"a.yaml": spec("a")}, source="theirs"), state_of({}, deleted=deleted))
    plan = planned({"b.yaml": renamed("b", "a")}, state)
    assert (shown(plan), codes(plan)) == ([], ["plan/rename"])
    assert errors(plan)[0].message == "automation b cannot be renamed from a: that one is owned by source:theirs"
    assert errors(plan)[0].path == ("lifecycle", "renamedFrom")


def test_a_rename_that_was_carried_out_asks_for_nothing_whoever_has_the_old_id_by_now() -> None:
    done = state_of({"b.yaml": renamed("b", "a")})
    for other in (state_of({"a.yaml": spec("a")}, source="theirs"), state_of({}, deleted=["a"])):
        for text in (renamed("b", "a"), renamed("b", "a") | {"version": "2"}):
            assert conflicts(planned({"b.yaml": text}, both(done, other))) == []
    gone = replace(done, automations={"b": replace(done.automations["b"], deleted=True)})
    back = planned(
        {"b.yaml": renamed("b", "a") | {"version": "2"}}, both(gone, state_of({"a.yaml": spec("a")}, source="theirs"))
    )
    assert (shown(back), conflicts(back)) == ([("create", "b")], [])


def test_a_rename_from_what_was_deleted_before_is_told_and_happens_without_its_history() -> None:
    state = state_of({}, deleted=["a"])
    at = {"a": replace(state.automations["a"], deleted_at=1_700_000_000_000_000)}
    plan = planned({"b.yaml": renamed("b", "a")}, replace(state, automations=at))
    assert (shown(plan), plan.sound) == ([("create", "b")], True)
    (found,) = conflicts(plan)
    assert (found.code, found.severity, found.path) == ("plan/renamed-late", "warning", ("lifecycle", "renamedFrom"))
    assert found.message == "automation a was deleted at 2023-11-14T22:13:20.000Z; its history does not come along to b"


@pytest.mark.parametrize("old", [spec("a"), spec("a", version="2")])
def test_a_rename_from_what_is_still_declared_is_refused_and_the_old_one_stays(old: Any) -> None:
    plan = planned({"a.yaml": old, "b.yaml": renamed("b", "a")}, state_of({"a.yaml": spec("a")}))
    assert codes(plan) == ["plan/rename"]
    assert not any(each.id == "b" or each.action == "delete" for each in plan.changes)
    assert "still declared at a.yaml:3" in errors(plan)[0].message


@pytest.mark.parametrize("bad", [BAD, spec("a", bogus=1)])
def test_a_rename_from_what_a_bad_file_may_still_declare_is_refused(bad: Any) -> None:
    plan = planned({"a.yaml": bad, "b.yaml": renamed("b", "a")}, state_of({"a.yaml": spec("a")}))
    assert "plan/rename" in codes(plan)
    assert shown(plan) == []


def test_two_renames_from_one_id_are_both_refused_and_name_each_other() -> None:
    files = {"b.yaml": renamed("b", "a"), "c.yaml": renamed("c", "a")}
    plan = planned(files, state_of({"a.yaml": spec("a")}))
    assert (shown(plan), codes(plan)) == ([], ["plan/rename", "plan/rename"])
    assert "c.yaml:" in errors(plan)[0].message
    assert "b.yaml:" in errors(plan)[1].message


@pytest.mark.parametrize("owner", ["default", "theirs"])
def test_a_rename_onto_an_id_that_was_deleted_is_refused_and_not_quietly_something_else(owner: str) -> None:
    state = both(state_of({"a.yaml": spec("a")}), state_of({}, source=owner, deleted=["b"]))
    plan = planned({"b.yaml": renamed("b", "a")}, state)
    assert (shown(plan), codes(plan)) == ([], ["plan/rename"])
    assert "b was deleted" in errors(plan)[0].message


@pytest.mark.parametrize("still", [{}, {"a.yaml": spec("a")}])
def test_a_rename_onto_a_live_id_is_refused_and_both_stay_as_they_are(still: Files) -> None:
    state = state_of({"a.yaml": spec("a"), "b.yaml": spec("b")})
    plan = planned({**still, "b.yaml": renamed("b", "a")}, state)
    assert (shown(plan), codes(plan)) == ([], ["plan/rename"])
    assert "b is bound already" in errors(plan)[0].message


def test_two_that_swap_their_ids_are_both_refused() -> None:
    state = state_of({"a.yaml": spec("a"), "b.yaml": spec("b")})
    plan = planned({"a.yaml": renamed("b", "a"), "b.yaml": renamed("a", "b")}, state)
    assert (shown(plan), codes(plan)) == ([], ["plan/rename", "plan/rename"])


def test_a_chain_of_renames_is_refused_as_a_whole_and_deletes_nothing() -> None:
    state = state_of({"a.yaml": spec("a"), "b.yaml": spec("b")})
    plan = planned({"a.yaml": renamed("b", "a"), "b.yaml": renamed("d", "b")}, state)
    assert (shown(plan), codes(plan)) == ([], ["plan/rename", "plan/rename"])


def test_a_renamed_from_that_was_applied_says_nothing_about_a_later_automation_of_the_old_id() -> None:
    files = {"a.yaml": spec("a"), "b.yaml": renamed("b", "a")}
    state = state_of(files)
    assert (shown(planned(files, state)), codes(planned(files, state))) == ([], [])
    changed = planned({"b.yaml": renamed("b", "a", version="2")}, state)
    assert (shown(changed), codes(changed)) == ([("update", "b"), ("delete", "a")], [])


def test_a_renamed_from_what_another_owns_is_no_rename_and_no_error() -> None:
    state = both(state_of({"b.yaml": spec("b")}), state_of({"a.yaml": spec("a")}, source="theirs"))
    plan = planned({"b.yaml": renamed("b", "a")}, state)
    assert (shown(plan), codes(plan)) == ([("update", "b")], [])


# Ownership


def test_another_owner_s_automation_is_left_alone() -> None:
    theirs = state_of({"a.yaml": spec("a")}, source="theirs")
    plan = planned({"a.yaml": spec("a", version="2")}, theirs)
    assert (shown(plan), codes(plan)) == ([], ["plan/owned-elsewhere"])
    assert "source:theirs" in errors(plan)[0].message
    assert "adopt a" in errors(plan)[0].hint
    assert shown(planned({}, theirs)) == []


@pytest.mark.parametrize(("version", "fields"), [("1.0.0", 0), ("2", 1)])
def test_an_adopted_automation_changes_hands_with_its_uid(version: str, fields: int) -> None:
    theirs = state_of({"a.yaml": spec("a")}, source="theirs")
    change = only(planned({"a.yaml": spec("a", version=version)}, theirs, adopt=frozenset({"a"})))
    assert (change.action, change.uid, change.previous_owner) == ("adopt", "uid-a", "source:theirs")
    assert len(change.fields) == fields


def test_a_tombstone_of_another_owner_is_taken_over_with_its_uid() -> None:
    change = only(planned({"a.yaml": spec("a")}, state_of({}, source="theirs", deleted=["a"])))
    assert (change.action, change.uid, change.based_on) == ("create", "uid-a", 3)


def test_a_manifest_of_another_owner_is_left_alone() -> None:
    plan = planned({"m.yaml": action(description="mine")}, state_of({"m.yaml": action()}, source="theirs"))
    assert (shown(plan), codes(plan)) == ([], ["plan/owned-elsewhere"])


# Routes


def hook(identity: str, *routes: Any, **keys: Any) -> Any:
    return spec(identity, triggers=list(routes) or [webhook_trigger()], **keys)


def test_a_path_that_another_owner_has_is_refused_at_its_place() -> None:
    theirs = state_of({"a.yaml": hook("a", webhook_trigger("/x"))}, source="theirs")
    plan = planned({"b.yaml": hook("b", webhook_trigger("/x"))}, theirs)
    assert (shown(plan), codes(plan)) == ([], ["plan/route-taken"])
    assert errors(plan)[0].path == ("triggers", 0, "route", "path")


def test_a_route_id_that_another_owner_has_is_refused_even_with_a_path_of_its_own() -> None:
    theirs = state_of({"a.yaml": hook("a", webhook_trigger("/x", id="github"))}, source="theirs")
    plan = planned({"b.yaml": hook("b", webhook_trigger("/y", id="github"))}, theirs)
    assert (shown(plan), codes(plan)) == ([], ["plan/route-taken"])
    assert errors(plan)[0].path == ("triggers", 0, "route", "id")


def test_a_default_route_id_cannot_be_taken_by_somebody_who_spells_it_out() -> None:
    theirs = state_of({"a.yaml": hook("a", webhook_trigger("/x"))}, source="theirs")
    assert codes(planned({"b.yaml": hook("b", webhook_trigger("/y", id="a.0"))}, theirs)) == ["plan/route-taken"]


def test_a_route_that_was_registered_by_hand_stays_even_against_its_own_automation() -> None:
    state = replace(
        state_of({"a.yaml": spec("a")}), routes={"/x": HeldRoute("by-hand", "a", "/x", "api", declared=False)}
    )
    assert codes(planned({"a.yaml": hook("a", webhook_trigger("/x"))}, state)) == ["plan/route-taken"]
    assert codes(planned({"a.yaml": hook("a", webhook_trigger("/y", id="by-hand"))}, state)) == ["plan/route-taken"]
    assert codes(planned({"a.yaml": hook("a", webhook_trigger("/y"))}, state)) == []


def test_a_route_that_was_registered_by_hand_stays_with_an_automation_that_is_adopted_from_the_same_hands() -> None:
    theirs = state_of({"a.yaml": hook("a", webhook_trigger("/x"))})
    made = {identity: replace(held, owner="api") for identity, held in theirs.automations.items()}
    both_routes = {
        "/x": HeldRoute("a.0", "a", "/x", "api"),
        "/hand": HeldRoute("by-hand", "a", "/hand", "api", declared=False),
    }
    state = replace(theirs, automations=made, routes=both_routes)
    adopt = frozenset({"a"})
    assert codes(planned({"a.yaml": hook("a", webhook_trigger("/x"))}, state, adopt=adopt)) == []
    assert codes(planned({"a.yaml": hook("a", webhook_trigger("/hand"))}, state, adopt=adopt)) == ["plan/route-taken"]


def test_two_automations_may_swap_their_paths() -> None:
    old = {"a.yaml": hook("a", webhook_trigger("/x")), "b.yaml": hook("b", webhook_trigger("/y"))}
    new = {"a.yaml": hook("a", webhook_trigger("/y")), "b.yaml": hook("b", webhook_trigger("/x"))}
    plan = planned(new, state_of(old))
    assert (shown(plan), codes(plan)) == ([("update", "a"), ("update", "b")], [])


def test_a_path_is_free_when_its_automation_goes_in_the_same_plan() -> None:
    old = {"a.yaml": hook("a", webhook_trigger("/x"))}
    plan = planned({"b.yaml": hook("b", webhook_trigger("/x"))}, state_of(old))
    assert (shown(plan), codes(plan)) == ([("create", "b"), ("delete", "a")], [])


def test_a_path_is_not_free_while_the_delete_of_its_automation_is_withheld() -> None:
    old = {"a.yaml": hook("a", webhook_trigger("/x"))}
    plan = planned({"b.yaml": hook("b", webhook_trigger("/x")), "c.yaml": spec("c")}, state_of(old), prune=False)
    assert (shown(plan), codes(plan)) == ([("create", "c")], ["plan/route-taken"])
    assert [each.id for each in plan.withheld] == ["a"]


def test_a_path_stays_with_an_automation_whose_file_went_bad() -> None:
    old = {"a.yaml": hook("a", webhook_trigger("/x"))}
    plan = planned({"a.yaml": BAD, "b.yaml": hook("b", webhook_trigger("/x"))}, state_of(old))
    assert shown(plan) == []
    assert "plan/route-taken" in codes(plan)


def test_who_is_refused_keeps_its_routes_and_stands_in_the_way_of_the_next() -> None:
    theirs = state_of({"t.yaml": hook("t", webhook_trigger("/t"))}, source="theirs")
    mine = {"a.yaml": hook("a", webhook_trigger("/a")), "b.yaml": hook("b", webhook_trigger("/b"))}
    wanted = {"a.yaml": hook("a", webhook_trigger("/t")), "b.yaml": hook("b", webhook_trigger("/a"))}
    plan = planned(wanted, both(state_of(mine), theirs))
    assert (shown(plan), codes(plan)) == ([], ["plan/route-taken", "plan/route-taken"])


def test_an_adopted_automation_brings_its_declared_routes_along() -> None:
    theirs = state_of({"a.yaml": hook("a", webhook_trigger("/x"))}, source="theirs")
    changed = {"a.yaml": hook("a", webhook_trigger("/x", id="other"))}
    plan = planned(changed, theirs, adopt=frozenset({"a"}))
    assert (shown(plan), codes(plan)) == ([("adopt", "a")], [])


# Bad files


@pytest.mark.parametrize(
    "bad",
    [
        BAD,
        b"\xff",
        "",
        "- list",
        spec("a", bogus=1),
        spec("a", actions=[step("s", dependsOn=["s"])]),
        {**spec("a"), "schemaVersion": 1},
    ],
)
def test_a_file_that_went_bad_neither_removes_nor_changes_its_last_good_automation(bad: Any) -> None:
    state = state_of({"a.yaml": spec("a"), "b.yaml": spec("b")})
    plan = planned({"a.yaml": bad, "b.yaml": spec("b", version="2")}, state)
    assert shown(plan) == [("update", "b")]
    assert not plan.sound


def test_a_file_that_changed_its_id_and_went_bad_at_once_keeps_the_old_automation() -> None:
    plan = planned({"a.yaml": spec("new", bogus=1)}, state_of({"a.yaml": spec("a")}))
    assert shown(plan) == []


@pytest.mark.parametrize("bad", [BAD, spec("a", bogus=1)])
def test_a_file_that_was_renamed_and_went_bad_at_once_keeps_its_automation(bad: Any) -> None:
    plan = planned({"b.yaml": bad}, state_of({"a.yaml": spec("a")}))
    assert shown(plan) == []


def test_an_automation_whose_file_moved_while_the_old_name_went_bad_just_moves() -> None:
    plan = planned({"a.yaml": BAD, "b.yaml": spec("a")}, state_of({"a.yaml": spec("a")}))
    assert shown(plan) == [("move", "a")]


def test_an_automation_that_moved_while_the_old_file_still_wants_its_id_keeps_running_as_it_was() -> None:
    plan = planned({"a.yaml": spec("a", bogus=1), "b.yaml": spec("a", version="2")}, state_of({"a.yaml": spec("a")}))
    assert shown(plan) == []
    assert "spec/duplicate-id" in codes(plan)


def test_a_bad_file_of_unknown_identity_withholds_every_delete() -> None:
    old = {"a.yaml": spec("a"), "b.yaml": spec("b"), "m.yaml": action()}
    plan = planned({"new.yaml": BAD, "b.yaml": spec("b", version="2")}, state_of(old))
    assert shown(plan) == [("update", "b")]
    assert [each.id for each in plan.withheld] == ["a", "todos.create@1.0.0"]


def test_a_bad_file_whose_identity_is_known_lets_others_be_deleted() -> None:
    old = {"a.yaml": spec("a"), "b.yaml": spec("b")}
    assert shown(planned({"a.yaml": BAD}, state_of(old))) == [("delete", "b")]


def test_duplicates_invalidate_every_claimant_and_leave_what_runs() -> None:
    plan = planned(
        {"1.yaml": spec("a", version="2"), "2.yaml": spec("a", version="3")}, state_of({"1.yaml": spec("a")})
    )
    assert shown(plan) == []
    assert codes(plan) == ["spec/duplicate-id"] * 2


def test_a_manifest_that_went_bad_stays_bound() -> None:
    assert shown(planned({"m.yaml": action(inputSchema={"type": "nope"})}, state_of({"m.yaml": action()}))) == []


# Manifests


def test_manifests_are_planned_by_action_and_version() -> None:
    old = {"1.yaml": action("x", "1"), "2.yaml": action("x", "2"), "3.yaml": action("x", "3")}
    new = {"1.yaml": action("x", "1", description="d"), "two.yaml": action("x", "2"), "4.yaml": action("x", "4")}
    found = planned(new, state_of(old))
    assert [(each.resource, each.action, each.id) for each in found.changes] == [
        ("action", "update", "x@1"),
        ("action", "move", "x@2"),
        ("action", "create", "x@4"),
        ("action", "delete", "x@3"),
    ]


# The value itself


def test_a_plan_knows_the_state_and_source_that_it_was_made_for() -> None:
    plan = planned({}, EMPTY, revision="abc")
    assert (plan.lineage, plan.serial, plan.source, plan.source_revision) == ("lineage-1", 7, "default", "abc")


def test_the_summary_counts_every_kind_of_change() -> None:
    old = {"1.yaml": spec("a"), "2.yaml": spec("b"), "3.yaml": spec("c"), "4.yaml": spec("d"), "5.yaml": spec("e")}
    new = {
        "1.yaml": spec("a", version="2"),
        "b.yaml": spec("b"),
        "3.yaml": renamed("c2", "c"),
        "5.yaml": spec("e"),
        "6.yaml": spec("f"),
    }
    expected = {"create": 1, "update": 1, "rename": 1, "move": 1, "adopt": 0, "delete": 1, "unchanged": 1}
    assert planned(new, state_of(old)).summary() == expected


identities = st.sampled_from("abcd")
documents = st.builds(
    lambda identity, version, path, previous: spec(
        identity,
        version=version,
        triggers=[webhook_trigger(path)] if path else [event_trigger()],
        **({"lifecycle": {"renamedFrom": previous}} if previous and previous != identity else {}),
    ),
    identities,
    st.sampled_from(["1", "2"]),
    st.sampled_from([None, "/x", "/y"]),
    st.none() | identities,
)
trees = st.dictionaries(st.sampled_from(["1.yaml", "2.yaml", "3.yaml", "4.yaml"]), documents | st.just(BAD), max_size=4)


def turned(mapping: Mapping[str, Value]) -> dict[str, Value]:
    return dict(reversed(list(mapping.items())))


@settings(max_examples=150)
@given(trees, trees)
def test_the_same_arguments_give_the_same_plan_whatever_order_they_came_in(old: Files, new: Files) -> None:
    state = state_of(old)
    other = replace(state, automations=turned(state.automations), routes=turned(state.routes))
    assert planned(new, state) == planned(turned(new), other)


@settings(max_examples=150)
@given(trees, trees)
def test_every_automation_is_changed_at_most_once(old: Files, new: Files) -> None:
    plan = planned(new, state_of(old))
    touched = [each.uid or each.id for each in plan.changes]
    assert len(set(touched)) == len(touched)


@settings(max_examples=150)
@given(trees, trees)
def test_nothing_is_deleted_that_a_file_declares_or_a_bad_file_may_declare(old: Files, new: Files) -> None:
    state = state_of(old)
    declared = catalogue(new)
    for change in make_plan(declared, state, Request("default")).changes:
        if change.action == "delete":
            assert change.id not in declared.automations
            assert change.id not in declared.claimed
            assert change.file not in declared.bad_files


@given(trees)
def test_without_prune_nothing_is_deleted_and_all_of_it_is_told(old: Files) -> None:
    state = state_of(old)
    plan = planned({}, state, prune=False)
    assert shown(plan) == []
    assert [each.id for each in plan.withheld] == sorted(state.automations)


@given(trees, trees)
def test_the_old_specs_that_a_plan_asks_for_are_those_of_changed_automations(old: Files, new: Files) -> None:
    state = state_of(old)
    declared = catalogue(new)
    wanted = changed_ids(declared, state, owner=source_owner("default"))
    lean = with_specs(state, {identity: state.specs[identity] for identity in wanted})
    assert make_plan(declared, lean, Request("default")) == make_plan(declared, state, Request("default"))
