"""From an `http` binding and an input to the request that is sent: pure, apart from reading the binding.

The input is the JSON body of POST, PUT and PATCH. For GET and DELETE, which have no body to speak of (RFC 9110 §9.3),
its fields are query parameters: scalars as text, null left out, anything else as JSON. A parameter that the manifest's
URL already fixes stays as it is, so event data cannot replace it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import httpx

from automations.adapters.executors import binding
from automations.core import canonical
from automations.core.run.execution import Invocation
from automations.errors import InvalidInput

_METHODS = ("POST", "PUT", "PATCH", "GET", "DELETE")
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_PORTS = {"http": 80, "https": 443}
_RESERVED = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect"}
)
"""Headers that belong to the connection, not to the manifest."""
_VISIBLE = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")
_HINT = "Correct the action's manifest."


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request. `host` is ASCII without brackets or final dot; `authority` is what the Host header says."""

    method: str
    url: httpx.URL
    host: str
    port: int
    authority: str
    headers: Mapping[str, str]
    body: bytes | None
    allowed: tuple[str, ...]


def build(invocation: Invocation) -> Outgoing:
    """Make the request of an attempt. Raises InvalidInput, naming the field of the binding that does not fit."""
    config = invocation.binding.config
    method = binding.choice(config, "method", choices=_METHODS)
    url = _url(binding.text(config, "url"))
    host = url.raw_host.decode("ascii").rstrip(".")
    port = _port(url)
    body = None
    if method in _WITH_BODY:
        body = canonical.encode(dict(invocation.input)).encode()
    elif invocation.input:
        url = url.copy_with(query=_query(url.query.decode("ascii"), invocation.input))
    shown = f"[{host}]" if ":" in host else host
    return Outgoing(
        method=method,
        url=url,
        host=host,
        port=port,
        authority=shown if port == _PORTS[url.scheme] else f"{shown}:{port}",
        headers=_headers(config, invocation, has_body=body is not None),
        body=body,
        allowed=binding.texts(config, "allowHosts"),
    )


def header_safe(key: str) -> str:
    """Spell an idempotency key for a header: as it is, everything but visible ASCII (and `%`) percent-encoded."""
    return quote(key, safe=_VISIBLE)


def _url(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise InvalidInput(f"The binding's url is not a URL: {error}.", hint=_HINT) from error
    if url.scheme not in _PORTS:
        raise InvalidInput("The binding's url must begin with http:// or https://.", hint=_HINT)
    if url.userinfo or "@" in text.split("://", 1)[-1].split("/", 1)[0]:
        raise InvalidInput("The binding's url must not hold a user or password.", hint="Put them into a header.")
    if not url.raw_host.rstrip(b".") or b"%" in url.raw_host or "\\" in text:
        raise InvalidInput("The binding's url has no usable host.", hint=_HINT)
    if not 0 < _port(url) < 65536:
        raise InvalidInput("The binding's url has a port outside 1 to 65535.", hint=_HINT)
    return url


def _port(url: httpx.URL) -> int:
    return _PORTS[url.scheme] if url.port is None else url.port


def _query(fixed: str, data: Mapping[str, Any]) -> bytes:
    taken = {name for name, _ in parse_qsl(fixed, keep_blank_values=True)}
    added = urlencode(
        [
            (name, value if isinstance(value, str) else canonical.encode(value))
            for name, value in data.items()
            if name not in taken and value is not None
        ]
    )
    return "&".join(part for part in (fixed, added) if part).encode("ascii")


def _headers(config: Mapping[str, Any], invocation: Invocation, *, has_body: bool) -> dict[str, str]:
    headers = {"accept": "application/json, */*;q=0.5", "user-agent": "automations"}
    if has_body:
        headers["content-type"] = "application/json"
    for name, value in binding.named_texts(config, "headers").items():
        lowered = name.lower()
        if lowered in _RESERVED:
            raise InvalidInput(f"The binding's headers must not set {name}.", hint="Remove it: the connection sets it.")
        if not value.isascii() or not value.replace("\t", " ").isprintable():
            raise InvalidInput(f"The binding's header {name} must be printable ASCII.", hint=_HINT)
        headers[lowered] = value
    return headers | {
        # Compressed answers could unfold to any size.
        "accept-encoding": "identity",
        "idempotency-key": header_safe(invocation.idempotency_key),
        "x-automation-fence": str(invocation.fence),
    }
