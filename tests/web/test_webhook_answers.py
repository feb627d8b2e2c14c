"""Every status and body of the contract's "Webhook HTTP answers", and what they leave in the store."""

import base64
import hmac
import json
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from automations.core.spec import build
from automations.web.limits import Limits
from automations.web.route_secrets import LOOKED_AGAIN, RouteSecrets
from web_server import BODY, KEYED, MAPPED, SECRET, SIGNED, SPECS, Serve, Served, automation, eventually, sign

GOOD = sign(BODY)


@pytest.mark.parametrize(
    ("method", "target", "body", "headers", "answer"),
    [
        ("GET", "/webhooks/signed", None, {}, (405, "method_not_allowed", None)),
        ("PUT", "/webhooks/signed", BODY, {}, (405, "method_not_allowed", None)),
        ("DELETE", "/nope", None, {}, (405, "method_not_allowed", None)),
        ("POST", "/healthz", BODY, {}, (404, "webhook_route_not_found", None)),
        ("POST", "/nope", BODY, {}, (404, "webhook_route_not_found", None)),
        ("POST", "/webhooks/signed", BODY, {}, (401, "webhook_signature_missing", "signed")),
        ("POST", "/webhooks/signed", BODY, {"X_Hasna_Signature": ""}, (401, "webhook_signature_missing", "signed")),
        ("POST", "/webhooks/signed", BODY, {"X_Hasna_Signature": "zz"}, (401, "webhook_signature_invalid", "signed")),
        (
            "POST",
            "/webhooks/signed",
            BODY + b" ",
            {"X_Hasna_Signature": GOOD},
            (401, "webhook_signature_invalid", "signed"),
        ),
        (
            "POST",
            "/webhooks/signed",
            BODY,
            {"X_Hasna_Signature": f"sha256={GOOD}"},
            (401, "webhook_signature_invalid", "signed"),
        ),
        (
            "POST",
            "/webhooks/signed",
            BODY,
            {"X_Hasna_Signature": f"{GOOD}, {GOOD}"},
            (401, "webhook_signature_invalid", "signed"),
        ),
        (
            "POST",
            "/webhooks/signed",
            BODY,
            {"X_Hasna_Signature": sign(BODY, "other")},
            (401, "webhook_signature_invalid", "signed"),
        ),
        (
            "POST",
            "/webhooks/nosecret",
            BODY,
            {"X_Hasna_Signature": GOOD},
            (503, "webhook_secret_unavailable", "nosecret"),
        ),
        ("POST", "/webhooks/nosecret", BODY, {}, (401, "webhook_signature_missing", "nosecret")),
        ("POST", "/webhooks/open", b"{bad", {}, (400, "malformed_json", "open")),
        ("POST", "/webhooks/open", b"", {}, (400, "malformed_json", "open")),
        ("POST", "/webhooks/open", b"\xff\xfe{}", {}, (400, "malformed_json", "open")),
        ("POST", "/webhooks/open", b'{"data":{},"data":{}}', {}, (400, "malformed_json", "open")),
        ("POST", "/webhooks/open", b'{"data":{"n":NaN}}', {}, (400, "malformed_json", "open")),
        ("POST", "/webhooks/open", b'{"data":{"n":18446744073709551616}}', {}, (400, "malformed_json", "open")),
        ("POST", "/webhooks/open", b'{"data":{"n":"\\ud800"}}', {}, (400, "malformed_json", "open")),
        ("POST", "/webhooks/open", b"[" * 65 + b"]" * 65, {}, (400, "malformed_json", "open")),
        ("POST", "/webhooks/open", b"[1]", {}, (422, "webhook_materialization_failed", "open")),
        ("POST", "/webhooks/open", b'"s"', {}, (422, "webhook_materialization_failed", "open")),
        ("POST", "/webhooks/open", b'{"data":5}', {}, (422, "webhook_materialization_failed", "open")),
        ("POST", "/webhooks/open", b'{"time":"garbage"}', {}, (422, "webhook_materialization_failed", "open")),
        ("POST", "/webhooks/open", b'{"id":"a\\u0000b"}', {}, (422, "webhook_materialization_failed", "open")),
        ("POST", "/webhooks/typed", b'{"data":{}}', {}, (422, "webhook_materialization_failed", "typed")),
        ("POST", "/webhooks/typed", b'{"kind":{}}', {}, (422, "webhook_materialization_failed", "typed")),
        ("POST", "/webhooks/open", BODY, {"Content_Encoding": "gzip"}, (415, "unsupported_content_encoding", "open")),
        ("POST", "/webhooks/open", BODY, {"Expect": "payment"}, (417, "expectation_failed", None)),
    ],
)
def test_a_refusal_says_its_code_and_nothing_of_what_was_sent(
    served: Served, method: str, target: str, body: bytes | None, headers: dict[str, str], answer: tuple[int, str, Any]
) -> None:
    status, error, route = answer
    answered, named, document = served.send(method, target, body, **headers)
    expected = {"ok": False, "error": error} | ({"routeId": route} if route else {})
    assert (answered, document) == (status, expected)
    assert named["content-type"] == "application/json"
    assert named["x-content-type-options"] == "nosniff"
    assert named["cache-control"] == "no-store"
    assert named.get("allow") == ("POST" if status == 405 else None)
    assert served.rows("events") == []


