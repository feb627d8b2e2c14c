"""A forge's REST API as far as comments go: GitHub's issue comments and GitLab's merge request notes, on loopback."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self
from urllib.parse import parse_qs, urlsplit

_ONE = re.compile(r"/(?:comments|notes)/(\d+)\Z")


class Forge:
    """Comments by id; every request's method, path and credential are kept."""

    def __init__(self) -> None:
        self.comments: dict[int, str] = {}
        self.requests: list[tuple[str, str, str]] = []
        handler = type("Handler", (_Handler,), {"forge": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    forge: ClassVar[Forge]

    def do_GET(self) -> None:  # the server's naming
        query = parse_qs(urlsplit(self.path).query)
        size, page = int(query["per_page"][0]), int(query["page"][0])
        known = [{"id": number, "body": text} for number, text in self.forge.comments.items()]
        self._answer(known[(page - 1) * size : page * size])

    def do_POST(self) -> None:  # the server's naming
        number = len(self.forge.comments) + 1
        self.forge.comments[number] = self._body()
        self._answer({"id": number}, status=201)

    def do_PATCH(self) -> None:  # the server's naming
        found = _ONE.search(urlsplit(self.path).path)
        assert found
        assert int(found[1]) in self.forge.comments
        self.forge.comments[int(found[1])] = self._body()
        self._answer({"id": int(found[1])})

    do_PUT = do_PATCH  # noqa: N815  # the server's naming

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""

    def _body(self) -> str:
        body: dict[str, str] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return body["body"]

    def _answer(self, value: Any, *, status: int = 200) -> None:
        credential = self.headers.get("Authorization") or self.headers.get("PRIVATE-TOKEN") or ""
        self.forge.requests.append((self.command, urlsplit(self.path).path, credential))
        raw = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)
