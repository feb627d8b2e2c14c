"""Where the servers of `mcp` bindings are: a file of `{"mcpServers": {name: server}}`, the format that MCP clients share.

A server is `{command, args, cwd, env, inheritEnv}` or `{url, headers}`. Values of `env` and `headers` may hold secrets:
`${{ secrets.NAME }}`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from automations.core import strict_json
from automations.core.expression.cel import ExpressionInvalid
from automations.core.expression.secret import ROOT, Reveal, filled
from automations.core.expression.template import compile_template
from automations.errors import InvalidInput

_HINT = "Name the server there; AUTOMATIONS_MCP_SERVERS names another file."
_WITH_SECRETS = ("env", "headers")


@dataclass(frozen=True, slots=True)
class McpServers:
    """The servers that a file names; it is read at every call, so a change counts at once."""

    file: Path
    secret: Reveal

    def find(self, name: str) -> Mapping[str, Any]:
        """Look a server up, with its secrets in place. Raises InvalidInput, naming the file, and SecretUnavailable."""
        known = self._known()
        server = known.get(name)
        if server is None:
            names = ", ".join(sorted(known)) or "none"
            raise InvalidInput(f"No MCP server {name} in {self.file} (there: {names}).", hint=_HINT)
        if not isinstance(server, Mapping) or not isinstance(server.get("command", server.get("url")), str):
            raise InvalidInput(f"The MCP server {name} in {self.file} has no command and no url.", hint=_HINT)
        return {**server, **{key: self._revealed(server[key], name) for key in _WITH_SECRETS if key in server}}

    def _revealed(self, values: Any, name: str) -> Any:
        try:
            template = compile_template(values, roots={ROOT})
            return filled(template.render({}), template.secrets(), self.secret)
        except ExpressionInvalid as problem:
            raise InvalidInput(
                f"The MCP server {name} in {self.file}: {problem.message}.", hint=problem.hint
            ) from problem

    def _known(self) -> Mapping[str, Any]:
        try:
            held = strict_json.parse(self.file.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, InvalidInput) as error:
            raise InvalidInput(f"{self.file} cannot be read: {error}.", hint=_HINT) from error
        servers = held.get("mcpServers") if isinstance(held, Mapping) else None
        if not isinstance(servers, Mapping):
            raise InvalidInput(f"{self.file} has no object mcpServers.", hint=_HINT)
        return servers
