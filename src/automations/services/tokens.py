"""The verbs of tokens: make one, list them, end one, and tell who a request speaks for.

A token's text leaves this module once, when it is made; the store never sees it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automations.core.actor import is_name
from automations.core.audit import Entry
from automations.core.canonical import decode, encode
from automations.core.instant import iso
from automations.core.token import LONGEST_NAME, SECRET_BYTES, Bearer, Role, id_of, judge, make
from automations.errors import Conflict, InvalidInput, NotFound
from automations.services import audit
from automations.store import tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from automations.services.ports import Clock, Ids
    from automations.store.database import Database, Row


@dataclass(frozen=True, slots=True)
class Wanted:
    """A token to make. `lifetime` in microseconds, None for one without an end; `actions` only for workers."""

    name: str
    role: Role
    actions: tuple[str, ...] = ()
    lifetime: int | None = None


class Tokens:
    """Who may talk to the server. `randomness` gives that many unpredictable bytes."""

    def __init__(self, database: Database, *, clock: Clock, ids: Ids, randomness: Callable[[int], bytes]) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._randomness = randomness

    def create(self, wanted: Wanted, *, actor: str) -> dict[str, Any]:
        """Make a token: its record, and its text under `token`, for this once.

        Raises InvalidInput for a name or a scope that cannot be, Conflict when a live token has the name.
        """
        _check(wanted)
        now = self._clock.now()
        token_id = self._ids.new()
        made = make(token_id, self._randomness(SECRET_BYTES))
        row: dict[str, Any] = {
            "id": token_id,
            "name": wanted.name,
            "role": str(wanted.role),
            "actions_json": encode(list(wanted.actions)),
            "hash": made.hash,
            "created_by": actor,
            "expires_at": None if wanted.lifetime is None else now + wanted.lifetime,
            "now": now,
        }
        with self._database.write() as tx:
            if not tokens.insert(tx, row):
                hint = f"choose another name, or end that one: automations token revoke {wanted.name}"
                raise Conflict(f"a token named {wanted.name} exists", hint=hint)
            audit.append(tx, Entry(now, actor, "token.create", token_id, {"name": wanted.name, "role": row["role"]}))
        record = token_record({**row, "created_at": now, "revoked_at": None})
        return {**record, "token": made.text}

    def list(self) -> list[dict[str, Any]]:
        """Every token, revoked and expired ones too, oldest first."""
        with self._database.read() as tx:
            return [token_record(row, now=self._clock.now()) for row in tokens.every(tx)]

    def revoke(self, named: str, *, actor: str) -> dict[str, Any]:
        """End a live token, by name or id; it opens nothing from the next request on. Raises NotFound, Conflict."""
        now = self._clock.now()
        with self._database.write() as tx:
            row = _named(tokens.every(tx), named)
            if not tokens.revoke(tx, row["id"], now=now):
                raise Conflict(f"the token {row['name']} was revoked already", hint="see: automations token list")
            audit.append(tx, Entry(now, actor, "token.revoke", row["id"], {"name": row["name"]}))
        return token_record({**row, "revoked_at": now})

    def bearer(self, text: str) -> Bearer | None:
        """Who a token speaks for, or None when it is no good. Raises StoreUnavailable."""
        token_id = id_of(text)
        with self._database.read() as tx:
            row = tokens.get(tx, token_id or "")
        known = {**row, "actions": decode(row["actions_json"])} if row else None
        return judge(text, known, now=self._clock.now())

    def any_live(self) -> bool:
        """Whether some token opens a door now."""
        with self._database.read() as tx:
            return tokens.live(tx, now=self._clock.now()) > 0


def token_record(row: Row, *, now: int | None = None) -> dict[str, Any]:
    """A token as it is shown: never its text, never its hash."""
    record = {
        "id": row["id"],
        "name": row["name"],
        "role": row["role"],
        "actions": decode(row["actions_json"]) or None,
        "createdBy": row["created_by"],
        "createdAt": iso(row["created_at"]),
        "expiresAt": None if row["expires_at"] is None else iso(row["expires_at"]),
        "revokedAt": None if row["revoked_at"] is None else iso(row["revoked_at"]),
        "status": _status(row, now=now),
    }
    return {key: value for key, value in record.items() if value is not None}


def _status(row: Row, *, now: int | None) -> str:
    if row["revoked_at"] is not None:
        return "revoked"
    over = now is not None and row["expires_at"] is not None and row["expires_at"] <= now
    return "expired" if over else "active"


def _named(rows: list[Row], named: str) -> Row:
    """The live token of that name, else the one of that id or the newest of that name. Raises NotFound."""
    fitting = [row for row in rows if named in (row["id"], row["name"])]
    if not fitting:
        raise NotFound(f"token not found: {named}", hint="see: automations token list")
    return next((row for row in fitting if row["revoked_at"] is None), fitting[-1])


def _check(wanted: Wanted) -> None:
    if not is_name(wanted.name, longest=LONGEST_NAME):
        raise InvalidInput(
            f"a token's name is 1 to {LONGEST_NAME} printable characters, no space at the ends", hint="such as: ci"
        )
    if wanted.actions and wanted.role is not Role.WORKER:
        raise InvalidInput(
            f"a token with the role {wanted.role} cannot be kept to actions",
            hint="only workers claim; leave --action away, or use --role worker",
        )
