"""`roles list`, `grant` and `revoke`: who may decide as what."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command
from automations.cli.table import clean, table

if TYPE_CHECKING:
    from automations.cli.context import Context

WHO = Argument("actor", "Who: the name that is recorded for what this person does.")
ROLE = Argument("role", "A role, as `approval.roles` of a spec names it.")


def run_list(context: "Context", _: Mapping[str, Any]) -> int:
    """Who has which role, and who said so."""
    records = context.runtime.roles.every()
    if context.json:
        context.document(records)
    elif records:
        rows = [(each["actor"], each["role"], each["grantedBy"], each["grantedAt"]) for each in records]
        context.say(table(("ACTOR", "ROLE", "GRANTED BY", "AT"), rows))
    else:
        context.say("nobody has a role")
    return 0


def run_grant(context: "Context", given: Mapping[str, Any]) -> int:
    """Give somebody a role."""
    context.runtime.roles.grant(given["actor"], given["role"], actor=context.settings.actor)
    return _told(context, given, has=True)


def run_revoke(context: "Context", given: Mapping[str, Any]) -> int:
    """Take a role away."""
    context.runtime.roles.revoke(given["actor"], given["role"], actor=context.settings.actor)
    return _told(context, given, has=False)


def _told(context: "Context", given: Mapping[str, Any], *, has: bool) -> int:
    if context.json:
        context.document({"actor": given["actor"], "role": given["role"], "granted": has})
    else:
        context.say(f"{clean(given['actor'])} {'has' if has else 'no longer has'} the role {clean(given['role'])}")
    return 0


COMMANDS = (
    Command(("roles", "list"), "List who has which role.", run_list),
    Command(("roles", "grant"), "Give somebody a role.", run_grant, arguments=(WHO, ROLE)),
    Command(("roles", "revoke"), "Take a role away.", run_revoke, arguments=(WHO, ROLE)),
)
