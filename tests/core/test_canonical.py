"""Canonical JSON: equal documents have one text, different ones two."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automations.core.canonical import decode, digest, digest_bytes, encode, encode_words

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
documents = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4))


def shuffled(value: Any) -> Any:
    """The same document with the keys of every object the other way round."""
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(value)}
    return [shuffled(each) for each in value] if isinstance(value, list) else value


@given(documents)
def test_the_order_of_keys_changes_neither_text_nor_digest(value: Any) -> None:
    assert encode(shuffled(value)) == encode(value)
    assert digest(shuffled(value)) == digest(value)


@given(documents)
def test_what_is_encoded_decodes_to_the_same_value_and_types(value: Any) -> None:
    assert repr(decode(encode(value))) == repr(decode(encode(shuffled(value))))
    assert decode(encode(value)) == value


@given(documents, documents)
def test_two_documents_share_a_digest_only_if_they_share_a_text(one: Any, other: Any) -> None:
    assert (digest(one) == digest(other)) == (encode(one) == encode(other))


@pytest.mark.parametrize(("one", "other"), [(1, 1.0), (1, True), (0, False), ("1", 1), (None, "null"), ([], {})])
def test_values_that_only_look_equal_have_different_digests(one: Any, other: Any) -> None:
    assert digest(one) != digest(other)
    assert digest({"key": [one]}) != digest({"key": [other]})


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, {1: 2}, {1, 2}, b"bytes", object(), "\ud800"])
def test_what_is_no_plain_data_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError):
        encode(value)


def test_a_digest_names_its_algorithm() -> None:
    assert (
        digest({}) == digest_bytes(b"{}") == "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    )


words = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
)


@given(words)
def test_without_floats_the_standard_library_writes_the_same_text(document: Any) -> None:
    assert encode_words(document) == encode(document)
