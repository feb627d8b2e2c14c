"""CloudEvents in HTTP's binary mode: attributes in `ce-` headers, the body is the data (CloudEvents HTTP binding 1.0.2, §3.1).

The event is put together in its structured JSON form, so that one reader judges every form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from automations.core.canonical import as_written
from automations.core.strict_json import parse
from automations.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREFIX = "ce-"


def is_binary(headers: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether a request is an event in binary mode: it says which version of the specification it follows."""
    return "ce-specversion" in headers


def structured(headers: Mapping[str, tuple[str, ...]], body: bytes) -> bytes:
    """The event in structured JSON. Raises InvalidInput for data that is not JSON, and for an attribute given twice."""
    event: dict[str, Any] = {}
    for name, values in headers.items():
        if not name.startswith(_PREFIX):
            continue
        if len(values) > 1:
            raise InvalidInput(f"the header {name} came more than once", hint="send every attribute once")
        # Header values are percent-encoded where they hold more than ASCII (§3.1.3.2).
        event[name.removeprefix(_PREFIX)] = unquote(values[0])
    kind = headers.get("content-type", ("application/json",))[0].partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise InvalidInput(f"an event's data must be JSON, not {kind[:60]}", hint="send application/json")
    event["datacontenttype"] = "application/json"
    if body:
        event["data"] = parse(body)
    return as_written(event).encode()
