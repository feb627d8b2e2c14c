"""Calls one tool of an MCP server, in a child process: what `function_child` runs for an `mcp` binding.

Imported only there: the library takes most of a second to import. A server named with a command is started for this one call
and speaks over its stdin and stdout; one named with a URL is spoken to over streamable HTTP.
"""

from collections.abc import Mapping
from typing import Any

from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp_types import INVALID_PARAMS, METHOD_NOT_FOUND, CallToolResult, TextContent

from automations.errors import ActionFailed


async def call(request: Mapping[str, Any]) -> Any:
    """Call `{server: {command, args, env} or {url}, tool, arguments}`; its structured output, else `{content: [blocks]}`.

    Raises ActionFailed.
    """
    try:
        async with Client(_transport(request["server"])) as client:
            return await _called(client, request["tool"], arguments=request["arguments"])
    except ActionFailed:
        raise
    except BaseExceptionGroup as several:
        raise _failed(_first(several)) from several
    except (MCPError, OSError, ValueError, RuntimeError) as error:
        raise _failed(error) from error


def _transport(server: Mapping[str, Any]) -> Any:
    if "url" in server:
        return server["url"]
    return stdio_client(StdioServerParameters(command=server["command"], args=server["args"], env=server["env"]))


async def _called(client: Client, tool: str, *, arguments: Mapping[str, Any]) -> Any:
    result = await client.call_tool(tool, dict(arguments))
    if result.is_error:
        known = sorted(each.name for each in (await client.list_tools()).tools)
        if tool not in known:
            raise ActionFailed(f"no such tool; there are: {', '.join(known)}", code="TOOL_NOT_FOUND", retryable=False)
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
