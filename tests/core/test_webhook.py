"""Webhook normalisation: the envelope that the original makes, key by key, and what cannot be mapped."""

from hashlib import sha256
from typing import Any

import pytest

from automations.core.instant import parse_iso
from automations.core.spec.model import Route, RouteMapping, Signature
from automations.core.trigger.envelope import Envelope, from_document, to_document
from automations.core.trigger.webhook import normalise
from automations.errors import InvalidInput

NOW = parse_iso("2026-11-23T00:32:35.945Z")
SIGNED = Signature("secret://automations/webhooks/signed")
RAW = b'{"data":{"p":1}}'
DIGEST = sha256(RAW).hexdigest()


def route(*, signature: Signature | None = None, **mapping: str) -> Route:
    given = {"source": "gh", "type": "push", **mapping}
    return Route("open", "wh", "/webhooks/open", RouteMapping(**given), signature)


def no_template(template: str, body: Any) -> str:
    raise AssertionError((template, body))


def taken(given: Route, body: Any, headers: dict[str, tuple[str, ...]] | None = None) -> Envelope:
    return normalise(given, body=body, body_digest=DIGEST, headers=headers or {}, received_at=NOW, render=no_template)


def test_a_request_becomes_the_envelope_that_the_original_prints() -> None:
    mapping = RouteMapping("gh", "push", data_path="data", dedupe_key_header="X-Hasna-Event-Id")
    signed = Route("signed", "wh", "/webhooks/signed", mapping, SIGNED)
    document = to_document(taken(signed, {"data": {"p": 1}}, {"x-hasna-event-id": ("evt_1",)}))
    assert document == {
        "id": "webhook:signed:evt_1",
        "source": "gh",
        "type": "push",
        "time": "2026-11-23T00:32:35.945Z",
        "data": {"p": 1},
        "dedupeKey": "evt_1",
        "metadata": {
            "webhook": {
                "routeId": "signed",
                "automationId": "wh",
                "path": "/webhooks/signed",
                "receivedAt": "2026-11-23T00:32:35.945Z",
                "rawBodySha256": "dee5175965a74f53275018021fdc784c2a02aa9a4d0be256d39885dbc07fb909",
                "signatureConfigured": True,
            }
        },
    }
    assert list(document) == ["id", "source", "type", "time", "data", "dedupeKey", "metadata"]


def test_where_it_came_from_is_told_beside_the_document() -> None:
    envelope = taken(route(), {})
    assert (envelope.origin, envelope.route_id, envelope.route_automation_id) == ("webhook", "open", "wh")
    piped = from_document(to_document(envelope), received_at=NOW)
    assert (piped.origin, piped.route_id) == ("event", None)


FULL: dict[str, Any] = {"id_path": "id", "dedupe_key_path": "meta.key", "dedupe_key_header": "X-Key"}
GITHUB = route(signature=Signature("secret://s", preset="github"))
STANDARD = route(signature=Signature("secret://s", preset="standard-webhooks"))
BODY_KEY = f"body-sha256:{DIGEST}"
BODY_ID = f"webhook:open:{BODY_KEY}"

