"""Answers: every status and body that the server sends, in one uniform shape that never echoes what was sent.

A refusal is `{"ok": false, "error": <code>, "routeId"?}`. The codes of the original are kept to the letter.
"""

import random
from collections.abc import Mapping
from typing import Any

import orjson

from automations.core.spec.model import Route
from automations.core.trigger.envelope import Envelope
from automations.services.trigger.ingest import Ingested
from automations.web.message import Response

STATUSES: Mapping[str, int] = {
    "malformed_request": 400,
    "invalid_content_length": 400,
    "malformed_json": 400,
    "unauthorized": 401,
    "webhook_signature_missing": 401,
    "webhook_signature_invalid": 401,
    "forbidden": 403,
    "webhook_route_inactive": 403,
    "not_found": 404,
    "webhook_route_not_found": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "webhook_route_gone": 410,
    "payload_too_large": 413,
    "webhook_payload_too_large": 413,
    "unsupported_content_encoding": 415,
    "expectation_failed": 417,
    "webhook_materialization_failed": 422,
    "headers_too_large": 431,
    "internal_error": 500,
    "webhook_secret_unavailable": 503,
    "store_unavailable": 503,
    "overloaded": 503,
    "not_ready": 503,
}
"""The status that goes with every error code."""

_RETRY_LATER = frozenset({"store_unavailable", "overloaded"})
_RETRY_SPREAD = 5
"""Senders that were refused together come back spread over 1 to this many seconds."""


def refuse(code: str, *, route_id: str | None = None, close: bool = False, **more: Any) -> Response:
    """Refuse with an error code of `STATUSES`; `more` goes into the body."""
    body: dict[str, Any] = {"ok": False, "error": code}
    if route_id is not None:
        body["routeId"] = route_id
    headers: tuple[tuple[str, str], ...] = ()
    if code == "method_not_allowed":
        headers = (("Allow", "POST"),)
    elif code == "unauthorized":
        headers = (("WWW-Authenticate", "Bearer"),)
    elif code in _RETRY_LATER:
        wait = 1 + int(random.random() * _RETRY_SPREAD)  # noqa: S311  # spreads load, guards nothing
        headers = (("Retry-After", str(wait)),)
    return Response(STATUSES[code], orjson.dumps({**body, **more}), headers, close)


def accept(route: Route, envelope: Envelope, result: Ingested) -> Response:
    """Acknowledge a committed delivery; a repeated one is answered with the first one's ids."""
    body: dict[str, Any] = {
        "ok": True,
        "routeId": route.id,
        "automationId": route.automation_id,
        "eventId": result.first_event_id or envelope.id,
        "dedupeKey": envelope.dedupe_key,
        "materialized": result.materialized,
    }
    if result.duplicate:
        body["duplicate"] = True
    return Response(202, orjson.dumps(body))


def answer(status: int, body: Mapping[str, Any]) -> Response:
    """Answer with a status and a JSON document."""
    return Response(status, orjson.dumps(dict(body)))


def ok(**fields: Any) -> Response:
    """Answer 200 with `{"ok": true, …}`."""
    return Response(200, orjson.dumps({"ok": True, **fields}))
