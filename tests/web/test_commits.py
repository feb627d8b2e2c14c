"""What a 202 promises: committed before it was said, once, together with others, and never when the commit failed."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.parse import quote

import apsw

from automations.web.limits import Limits
from web_server import BODY, SECRET, Serve, Served, eventually, sign


def body(number: int) -> bytes:
    """A delivery of its own."""
    return json.dumps({"id": f"e{number}", "data": {"n": number}}).encode()


def test_two_hundred_requests_at_once_become_two_hundred_runs(served: Served) -> None:
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda number: served.post("/webhooks/open", body(number)), range(200)))
    assert {status for status, _, _ in answers} == {202}
    told = {answer["materialized"][0]["runId"] for _, _, answer in answers}
    stored = served.rows("runs")
    assert told == {row["id"] for row in stored}
    assert len(stored) == len(told) == 200
    assert {row["event_id"] for row in served.rows("events")} == {f"e{number}" for number in range(200)}


def test_the_same_delivery_many_times_at_once_is_one_run(served: Served) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: served.post("/webhooks/open", body(1)), range(64)))
    assert {status for status, _, _ in answers} == {202}
    assert len({answer["materialized"][0]["runId"] for _, _, answer in answers}) == 1
    assert sum("duplicate" not in answer for _, _, answer in answers) == 1
    assert len(served.rows("runs")) == 1


def test_a_store_that_is_locked_answers_503_and_remembers_nothing(served: Served) -> None:
    path = str(served.runtime.settings.database_path)
    with closing(apsw.Connection(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        status, named, answer = served.post("/webhooks/open", body(1))
        other.execute("ROLLBACK")
    assert (status, answer) == (503, {"ok": False, "error": "store_unavailable", "routeId": "open"})
    assert 1 <= int(named["retry-after"]) <= 5
    assert served.rows("events") == []
    status, _, answer = served.post("/webhooks/open", body(1))
    assert (status, "duplicate" in answer) == (202, False)


def test_a_new_connection_is_told_to_come_back_while_all_others_are_at_work(serve: Serve) -> None:
    served = serve(limits=Limits(connections=1))
    connections = served.server._running.result(0)._connections
    with closing(apsw.Connection(str(served.runtime.settings.database_path))) as other:
        other.execute("BEGIN IMMEDIATE")
        working = served.dial()
        working.sendall(b'POST /webhooks/open HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"id":"a"}')
        eventually(lambda: connections._open and not connections._waiting)
        refused = served.raw(b"")
        other.execute("ROLLBACK")
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert refused.endswith(b'{"ok":false,"error":"overloaded"}')
    assert working.recv(100).startswith(b"HTTP/1.1 202 ")


def test_a_store_that_is_closed_answers_503_and_readiness_fails(served: Served) -> None:
    served.post("/webhooks/open", body(0))
    served.runtime.database.close()
    eventually(lambda: served.send("GET", "/readyz")[0] == 503)
    assert served.send("GET", "/readyz")[2] == {"ok": False, "error": "not_ready", "reason": "store_unavailable"}
    status, _, answer = served.post("/webhooks/open", body(1))
    assert (status, answer["error"]) == (503, "store_unavailable")
    assert served.send("GET", "/healthz")[0] == 200


def test_forged_requests_write_no_rows(served: Served) -> None:
    before = {table: served.rows(table) for table in ("events", "runs", "actions", "audit")}
    for number in range(100):
        assert served.post("/webhooks/signed", body(number), X_Hasna_Signature=sign(BODY))[0] == 401
    assert {table: served.rows(table) for table in before} == before


def test_no_secret_or_signature_is_written_anywhere(served: Served) -> None:
    mac = sign(BODY)
    assert served.post("/webhooks/signed", X_Hasna_Signature=mac, X_Event_Id="k")[0] == 202
    assert served.post("/webhooks/signed", X_Hasna_Signature=sign(b"x"), X_Event_Id="l")[0] == 401
    raw = SECRET.encode()
    written = served.artefacts()
    assert b"webhook:signed:k" in written
    for canary in (
        raw,
        base64.b64encode(raw).rstrip(b"="),
        raw.hex().encode(),
        quote(SECRET, safe="").encode(),
        mac.encode(),
    ):
        assert canary not in written
