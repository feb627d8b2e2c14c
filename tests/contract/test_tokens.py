"""Tokens on every store: made once, shown once, ended at once."""

from itertools import count

import pytest

from automations.core.token import Role
from automations.errors import Conflict, InvalidInput, NotFound
from automations.services.tokens import Tokens, Wanted
from automations.store.database import Database
from control_plane import ControlPlane

DAY = 86_400_000_000


class Gate(ControlPlane):
    """A control plane with tokens; its randomness counts."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        drawn = count(1)
        self.tokens = Tokens(
            database, clock=self.clock, ids=self.ids, randomness=lambda size: next(drawn).to_bytes(size)
        )


@pytest.fixture
def gate(database: Database) -> Gate:
    return Gate(database)


def test_a_token_opens_until_it_is_revoked(gate: Gate) -> None:
    made = gate.tokens.create(Wanted("ci", Role.OPERATOR), actor="ada")
    bearer = gate.tokens.bearer(made["token"])
    assert bearer is not None
    assert (bearer.actor, bearer.role) == ("token:ci", Role.OPERATOR)
    gate.tokens.revoke("ci", actor="ada")
    assert gate.tokens.bearer(made["token"]) is None
    with pytest.raises(Conflict, match="the token ci was revoked already"):
        gate.tokens.revoke(made["id"], actor="ada")


def test_a_token_ends_by_itself(gate: Gate) -> None:
    made = gate.tokens.create(Wanted("night", Role.WORKER, ("ci.*",), lifetime=DAY), actor="ada")
    gate.clock.at += DAY - 1
    assert gate.tokens.any_live()
    assert gate.tokens.bearer(made["token"]) is not None
    gate.clock.at += 1
    assert not gate.tokens.any_live()
    assert gate.tokens.bearer(made["token"]) is None
    assert [each["status"] for each in gate.tokens.list()] == ["expired"]


def test_neither_the_store_nor_a_list_holds_a_token(gate: Gate, database: Database) -> None:
    made = gate.tokens.create(Wanted("ci", Role.ADMIN), actor="ada")
    secret = made["token"].rpartition("_")[2]
    with database.read() as tx:
        assert secret not in str(tx.all("SELECT * FROM tokens")) + str(tx.all("SELECT * FROM audit"))
    assert secret not in str(gate.tokens.list())


def test_a_name_is_free_again_after_its_token_ended(gate: Gate) -> None:
    gate.tokens.create(Wanted("ci", Role.ADMIN), actor="ada")
    with pytest.raises(Conflict, match="a token named ci exists"):
        gate.tokens.create(Wanted("ci", Role.VIEWER), actor="ada")
    gate.tokens.revoke("ci", actor="ada")
    second = gate.tokens.create(Wanted("ci", Role.VIEWER), actor="ada")
    assert gate.tokens.revoke("ci", actor="ada")["id"] == second["id"]


def test_what_cannot_be_is_refused(gate: Gate) -> None:
    with pytest.raises(InvalidInput, match="printable"):
        gate.tokens.create(Wanted("a\nb", Role.ADMIN), actor="ada")
    with pytest.raises(InvalidInput, match="cannot be kept to actions"):
        gate.tokens.create(Wanted("a", Role.ADMIN, ("x.*",)), actor="ada")
    with pytest.raises(NotFound, match="token not found: nobody"):
        gate.tokens.revoke("nobody", actor="ada")


def test_who_made_and_who_ended_a_token_is_on_record(gate: Gate, database: Database) -> None:
    gate.tokens.create(Wanted("ci", Role.ADMIN), actor="ada")
    gate.tokens.revoke("ci", actor="bob")
    with database.read() as tx:
        rows = tx.all("SELECT actor, action FROM audit ORDER BY seq")
    assert [(row["actor"], row["action"]) for row in rows] == [("ada", "token.create"), ("bob", "token.revoke")]
