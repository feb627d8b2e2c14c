"""The library face: the page's example as it stands, every method's record, and that importing the package costs nothing."""

import doctest
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from os import getpid
from pathlib import Path
from typing import Any

import pytest

import automations
from automations import AutomationsStore, example_automation_spec, library
from automations.errors import Conflict, InvalidInput, NotFound, SpecInvalid, StoreError
from compat.record_shapes import (
    ACTION,
    AUTOMATION,
    MATERIALIZED,
    ROUTE,
    RUN,
    STATUS,
    WEBHOOK_EVENT,
    WEBHOOK_TEST,
    conforms,
)
from postgres_server import fresh_schema, postgres_server

EVENT = {"id": "evt_1", "source": "open-events", "type": "ticket.created", "data": {"priority": "critical"}}
ROUTE_WANTED = {
    "id": "tickets",
    "mapping": {"source": "open-events", "type": "ticket.created", "dataPath": "data", "dedupeKeyHeader": "X-Key"},
}
_schemas = count(1)
BODY = b'{"data": {"priority": "critical"}}'


__all__ = ["postgres_server"]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AutomationsStore]:
    """A store of its own, with the example in it."""
    with ExitStack() as stack:
        url = None
        if request.param == "postgres":
            server = request.getfixturevalue("postgres_server")
            url = stack.enter_context(fresh_schema(server, f"library_{getpid()}_{next(_schemas)}"))
        opened = stack.enter_context(AutomationsStore(tmp_path / "root", url=url, actor="tester"))
        opened.create_automation(example_automation_spec())
        yield opened


def claimed(store: AutomationsStore, runner: str = "r1") -> dict[str, Any]:
    """The next action, which there must be."""
    action = store.claim_next_action(runner)
    assert action is not None
    return action


def test_the_examples_in_the_library_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HASNA_AUTOMATIONS_DIR", str(tmp_path))
    result = doctest.testmod(library)
    assert (result.failed, result.attempted) == (0, 5)


def test_importing_the_package_imports_nothing_of_it() -> None:
    line = "import sys, automations; print([name for name in sys.modules if name.startswith('automations.')])"
    ended = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"


def test_the_package_has_no_other_names() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = automations.nonsense  # type: ignore[attr-defined]  # that is the point


def test_events_become_records_of_the_contract_once(store: AutomationsStore) -> None:
    (made,) = conforms(store.materialize_event(EVENT), [MATERIALIZED])
    assert store.materialize_event(dict(reversed(EVENT.items()))) == [made]
    conforms(store.list_automations(), [AUTOMATION])
    assert conforms(store.get_automation("tickets.escalate-critical"), AUTOMATION)["owner"] == "api"
    assert conforms(store.list_runs(), [RUN])[0]["id"] == made["run"]["id"]
    assert store.get_run(made["run"]["id"])["actions"][0]["id"] == made["actions"][0]["id"]
    assert conforms(store.status(), STATUS)["counts"]["runs"] == 1


def test_an_event_that_matches_nothing_starts_nothing(store: AutomationsStore) -> None:
    assert store.materialize_event({**EVENT, "type": "ticket.closed"}) == []


def test_an_action_is_claimed_kept_given_back_and_completed(store: AutomationsStore) -> None:
    store.materialize_event(EVENT)
    for wanted in ("other.*", "*.destroy", "Todos.*", "todos.cre", "todos.*.create", "todos.create*create"):
        assert store.claim_next_action("r1", action=wanted) is None
    action = conforms(claimed(store), ACTION)
    kept = conforms(store.heartbeat_action(action["id"], "r1", lease_ms=60_000), ACTION)
    assert kept["leaseExpiresAt"] > action["leaseExpiresAt"]
    assert conforms(store.release_action(action["id"], "r1"), ACTION)["status"] == "queued"
    again = store.claim_next_action("r1", action="todos.*")
    assert again is not None
    assert (again["attempt"], again["fence"]) == (0, 2)
    done = store.complete_action(action["id"], "r1", result={"output": {"n": 1}}, fence=2)
    assert conforms(done, ACTION)["result"] == {"output": {"n": 1}}
    assert store.complete_action(action["id"], "r1", result={"output": {"n": 1}}, fence=2) == done
    assert store.get_action(action["id"])["status"] == "succeeded"
    assert store.list_actions() == []


