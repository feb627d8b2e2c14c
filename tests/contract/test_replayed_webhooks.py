"""A signed body that comes again under another delivery id, over real HTTP and on every store, is one event."""

import hmac
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from automations.services.trigger.event_view import event_show
from automations.store.database import Database
from web_server import BODY, SECRET, Sent, Serve, Served, automation, sign

AT_ONCE = 12
OTHER = b'{"data":{"p":2}}'


def route(identity: str, signature: str) -> str:
    """An automation whose route is signed like this; its events' ids come from an unsigned header."""
    mapping = "mapping: {dataPath: data, dedupeKeyHeader: X-Event-Id}"
    return automation(identity, f", signature: {{secretRef: 'secret://hooks/signed', {signature}}}, {mapping}")


SPECS = {
    "hub": automation(
        "hub", ", signature: {preset: github, secretRef: 'secret://hooks/signed'}, mapping: {dataPath: data}"
    ),
    "spare": route("spare", "preset: github"),
    "open": route("open", "preset: github, rejectReplays: off"),
    "plain": route("plain", "header: X-Mac"),
    "strict": route("strict", "header: X-Mac, rejectReplays: 1h"),
}


@pytest.fixture
def served(serve: Serve, shared_database: Database) -> Served:
    return serve(database=shared_database, specs=SPECS)


def deliver(served: Served, name: str, identity: str, *, body: bytes = BODY) -> Sent:
    """One signed delivery under this id, by every header that a route may read it from."""
    headers = {"X_Hub_Signature_256": f"sha256={hmac.digest(SECRET.encode(), body, 'sha256').hex()}"}
    headers |= {"X_Mac": sign(body), "X_GitHub_Delivery": identity, "X_Event_Id": identity}
    return served.post(f"/webhooks/{name}", body, **headers)


def ran(answer: Sent) -> Any:
    status, _, body = answer
    assert status == 202, body
    return [each["runId"] for each in body["materialized"]]


def test_the_same_signed_body_under_another_id_is_a_duplicate_and_is_recorded(served: Served) -> None:
    first = deliver(served, "hub", "one")
    again = deliver(served, "hub", "two")
    assert ran(first) == ran(again) != []
    assert (first[2].get("duplicate"), again[2]["duplicate"]) == (None, True)
    assert again[2]["eventId"] == first[2]["eventId"]
    (event,) = served.rows("events")
    assert (event["replays"], len(served.rows("runs"))) == (1, 1)
    (told,) = served.telemetry.named("event.replayed")
    assert (told["event_id"], told["first"]) == ("webhook:hub:two", event["id"])
    assert event_show(served.runtime.database, event["id"])["replays"] == 1


def test_a_redelivery_under_the_same_id_is_answered_as_ever_and_is_no_replay(served: Served) -> None:
    first, again = deliver(served, "hub", "one"), deliver(served, "hub", "one")
    assert ran(first) == ran(again)
    assert again[2]["duplicate"] is True
    assert [row["replays"] for row in served.rows("events")] == [0]
    assert served.telemetry.named("event.replayed") == []


@pytest.mark.parametrize(("name", "runs"), [("hub", 1), ("strict", 1), ("open", 2), ("plain", 2)])
def test_it_is_the_preset_s_choice_and_the_author_s(served: Served, name: str, runs: int) -> None:
    assert len({*ran(deliver(served, name, "one")), *ran(deliver(served, name, "two"))}) == runs


def test_another_body_and_another_route_are_other_events(served: Served) -> None:
    answers = [
        deliver(served, "hub", "one"),
        deliver(served, "hub", "two", body=OTHER),
        deliver(served, "spare", "one"),
    ]
    assert len({run for each in answers for run in ran(each)}) == 3
    assert [each[2].get("duplicate") for each in answers] == [None] * 3


def test_after_the_window_it_is_an_event_again(served: Served) -> None:
    first = deliver(served, "strict", "one")
    hour = 3600 * 1_000_000
    for back, same in ((hour - 60_000_000, True), (hour, False)):
        with served.runtime.database.write() as tx:
            tx.run("UPDATE events SET received_at = :at", at=served.runtime.clock.now() - back)
        assert (ran(deliver(served, "strict", f"after {back}")) == ran(first)) is same


def test_of_many_at_once_at_two_daemons_one_starts_a_run(
    served: Served, serve: Serve, open_store: Callable[[], Database]
) -> None:
    other = serve(database=open_store(), specs=None)
    for round_ in range(5):
        body = f'{{"data":{{"round":{round_}}}}}'.encode()
        start = Barrier(AT_ONCE)

        def sent(number: int, body: bytes = body, start: Barrier = start) -> Sent:
            start.wait(30)
            return deliver((served, other)[number % 2], "hub", f"{body!r} {number}", body=body)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(sent, range(AT_ONCE)))
        assert len({tuple(ran(each)) for each in answers}) == 1
        assert sum(each[2].get("duplicate") is None for each in answers) == 1
    assert [row["replays"] for row in served.rows("events")] == [AT_ONCE - 1] * 5
    assert len(served.rows("runs")) == 5
