"""The event envelope of open-events: what every trigger looks at, however the event came in.

An envelope is read from a document once, strictly, and is a value from then on. Where it came from (`origin` and the
route's ids) is never part of the document: a sender may write any `metadata` it likes, also the one that the webhook
edge adds, and is believed nothing for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from automations.core.instant import iso, parse_iso
from automations.errors import InvalidInput

Origin = Literal["event", "webhook", "schedule", "manual", "api"]
"""The door that an event came in by; the words of `TriggerKind`."""

TEXT_LIMIT = 1024
"""Bytes in UTF-8 that an id, source, type, subject or dedupe key may take."""

_NEEDS = "an event needs a source and a type; without an id it gets one"
_NEEDS_ID = "an event needs an id, a source and a type"
_KNOWN = frozenset({"id", "source", "type", "subject", "time", "data", "dedupeKey", "metadata"})


@dataclass(frozen=True, slots=True)
class Envelope:
    """One event. `time` is in microseconds; `extra` holds the document's other keys (`severity`, `message`, …).

    `route_id` and `route_automation_id` are set for events of origin `webhook` and no others.
    """

    id: str
    source: str
    type: str
    subject: str | None = None
    time: int | None = None
    data: dict[str, Any] = field(default_factory=dict)
    dedupe_key: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    origin: Origin = "event"
    route_id: str | None = None
    route_automation_id: str | None = None


def from_document(value: Any, *, received_at: int, new_id: str | None = None) -> Envelope:
    """Read the envelope that a document describes; its origin is `event`.

    An event without a time happened at `received_at` (microseconds); one without an id gets `new_id`, if that is given.
    Null stands for an absent optional key, as in CloudEvents' JSON format (§2.2). Keys unknown here are kept.

    Raises InvalidInput that names the key: `id`, `source` or `type` missing; one of the short texts empty, longer than
    TEXT_LIMIT, with a NUL or half of a surrogate pair, or not a text; a time that is not RFC 3339; `data` or `metadata`
    not an object.
    """
    needs = _NEEDS_ID if new_id is None else _NEEDS
    if not isinstance(value, Mapping):
        raise InvalidInput("an event must be a JSON object", hint=needs)
    return Envelope(
        id=_required(value, "id", needs) if value.get("id") is not None or new_id is None else new_id,
        source=_required(value, "source", needs),
        type=_required(value, "type", needs),
        subject=_optional(value, "subject"),
        time=received_at if value.get("time") is None else event_time(value["time"]),
        data=_object(value, "data"),
        dedupe_key=_optional(value, "dedupeKey"),
        metadata=_object(value, "metadata"),
        extra={key: each for key, each in value.items() if key not in _KNOWN},
    )


def to_document(envelope: Envelope) -> dict[str, Any]:
    """Write the envelope as the contract's JSON; what is absent has no key, and where it came from is no part of it."""
    document: dict[str, Any] = {"id": envelope.id, "source": envelope.source, "type": envelope.type}
    if envelope.subject is not None:
        document["subject"] = envelope.subject
    if envelope.time is not None:
        document["time"] = iso(envelope.time)
    document.update(envelope.extra)
    document["data"] = envelope.data
    if envelope.dedupe_key is not None:
        document["dedupeKey"] = envelope.dedupe_key
    if envelope.metadata:
        document["metadata"] = envelope.metadata
    return document


def identity(envelope: Envelope) -> str:
    """Name what makes two deliveries the same event: the dedupe key, else the id."""
    return envelope.id if envelope.dedupe_key is None else envelope.dedupe_key


def scope_of(envelope: Envelope) -> str:
    """Where an identity is unique: per webhook route, or per source; an unsigned route cannot occupy a signed one's."""
    return route_scope(envelope.route_id) if envelope.route_id else f"source:{envelope.source}"


def route_scope(route_id: str) -> str:
    """The scope of what a route delivers."""
    return f"route:{route_id}"


def event_time(value: Any) -> int:
    """Microseconds for an event's time. Raises InvalidInput unless it is RFC 3339 text of the years 1 to 9999."""
    try:
        at = parse_iso(value)
        iso(at)  # an offset can carry the first and the last day out of the years that can be shown
    except (TypeError, ValueError, OverflowError):
        raise InvalidInput(
            "event time is not an RFC 3339 time", hint="Send it with its offset, such as 2026-11-23T00:29:32.543Z."
        ) from None
    return at


def short_text(value: Any, name: str) -> str:
    """Check one of the texts that identify or route an event; `name` is how errors call it.

    Raises InvalidInput if it is not a text, is empty, is longer than TEXT_LIMIT bytes, or holds what no database keeps:
    NUL or half of a surrogate pair.
    """
    if not isinstance(value, str):
        raise InvalidInput(f"{name} must be a text")
    if not value:
        raise InvalidInput(f"{name} must not be empty")
    if "\x00" in value:
        raise InvalidInput(f"{name} must not hold a NUL character")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise InvalidInput(f"{name} must not hold half of a surrogate pair") from None
    if size > TEXT_LIMIT:
        raise InvalidInput(f"{name} is longer than {TEXT_LIMIT} bytes")
    return value


def _required(value: Mapping[str, Any], key: str, needs: str) -> str:
    if value.get(key) is None:
        raise InvalidInput(f"event {key} is missing", hint=needs)
    return short_text(value[key], f"event {key}")


def _optional(value: Mapping[str, Any], key: str) -> str | None:
    return None if value.get(key) is None else short_text(value[key], f"event {key}")


def _object(value: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise InvalidInput(f"event {key} must be a JSON object")
    return dict(found)
