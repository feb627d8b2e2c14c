"""Inputs that the original froze are literal text here."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automations.core.expression.template import compile_template
from automations.core.original.definitions import ACTIONS, RUNS, Found
from automations.core.original.runs import Around, literal, run
from automations.core.spec.manifests import shelve
from automations.errors import InvalidInput

TEXT = st.lists(st.sampled_from(["$", "{", "${{", "$${{", "}}", " x "])).map("".join) | st.text()
KEYS = st.text().filter(lambda key: "${{" not in key)
DATA = st.recursive(
    TEXT | st.integers() | st.none() | st.booleans(),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
)


@given(DATA)
def test_any_data_is_a_template_that_renders_to_itself(value: Any) -> None:
    assert compile_template(literal(value)).render({}) == value


def test_an_input_whose_key_would_be_a_template_is_refused_by_name() -> None:
    found = Found(RUNS, "r", {"automationId": "q", "trigger": {"kind": "event"}})
    fields = {"stepId": "a", "status": "queued", "invocation": {"actionId": "x", "input": {"${{ k }}": 1}}}
    with pytest.raises(InvalidInput, match="cannot be a template"):
        run(found, [Found(ACTIONS, "a1", fields)], around=Around({}, shelve(()), 0))
