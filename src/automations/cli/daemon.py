"""`automations-daemon status | run | serve`: the process that watches, listens and executes."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automations.cli import status
from automations.cli.command import Argument, Command, Option
from automations.cli.context import drop_output
from automations.errors import UsageError
from automations.settings import DEFAULT_HOST, DEFAULT_PORT

if TYPE_CHECKING:
    from automations.cli.context import Context
    from automations.daemon.daemon import Options

SHORTEST_INTERVAL_MS = 100
HIGHEST_PORT = 65_535


def run(context: "Context", given: Mapping[str, Any]) -> int:
    """Everything but HTTP, until a signal; with --once, one tick of everything."""
    from automations.daemon.daemon import Daemon

    options = _options(context, given, mode="run")
    daemon = Daemon(context.runtime, options)
    _log(context)
    started = daemon.start()
    if given["once"]:
        daemon.once()
    _announce(
        context,
        {"ok": True, **started, "once": given["once"]},
        text=f"automations-daemon heartbeat {started['leaseId']}",
    )
    return 0 if given["once"] else daemon.run()


def serve(context: "Context", given: Mapping[str, Any]) -> int:
    """Everything, until a signal."""
    from automations.daemon.daemon import Daemon
    from automations.web.limits import Limits
    from automations.web.route_secrets import looked_for, without_secret
    from automations.web.server import Parts, WebConfig, WebServer

    host, port, largest = given["host"], given["port"], given["max_body_bytes"]
    if not host:
        raise UsageError("--host is required")
    if not 0 <= port <= HIGHEST_PORT:
        raise UsageError(f"--port must be an integer from 0 to {HIGHEST_PORT}")
    if largest < 1:
        raise UsageError("--max-body-bytes must be a positive integer")
    options = _options(context, given, mode="serve")
    runtime = context.runtime

    def ready() -> str | None:
        return daemon.trouble()

    parts = Parts(runtime.ingest, runtime.bindings, runtime.secrets, runtime.clock, runtime.telemetry, ready)
    web = WebServer(parts, WebConfig(host=host, port=port, limits=Limits(body_bytes=largest)))
    daemon = Daemon(runtime, options, web=web)

    def describe() -> dict[str, Any]:
        routes = sum(not bound.gone for bound in runtime.bindings.last().routes.values())
        return {"webhooks": {"host": host, "port": web.port, "maxBodyBytes": largest, "routes": routes}}

    daemon.describe = describe
    _log(context)
    started = daemon.start()
    bound = [each.route for each in runtime.bindings.last().routes.values() if not each.gone]
    for route in without_secret(bound, runtime.secrets):
        runtime.telemetry.emit("webhook.secret_missing", route=route.id, path=route.path, detail=looked_for(route))
    facts = describe()["webhooks"]
    _announce(
        context,
        {"ok": True, "mode": "serve", **started, **facts},
        text=f"automations-daemon listening on http://{host}:{web.port} ({facts['routes']} routes), {started['leaseId']}",
    )
    return daemon.run()


def _options(context: "Context", given: Mapping[str, Any], *, mode: str) -> "Options":
    from automations.daemon.daemon import Options

    interval, ttl = given["interval_ms"], given["ttl_ms"]
    if interval < SHORTEST_INTERVAL_MS:
        raise UsageError(f"--interval-ms must be at least {SHORTEST_INTERVAL_MS}")
    if ttl < interval:
        raise UsageError("--ttl-ms must be greater than or equal to --interval-ms")
    specs = given["path"] or context.settings.specs
    return Options(
        mode=mode,
        specs=Path(specs) if specs else None,
        source=given["source"],
        work=not given["no_worker"],
        interval_ms=interval,
        ttl_ms=ttl,
        once=bool(given.get("once")),
    )


def _log(context: "Context") -> None:
    """A daemon tells what it does; --verbose has seen to that already."""
    if not context.verbose:
        context.log()


def _announce(context: "Context", document: dict[str, Any], *, text: str) -> None:
    try:
        if context.json:
            context.document(document)
        else:
            context.say(text)
        context.out.flush()
    except BrokenPipeError:  # a daemon lives on although nobody reads what it announces
        drop_output()


_PATH = Argument("path", "The directory of specs to reconcile (default: AUTOMATIONS_SPECS, else none).", required=False)
_COMMON = (
    Option("--source", "The name that these automations are owned under.", default="default"),
    Option("--no-worker", "Do not execute actions here.", "flag", default=False),
    Option("--interval-ms", "Milliseconds between heartbeats.", "number", 5_000),
    Option("--ttl-ms", "Milliseconds after which a silent daemon's lease is free.", "number", 15_000),
)

COMMANDS = (
    Command(("status",), "Where the store is and what is in it.", status.run, quick=True),
    Command(
        ("run",),
        "Reconcile and execute, without HTTP.",
        run,
        arguments=(_PATH,),
        options=(*_COMMON, Option("--once", "One round of everything, then end.", "flag", default=False)),
    ),
    Command(
        ("serve",),
        "Reconcile, listen for webhooks, and execute.",
        serve,
        arguments=(_PATH,),
        options=(
            *_COMMON,
            Option("--host", "Address to listen on.", default=DEFAULT_HOST),
            Option("--port", "Port to listen on; 0 takes a free one.", "number", DEFAULT_PORT),
            Option("--max-body-bytes", "Largest webhook body.", "number", 1 << 20),
        ),
    ),
)