@pytest.mark.parametrize(
    "target",
    [
        "/webhooks/open/",
        "/webhooks//open",
        "//webhooks/open",
        "/WEBHOOKS/open",
        "/webhooks/Open",
        "/open",
        "/webhooks",
        "/webhooks/openx",
        "/webhooks/%6fpen",
        "/webhooks%2fopen",
        "/webhooks/./open",
        "/webhooks/x/../open",
        "/webhooks/%2e/open",
        "/x/%2e%2e/webhooks/open",
        "/webhooks/signed/../open",
        "/webhooks/open;x=1",
        "/webhooks/open#x",
        "/webhooks/open%00",
        "/webhooks/open%20",
        "http://127.0.0.1/webhooks/open",
    ],
)
def test_only_the_exact_path_reaches_a_route(served: Served, target: str) -> None:
    dialled = served.dial()
    dialled.sendall(f"POST {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}".encode())
    answer = dialled.makefile("rb").read()
    if target.startswith("/"):
        assert answer.startswith(b"HTTP/1.1 404 ")
        assert answer.endswith(b'{"ok":false,"error":"webhook_route_not_found"}')
    else:
        assert answer.startswith(b"HTTP/1.1 400 ")
    assert served.rows("events") == []


def test_an_accepted_request_names_its_event_and_runs(served: Served) -> None:
    status, _, answer = served.post("/webhooks/open?x=1", b'{"id":"i1","meta":{"key":"mk"},"data":{"p":1}}')
    [run], [action] = served.rows("runs"), served.rows("actions")
    assert status == 202
    assert answer == {
        "ok": True,
        "routeId": "open",
        "automationId": "open",
        "eventId": "i1",
        "dedupeKey": "mk",
        "materialized": [{"automationId": "open", "runId": run["id"], "actionIds": [action["id"]]}],
    }
    assert list(answer) == ["ok", "routeId", "automationId", "eventId", "dedupeKey", "materialized"]


def test_a_signed_request_is_accepted_in_either_case_of_hex(served: Served) -> None:
    for key, signature in (("k1", GOOD), ("k2", GOOD.upper())):
        status, _, answer = served.post("/webhooks/signed", X_Hasna_Signature=signature, X_Event_Id=key)
        assert (status, answer["eventId"], answer["dedupeKey"]) == (202, f"webhook:signed:{key}", key)


def test_a_base64_signature_is_accepted(served: Served) -> None:
    mac = base64.b64encode(hmac.digest(SECRET.encode(), BODY, "sha256")).decode()
    assert served.post("/webhooks/base64", X_Hasna_Signature=mac)[0] == 202


