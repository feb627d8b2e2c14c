"""Records: rows in the contract's words, absent rather than null."""

from typing import Any

import pytest

from automations.core.record import action_record, attempt_record, automation_record, route_record, run_record

AT = 1_700_000_000_123_456
SHOWN = "2023-11-14T22:13:20.123Z"
AUTOMATION: dict[str, Any] = {
    "id": "a", "spec_json": '{"id":"a"}', "status": "active", "created_at": AT, "updated_at": AT, "generation": 2,
    "digest": "sha256:x", "owner": "source:default", "file": None, "conditions_json": "{}",
}  # fmt: skip
RUN: dict[str, Any] = {
    "id": "r", "automation_id": "a", "generation": 2, "status": "materialized", "trigger_json": '{"kind":"event"}',
    "trigger_event_id": None, "idempotency_key": "a:e1", "created_at": AT, "updated_at": AT, "started_at": None,
    "completed_at": None, "error_json": None, "metadata_json": "{}", "replay_of": None,
    "slot_key": None, "slot_limit": None, "slot": None, "stop": None, "stop_by": None, "stop_reason": None, "stop_at": None,
    "deadline_at": None,
}  # fmt: skip
ACTION: dict[str, Any] = {
    "id": "x", "run_id": "r", "automation_id": "a", "step_id": "s", "action_id": "todos.create", "idempotency_key": "a:e1:s",
    "status": "queued", "manifest_version": "1.0.0", "attempt": 0, "max_attempts": 3, "available_at": AT, "created_at": AT,
    "updated_at": AT, "completed_at": None, "claimed_by": None, "claimed_at": None, "lease_expires_at": None, "fence": 0,
    "approval_json": None, "result_json": None, "error_json": None, "dead_letter_json": None, "reason": None,
    "input_json": None, "metadata_json": "{}", "attempt_deadline_at": None, "step_deadline_at": None,
    "cancel_requested_at": None, "cancel_by": None, "cancel_reason": None,
}  # fmt: skip
ROUTE: dict[str, Any] = {
    "id": "a.0", "automation_id": "a", "path": "/x", "status": "active", "signature_json": None,
    "mapping_json": '{"source":"s","type":"t"}', "created_at": AT, "updated_at": AT, "owner": "api", "metadata_json": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("show", "row"),
    [(automation_record, AUTOMATION), (run_record, RUN), (action_record, ACTION), (route_record, ROUTE)],
)
def test_what_is_absent_has_no_key_and_times_are_iso(show: Any, row: dict[str, Any]) -> None:
    shown = show(row)
    assert None not in shown.values()
    assert (shown["createdAt"], shown["updatedAt"]) == (SHOWN, SHOWN)


def test_a_run_shows_its_slot_how_it_was_stopped_and_until_when_it_may_go_on() -> None:
    slot = {"slot_key": "prod", "slot_limit": 1, "slot": "held"}
    stop = {"stop": "cancelled", "stop_by": "ada", "stop_reason": "wrong branch", "stop_at": AT}
    shown = run_record(RUN | slot | stop | {"deadline_at": AT})
    assert shown["slot"] == {"key": "prod", "limit": 1, "state": "held"}
    assert shown["stop"] == {"status": "cancelled", "at": SHOWN, "by": "ada", "reason": "wrong branch"}
    assert shown["deadlineAt"] == SHOWN


def test_an_action_tells_its_holder_that_it_is_asked_to_stop_and_who_asked() -> None:
    asked = ACTION | {"cancel_requested_at": AT, "cancel_by": "ada", "cancel_reason": None}
    assert action_record(asked | {"status": "claimed"})["cancelRequested"] is True
    ended = action_record(asked | {"status": "cancelled"})
    assert "cancelRequested" not in ended
    assert ended["cancel"] == {"by": "ada", "requestedAt": SHOWN}


def test_a_new_run_shows_exactly_the_contract_s_keys() -> None:
    assert set(run_record(RUN)) == {
        "id", "automationId", "generation", "status", "trigger", "idempotencyKey", "createdAt", "updatedAt",
    }  # fmt: skip


def test_a_new_action_shows_exactly_the_contract_s_keys() -> None:
    shown = action_record(ACTION)
    assert set(shown) == {
        "id", "automationRunId", "stepId", "actionId", "idempotencyKey", "status", "invocation", "attempt", "maxAttempts",
        "availableAt", "createdAt", "updatedAt",
    }  # fmt: skip
    assert set(shown["invocation"]) == {
        "id", "actionId", "manifestVersion", "input", "automationId", "runId", "requestedAt", "idempotencyKey", "metadata",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "shown", "state"),
    [
        ("blocked", "queued", "blocked"),
        ("waiting_approval", "queued", "waiting_approval"),
        ("rejected", "dead", "rejected"),
        ("queued", "queued", None),
        ("claimed", "claimed", None),
        ("retrying", "retrying", None),
        ("succeeded", "succeeded", None),
        ("dead", "dead", None),
    ],
)
def test_clients_of_the_original_read_words_that_they_know(status: str, shown: str, state: str | None) -> None:
    record = action_record(ACTION | {"status": status})
    assert (record["status"], record.get("state")) == (shown, state)


@pytest.mark.parametrize(
    ("stored", "shown"), [(None, {}), ("null", None), ("[]", []), ("false", False), ('{"n":1.0}', {"n": 1.0})]
)
def test_an_invocation_s_input_is_what_its_author_wrote_of_whatever_shape(stored: str | None, shown: Any) -> None:
    assert action_record(ACTION | {"input_json": stored})["invocation"]["input"] == shown


def test_a_claim_shows_runner_times_and_fence() -> None:
    claim = {"claimed_by": "r1", "claimed_at": AT, "lease_expires_at": AT, "fence": 3, "status": "claimed"}
    shown = action_record(ACTION | claim)
    assert (shown["claimedBy"], shown["claimedAt"], shown["leaseExpiresAt"], shown["fence"]) == ("r1", SHOWN, SHOWN, 3)


def test_attempts_are_shown_when_asked_for_and_only_then() -> None:
    attempt = {
        "attempt": 1,
        "runner": "r1",
        "fence": 1,
        "started_at": AT,
        "ended_at": AT,
        "outcome": "failed",
        "error_json": None,
    }
    assert action_record(ACTION, attempts=[attempt])["attempts"] == [attempt_record(attempt)]
    assert action_record(ACTION, attempts=[])["attempts"] == []
    assert "attempts" not in action_record(ACTION)
    assert "error" not in attempt_record(attempt)


def test_a_falsy_value_is_not_absent() -> None:
    shown = action_record(ACTION | {"result_json": "0", "error_json": "{}"})
    assert (shown["result"], shown["error"], shown["attempt"]) == (0, {}, 0)