KEYS: dict[str, tuple[Route, dict[str, Any], dict[str, tuple[str, ...]], str, str]] = {
    "the header first": (route(**FULL), {"id": "i1", "meta": {"key": "mk"}}, {"x-key": ("h",)}, "i1", "h"),
    "then the path": (route(**FULL), {"id": "i1", "meta": {"key": "mk"}}, {}, "i1", "mk"),
    "then the id": (route(**FULL), {"id": "i1"}, {}, "i1", "i1"),
    "then the body": (route(**FULL), {}, {}, BODY_ID, BODY_KEY),
    "an empty header is none": (route(**FULL), {"id": "i1"}, {"x-key": ("",)}, "i1", "i1"),
    "an empty id is none": (route(**FULL), {"id": "", "meta": {"key": "mk"}}, {}, "webhook:open:mk", "mk"),
    "a null id is none": (route(**FULL), {"id": None}, {}, BODY_ID, BODY_KEY),
    "a header sent twice is a list": (route(**FULL), {}, {"x-key": ("a", "b")}, "webhook:open:a, b", "a, b"),
    "a number becomes text": (route(**FULL), {"id": 7}, {}, "7", "7"),
    "zero is an id": (route(**FULL), {"id": 0}, {}, "0", "0"),
    "a float as JavaScript writes it": (route(**FULL), {"id": 7.0}, {}, "7", "7"),
    "an id of 64 bits": (route(**FULL), {"id": 2**63 - 1}, {}, "9223372036854775807", "9223372036854775807"),
    "a path through a text": (route(**FULL), {"meta": "x"}, {}, BODY_ID, BODY_KEY),
    "a path through a list": (route(**FULL), {"meta": [{"key": 1}]}, {}, BODY_ID, BODY_KEY),
    "github names its deliveries": (GITHUB, {}, {"x-github-delivery": ("g",)}, "webhook:open:g", "g"),
    "standard webhooks too": (STANDARD, {}, {"webhook-id": ("msg_1",)}, "webhook:open:msg_1", "msg_1"),
    "what the route asks for is better": (
        route(signature=GITHUB.signature, **FULL), {"id": "i1"}, {"x-github-delivery": ("g",)}, "i1", "i1",
    ),
    "a scheme without such a header": (
        route(signature=SIGNED), {}, {"x-github-delivery": ("g",)}, BODY_ID, BODY_KEY,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("given", "body", "headers", "event_id", "key"), KEYS.values(), ids=KEYS.keys())
def test_the_id_and_the_dedupe_key_come_from_the_first_place_that_has_one(
    given: Route, body: dict[str, Any], headers: dict[str, tuple[str, ...]], event_id: str, key: str
) -> None:
    envelope = taken(given, body, headers)
    assert (envelope.id, envelope.dedupe_key) == (event_id, key)


def test_the_digest_may_come_with_its_algorithm() -> None:
    envelope = normalise(
        route(), body={}, body_digest=f"sha256:{DIGEST}", headers={}, received_at=NOW, render=no_template
    )
    assert envelope.dedupe_key == BODY_KEY
    assert envelope.metadata["webhook"]["rawBodySha256"] == DIGEST


BODY = {"data": {"p": 1}, "sub": "s1", "n": 5, "time": "2026-01-02T03:04:05Z", "empty": None}


@pytest.mark.parametrize(
    ("path", "data"),
    [(None, {}), (".", BODY), ("data", {"p": 1}), ("missing", {}), ("data.q", {}), ("empty", {}), ("sub.x", {})],
)
def test_the_data_is_what_its_path_leads_to(path: str | None, data: dict[str, Any]) -> None:
    mapping: dict[str, Any] = {"data_path": path} if path else {}
    assert taken(route(**mapping), BODY).data == data


def test_the_subject_comes_from_its_path_and_else_from_the_route() -> None:
    assert taken(route(), BODY).subject is None
    assert taken(route(subject="fixed"), BODY).subject == "fixed"
    assert taken(route(subject="fixed", subject_path="sub"), BODY).subject == "s1"
    assert taken(route(subject="fixed", subject_path="nope"), BODY).subject == "fixed"
    assert taken(route(subject_path="n"), BODY).subject == "5"


def test_the_time_comes_from_its_path_and_else_is_that_of_receipt() -> None:
    assert taken(route(), BODY).time == NOW
    assert taken(route(time_path="empty"), BODY).time == NOW
    assert taken(route(time_path="time"), BODY).time == parse_iso("2026-01-02T03:04:05Z")


def test_the_type_may_be_rendered_from_the_body() -> None:
    asked: list[tuple[str, Any]] = []

    def render(template: str, body: Any) -> str:
        asked.append((template, body))
        return f"release.{body['action']}"

    given = route(type_template="release.${{ body.action }}")
    body = {"action": "published"}
    envelope = normalise(given, body=body, body_digest=DIGEST, headers={}, received_at=NOW, render=render)
    assert envelope.type == "release.published"
    assert asked == [("release.${{ body.action }}", body)]


@pytest.mark.parametrize("rendered", ["", "a\x00b", "x" * 2000])
def test_a_rendered_type_must_be_fit_to_be_one(rendered: str) -> None:
    with pytest.raises(InvalidInput, match=r"^event type"):
        normalise(
            route(type_template="t"),
            body={},
            body_digest=DIGEST,
            headers={},
            received_at=NOW,
            render=lambda *_: rendered,
        )


UNMAPPABLE: dict[str, tuple[Route, Any, str]] = {
    "a list": (route(), [1], "webhook payload must be a JSON object"),
    "a text": (route(), "s", "webhook payload must be a JSON object"),
    "null": (route(), None, "webhook payload must be a JSON object"),
    "data that is a number": (
        route(data_path="data"), {"data": 5}, "webhook route dataPath must resolve to a JSON object: data",
    ),
    "data that is a list": (
        route(data_path="a.b"), {"a": {"b": []}}, "webhook route dataPath must resolve to a JSON object: a.b",
    ),
    "a bad time": (route(time_path="t"), {"t": "garbage"}, "event time is not an RFC 3339 time"),
    "a time in seconds": (route(time_path="t"), {"t": 1700000000}, "event time is not an RFC 3339 time"),
    "an id that is an object": (
        route(id_path="id"), {"id": {}}, "webhook route idPath must resolve to a text or a number: id",
    ),
    "a key that is a boolean": (
        route(dedupe_key_path="k"), {"k": True}, "webhook route dedupeKeyPath must resolve to a text or a number: k",
    ),
    "a subject that is a list": (
        route(subject_path="s"), {"s": ["x"]}, "webhook route subjectPath must resolve to a text or a number: s",
    ),
    "an id with a NUL": (
        route(id_path="id"), {"id": "\x00"}, "the value at webhook route idPath must not hold a NUL character",
    ),
    "an endless id": (
        route(id_path="id"), {"id": "x" * 1025}, "the value at webhook route idPath is longer than 1024 bytes",
    ),
    "a key too long to be part of an id": (
        route(dedupe_key_path="k"), {"k": "x" * 1020}, "event id is longer than 1024 bytes",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("given", "body", "message"), UNMAPPABLE.values(), ids=UNMAPPABLE.keys())
def test_a_body_that_cannot_be_mapped_is_refused_by_name(given: Route, body: Any, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        taken(given, body)
    assert caught.value.message == message


def test_an_endless_delivery_header_is_refused() -> None:
    with pytest.raises(InvalidInput, match="longer than 1024 bytes"):
        taken(route(id_path="id", dedupe_key_header="X-Key"), {"id": "i"}, {"x-key": ("x" * 5000,)})
