"""The floor of a webhook: HMAC, parse, and a durable row, and not one step more. `floor_server.py FILE SECRET`.

Raw httptools on uvloop; a writer thread commits whatever has gathered since its last commit (synchronous=FULL), and an
answer goes out after that. Prints its port as JSON; SIGTERM ends it.
"""

import asyncio
import hmac
import json
import signal
import sys
from queue import SimpleQueue
from threading import Thread
from typing import cast

import apsw
import httptools
import orjson
import uvloop

from benchmarks.specs import SIGNATURE_HEADER, SIGNATURE_PREFIX

ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n" + b'{"ok":true}'
REFUSED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
HEADER = SIGNATURE_HEADER.lower().encode()
MOST = 128


class Writer:
    """One thread that commits groups of rows."""

    def __init__(self, path: str, loop: asyncio.AbstractEventLoop) -> None:
        self.queue: SimpleQueue[tuple[Connection, str, bytes]] = SimpleQueue()
        self._path = path
        self._loop = loop
        Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        connection = apsw.Connection(self._path)
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", "FULL")
        connection.execute("CREATE TABLE IF NOT EXISTS events (id TEXT PRIMARY KEY, body BLOB NOT NULL)")
        while True:
            group = [self.queue.get()]
            while len(group) < MOST and not self.queue.empty():
                group.append(self.queue.get())
            connection.execute("BEGIN IMMEDIATE")
            rows = ((identity, body) for _, identity, body in group)
            connection.executemany("INSERT INTO events VALUES (?, ?) ON CONFLICT DO NOTHING", rows)
            connection.execute("COMMIT")
            self._loop.call_soon_threadsafe(self._answer, group)

    def _answer(self, group: "list[tuple[Connection, str, bytes]]") -> None:
        for waiting, _, _ in group:
            waiting.transport.write(ACCEPTED)


class Connection(asyncio.Protocol):
    """One keep-alive connection."""

    transport: asyncio.Transport

    def __init__(self, writer: Writer, secret: bytes) -> None:
        self._writer = writer
        self._secret = secret
        self._parser = httptools.HttpRequestParser(self)
        self._signature = b""
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own, which is none by inheritance

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._signature = self._body = b""

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == HEADER:
            self._signature = value

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        expected = SIGNATURE_PREFIX.encode() + hmac.digest(self._secret, self._body, "sha256").hex().encode()
        if not hmac.compare_digest(expected, self._signature):
            self.transport.write(REFUSED)
            return
        self._writer.queue.put((self, orjson.loads(self._body)["id"], self._body))


async def main(path: str, secret: bytes) -> None:
    """Serve until SIGTERM."""
    loop = asyncio.get_running_loop()
    writer = Writer(path, loop)
    server = await loop.create_server(lambda: Connection(writer, secret), "127.0.0.1", 0)
    stopping = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await stopping.wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1], sys.argv[2].encode()))
