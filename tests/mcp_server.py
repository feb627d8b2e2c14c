"""An MCP server, written with the library, for the tests of the mcp executor: `python mcp_server.py [PORT]`."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel

server = MCPServer("todos")


class Made(BaseModel):
    """What `create` answers."""

    title: str
    fence: str
    secret: str


@server.tool()
def create(title: str) -> Made:
    """Create a todo."""
    fence, secret = os.environ.get("AUTOMATIONS_FENCE", ""), os.environ.get("TOKEN", "")
    return Made(title=title, fence=fence, secret=secret)


@server.tool(structured_output=False)
def say(text: str) -> str:
    """Say it back."""
    return text


@server.tool()
def who(context: Context) -> str:
    """Say who asks, by the header of the request."""
    request = context.request_context.request
    assert request is not None
    return str(request.headers["authorization"])


@server.tool()
def fail(reason: str) -> str:
    """Fail."""
    raise ToolError(reason)


@server.tool()
async def wait(folder: str) -> str:
    """Take too long."""
    _mark(folder)
    await asyncio.Event().wait()
    return "late"


def _mark(folder: str) -> None:
    Path(folder, str(os.getpid())).touch()


def main(words: list[str]) -> Any:
    """Serve over HTTP at a port, else over stdin and stdout."""
    return server.run("streamable-http", port=int(words[0])) if words else server.run()


if __name__ == "__main__":
    main(sys.argv[1:])
