"""Tokens: what one looks like, whom it speaks for, and what each role may."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automations.core.token import RIGHTS, Right, Role, id_of, judge, make

ID = "0190a0a0-1111-7222-8333-444455556666"
SECRET = bytes(range(32))
NOW = 1_700_000_000_000_000


def row(**columns: Any) -> dict[str, Any]:
    given = {"name": "ci", "role": "operator", "actions": [], "hash": make(ID, SECRET).hash}
    return {**given, "expires_at": None, "revoked_at": None, **columns}


def test_a_token_names_its_id_and_is_not_what_is_kept() -> None:
    made = make(ID, SECRET)
    assert id_of(made.text) == ID
    assert made.text.startswith("atm_0190a0a0111172228333444455556666_")
    assert made.hash not in made.text
    assert len(made.text) == 80


@given(st.binary(min_size=32, max_size=32))
def test_every_token_can_be_read_back_and_speaks_for_its_row(secret: bytes) -> None:
    made = make(ID, secret)
    bearer = judge(made.text, row(hash=made.hash), now=NOW)
    assert bearer is not None
    assert bearer.actor == "token:ci"


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        (make(ID, bytes(32)).text, {}),
        (make(ID, SECRET).text, {"expires_at": NOW}),
        (make(ID, SECRET).text, {"revoked_at": NOW - 1}),
        (make(ID, SECRET).text + "x", {}),
        (make(ID, SECRET).text.upper(), {}),
        ("", {}),
        ("atm_é_\ud800", {}),
    ],
)
def test_what_is_wrong_ended_or_no_token_speaks_for_nobody(text: str, columns: dict[str, Any]) -> None:
    assert judge(text, row(**columns), now=NOW) is None


def test_a_token_that_nobody_knows_speaks_for_nobody() -> None:
    assert judge(make(ID, SECRET).text, None, now=NOW) is None


@given(st.text(max_size=120))
def test_no_text_makes_a_judge_fail(text: str) -> None:
    assert judge(text, row(), now=NOW) is None or id_of(text) == ID


def test_each_role_may_what_its_line_says() -> None:
    assert {role: len(RIGHTS[role]) for role in Role} == {
        Role.VIEWER: 1,
        Role.OPERATOR: 3,
        Role.WORKER: 1,
        Role.ADMIN: len(Right),
    }
    assert Right.SEND not in RIGHTS[Role.WORKER], "who claims work must not be able to make it"
