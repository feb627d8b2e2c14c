"""Captured output is bounded: the head and the tail are kept, the middle is counted and left out.

Also here: how captured JSON becomes plain data that the store can hold, the same for every executor.
"""

from typing import Any

from automations.adapters.redaction import RedactedStream, Redactor
from automations.core import strict_json

KIB = 1024
OUTPUT_LIMIT = 1024 * KIB
"""Bytes kept of an action's output."""
EXCERPT_LIMIT = 4 * KIB
"""Characters of captured output that go with an outcome for a person to read."""


class Capture:
    """Takes an output stream of any length and keeps at most `limit` bytes of it, redacted: half head, half tail."""

    __slots__ = ("_head", "_head_limit", "_stream", "_tail", "_tail_limit", "size")

    def __init__(self, limit: int, redactor: Redactor) -> None:
        self._head_limit = limit - limit // 2
        self._tail_limit = limit // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._stream = RedactedStream(redactor)
        self.size = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next chunk."""
        self._keep(self._stream.feed(chunk))

    def finish(self) -> None:
        """Take note that the stream ended."""
        self._keep(self._stream.finish())

    @property
    def cut(self) -> bool:
        """Whether something was left out."""
        return self.size > self._head_limit + self._tail_limit

    def data(self) -> bytes:
        """Give what was kept; all of it when nothing was cut."""
        return bytes(self._head + self._tail[-self._tail_limit :])

    def text(self) -> str:
        """Give what was kept as text, with a line in the middle that says how much is left out."""
        if not self.cut:
            return self.data().decode("utf-8", "replace")
        left_out = self.size - self._head_limit - self._tail_limit
        head, tail = bytes(self._head), bytes(self._tail[-self._tail_limit :])
        middle = f"\n[{left_out} bytes left out]\n"
        return head.decode("utf-8", "replace") + middle + tail.decode("utf-8", "replace")

    def excerpt(self) -> str:
        """Give the end of what was kept, for a person to read."""
        text = self.text().rstrip()
        return text if len(text) <= EXCERPT_LIMIT else "…" + text[1 - EXCERPT_LIMIT :]

    def _keep(self, data: bytes) -> None:
        self.size += len(data)
        room = self._head_limit - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if data:
            self._tail += data[-self._tail_limit :]
            # Trimmed only now and then: moving the rest down costs its length.
            if len(self._tail) > 2 * self._tail_limit:
                del self._tail[: -self._tail_limit]


def plain_data(text: bytes, redactor: Redactor) -> Any:
    """Read captured JSON as redacted plain data that the store can write back.

    Raises InvalidInput for anything that `core.strict_json` refuses.
    """
    return redactor.plain(strict_json.parse(text))
