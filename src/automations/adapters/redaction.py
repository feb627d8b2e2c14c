"""Secrets are taken out of captured output before it is cut, stored or shown.

A secret is looked for as it is, and as programs commonly spell it: base64 (both alphabets, also inside a longer encoded
text such as `user:secret`), hex, URL-encoded and JSON-escaped. Output passes through as a stream, and redaction comes
before bounding, so that neither a chunk's end nor a cut can leave half of a secret behind.
"""

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

MARK = "[redacted]"
_MARK = MARK.encode()

SHORTEST = 4
"""Bytes. A shorter value is found in any text by chance: hiding it would only spoil the output."""
SHORTEST_LINE = 8
"""Bytes of a line of a secret that is looked for by itself."""


class Redactor:
    """Knows every spelling of a set of secrets. Holds secrets: never write one out; its repr shows none."""

    __slots__ = ("_forms", "longest")

    def __init__(self, secrets: Iterable[bytes]) -> None:
        forms = {form for secret in secrets for part in _parts(secret) for form in spellings(part)}
        # The longest first, so that base64 with its padding goes before base64 without.
        self._forms = sorted(forms, key=lambda form: (-len(form), form))
        self.longest = len(self._forms[0]) if self._forms else 0

    def __repr__(self) -> str:
        return "Redactor()"

    def matches(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Give where spellings start and end in `data`, from the left, none overlapping."""
        # Looking each one up is a dozen times faster than one pattern of all, and nearly always finds none.
        present = [form for form in self._forms if form in data]
        if present:
            pattern = re.compile(b"|".join(map(re.escape, present)))
            yield from (found.span() for found in pattern.finditer(data))

    def data(self, data: bytes) -> bytes:
        """Give `data` with every spelling of every secret replaced."""
        parts = []
        at = 0
        for start, end in self.matches(data):
            parts += [data[at:start], _MARK]
            at = end
        return b"".join([*parts, data[at:]])

    def text(self, text: str) -> str:
        """Give `text` with every spelling of every secret replaced."""
        if not self._forms:
            return text
        return self.data(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def plain(self, value: Any) -> Any:
        """Give plain data with secrets replaced in its strings, keys too: JSON has more escapes than we can list."""
        if not self._forms:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self.plain(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.plain(item) for item in value]
        return value


class RedactedStream:
    """Redacts chunks as they come; holds back as much as could still become a secret with the next chunk."""

    __slots__ = ("_pending", "_redactor")

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._pending = b""

    def feed(self, chunk: bytes) -> bytes:
        """Take a chunk and give what is certain by now."""
        if not self._redactor.longest:
            return chunk
        data = self._pending + chunk
        # A spelling that starts before `settled` lies wholly inside `data`, whatever comes next.
        settled = max(0, len(data) - self._redactor.longest + 1)
        parts = []
        at = 0
        for start, end in self._redactor.matches(data):
            if start >= settled:
                break
            parts += [data[at:start], _MARK]
            at = end
        keep = max(at, settled)
        parts.append(data[at:keep])
        self._pending = data[keep:]
        return b"".join(parts)

    def finish(self) -> bytes:
        """Give the rest after the last chunk."""
        rest, self._pending = self._pending, b""
        return self._redactor.data(rest)


@lru_cache(maxsize=8)
def redactor(secrets: tuple[bytes, ...]) -> Redactor:
    """Give the redactor for these values; the same values cost nothing the next time."""
    return Redactor(secrets)


def spellings(secret: bytes) -> set[bytes]:
    """List the spellings under which output may show `secret`; empty when it is shorter than `SHORTEST` bytes."""
    if len(secret) < SHORTEST:
        return set()
    found = {secret, *_base64(secret), *_hex(secret), *_url(secret), *_json(secret)}
    return {form for form in found if len(form) >= SHORTEST}


def _parts(secret: bytes) -> Iterator[bytes]:
    """The secret, and where it has several lines, as a private key, each of them: programs print them one by one."""
    yield secret
    lines = [line.strip() for line in secret.splitlines()]
    if len(lines) > 1:
        yield from (line for line in lines if len(line) >= SHORTEST_LINE)


def _base64(secret: bytes) -> Iterator[bytes]:
    for encode in (b64encode, urlsafe_b64encode):
        whole = encode(secret)
        yield whole
        yield whole.rstrip(b"=")
        # Inside a longer text the secret starts at any of three places in a group of three bytes; the characters that
        # depend on its neighbours are left away on both sides (RFC 4648 §4: 6 bits for a character).
        for before in range(3):
            first = -(-before * 8 // 6)
            last = (before + len(secret)) * 8 // 6
            yield encode(b"\0" * before + secret)[first:last]


def _hex(secret: bytes) -> Iterator[bytes]:
    text = secret.hex()
    yield text.encode()
    yield text.upper().encode()
    yield secret.hex(":").encode()


def _url(secret: bytes) -> Iterator[bytes]:
    for text in (quote(secret, safe=""), quote(secret), quote_plus(secret)):
        yield text.encode()
        yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), text).encode()


def _json(secret: bytes) -> Iterator[bytes]:
    try:
        text = secret.decode("utf-8")
    except UnicodeDecodeError:
        return
    for ascii_only in (True, False):
        escaped = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        yield escaped.encode()
        yield escaped.replace("/", "\\/").encode()