def test_an_action_fails_dies_and_goes_back(store: AutomationsStore) -> None:
    store.materialize_event(EVENT)
    action = claimed(store)
    retrying = store.fail_action(action["id"], "r1", error={"code": "E1"}, retry_backoff_ms=0)
    assert conforms(retrying, ACTION)["error"] == {"code": "E1", "message": "Action failed", "retryable": True}
    claimed(store)
    dead = store.fail_action(action["id"], "r1", error={"retryable": False})
    assert (dead["status"], [each["id"] for each in store.list_dead_actions()]) == ("dead", [action["id"]])
    assert conforms(store.requeue_dead_action(action["id"]), ACTION)["status"] == "queued"


def test_people_decide(store: AutomationsStore) -> None:
    spec = example_automation_spec()
    spec["actions"][0]["approval"] = {"requiresApproval": True}
    store.create_automation(spec)
    store.materialize_event(EVENT)
    store.materialize_event({**EVENT, "id": "evt_2"})
    first, second = conforms(store.list_waiting_actions(), [ACTION])
    approved = conforms(store.approve_action(first["id"], actor="ada"), ACTION)
    assert approved["approvalGate"]["decision"]["metadata"] == {"decidedBy": "ada"}
    rejected = conforms(store.reject_action(second["id"], reason="too dear"), ACTION)
    assert (rejected["status"], rejected["deadLetter"]["replayable"]) == ("dead", False)
    assert rejected["approvalGate"]["decision"]["metadata"] == {"decidedBy": "tester"}
    with pytest.raises(Conflict, match="is not replayable"):
        store.requeue_dead_action(second["id"])


def test_webhook_requests_are_taken_in(store: AutomationsStore) -> None:
    route = conforms(store.create_webhook_route("tickets.escalate-critical", ROUTE_WANTED), ROUTE)
    assert conforms(store.list_webhook_routes(), [ROUTE]) == [route]
    event = conforms(store.webhook_event("/webhooks/tickets", BODY, headers={"x-key": "k1"}), WEBHOOK_EVENT)
    assert event["dedupeKey"] == "k1"
    taken = store.materialize_webhook_request("tickets", BODY.decode(), headers={"X-Key": "k1"})
    assert len(conforms(taken, WEBHOOK_TEST)["materialized"]) == 1
    assert store.set_webhook_route_status("tickets", "disabled")["status"] == "disabled"
    with pytest.raises(Conflict, match="webhook route is not active: tickets"):
        store.materialize_webhook_request("tickets", BODY)
    with pytest.raises(Conflict, match="webhook route has no signature config: tickets"):
        store.rotate_webhook_route_secret("tickets", "secret://new")
    signed = {**ROUTE_WANTED, "signature": {"secretRef": "secret://old"}}
    assert store.create_webhook_route("tickets.escalate-critical", signed)["signature"]["algorithm"] == "hmac-sha256"
    assert store.rotate_webhook_route_secret("tickets", "secret://new")["signature"]["secretRef"] == "secret://new"


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda store: store.create_automation({"id": "x"}), SpecInvalid, "automation name is required"),
        (lambda store: store.create_automation({"id": object()}), InvalidInput, "not plain JSON data"),
        (lambda store: store.create_automation({"id": float("nan")}), InvalidInput, "not plain JSON data"),
        (lambda store: store.materialize_event({"id": "x"}), InvalidInput, "event source is missing"),
        (lambda store: store.get_automation("nope"), NotFound, "automation not found: nope"),
        (lambda store: store.complete_action("nope", "r"), NotFound, "queued action not found: nope"),
        (lambda store: store.get_action("nope"), NotFound, "queued action not found: nope"),
        (lambda store: store.claim_next_action("r", action="*.a.*"), InvalidInput, "more than one"),
        (lambda store: store.create_webhook_route("nope", ROUTE_WANTED), NotFound, "automation not found: nope"),
        (lambda store: store.create_webhook_route("nope", {}), InvalidInput, "mapping needs source"),
        (
            lambda store: store.create_webhook_route("nope", {**ROUTE_WANTED, "secret": "x"}),
            InvalidInput,
            "unknown key",
        ),
        (lambda store: store.set_webhook_route_status("nope", "odd"), InvalidInput, "no such route status: odd"),
        (lambda store: store.get_webhook_route("nope"), NotFound, "webhook route not found: nope"),
    ],
)
def test_what_is_wrong_is_said(store: AutomationsStore, call: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        call(store)


def test_a_store_that_cannot_be_opened_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        AutomationsStore(tmp_path / "file")
