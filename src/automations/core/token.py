"""API tokens: what one looks like, what its role allows, and whether one that is shown is good.

A token is `atm_<id>_<secret>`: the id finds its row, the secret proves it. The secret is 256 random bits, so a plain SHA-256 of
it can be kept without salt or stretching: there is nothing to guess. Whether the row exists or not, one comparison in constant
time is made, so that answers take as long for unknown tokens as for wrong ones.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRET_BYTES = 32
LONGEST_NAME = 100
_TEXT = re.compile(r"atm_([0-9a-f]{32})_([A-Za-z0-9_-]{43})")
_DECOY = sha256(b"no token has this hash").hexdigest()


class Role(StrEnum):
    """What a token may do. Each role has the rights that its line in `RIGHTS` names, and no others."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    WORKER = "worker"
    ADMIN = "admin"


class Right(StrEnum):
    """One thing that a request asks for."""

    READ = "read"
    SEND = "send events and trigger automations"
    WORK = "claim and report actions"
    DECIDE = "approve, cancel and replay"
    APPLY = "apply definitions"


RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.VIEWER: frozenset({Right.READ}),
    Role.OPERATOR: frozenset({Right.READ, Right.SEND, Right.DECIDE}),
    Role.WORKER: frozenset({Right.WORK}),
    Role.ADMIN: frozenset(Right),
}


@dataclass(frozen=True, slots=True)
class Made:
    """A new token: its text, shown once, and the hash that is kept."""

    text: str
    hash: str


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who a good token speaks for. `actions` are globs of action ids that a worker is kept to; empty means all."""

    name: str
    role: Role
    actions: tuple[str, ...]

    @property
    def actor(self) -> str:
        """The name that records show."""
        return f"token:{self.name}"

    def may(self, right: Right) -> bool:
        """Whether its role has a right."""
        return right in RIGHTS[self.role]


def make(token_id: str, secret: bytes) -> Made:
    """The token of an id (a UUID) and `SECRET_BYTES` of randomness."""
    encoded = urlsafe_b64encode(secret).rstrip(b"=").decode()
    return Made(f"atm_{token_id.replace('-', '')}_{encoded}", _hash(encoded))


def id_of(text: str) -> str | None:
    """The id (a UUID) that a token names; None for text that is no token."""
    found = _TEXT.fullmatch(text)
    if found is None:
        return None
    digits = found[1]
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def judge(text: str, row: Mapping[str, Any] | None, *, now: int) -> Bearer | None:
    """Who speaks, or None: unknown, wrong, expired (microseconds) and revoked are not told apart to the sender."""
    found = _TEXT.fullmatch(text)
    shown = _hash(found[2] if found else text)
    same = hmac.compare_digest(shown, row["hash"] if row else _DECOY)
    if row is None or found is None or not same or row["revoked_at"] is not None:
        return None
    if row["expires_at"] is not None and row["expires_at"] <= now:
        return None
    return Bearer(row["name"], Role(row["role"]), tuple(row["actions"]))


def _hash(secret: str) -> str:
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
