"""The verbs grant and revoke: who may decide as what. Every change is in the audit chain.

An approver's roles are what stands here at the moment of the decision; what a caller claims of itself counts for nothing.
"""

from dataclasses import dataclass
from typing import Any

from automations.core.actor import LONGEST_NAME, LOOKS_LIKE, is_name
from automations.core.audit import Entry
from automations.core.instant import iso
from automations.errors import Conflict, InvalidInput
from automations.services import audit
from automations.services.ports import Clock
from automations.store import roles
from automations.store.database import Database


@dataclass(frozen=True, slots=True)
class Roles:
    """Grants roles to actors."""

    database: Database
    clock: Clock

    def every(self) -> list[dict[str, Any]]:
        """`{actor, role, grantedBy, grantedAt}`, by actor and role."""
        with self.database.read() as tx:
            rows = roles.every(tx)
        return [
            {
                "actor": row["actor"],
                "role": row["role"],
                "grantedBy": row["granted_by"],
                "grantedAt": iso(row["granted_at"]),
            }
            for row in rows
        ]

    def grant(self, to: str, role: str, *, actor: str) -> None:
        """Give somebody a role. Raises Conflict when he has it, InvalidInput for a name that is none, StoreUnavailable."""
        _check(to, role)
        now = self.clock.now()
        with self.database.write() as tx:
            if not roles.grant(tx, {"actor": to, "role": role, "granted_by": actor, "now": now}):
                raise Conflict(f"{to} has the role {role} already", hint="see: automations roles list")
            audit.append(tx, Entry(now, actor, "role.grant", to, {"role": role}))

    def revoke(self, of: str, role: str, *, actor: str) -> None:
        """Take a role away; decisions given before stand. Raises Conflict when he does not have it, StoreUnavailable."""
        now = self.clock.now()
        with self.database.write() as tx:
            if not roles.revoke(tx, of, role):
                raise Conflict(f"{of} does not have the role {role}", hint="see: automations roles list")
            audit.append(tx, Entry(now, actor, "role.revoke", of, {"role": role}))


def _check(*names: str) -> None:
    for name in names:
        if not is_name(name):
            raise InvalidInput(f"not a name: {name[:LONGEST_NAME]!r}", hint=LOOKS_LIKE)
