"""Calls one tool of an MCP server, in a child process: what `function_child` runs for an `mcp` binding.

Imported only there: the library takes most of a second to import. A server named with a command is started for this one call
and speaks over its stdin and stdout; one named with a URL is spoken to over streamable HTTP.
"""

from collections.abc import Mapping
from typing import Any

import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import INVALID_PARAMS, METHOD_NOT_FOUND, CallToolResult, TextContent

from automations.errors import ActionFailed


async def call(request: Mapping[str, Any]) -> Any:
    """Call `{server: {command, args, env} or {url, headers}, tool, arguments}`.

    Gives the tool's structured output, else `{content: [blocks]}`. Raises ActionFailed.
    """
    server = request["server"]
    try:
        if "url" not in server:
            start = StdioServerParameters(command=server["command"], args=server["args"], env=server["env"])
            return await _called(stdio_client(start), request)
        patience = httpx2.Timeout(30.0, read=300.0)  # seconds, as the library has them: a tool may take its time
        async with httpx2.AsyncClient(headers=server.get("headers"), timeout=patience, trust_env=False) as http:
            return await _called(streamable_http_client(server["url"], http_client=http), request)
    except ActionFailed:
        raise
    except BaseExceptionGroup as several:
        raise _failed(_first(several)) from several
    except (MCPError, OSError, ValueError, RuntimeError) as error:
        raise _failed(error) from error


async def _called(transport: Any, request: Mapping[str, Any]) -> Any:
    tool = request["tool"]
    async with Client(transport) as client:
        result = await client.call_tool(tool, dict(request["arguments"]))
        known = sorted(each.name for each in (await client.list_tools()).tools) if result.is_error else [tool]
    if tool not in known:
        raise ActionFailed(f"no such tool; there are: {', '.join(known)}", code="TOOL_NOT_FOUND", retryable=False)
    if result.is_error:
        raise ActionFailed(_text(result) or "the tool failed", code="TOOL_FAILED")
    if result.structured_content is not None:
        return result.structured_content
    return {"content": [each.model_dump(mode="json", by_alias=True, exclude_none=True) for each in result.content]}


def _text(result: CallToolResult) -> str:
    return "\n".join(each.text for each in result.content if isinstance(each, TextContent))


def _first(several: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = several.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


def _failed(error: BaseException) -> ActionFailed:
    if isinstance(error, ActionFailed):
        return error
    if isinstance(error, MCPError):
        lasting = error.error.code in {INVALID_PARAMS, METHOD_NOT_FOUND}
        return ActionFailed(error.error.message, code="MCP_ERROR", retryable=not lasting)
    if isinstance(error, FileNotFoundError | PermissionError | NotADirectoryError):
        told = f"the server cannot start: {error.strerror}: {error.filename}"
        return ActionFailed(told, code="CANNOT_START", retryable=False)
    return ActionFailed(f"{type(error).__name__}: {error}", code="MCP_ERROR")
