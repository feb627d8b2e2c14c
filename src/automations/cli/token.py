"""`token create | list | revoke`: who may talk to the server."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command, Option
from automations.cli.table import table
from automations.errors import UsageError

if TYPE_CHECKING:
    from automations.cli.context import Context

ROLES = ("viewer", "operator", "worker", "admin")


def run_create(context: "Context", given: Mapping[str, Any]) -> int:
    """Make a token and show it, this once."""
    from automations.core.instant import parse_duration
    from automations.core.token import Role
    from automations.services.run.queue import pattern
    from automations.services.tokens import Wanted

    if given["role"] not in ROLES:
        raise UsageError(f"--role must be one of {', '.join(ROLES)}, not {given['role']}")
    for glob in given["action"]:
        pattern(glob)
    lifetime = None
    if given["expires"] is not None:
        try:
            lifetime = parse_duration(given["expires"])
        except ValueError:
            raise UsageError(f"--expires takes a duration such as 90d, not {given['expires']}") from None
        if lifetime == 0:
            raise UsageError("--expires takes a duration such as 90d; after 0 the token could never be used")
    wanted = Wanted(given["name"], Role(given["role"]), given["action"], lifetime)
    record = context.runtime.tokens.create(wanted, actor=context.settings.actor)
    if context.json:
        context.document(record)
    else:
        context.say(record["token"])
        context.note(f"the token of {record['name']} ({record['role']}); it is not shown again")
    return 0


def run_list(context: "Context", _: Mapping[str, Any]) -> int:
    """Every token, without its text."""
    records = context.runtime.tokens.list()
    if context.json:
        context.document(records)
    elif not records:
        context.say("no tokens yet; make one with: automations token create NAME --role operator")
    else:
        rows = [
            (
                each["name"],
                each["role"],
                each["status"],
                " ".join(each.get("actions", ())),
                each["createdAt"],
                each["createdBy"],
                each.get("expiresAt", "never"),
            )
            for each in records
        ]
        context.say(table(("NAME", "ROLE", "STATUS", "ACTIONS", "CREATED", "BY", "EXPIRES"), rows))
    return 0


def run_revoke(context: "Context", given: Mapping[str, Any]) -> int:
    """End a token."""
    record = context.runtime.tokens.revoke(given["token"], actor=context.settings.actor)
    if context.json:
        context.document(record)
    else:
        context.say(f"{record['name']}: revoked; it opens nothing any more")
    return 0


COMMANDS = (
    Command(
        ("token", "create"),
        "Make a token for the server's API; it is shown once.",
        run_create,
        arguments=(Argument("name", "What the token is called; records show it as `token:NAME`."),),
        options=(
            Option("--role", "viewer, operator, worker or admin.", default="operator"),
            Option("--action", "For a worker: only these action ids, with at most one * each.", many=True),
            Option("--expires", "How long it is good, such as 90d; for ever without."),
        ),
    ),
    Command(("token", "list"), "List tokens; never their text.", run_list),
    Command(
        ("token", "revoke"),
        "End a token, from the next request on.",
        run_revoke,
        arguments=(Argument("token", "A token's name or id."),),
    ),
)
