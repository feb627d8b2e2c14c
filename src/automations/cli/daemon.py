"""`automations-daemon status | run | serve`: the process that watches, listens and executes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automations.cli import status
from automations.cli.command import Argument, Command, Option
from automations.cli.context import drop_output
from automations.errors import UsageError
from automations.settings import HIGHEST_PORT, SETTINGS, SHORTEST_INTERVAL_MS, DaemonSettings, SourceSettings

if TYPE_CHECKING:
    from automations.cli.context import Context
    from automations.daemon.daemon import Options


def run(context: "Context", given: Mapping[str, Any]) -> int:
    """Everything but HTTP, until a signal; with --once, one tick of everything."""
    from automations.daemon.daemon import Daemon

    options = _options(context, given, mode="run")
    daemon = Daemon(context.runtime, options)
    log_lines(context)
    started = daemon.start()
    _remark(context, options)
    if given["once"]:
        daemon.once()
    announce(
        context,
        {"ok": True, **started, "once": given["once"]},
        text=f"automations-daemon heartbeat {started['leaseId']}",
    )
    return 0 if given["once"] else daemon.run()


def serve(context: "Context", given: Mapping[str, Any]) -> int:
    """Everything, until a signal."""
    from automations.daemon.daemon import Daemon
    from automations.web.api import Verbs
    from automations.web.limits import Limits
    from automations.web.listening import authority
    from automations.web.route_secrets import looked_for, without_secret
    from automations.web.server import Parts, WebConfig, WebServer

    host, port, largest = (_chosen(context, given, key) for key in ("host", "port", "max_body_bytes"))
    if not host:
        raise UsageError("--host is required")
    if not 0 <= port <= HIGHEST_PORT:
        raise UsageError(f"{_named(context, given, 'port')} must be an integer from 0 to {HIGHEST_PORT}")
    if largest < 1:
        raise UsageError(f"{_named(context, given, 'max_body_bytes')} must be a positive integer")
    options = _options(context, given, mode="serve")
    runtime = context.runtime

    def ready() -> str | None:
        return daemon.trouble()

    verbs = Verbs(runtime.tokens.bearer, runtime.tokens.any_live, runtime.send, runtime.start)
    parts = Parts(runtime.ingest, runtime.bindings, runtime.secrets, runtime.clock, runtime.telemetry, ready, verbs)
    web = WebServer(parts, WebConfig(host=host, port=port, limits=Limits(body_bytes=largest)))
    daemon = Daemon(runtime, options, web=web)

    def describe() -> dict[str, Any]:
        routes = sum(not bound.gone for bound in runtime.bindings.last().routes.values())
        return {"webhooks": {"host": host, "port": web.port, "maxBodyBytes": largest, "routes": routes}}

    daemon.describe = describe
    log_lines(context)
    started = daemon.start()
    _remark(context, options)
    bound = [each.route for each in runtime.bindings.last().routes.values() if not each.gone]
    for route in without_secret(bound, runtime.secrets):
        runtime.telemetry.emit("webhook.secret_missing", route=route.id, path=route.path, detail=looked_for(route))
    facts, place = describe()["webhooks"], authority(host, web.port)
    announce(
        context,
        {"ok": True, "mode": "serve", **started, **facts},
        text=f"automations-daemon listening on http://{place} ({facts['routes']} routes), {started['leaseId']}",
    )
    return daemon.run()


def _remark(context: "Context", options: "Options") -> None:
    """Say at once what is odd about the directories."""
    from automations.cli.odd_sources import remarks

    for each in remarks(options.sources, mode=options.mode):
        context.runtime.telemetry.emit("daemon.remark", message=each.message, hint=each.hint)


def _options(context: "Context", given: Mapping[str, Any], *, mode: str) -> "Options":
    from automations.daemon.daemon import Options

    interval, ttl = _chosen(context, given, "interval_ms"), _chosen(context, given, "ttl_ms")
    if interval < SHORTEST_INTERVAL_MS:
        raise UsageError(f"{_named(context, given, 'interval_ms')} must be at least {SHORTEST_INTERVAL_MS}")
    if ttl < interval:
        least, named = _named(context, given, "interval_ms"), _named(context, given, "ttl_ms")
        raise UsageError(f"{named} must be greater than or equal to {least}")
    return Options(
        mode=mode,
        sources=_sources(context, given),
        work=context.settings.daemon.worker and not given["no_worker"],
        interval_ms=interval,
        ttl_ms=ttl,
        once=bool(given.get("once")),
    )


def _sources(context: "Context", given: Mapping[str, Any]) -> tuple[SourceSettings, ...]:
    """What to reconcile: PATH and every `--source NAME=PATH`, else what settings say; policies are always the settings'."""
    from automations.cli.desired import check_source_name

    known = {each.name: each for each in context.settings.sources}
    names = [each for each in given["source"] if "=" not in each]
    pairs = [(each.partition("=")[0], each.partition("=")[2]) for each in given["source"] if "=" in each]
    for name in (*names, *(name for name, _ in pairs if name)):
        check_source_name(name)
    if len(names) > 1 or (names and not given["path"] and len(known) != 1):
        raise UsageError(
            f"--source {names[-1]} names no directory", hint="several sources: --source NAME=PATH for each"
        )
    if given["path"]:
        pairs.insert(0, (names[0] if names else "default", given["path"]))
    elif names:
        return (next(iter(known.values()))._replace(name=names[0]),)
    if not pairs:
        return tuple(known.values())
    for name, path in pairs:
        if not name or not path or [each for each, _ in pairs].count(name) > 1:
            raise UsageError(f"--source {name}={path} does not say one name and one directory", hint="NAME=PATH")
    return tuple(known.get(name, SourceSettings(name, path))._replace(path=path) for name, path in pairs)