def test_a_type_template_makes_the_type(served: Served) -> None:
    assert served.post("/webhooks/typed", b'{"kind":"tag","data":{}}')[0] == 202
    assert [row["type"] for row in served.rows("events")] == ["push.tag"]


def test_a_request_that_no_filter_lets_through_is_accepted_and_starts_nothing(served: Served) -> None:
    status, _, answer = served.post("/webhooks/filtered", b'{"data":{"p":2}}')
    assert (status, answer["materialized"]) == (202, [])
    assert served.rows("runs") == []


def test_a_repeated_delivery_is_answered_with_the_first_ones_ids(served: Served) -> None:
    _, _, first = served.post("/webhooks/signed", X_Hasna_Signature=GOOD, X_Event_Id="k1")
    other = b'{"data":{"p":2}}'
    for body in (BODY, other):
        status, _, again = served.post("/webhooks/signed", body, X_Hasna_Signature=sign(body), X_Event_Id="k1")
        assert (status, again) == (202, first | {"duplicate": True})
    assert len(served.rows("events")) == len(served.rows("runs")) == 1


def test_a_repeated_delivery_under_another_id_is_answered_with_the_first_one(served: Served) -> None:
    served.post("/webhooks/open", b'{"id":"i1","meta":{"key":"mk"}}')
    _, _, again = served.post("/webhooks/open", b'{"id":"i2","meta":{"key":"mk"}}')
    assert (again["eventId"], again["dedupeKey"], again["duplicate"]) == ("i1", "mk", True)


def test_an_unsigned_route_cannot_occupy_a_signed_ones_keys(served: Served) -> None:
    served.post("/webhooks/open", b'{"meta":{"key":"k1"},"data":{}}')
    _, _, answer = served.post("/webhooks/signed", X_Hasna_Signature=GOOD, X_Event_Id="k1")
    assert "duplicate" not in answer


def test_a_body_beyond_the_limit_is_refused_with_the_limit(serve: Serve) -> None:
    served = serve(limits=Limits(body_bytes=4096))
    status, _, answer = served.post("/webhooks/open", b"x" * 4097)
    assert (status, answer) == (413, {"ok": False, "error": "webhook_payload_too_large", "maxBodyBytes": 4096})
    assert served.post("/nope", b"x" * 4097)[0] == 404
    assert served.send("PUT", "/webhooks/open", b"x" * 4097)[0] == 405
    assert served.post("/webhooks/open", b'{"data":{}}'.ljust(4096))[0] == 202


def test_changes_of_definitions_count_for_the_next_request(served: Served) -> None:
    assert served.post("/webhooks/late")[0] == 404
    served.declare(SPECS | {"late": automation("late", MAPPED)})
    eventually(lambda: served.post("/webhooks/late")[0] == 202)
    with served.runtime.database.write() as tx:
        tx.run("UPDATE routes SET status = 'disabled' WHERE id = 'late'")
        tx.run("UPDATE state SET serial = serial + 1")
    eventually(
        lambda: served.post("/webhooks/late")[2] == {"ok": False, "error": "webhook_route_inactive", "routeId": "late"}
    )
    assert served.post("/webhooks/late")[0] == 403
    served.declare(SPECS)
    eventually(lambda: served.post("/webhooks/late")[0] == 410)
    assert served.post("/webhooks/late")[2] == {"ok": False, "error": "webhook_route_gone", "routeId": "late"}


def test_a_signature_that_was_added_counts_for_the_next_request(served: Served) -> None:
    assert served.post("/webhooks/open", b'{"id":"a"}')[0] == 202
    served.declare(SPECS | {"open": automation("open", SIGNED + KEYED)})
    eventually(lambda: served.post("/webhooks/open", b'{"id":"b"}')[0] == 401)


