"""The audit chain: whatever is done to its rows is found, at the right row."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automations.core.audit import GENESIS, Entry, broken_at, seal

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
entries = st.builds(
    Entry,
    at=st.integers(0, 2**53),
    actor=words,
    action=words,
    subject=words,
    detail=st.dictionaries(words, words, max_size=2),
)
COLUMNS = ("seq", "at", "actor", "action", "subject", "detail_json", "previous", "hash")


def chain(given_entries: list[Entry]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for entry in given_entries:
        rows.append(seal(entry, last=rows[-1] if rows else None))
    return rows


chains = st.lists(entries, min_size=2, max_size=6).map(chain)


@given(st.lists(entries, max_size=6))
def test_a_chain_that_nobody_touched_is_whole(given_entries: list[Entry]) -> None:
    assert broken_at(chain(given_entries)) is None


def test_the_first_entry_follows_the_genesis_and_has_number_one() -> None:
    row = seal(Entry(5, "a", "apply", "s", {}), last=None)
    assert (row["seq"], row["previous"]) == (1, GENESIS)


@given(chains, st.data())
def test_any_edit_of_any_column_of_any_row_is_found_at_that_row(
    rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.sampled_from(COLUMNS))
    before = rows[index][column]
    rows[index][column] = before + 1 if isinstance(before, int) else before + "x"
    assert broken_at(rows) == rows[index]["seq"]


@given(chains, st.data())
def test_an_edit_with_its_own_hash_made_good_breaks_the_next_row(
    rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(rows) - 2))
    last = rows[index - 1] if index else None
    forged = Entry(rows[index]["at"], rows[index]["actor"] + "x", "apply", "s", {})
    rows[index] = seal(forged, last=last)
    assert broken_at(rows) == rows[index + 1]["seq"]


@given(chains, st.data())
def test_a_row_removed_before_the_last_is_found_at_its_successor(
    rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(rows) - 2))
    del rows[index]
    assert broken_at(rows) == index + 2


@given(chains, st.data())
def test_two_rows_that_changed_places_are_found(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(rows) - 2))
    rows[index], rows[index + 1] = rows[index + 1], rows[index]
    assert broken_at(rows) == index + 2


@given(chains, st.data())
def test_reordered_and_renumbered_rows_are_found(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(rows) - 2))
    rows[index], rows[index + 1] = rows[index + 1] | {"seq": index + 1}, rows[index] | {"seq": index + 2}
    assert broken_at(rows) == index + 1


@given(chains, entries, st.data())
def test_an_inserted_row_is_found(rows: list[dict[str, Any]], entry: Entry, data: st.DataObject) -> None:
    index = data.draw(st.integers(1, len(rows) - 1))
    rows.insert(index, seal(entry, last=rows[index - 1]))
    assert broken_at(rows) is not None


def test_a_number_that_was_left_out_is_found_even_under_a_good_seal() -> None:
    first = seal(Entry(1, "a", "apply", "s", {}), last=None)
    third = seal(Entry(3, "a", "apply", "s", {}), last=first | {"seq": 2})
    assert broken_at([first, third]) == 3


@pytest.mark.parametrize("detail", ['{"a": 1}', '{"b":1,"a":1}'])
def test_the_same_detail_written_differently_is_an_edit(detail: str) -> None:
    rows = chain([Entry(1, "a", "apply", "s", {"a": 1}), Entry(2, "a", "apply", "s", {})])
    rows[0]["detail_json"] = detail
    assert broken_at(rows) == 1
