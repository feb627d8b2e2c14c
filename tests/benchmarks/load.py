"""The sender: signed requests over keep-alive connections, the next one on each when its answer is whole.

`load.py PORT SECRET CONNECTIONS ROUTES FIRST COUNT [FIRST COUNT …]`: one stretch after the other, every request of all of
them made before the first is sent. Prints for each stretch its seconds, latencies and how many answers had which status.
"""

import asyncio
import hmac
import json
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from time import perf_counter
from typing import Any, cast

import uvloop

from benchmarks.report import percentile
from benchmarks.specs import SIGNATURE_HEADER, SIGNATURE_PREFIX

BODY_BYTES = 500


def request(number: int, route: int, secret: bytes) -> bytes:
    """One signed request of 500 bytes of body."""
    document = {"id": f"delivery-{number}", "order": {"number": number, "note": ""}}
    document["order"]["note"] = "x" * (BODY_BYTES - len(json.dumps(document)))  # type: ignore[index]  # as just made
    body = json.dumps(document).encode()
    signature = SIGNATURE_PREFIX + hmac.digest(secret, body, "sha256").hex()
    head = f"POST /webhooks/hook-{route} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}{SIGNATURE_HEADER}: {signature}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class Sender(asyncio.Protocol):
    """One connection; takes its requests from what all connections share."""

    transport: asyncio.Transport

    def __init__(self, ended: asyncio.Future[None]) -> None:
        self.ended = ended
        self._answer = b""
        self._left: Iterator[bytes] = iter(())
        self._latencies: list[float] = []
        self._statuses: Counter[str] = Counter()
        self._since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own, which is none by inheritance

    def begin(self, left: Iterator[bytes], latencies: list[float], statuses: Counter[str]) -> None:
        """Send what is left, until nothing is."""
        self._left, self._latencies, self._statuses = left, latencies, statuses
        self.ended = asyncio.get_running_loop().create_future()
        self._next()

    def _next(self) -> None:
        following = next(self._left, None)
        if following is None:
            self.ended.set_result(None)
            return
        self._since = perf_counter()
        self.transport.write(following)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, found, body = self._answer.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        self._latencies.append(perf_counter() - self._since)
        self._statuses[head[9:12].decode()] += 1
        self._answer = b""
        self._next()

    def connection_lost(self, problem: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(problem or ConnectionResetError("the server hung up"))


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])


async def main(port: int, connections: int, stretches: list[list[bytes]]) -> list[dict[str, Any]]:
    """Send every stretch; what each took."""
    loop = asyncio.get_running_loop()
    senders: list[Sender] = []
    for _ in range(connections):
        _, sender = await loop.create_connection(partial(Sender, loop.create_future()), "127.0.0.1", port)
        senders.append(sender)
    told = []
    for requests in stretches:
        left, latencies, statuses = iter(requests), list[float](), Counter[str]()
        started = perf_counter()
        for sender in senders:
            sender.begin(left, latencies, statuses)
        await asyncio.gather(*(sender.ended for sender in senders))
        seconds = perf_counter() - started
        p50, p99 = percentile(latencies, 0.5), percentile(latencies, 0.99)
        told.append({"seconds": seconds, "sent": len(requests), "p50": p50, "p99": p99, "statuses": statuses})
    for sender in senders:
        sender.transport.close()
    return told


if __name__ == "__main__":
    port, connections, routes = int(sys.argv[1]), int(sys.argv[3]), int(sys.argv[4])
    numbers = [int(word) for word in sys.argv[5:]]
    made = [
        [request(number, number % routes, sys.argv[2].encode()) for number in range(first, first + count)]
        for first, count in zip(numbers[::2], numbers[1::2], strict=True)
    ]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(main(port, connections, made))))