def test_a_rotated_secret_file_counts_without_a_restart(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "filed"
    path.parent.mkdir()
    served = serve(secrets_dir=str(path.parent))
    served.declare(SPECS | {"filed": automation("filed", ", signature: {secretRef: 'secret://filed'}" + KEYED)})

    def status(secret: str) -> int:
        return served.post("/webhooks/filed", X_Hasna_Signature=sign(BODY, secret))[0]

    path.write_text("one\n")
    eventually(lambda: status("one") == 202)
    path.with_name("filed_PREVIOUS").write_text("one\n")
    path.write_text("two\n")
    assert status("two") == 202
    assert status("one") == 202
    path.with_name("filed_PREVIOUS").unlink()
    eventually(lambda: status("one") == 401)
    path.unlink()
    eventually(lambda: status("two") == 503)


class Counted:
    """One secret, and how often somebody looked for it."""

    def __init__(self, *values: bytes) -> None:
        self.values, self.looks = values, 0

    def resolve(self, _names: tuple[str, ...], _ref: str | None) -> tuple[bytes, ...]:
        self.looks += 1
        return self.values

    def value(self, name: str) -> str:
        return name

    def known(self) -> tuple[bytes, ...]:
        return self.values


def test_many_bad_signatures_do_not_read_the_secret_each_time_and_a_new_one_is_seen_among_them() -> None:
    counted = Counted(b"one")
    secrets, route = RouteSecrets(counted), build.route(ROUTE)
    began = monotonic()
    assert secrets.of(route, "secret://r") == (b"one",)
    assert secrets.anew(route, "secret://r") == (b"one",)
    counted.values = (b"two",)
    asked = 0
    while secrets.anew(route, "secret://r") is None:
        asked += 1
    assert asked > 0
    assert monotonic() - began >= LOOKED_AGAIN
    assert (secrets.of(route, "secret://r"), counted.looks) == ((b"two",), 3)


ROUTE = {"id": "r", "automationId": "a", "path": "/webhooks/r", "mapping": {"source": "s", "type": "t"}}


def test_health_answers_as_the_original(served: Served) -> None:
    assert served.send("GET", "/healthz")[::2] == (200, {"ok": True, "service": "automations", "mode": "webhooks"})
    assert served.send("GET", "/readyz")[::2] == (200, {"ok": True, "service": "automations"})
    status, named, body = served.send("HEAD", "/healthz")
    assert (status, named["allow"], named["content-length"], body) == (405, "POST", "41", None)


def test_a_route_on_the_path_of_health_takes_posts(served: Served) -> None:
    with served.runtime.database.write() as tx:  # no spec may ask for this path; the original's routes may have it
        tx.run("UPDATE routes SET path = '/healthz' WHERE id = 'open'")
        tx.run("UPDATE state SET serial = serial + 1")
    eventually(lambda: served.post("/healthz")[0] == 202)
    assert served.send("GET", "/healthz")[0] == 200


def test_every_request_is_told_once_without_any_of_its_content(served: Served) -> None:
    served.post("/webhooks/open", b'{"id":"i1","data":{"marker":"zanzibar"}}')
    served.post("/webhooks/open", b'{"id":"i1","data":{"marker":"zanzibar"}}')
    served.post("/webhooks/signed", b'{"marker":"zanzibar"}', X_Hasna_Signature="zanzibar")
    served.post("/zanzibar%0a")
    assert served.telemetry.named("webhook.accepted") == [
        {"status": 202, "route_id": "open", "runs": 1, "duplicate": False},
        {"status": 202, "route_id": "open", "runs": 1, "duplicate": True},
    ]
    rejected = served.telemetry.named("webhook.rejected")
    assert [(each["status"], each["code"], each["route_id"]) for each in rejected] == [
        (401, "webhook_signature_invalid", "signed"),
        (404, "webhook_route_not_found", None),
    ]
    assert "zanzibar" not in json.dumps(served.telemetry.events)
