"""The difference of two documents: nothing for equal ones, and enough to make one into the other."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automations.core.canonical import digest
from automations.core.plan.diff import ABSENT, Field, diff

scalars = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False, width=16) | st.text("ab", max_size=2)
)
names = st.text("abc", min_size=1, max_size=2)
identified = st.lists(
    st.fixed_dictionaries({"id": st.sampled_from("pqrs")}, optional={"n": scalars}),
    max_size=4,
    unique_by=lambda i: i["id"],
)
values = st.recursive(
    scalars | identified,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)
objects = st.dictionaries(names, values, max_size=4)


def without_lists(value: Any) -> bool:
    return not isinstance(value, list) and (not isinstance(value, dict) or all(map(without_lists, value.values())))


def patched(before: Any, fields: tuple[Field, ...]) -> Any:
    """The old document with every field set or removed; paths lead through objects only."""
    result = copy.deepcopy(before)
    for each in fields:
        *way, last = each.path
        place = result
        for part in way:
            place = place[part]
        if each.after is ABSENT:
            assert place.pop(last) == each.before
        else:
            assert (last in place) == (each.before is not ABSENT)
            place[last] = each.after
    return result


@given(values)
def test_equal_documents_do_not_differ(value: Any) -> None:
    assert diff(value, copy.deepcopy(value)) == ()


@given(values, values)
def test_documents_differ_exactly_when_their_digests_do(before: Any, after: Any) -> None:
    assert bool(diff(before, after)) == (digest(before) != digest(after))


@given(objects.filter(without_lists), objects.filter(without_lists))
def test_setting_the_listed_fields_turns_before_into_after(before: Any, after: Any) -> None:
    assert digest(patched(before, diff(before, after))) == digest(after)


@given(objects, objects)
def test_the_way_back_lists_the_same_fields_with_sides_swapped(before: Any, after: Any) -> None:
    there = sorted((each.label, repr(each.before), repr(each.after)) for each in diff(before, after))
    back = sorted((each.label, repr(each.after), repr(each.before)) for each in diff(after, before))
    assert there == back


@given(objects, objects)
def test_every_path_leads_to_the_value_it_tells_of(before: Any, after: Any) -> None:
    for each in diff(before, after):
        place = before if each.after is ABSENT else after
        # the places of items of lists are the new ones, and a change of order shows ids
        if each.label.endswith(" (order)") or (
            each.after is ABSENT and any(isinstance(p, int) for p in each.path[:-1])
        ):
            continue
        for part in each.path:
            place = place[part]
        assert repr(place) == repr(each.before if each.after is ABSENT else each.after)


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ({"a": 1}, {"a": 1.0}, [("a", 1, 1.0)]),
        ({"a": 1}, {"a": True}, [("a", 1, True)]),
        ({"a": 0.0}, {"a": -0.0}, [("a", 0.0, -0.0)]),
        ({"a": None}, {}, [("a", None, ABSENT)]),
        ({}, {"a": None}, [("a", ABSENT, None)]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 2, "c": 2}}, [("a.b", 1, 2)]),
        ({"a": {"b": 1}}, {"a": 5}, [("a", {"b": 1}, 5)]),
        ({"a": [1, 2]}, {"a": [1, 3]}, [("a", [1, 2], [1, 3])]),
        ({"a": []}, {"a": [{"id": "x"}]}, [("a", [], [{"id": "x"}])]),
    ],
)
def test_a_change_is_told_where_it_is(before: Any, after: Any, shown: list[tuple[str, Any, Any]]) -> None:
    assert [(each.label, repr(each.before), repr(each.after)) for each in diff(before, after)] == [
        (label, repr(old), repr(new)) for label, old, new in shown
    ]


def test_a_step_put_before_others_is_one_line_and_not_a_change_of_each() -> None:
    before = {"actions": [{"id": "a", "n": 1}, {"id": "b", "n": 1}]}
    after = {"actions": [{"id": "new"}, {"id": "a", "n": 1}, {"id": "b", "n": 2}]}
    assert [(each.label, each.path) for each in diff(before, after)] == [
        ("actions[new]", ("actions", 0)),
        ("actions[b].n", ("actions", 2, "n")),
    ]


def test_a_removed_step_is_told_after_the_changes_of_those_that_stay() -> None:
    before = {"actions": [{"id": "a"}, {"id": "b"}]}
    after = {"actions": [{"id": "b", "n": 1}]}
    assert [(each.label, each.after) for each in diff(before, after)] == [("actions[b].n", 1), ("actions[a]", ABSENT)]


def test_steps_in_another_order_are_one_change_of_order() -> None:
    before = [{"id": "a"}, {"id": "b"}]
    found = diff({"actions": before}, {"actions": before[::-1]})
    assert [(each.label, each.before, each.after) for each in found] == [("actions (order)", ["a", "b"], ["b", "a"])]


def test_lists_whose_ids_are_not_unique_are_compared_as_wholes() -> None:
    before, after = [{"id": "a"}, {"id": "a"}], [{"id": "a"}]
    assert [each.path for each in diff({"x": before}, {"x": after})] == [("x",)]
