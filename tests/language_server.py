"""The real yaml-language-server, driven over stdio as an editor drives it: open a text, wait for its findings, ask.

Messages are those of the Language Server Protocol 3.17 (https://microsoft.github.io/language-server-protocol/).
"""

import json
import queue
import subprocess
import threading
from pathlib import Path
from typing import Any, NamedTuple, Self

PATIENCE = 60.0
"""Seconds until an answer that does not come is a failure."""


class Finding(NamedTuple):
    """What the server says about a place; lines count from 1."""

    line: int
    message: str


class LanguageServer:
    """One server process on one workspace folder, with an editor's settings."""

    def __init__(self, command: list[str], folder: Path, settings: dict[str, Any]) -> None:
        self._folder = folder
        self._settings = settings
        self._process = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._answers: dict[int, queue.Queue[Any]] = {}
        self._found: dict[str, queue.Queue[list[Finding]]] = {}
        self._number = 0
        self._writing = threading.Lock()
        threading.Thread(target=self._listen, daemon=True).start()
        capabilities = {
            "workspace": {"configuration": True, "workspaceFolders": True},
            "textDocument": {
                "completion": {"completionItem": {"snippetSupport": True, "documentationFormat": ["markdown"]}},
                "hover": {"contentFormat": ["markdown"]},
                "publishDiagnostics": {},
            },
        }
        root = folder.as_uri()
        folders = [{"uri": root, "name": folder.name}]
        self.ask(
            "initialize",
            {"processId": None, "rootUri": root, "workspaceFolders": folders, "capabilities": capabilities},
        )
        self.tell("initialized", {})
        self.tell("workspace/didChangeConfiguration", {"settings": self._nested()})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.ask("shutdown", None)
            self.tell("exit", None)
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                assert stream is not None
                stream.close()

    def open(self, name: str, text: str) -> None:
        """Show a text as the file `name` of the workspace; it need not exist."""
        uri = self._uri(name)
        self._found[uri] = queue.Queue()
        self.tell(
            "textDocument/didOpen",
            {"textDocument": {"uri": uri, "languageId": "yaml", "version": 1, "text": text}},
        )

    def findings(self, name: str) -> list[Finding]:
        """What the server finds in an open file, when it has looked."""
        return sorted(self._found[self._uri(name)].get(timeout=PATIENCE))

    def completions(self, name: str, line: int, column: int) -> dict[str, dict[str, Any]]:
        """What is offered at a place (counted from 1), by label."""
        answer = self.ask("textDocument/completion", self._place(name, line, column))
        items = answer["items"] if isinstance(answer, dict) else answer
        return {item["label"]: item for item in items}

    def hover(self, name: str, line: int, column: int) -> str:
        """What is shown at a place (counted from 1)."""
        answer = self.ask("textDocument/hover", self._place(name, line, column))
        return str(answer["contents"]["value"]) if answer else ""

    def ask(self, method: str, params: Any) -> Any:
        """Send a request and wait for its result."""
        self._number += 1
        number = self._number
        self._answers[number] = queue.Queue()
        self._send({"id": number, "method": method, "params": params})
        answer = self._answers[number].get(timeout=PATIENCE)
        assert "error" not in answer, answer
        return answer.get("result")

    def tell(self, method: str, params: Any) -> None:
        """Send a notification."""
        self._send({"method": method, "params": params})

    def _uri(self, name: str) -> str:
        return (self._folder / name).as_uri()

    def _place(self, name: str, line: int, column: int) -> dict[str, Any]:
        return {"textDocument": {"uri": self._uri(name)}, "position": {"line": line - 1, "character": column - 1}}

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        with self._writing:
            self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            self._process.stdin.flush()

    def _listen(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while header := stream.readline():
            length = int(header.split(b":")[1])
            while stream.readline().strip():
                pass
            self._take(json.loads(stream.read(length)))

    def _take(self, message: dict[str, Any]) -> None:
        if "method" not in message:
            self._answers[message["id"]].put(message)
        elif message["method"] == "textDocument/publishDiagnostics":
            found = [
                Finding(each["range"]["start"]["line"] + 1, each["message"])
                for each in message["params"]["diagnostics"]
            ]
            if message["params"]["uri"] in self._found:
                self._found[message["params"]["uri"]].put(found)
        elif "id" in message:
            self._send({"id": message["id"], "result": self._result(message)})

    def _result(self, message: dict[str, Any]) -> Any:
        """Answer what a server may ask of an editor."""
        if message["method"] == "workspace/configuration":
            nested = self._nested()
            return [nested.get(item.get("section", ""), {}) for item in message["params"]["items"]]
        if message["method"] == "workspace/workspaceFolders":
            return [{"uri": self._folder.as_uri(), "name": self._folder.name}]
        return None

    def _nested(self) -> dict[str, Any]:
        """Settings as editors hand them out: by their first word."""
        nested: dict[str, Any] = {}
        for key, value in self._settings.items():
            *above, last = [key] if key.startswith("[") else key.split(".")
            place = nested
            for part in above:
                place = place.setdefault(part, {})
            place[last] = value
        return nested
