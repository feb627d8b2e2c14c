"""Did you mean: which known word is offered for one that is not known, and when none is."""

import pytest

from automations.core.nearest import nearest, one_slip, suggestion


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("rfe", "ref"),
        ("cuont", "count"),
        ("max-queued", "maxQueued"),
        ("REF", "ref"),
        ("zzz", ""),
        ("xy", ""),
        ("", ""),
    ],
)
def test_the_word_that_was_probably_meant_is_offered_and_no_other(word: str, meant: str) -> None:
    assert nearest(word, ["ref", "count", "maxQueued"]) == meant


def test_a_suggestion_also_lists_what_there_is_as_far_as_that_can_be_read() -> None:
    assert suggestion("rfe", ["ref", "count"], there="the inputs are") == "did you mean ref? the inputs are: ref, count"
    assert suggestion("x", ["ref", "count"], there="the inputs are") == "the inputs are: ref, count"
    assert suggestion("x", [], there="the inputs are") == ""
    assert suggestion("x", map(str, range(100)), there="there are", most=2) == "there are: 0, 1, …"


@pytest.mark.parametrize("written", ["dta", "daat", "dataa", "data_", "dat", "dara", "Data", "adta"])
def test_a_slip_of_one_letter_is_one(written: str) -> None:
    assert one_slip(written, "data")


@pytest.mark.parametrize("written", ["data", "database", "tada", "d", "metadata", "dt"])
def test_a_name_of_its_own_is_no_slip(written: str) -> None:
    assert not one_slip(written, "data")


def test_short_names_are_not_guessed_at() -> None:
    assert not one_slip("uid", "id")
    assert one_slip("ID", "id")
