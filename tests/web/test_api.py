"""The API over real sockets: who may, what is taken in, and that nothing is told to strangers."""

import json
from typing import Any

import pytest

from automations.core.token import Role
from automations.errors import Refused
from automations.services.tokens import Wanted
from automations.web.limits import Limits
from automations.web.listening import listen
from web_server import Sent, Serve, Served

TAKES_EVENTS = """
schemaVersion: "1.0"
id: tickets
name: tickets
version: "1.0.0"
triggers:
  - {kind: event, source: desk, type: ticket.*}
actions:
  - {id: go, actionId: noop.run, input: {n: "${{ event.data.n }}"}}
"""
CALLED = """
schemaVersion: "1.0"
id: deploys
name: deploys
version: "1.0.0"
inputs:
  type: object
  required: [ref]
  properties: {ref: {type: string}, dry: {type: boolean, default: false}}
triggers:
  - {kind: api}
actions:
  - {id: go, actionId: noop.run, input: {ref: "${{ inputs.ref }}", dry: "${{ inputs.dry }}"}}
"""
EVENT = {"id": "e1", "source": "desk", "type": "ticket.created", "data": {"n": 1}}


class Caller:
    """Somebody with a token."""

    def __init__(self, served: Served, token: str) -> None:
        self.served = served
        self.token = token

    def __call__(self, path: str, body: Any = None, method: str = "POST", **headers: str) -> Sent:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **headers}
        return self.served.send(method, f"/api/v1/{path}", raw, **given)


def token(served: Served, role: Role = Role.OPERATOR) -> str:
    made = served.runtime.tokens.create(Wanted(f"ci-{role}", role), actor="tester")
    return str(made["token"])


@pytest.fixture
def caller(served: Served) -> Caller:
    served.declare({"tickets": TAKES_EVENTS, "deploys": CALLED})
    return Caller(served, token(served))


def test_an_event_is_answered_when_it_is_committed(caller: Caller) -> None:
    status, _, body = caller("events", EVENT)
    assert status == 202
    (run,) = caller.served.rows("runs")
    assert body == {
        "ok": True,
        "eventId": "e1",
        "materialized": [
            {"automationId": "tickets", "runId": run["id"], "actionIds": [caller.served.rows("actions")[0]["id"]]}
        ],
    }
    again = caller("events", EVENT)
    assert (again[0], again[2]["duplicate"], len(caller.served.rows("runs"))) == (202, True, 1)


def test_many_events_are_answered_one_by_one_and_a_bad_one_spoils_none(caller: Caller) -> None:
    status, _, body = caller("events", [EVENT, {"id": "e2", "source": "desk"}, {**EVENT, "id": "e3"}])
    assert (status, body["ok"]) == (202, False)
    assert [each["ok"] for each in body["events"]] == [True, False, True]
    assert body["events"][1]["index"] == 1
    assert len(caller.served.rows("runs")) == 2


@pytest.mark.parametrize("form", ["structured", "binary"])
def test_cloudevents_come_in_either_form(caller: Caller, form: str) -> None:
    attributes = {"specversion": "1.0", "id": "c1", "source": "desk", "type": "ticket.created"}
    if form == "structured":
        sent = caller("events", {**attributes, "data": {"n": 7}}, Content_Type="application/cloudevents+json")
    else:
        headers = {f"ce-{name}": value for name, value in attributes.items()}
        sent = caller("events", {"n": 7}, **headers)
    assert (sent[0], len(sent[2]["materialized"])) == (202, 1)
    assert caller.served.rows("actions")[0]["input_json"] == '{"n":7}'


def test_an_idempotency_key_stands_for_one_request(caller: Caller) -> None:
    anonymous = {key: value for key, value in EVENT.items() if key != "id"}
    first = caller("events", anonymous, Idempotency_Key="k1")
    again = caller("events", anonymous, Idempotency_Key="k1")
    other = caller("events", {**anonymous, "data": {"n": 2}}, Idempotency_Key="k1")
    assert (first[0], again[2]["duplicate"]) == (202, True)
    assert first[2]["materialized"] == again[2]["materialized"]
    assert (other[0], other[2]["error"]) == (422, "idempotency_key_reused")
    assert len(caller.served.rows("runs")) == 1