def _chosen(context: "Context", given: Mapping[str, Any], key: str) -> Any:
    """What the command line says, else what settings say."""
    return getattr(context.settings.daemon, key) if given[key] is None else given[key]


def _named(context: "Context", given: Mapping[str, Any], key: str) -> str:
    """What a person wrote that says this: the option, the variable or the key of the file; the option where nobody did."""
    settings, option = context.settings, f"--{key.replace('_', '-')}"
    variable = next(each.name for each in SETTINGS if each.key == f"daemon.{key}")
    if given[key] is not None:
        return option
    if settings.environment.get(variable):
        return variable
    default = DaemonSettings._field_defaults[key]
    told = settings.file is not None and getattr(settings.daemon, key) != default
    return f"{key} in [daemon] of {settings.file}" if told else option


def log_lines(context: "Context") -> None:
    """A daemon tells what it does; --verbose has seen to that already."""
    if not context.verbose:
        context.log()


def announce(context: "Context", document: dict[str, Any], *, text: str) -> None:
    """Say that a process which stays is up: a document under --json, else a line."""
    try:
        if context.json:
            context.document(document)
        else:
            context.say(text)
        context.out.flush()
    except BrokenPipeError:  # a daemon lives on although nobody reads what it announces
        drop_output()


_PATH = Argument(
    "path",
    "The directory of specs to reconcile (default: AUTOMATIONS_SPECS, else the sources of automations.toml).",
    required=False,
)
_COMMON = (
    Option(
        "--source",
        "NAME=PATH for each of several directories; or NAME alone: what the automations of PATH are owned under.",
        default=(),
        many=True,
    ),
    Option("--no-worker", "Do not execute actions here.", "flag", default=False),
    Option("--interval-ms", "Milliseconds between heartbeats (default: AUTOMATIONS_INTERVAL_MS, else 5000).", "number"),
    Option(
        "--ttl-ms",
        "How long a silent daemon keeps its lease, in ms (default: AUTOMATIONS_TTL_MS, else 15000).",
        "number",
    ),
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
            Option("--host", "Address to listen on (default: AUTOMATIONS_LISTEN_HOST, else 127.0.0.1)."),
            Option(
                "--port",
                "Port to listen on; 0 takes a free one (default: AUTOMATIONS_LISTEN_PORT, else 7391).",
                "number",
            ),
            Option(
                "--max-body-bytes",
                "Largest webhook body (default: AUTOMATIONS_MAX_BODY_BYTES, else 1048576).",
                "number",
            ),
        ),
    ),
)
