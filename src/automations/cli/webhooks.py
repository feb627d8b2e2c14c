"""`webhooks …`: routes made here, and trying any route from here."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command, Option
from automations.cli.table import clean, table
from automations.cli.unattended import tell_unattended
from automations.errors import InvalidInput, UsageError

if TYPE_CHECKING:
    from automations.cli.context import Context
    from automations.core.trigger.envelope import Envelope

ROUTE = Argument("route", "A route id or path.")
_MAPPING = (
    ("source", "source"),
    ("type", "type"),
    ("subject", "subject"),
    ("subject_path", "subjectPath"),
    ("data_path", "dataPath"),
    ("id_path", "idPath"),
    ("time_path", "timePath"),
    ("dedupe_key_path", "dedupeKeyPath"),
    ("dedupe_key_header", "dedupeKeyHeader"),
)
_SIGNATURE = (
    ("secret_ref", "secretRef"),
    ("signature_header", "header"),
    ("signature_encoding", "encoding"),
    ("signature_prefix", "prefix"),
)


def run_create(context: "Context", given: Mapping[str, Any]) -> int:
    """Create a route, or replace the one of that id."""
    from automations.services.trigger.webhook_routes import Wanted

    for name in ("source", "type"):
        if not given[name]:
            raise UsageError(f"webhooks create requires --{name}", hint="see: automations webhooks create --help")
    signature = {key: given[name] for name, key in _SIGNATURE if given[name] is not None}
    if signature and "secretRef" not in signature:
        raise UsageError("a signature needs --secret-ref", hint="such as: --secret-ref secret://team/webhook")
    wanted = Wanted(
        automation_id=given["automation"],
        mapping={key: given[name] for name, key in _MAPPING if given[name] is not None},
        id=given["id"],
        path=given["path"],
        signature={"algorithm": "hmac-sha256", **signature} if signature else None,
        unsigned=given["unsigned"],
    )
    _print(context, context.runtime.webhook_routes.create(wanted, actor=context.settings.actor))
    return 0


def run_list(context: "Context", _: Mapping[str, Any]) -> int:
    """All routes, oldest first."""
    records = context.runtime.webhook_routes.every()
    if context.json:
        context.document(records)
    elif records:
        rows = [
            (
                each["id"],
                each["path"],
                each["status"],
                each["automationId"],
                "signed" if "signature" in each else "open",
            )
            for each in records
        ]
        context.say(table(("ROUTE", "PATH", "STATUS", "AUTOMATION", "SIGNATURE"), rows))
    else:
        context.say("no webhook routes")
    return 0


def run_show(context: "Context", given: Mapping[str, Any]) -> int:
    """One route."""
    _print(context, context.runtime.webhook_routes.show(given["route"]))
    return 0


def run_enable(context: "Context", given: Mapping[str, Any]) -> int:
    """Let a route take requests."""
    return _set(context, given, "active")


def run_disable(context: "Context", given: Mapping[str, Any]) -> int:
    """Answer 403 on a route."""
    return _set(context, given, "disabled")


def run_archive(context: "Context", given: Mapping[str, Any]) -> int:
    """Put a route away for good (it can be enabled again)."""
    return _set(context, given, "archived")


def run_rotate_secret(context: "Context", given: Mapping[str, Any]) -> int:
    """Point a signed route at another secret."""
    if not given["secret_ref"]:
        raise UsageError(
            "webhooks rotate-secret requires --secret-ref", hint="such as: --secret-ref secret://team/webhook"
        )
    routes = context.runtime.webhook_routes
    _print(context, routes.rotate_secret(given["route"], given["secret_ref"], actor=context.settings.actor))
    return 0


def run_event(context: "Context", given: Mapping[str, Any]) -> int:
    """The normalized envelope alone; nothing is written. It is piped into another program."""
    from automations.core.trigger.envelope import to_document

    context.document(to_document(_envelope(context, given)))
    return 0


def run_test(context: "Context", given: Mapping[str, Any]) -> int:
    """Take the request in as if it had come over HTTP, without asking for a signature."""
    from automations.core.canonical import digest_bytes
    from automations.core.trigger.envelope import to_document
    from automations.services.trigger.ingest import Delivery

    envelope = _envelope(context, given)
    runtime = context.runtime
    taken = runtime.ingest.one(Delivery(envelope, digest_bytes(_body(given))))
    route = runtime.webhook_routes.show(given["route"])
    materialized = runtime.inspect.materialized(taken.materialized)
    if context.json:
        context.document({"route": route, "event": to_document(envelope), "materialized": materialized})
        return 0
    context.say(clean(f"event {envelope.id} ({envelope.source} {envelope.type}) at route {route['id']}"))
    for each in materialized:
        context.say(f"{each['run']['automationId']}: run {each['run']['id']}")
    if not materialized:
        context.say("no run was started")
        context.note(f"see why: automations why {taken.event_row_id}")
    else:
        tell_unattended(context)
    return 0


def _set(context: "Context", given: Mapping[str, Any], status: str) -> int:
    routes = context.runtime.webhook_routes
    _print(context, routes.set_status(given["route"], status, actor=context.settings.actor))
    return 0


def _envelope(context: "Context", given: Mapping[str, Any]) -> "Envelope":
    from automations.core.trigger.type_template import render_type

    headers = _headers(given["header"])
    routes = context.runtime.webhook_routes
    return routes.event(given["route"], body=_body(given), headers=headers, render=render_type)


def _body(given: Mapping[str, Any]) -> bytes:
    return str(given["body_json"]).encode(errors="surrogateescape")


def _headers(options: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """`Name:value` or `Name=value`, whichever comes first; names in lower case, every value kept."""
    found: dict[str, tuple[str, ...]] = {}
    for option in options:
        cut = min((option.index(mark) for mark in ":=" if mark in option), default=-1)
        if cut < 1:
            raise InvalidInput(f"invalid header option: {option}", hint="write --header Name:value")
        name, value = option[:cut].strip().lower(), option[cut + 1 :].strip()
        found[name] = (*found.get(name, ()), value)
    return found


def _print(context: "Context", record: Mapping[str, Any]) -> None:
    if context.json:
        context.document(record)
        return
    signed = record.get("signature", {}).get("secretRef") or record.get("signature", {}).get("preset") or "none"
    context.say(f"{record['id']}  {record['path']}  {record['status']}")
    context.say(f"  automation  {record['automationId']}  (owner {record['owner']})")
    context.say(f"  signature   {signed}")


_BODY = (
    Option("--body-json", "The request's body.", default="{}"),
    Option("--header", "A request header, Name:value or Name=value; may be given more than once.", many=True),
)

COMMANDS = (
    Command(
        ("webhooks", "create"),
        "Create a route for an automation, or replace the one of that id.",
        run_create,
        arguments=(Argument("automation", "An automation id."),),
        options=(
            Option("--source", "The source of its events.", required=True),
            Option("--type", "The type of its events.", required=True),
            Option("--id", "The route's id (default: a new one)."),
            Option("--path", "Its path (default: /webhooks/<id>)."),
            Option("--subject", "The subject of its events."),
            Option("--subject-path", "Where in the body the subject stands."),
            Option("--data-path", "Where in the body the event's data stands (`.` is all of it; default: no data)."),
            Option("--id-path", "Where in the body the event's id stands."),
            Option("--time-path", "Where in the body the event's time stands."),
            Option("--dedupe-key-path", "Where in the body the dedupe key stands."),
            Option("--dedupe-key-header", "Which header holds the dedupe key."),
            Option("--secret-ref", "Verify signatures with this secret: secret://…"),
            Option("--signature-header", "Which header holds the signature (default: x-hasna-signature)."),
            Option("--signature-prefix", "What stands before the signature, such as sha256=."),
            Option("--signature-encoding", "hex or base64 (default: hex)."),
            Option("--unsigned", "Replace a signed route by an unsigned one.", "flag", default=False),
        ),
        quick=True,
    ),
    Command(("webhooks", "list"), "List all routes.", run_list, quick=True),
    Command(("webhooks", "show"), "Show one route.", run_show, arguments=(ROUTE,), quick=True),
    Command(("webhooks", "enable"), "Let a route take requests.", run_enable, arguments=(ROUTE,), quick=True),
    Command(("webhooks", "disable"), "Answer 403 on a route.", run_disable, arguments=(ROUTE,), quick=True),
    Command(("webhooks", "archive"), "Put a route away.", run_archive, arguments=(ROUTE,), quick=True),
    Command(
        ("webhooks", "rotate-secret"),
        "Point a signed route at another secret.",
        run_rotate_secret,
        arguments=(ROUTE,),
        options=(Option("--secret-ref", "The new reference: secret://…", required=True),),
        quick=True,
    ),
    Command(
        ("webhooks", "event"),
        "Print the event that a request would become; write nothing.",
        run_event,
        arguments=(ROUTE,),
        options=_BODY,
        quick=True,
    ),
    Command(
        ("webhooks", "test"),
        "Take a request in from here, without a signature.",
        run_test,
        arguments=(ROUTE,),
        options=_BODY,
        quick=True,
    ),
)