def test_an_api_trigger_starts_a_run_with_checked_inputs(caller: Caller) -> None:
    status, _, body = caller("automations/deploys/trigger", {"ref": "main"}, Idempotency_Key="d1")
    assert (status, body["automationId"]) == (202, "deploys")
    assert caller.served.rows("actions")[0]["input_json"] == '{"dry":false,"ref":"main"}'
    assert json.loads(caller.served.rows("runs")[0]["metadata_json"])["startedBy"] == "token:ci-operator"
    assert caller("automations/deploys/trigger", {"ref": "main"}, Idempotency_Key="d1")[2]["duplicate"] is True
    assert len(caller.served.rows("runs")) == 1


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("automations/deploys/trigger", {"ref": 5}, 422, "inputs_invalid"),
        ("automations/deploys/trigger", [1], 422, "invalid_input"),
        ("automations/nobody/trigger", {}, 404, "not_found"),
        ("automations/tickets/trigger", {}, 409, "conflict"),
        ("automations/a%2Fb/trigger", {}, 404, "not_found"),
        ("events", {"id": "x"}, 422, "invalid_input"),
        ("events", b"{", 400, "malformed_json"),
        ("nothing", {}, 404, "not_found"),
    ],
)
def test_what_cannot_be_says_so(caller: Caller, path: str, body: Any, status: int, error: str) -> None:
    sent = caller(path, body)
    assert (sent[0], sent[2]["error"], sent[2]["ok"]) == (status, error, False)
    assert caller.served.rows("runs") == []


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x", "Basic YTpi", "Bearer atm_" + "0" * 32 + "_" + "A" * 43])
def test_a_stranger_learns_nothing_but_that(served: Served, header: str) -> None:
    for path in ("events", "automations/open/trigger", "nothing/here"):
        status, headers, body = served.post(f"/api/v1/{path}", b"{}", **({"Authorization": header} if header else {}))
        assert (status, headers["www-authenticate"]) == (401, "Bearer")
        assert body == {"ok": False, "error": "unauthorized"}
    assert served.rows("events") == []


@pytest.mark.parametrize("role", [Role.VIEWER, Role.WORKER])
def test_a_role_without_the_right_is_turned_away(caller: Caller, role: Role) -> None:
    other = Caller(caller.served, token(caller.served, role))
    for path, body in (("events", EVENT), ("automations/deploys/trigger", {"ref": "main"})):
        sent = other(path, body)
        assert (sent[0], sent[2]["error"]) == (403, "forbidden")
    assert caller.served.rows("runs") == []


def test_a_revoked_token_opens_nothing_from_the_next_request_on(caller: Caller) -> None:
    assert caller("events", EVENT)[0] == 202
    caller.served.runtime.tokens.revoke("ci-operator", actor="tester")
    assert caller("events", {**EVENT, "id": "e2"})[0] == 401


def test_two_authorizations_are_none(caller: Caller) -> None:
    lines = f"Authorization: Bearer {caller.token}\r\n" * 2
    answer = caller.served.raw(
        f"POST /api/v1/events HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode()
    )
    assert answer.startswith(b"HTTP/1.1 401")


def test_a_token_is_in_no_artefact(caller: Caller) -> None:
    caller("events", EVENT)
    caller("automations/deploys/trigger", {"ref": 5})
    assert caller.token.rpartition("_")[2].encode() not in caller.served.artefacts()


def test_a_large_body_is_refused_before_it_is_read(serve: Serve) -> None:

    served = serve(limits=Limits(body_bytes=1000))
    sent = served.post("/api/v1/events", b"x" * 2000)
    assert (sent[0], sent[2]["error"]) == (413, "payload_too_large")


def test_other_machines_are_let_in_only_once_there_is_a_token() -> None:
    with pytest.raises(Refused, match="no API tokens"):
        listen("0.0.0.0", 0)  # noqa: S104  # refused
    listener = listen("127.0.0.1", 0, guarded=True)
    listener.close()
