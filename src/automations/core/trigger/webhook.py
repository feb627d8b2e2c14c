"""Webhook requests become event envelopes, by the mapping of the route that took them.

The result is the original's to the letter (ids, dedupe keys, `metadata.webhook`, error texts), since other programs are
fed with it. Nothing of the request but the mapped body is kept: no headers, no raw bytes, only their hash.
"""

from collections.abc import Callable, Mapping
from typing import Any

from automations.core.instant import iso
from automations.core.spec.model import Route, RouteMapping
from automations.core.trigger.envelope import Envelope, event_time, short_text
from automations.core.trigger.filter import text_of
from automations.core.trigger.signature import DELIVERY_HEADERS
from automations.errors import InvalidInput

Render = Callable[[str, Any], str]
"""Evaluates a `typeTemplate` over a body; raises InvalidInput when it cannot."""

_WHOLE_BODY = "."


def normalise(
    route: Route,
    *,
    body: Any,
    body_digest: str,
    headers: Mapping[str, tuple[str, ...]],
    received_at: int,
    render: Render,
) -> Envelope:
    """Map a request's parsed `body` to an envelope of origin `webhook`.

    `body_digest` is the SHA-256 of the raw bytes in hex, with or without `sha256:`; `headers` maps lower-case names to
    all their values; `received_at` is in microseconds. Where a path leads to nothing or null, the next rule applies:
    the dedupe key comes from its header, its path, the id path, the preset's delivery header, the raw body; the id from
    its path, else it is `webhook:<route id>:<dedupe key>`; the time from its path, else it is `received_at`.

    Raises InvalidInput if the body is not an object or a path leads to a value of the wrong kind.
    """
    if not isinstance(body, dict):
        raise InvalidInput("webhook payload must be a JSON object")
    mapping = route.mapping
    digest = body_digest.removeprefix("sha256:")
    event_id = _text(body, mapping.id_path, "idPath")
    dedupe_key = (
        _header(headers, mapping.dedupe_key_header)
        or _text(body, mapping.dedupe_key_path, "dedupeKeyPath")
        or event_id
        or _header(headers, _delivery_header(route))
        or f"body-sha256:{digest}"
    )
    return Envelope(
        id=short_text(event_id or f"webhook:{route.id}:{dedupe_key}", "event id"),
        source=mapping.source,
        type=_type(mapping, body, render=render),
        subject=_text(body, mapping.subject_path, "subjectPath") or mapping.subject,
        time=_time(body, mapping.time_path, received_at=received_at),
        data=_data(body, mapping.data_path),
        dedupe_key=short_text(dedupe_key, "event dedupeKey"),
        metadata={
            "webhook": {
                "routeId": route.id,
                "automationId": route.automation_id,
                "path": route.path,
                "receivedAt": iso(received_at),
                "rawBodySha256": digest,
                "signatureConfigured": route.signature is not None,
            }
        },
        origin="webhook",
        route_id=route.id,
        route_automation_id=route.automation_id,
    )


def _type(mapping: RouteMapping, body: Any, *, render: Render) -> str:
    if mapping.type_template is None:
        return mapping.type
    return short_text(render(mapping.type_template, body), "event type")


def _time(body: Any, path: str | None, *, received_at: int) -> int:
    value = _resolve(body, path)
    return received_at if value is None else event_time(value)


def _data(body: dict[str, Any], path: str | None) -> dict[str, Any]:
    value = _resolve(body, path)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidInput(f"webhook route dataPath must resolve to a JSON object: {path}")
    return value


def _text(body: Any, path: str | None, name: str) -> str | None:
    """Find a text in the body; a number becomes one, nothing, null and the empty text count as absent."""
    value = _resolve(body, path)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise InvalidInput(f"webhook route {name} must resolve to a text or a number: {path}")
    return short_text(text_of(value), f"the value at webhook route {name}")


def _resolve(body: Any, path: str | None) -> Any:
    if path is None:
        return None
    if path == _WHOLE_BODY:
        return body
    value = body
    for part in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def _delivery_header(route: Route) -> str | None:
    return DELIVERY_HEADERS.get(route.signature.preset or "") if route.signature else None


def _header(headers: Mapping[str, tuple[str, ...]], name: str | None) -> str:
    """Find a header; several are joined as one list (RFC 9110 §5.3), as the original's platform shows them."""
    return ", ".join(headers.get(name.lower(), ())) if name else ""
