"""The mcp executor with a real server, written with the library, as a process of its own."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

import samples
from automations.adapters.executors.mcp import Mcp
from automations.adapters.executors.mcp_servers import McpServers
from automations.adapters.executors.process import Limits
from automations.adapters.secrets import EnvironmentSecrets
from automations.core.run.execution import Cancelled, Failed, Outcome, Succeeded
from automations.errors import SecretUnavailable

pytest.importorskip("mcp")
SERVER = Path(__file__).parent.parent / "mcp_server.py"
PATIENCE = 60.0
CANARY = "canary-0123456789"


@pytest.fixture
def servers(tmp_path: Path) -> Path:
    todos = {"command": sys.executable, "args": [str(SERVER)], "env": {"TOKEN": "${{ secrets.TODOS }}"}}
    broken = {
        "needy": {"command": "true", "env": {"A": "${{ secrets.MISSING }}"}},
        "gone": {"command": "no-such-program-here"},
        "dies": {"command": "false"},
        "empty": {},
    }
    file = tmp_path / "mcp.json"
    file.write_text(json.dumps({"mcpServers": {"todos": todos, **broken}}))
    return file


def call(servers: Path, tool: str, server: str = "todos", **arguments: Any) -> Outcome:
    asked = samples.invocation("mcp", {"server": server, "tool": tool}, **arguments)
    return executor(servers).execute(asked, Event())


def executor(servers: Path) -> Mcp:
    limits = Limits(grace=1.0)
    secrets = EnvironmentSecrets({"HASNA_AUTOMATIONS_SECRET_TODOS": CANARY}, None)
    return Mcp(
        servers.parent,
        {"PATH": os.environ["PATH"]},
        servers=McpServers(servers, secrets.value),
        known_secrets=secrets.known,
        limits=limits,
    )


def failure(result: Outcome) -> Failed:
    assert isinstance(result, Failed), result
    return result


def until(condition: Callable[[], Any]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_a_tool_is_called_with_the_input_and_its_structured_output_comes_back(servers: Path) -> None:
    result = call(servers, "create", title="ü $(touch x)\n")
    assert isinstance(result, Succeeded), result
    assert result.output == {"title": "ü $(touch x)\n", "fence": "5", "secret": "[redacted]"}
    assert CANARY not in repr(result)


def test_a_tool_without_structured_output_gives_its_content(servers: Path) -> None:
    result = call(servers, "say", text="hello")
    assert isinstance(result, Succeeded), result
    assert result.output == {"content": [{"type": "text", "text": "hello"}]}


def test_a_tool_that_fails_may_be_tried_again_and_one_that_is_not_there_may_not(servers: Path) -> None:
    failed, missing = failure(call(servers, "fail", reason=f"no {CANARY}")), failure(call(servers, "nope"))
    assert (failed.code, failed.retryable) == ("TOOL_FAILED", True)
    assert "[redacted]" in failed.message
    assert CANARY not in repr(failed)
    assert (missing.code, missing.retryable) == ("TOOL_NOT_FOUND", False)
    assert "create, fail, say, wait, who" in missing.message


@pytest.mark.parametrize(
    ("server", "code", "retryable"),
    [("gone", "CANNOT_START", False), ("dies", "MCP_ERROR", True), ("empty", "BINDING_INVALID", False)],
)
def test_a_server_that_does_not_serve_says_so(servers: Path, server: str, code: str, retryable: bool) -> None:
    result = failure(call(servers, "x", server))
    assert (result.code, result.retryable) == (code, retryable)


def test_a_server_that_nobody_named_is_missed_by_the_name_of_the_file(servers: Path) -> None:
    result = failure(call(servers, "x", "unknown"))
    assert result.code == "BINDING_INVALID"
    assert str(servers) in result.message
    assert "dies, empty, gone, needy, todos" in result.message


def test_a_server_whose_secret_is_missing_is_not_started(servers: Path) -> None:
    with pytest.raises(SecretUnavailable, match="MISSING"):
        call(servers, "x", "needy")


def test_a_server_at_a_url_is_spoken_to_with_its_headers(servers: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, SERVER, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        assert until(lambda: _listens(port))
        url = f"http://127.0.0.1:{port}/mcp"
        web = {"url": url, "headers": {"Authorization": "Bearer ${{ secrets.TODOS }}"}}
        servers.write_text(json.dumps({"mcpServers": {"web": web}}))
        result = call(servers, "who", "web")
        assert isinstance(result, Succeeded), result
        assert result.output == {"result": "Bearer [redacted]"}
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("text", ["[]", "{", '{"mcpServers": 7}', '{"mcpServers": {"todos": 7}}'])
def test_a_file_that_is_not_what_it_should_be_is_told(servers: Path, text: str) -> None:
    servers.write_text(text)
    assert failure(call(servers, "x")).code == "BINDING_INVALID"


@pytest.mark.parametrize("way", ["timeout", "cancelled"])
def test_a_tool_that_takes_too_long_leaves_no_server_behind(servers: Path, tmp_path: Path, way: str) -> None:
    folder = tmp_path / "pids"
    folder.mkdir()
    cancelled = Event()
    asked = samples.invocation("mcp", {"server": "todos", "tool": "wait"}, folder=str(folder))
    asked = replace(asked, timeout=20_000_000 if way == "timeout" else None)
    results: list[Outcome] = []
    work = Thread(target=lambda: results.append(executor(servers).execute(asked, cancelled)), daemon=True)
    work.start()
    assert until(lambda: list(folder.iterdir()))
    (pid,) = (int(each.name) for each in folder.iterdir())
    if way == "cancelled":
        cancelled.set()
    work.join(PATIENCE)
    (result,) = results
    assert isinstance(result, Cancelled) if way == "cancelled" else failure(result).code == "TIMEOUT"
    assert until(lambda: _over(pid))


def _over(pid: int) -> bool:
    """Killed processes take a moment to go; one that nobody waited for stays as a zombie."""
    try:
        return "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    except (FileNotFoundError, ProcessLookupError):
        return True
