"""Executors: how an action's binding is carried out. One file per kind; the rest is what they share."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from automations.adapters.clock import SystemClock
from automations.adapters.executors.binding import KnownSecrets
from automations.adapters.executors.edge import AtTheEdge, Executor
from automations.adapters.executors.http import Http
from automations.adapters.executors.kinds import executor_kinds
from automations.adapters.executors.local_shell import LocalShell
from automations.adapters.executors.mcp import Mcp
from automations.adapters.executors.mcp_servers import McpServers
from automations.adapters.executors.python import Python
from automations.core.expression.secret import Reveal


@dataclass(frozen=True, slots=True)
class Host:
    """What actions find here: the directory below which they run, the variables that they may inherit, an interpreter.

    `mcp_servers` is the file that names MCP servers. `secret` gives one secret by name, `known_secrets` all values to redact
    from captured output (`EnvironmentSecrets.value` and `.known`).
    """

    workdir: Path
    environment: Mapping[str, str]
    interpreter: str
    mcp_servers: Path
    secret: Reveal
    known_secrets: KnownSecrets


def local_executors(host: Host) -> dict[str, AtTheEdge]:
    """Make every executor that this program has, by the kind of binding that it carries out."""
    place, known = (host.workdir, host.environment), host.known_secrets
    made: list[Executor] = [
        LocalShell(*place, known_secrets=known),
        Http(SystemClock().now, known_secrets=known),
        Python(*place, interpreter=host.interpreter, known_secrets=known),
        Mcp(*place, servers=McpServers(host.mcp_servers, host.secret), known_secrets=known),
    ]
    kinds = executor_kinds()
    return {each.kind: AtTheEdge(each, secret=host.secret, known_secrets=known) for each in made if each.kind in kinds}
