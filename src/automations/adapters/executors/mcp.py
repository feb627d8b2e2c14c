"""The `mcp` binding: one call of one tool of an MCP server, when the extra `mcp` is installed.

A manifest names the server; where it is belongs to the machine, see `mcp_servers`. The call is made by a child process, with
everything that holds for one: process group, time, bounds, redaction. Its input are the tool's arguments.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from threading import Event
from typing import Any

import automations
from automations.adapters.executors import answered, binding, child, process
from automations.adapters.executors.child import Surroundings
from automations.adapters.executors.mcp_servers import McpServers
from automations.adapters.executors.process import Command, Limits
from automations.adapters.executors.python import CHILD
from automations.adapters.redaction import redactor
from automations.core import canonical
from automations.core.run.execution import Cancelled, Invocation, Outcome
from automations.errors import InvalidInput

_PACKAGES = Path(automations.__file__).resolve().parent.parent
_CALL = "automations.adapters.executors.tool_call:call"


class Mcp:
    """Executes `mcp` bindings with the servers that `servers` knows, see `LocalShell` for the rest."""

    kind = "mcp"

    def __init__(
        self,
        root: Path,
        environment: Mapping[str, str],
        *,
        servers: McpServers,
        known_secrets: binding.KnownSecrets = binding.no_secrets,
        limits: Limits | None = None,
    ) -> None:
        self._root = root
        self._environment = environment
        self._servers = servers
        self._known_secrets = known_secrets
        self._limits = limits or Limits()

    def execute(self, invocation: Invocation, cancelled: Event) -> Outcome:
        """Call the tool to an outcome; `Cancelled` soon after `cancelled` is set, with nothing of the server left.

        Never raises for what the server did. Raises SecretUnavailable when it needs a secret that is not there.
        """
        if cancelled.is_set():
            return Cancelled("cancelled before it started")
        hide = redactor(tuple(self._known_secrets()))
        config = invocation.binding.config
        try:
            name, tool = binding.text(config, "server"), binding.text(config, "tool")
            command = self._command(invocation, self._servers.find(name), tool=tool)
        except InvalidInput as error:
            return binding.invalid(error)
        try:
            ended = process.run(command, cancelled, limits=self._limits, redactor=hide)
        except (OSError, ValueError) as error:
            return child.not_started(sys.executable, error)
        return answered.outcome(ended, f"{name}/{tool}", timeout=command.timeout, hide=hide)

    def _command(self, invocation: Invocation, server: Mapping[str, Any], *, tool: str) -> Command:
        around = Surroundings.read(server)
        env = around.variables(invocation, self._environment)
        start = {"command": server.get("command"), "args": binding.texts(server, "args"), "env": env}
        request = {
            "ref": _CALL,
            "root": str(self._root.resolve()),
            "paths": [str(_PACKAGES)],
            "input": {"server": server if "url" in server else start, "tool": tool, "arguments": invocation.input},
        }
        return Command(
            argv=(sys.executable, "-I", "-B", "-X", "utf8", str(CHILD)),
            cwd=str(child.directory_below(self._root, around.cwd)),
            env=env,
            stdin=canonical.encode(request).encode(),
            timeout=binding.timeout_seconds(invocation, default=None),
            answers=True,
            marks=child.marks(invocation),
        )
