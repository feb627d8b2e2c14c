"""What may be handed in as events: envelopes and CloudEvents, one, a list, or one a line; and which of them are refused."""

import json
from typing import Any

import pytest

from automations.core.trigger.cause import MOST_HOPS, Cause, caused, hops_of, read_cause, too_many_hops
from automations.core.trigger.envelope import Envelope, from_document, identity, scope_of, to_document
from automations.core.trigger.intake import HandIn, read_events
from automations.errors import InvalidInput

NOW = 1_700_000_000_000_000
EVENT = {"id": "e1", "source": "tickets", "type": "ticket.created", "data": {"n": 1}}
CLOUD = {"specversion": "1.0", "id": "c1", "source": "/tickets", "type": "ticket.created", "data": {"n": 1}}


def handed(raw: bytes | str | Any) -> HandIn:
    body = raw if isinstance(raw, bytes) else (raw if isinstance(raw, str) else json.dumps(raw)).encode()
    return read_events(body, received_at=NOW, new_id=lambda: "new-id")


def one(value: Any) -> Envelope:
    (read,) = handed(value).reads
    if read.problem is not None:
        raise read.problem
    assert read.envelope is not None
    return read.envelope


def refusal(value: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        one(value)
    return caught.value.message


def test_one_event_is_answered_as_one_and_a_list_as_a_list() -> None:
    assert not handed(EVENT).several
    assert handed([EVENT]).several
    assert handed(f"{json.dumps(EVENT)}\n{json.dumps({**EVENT, 'id': 'e2'})}\n").several


def test_an_envelope_without_an_id_gets_one_and_a_cloudevent_must_have_its_own() -> None:
    assert one({key: EVENT[key] for key in ("source", "type")}).id == "new-id"
    assert "id is missing" in refusal({key: value for key, value in CLOUD.items() if key != "id"})


def test_every_member_is_read_by_itself_and_a_bad_one_keeps_its_place() -> None:
    reads = handed([EVENT, {"id": "x"}, CLOUD, 7]).reads
    assert [each.envelope.id if each.envelope else None for each in reads] == ["e1", None, "c1", None]
    assert [each.problem.message for each in reads if each.problem] == [
        "event source is missing", "an event must be a JSON object",
    ]  # fmt: skip


def test_a_bad_line_is_one_refusal_among_lines() -> None:
    reads = handed(b'{"id":"a","source":"s","type":"t"}\n\n{"id":\n{"id":"b","source":"s","type":"t"}\n').reads
    assert [each.envelope.id if each.envelope else None for each in reads] == ["a", None, "b"]


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b'{\n "id": NaN\n}', b'{"id": 1, "id": 2}', b"\xff", b"[" * 200])
def test_what_cannot_be_read_at_all_is_refused_whole(raw: bytes) -> None:
    with pytest.raises(InvalidInput):
        handed(raw)


def test_more_events_at_once_than_one_commit_should_hold_are_refused() -> None:
    with pytest.raises(InvalidInput, match="1001 events"):
        handed([EVENT] * 1001)


def test_a_digest_is_of_what_was_sent() -> None:
    first, again, other = handed([EVENT, dict(reversed(EVENT.items())), {**EVENT, "data": {}}]).reads
    assert first.digest == again.digest != other.digest


# --- CloudEvents ------------------------------------------------------------------------------------------------------


def test_a_cloudevent_becomes_an_envelope_that_keeps_its_other_attributes() -> None:
    full = {**CLOUD, "subject": "t/1", "time": "2026-01-01T00:00:00Z", "dataschema": "https://x", "traceparent": "00-1"}
    envelope = one(full)
    assert (envelope.source, envelope.subject, envelope.data) == ("/tickets", "t/1", {"n": 1})
    document = to_document(envelope)
    assert (document["specversion"], document["dataschema"], document["traceparent"]) == ("1.0", "https://x", "00-1")
    assert (scope_of(envelope), identity(envelope)) == ("source:/tickets", "c1")


@pytest.mark.parametrize(
    ("given", "data"),
    [
        ({}, {}),
        ({"data": None}, {}),
        ({"data": [1, 2]}, {"value": [1, 2]}),
        ({"data": "text"}, {"value": "text"}),
        ({"data": 0}, {"value": 0}),
        ({"data_base64": "aGk="}, {"base64": "aGk="}),
    ],
)
def test_data_that_is_no_object_stands_where_a_filter_can_look(given: dict[str, Any], data: dict[str, Any]) -> None:
    assert one({**{key: value for key, value in CLOUD.items() if key != "data"}, **given}).data == data


def test_extension_attributes_of_ours_mean_what_the_envelopes_keys_mean() -> None:
    envelope = one({**CLOUD, "dedupekey": "k", "automationshops": 3})
    assert (envelope.dedupe_key, hops_of(envelope.metadata)) == ("k", 3)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"specversion": 1.0}, "specversion"),
        ({"Type": "x"}, "lower-case"),
        ({"trace_parent": "x"}, "lower-case"),
        ({"ext": {"a": 1}}, "ext"),
        ({"ext": 1.5}, "ext"),
        ({"data": 1, "data_base64": "aGk="}, "not both"),
        ({"data_base64": 5}, "data_base64"),
        ({"source": ""}, "source"),
        ({"time": "yesterday"}, "time"),
    ],
)
def test_a_cloudevent_that_breaks_its_format_is_refused_by_name(given: dict[str, Any], named: str) -> None:
    assert named in refusal({**CLOUD, **given})


# --- hops -------------------------------------------------------------------------------------------------------------


def envelope(**metadata: Any) -> Envelope:
    return from_document({**EVENT, "metadata": metadata}, received_at=NOW)


def test_what_a_run_sends_is_one_hop_further_than_its_own_event_whatever_it_says() -> None:
    cause = read_cause("run=0190-aa;hops=4")
    assert cause == Cause("0190-aa", 4)
    sent = caused(envelope(automations={"hops": 0}, kept=True), cause)
    assert sent.metadata == {"automations": {"causedBy": "0190-aa", "hops": 5}, "kept": True}


@pytest.mark.parametrize("text", ["", "run=;hops=1", "run=a;hops=-1", "run=a;hops=٣", "run=a;hops=1\n", "a;1"])
def test_a_cause_that_no_executor_wrote_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="AUTOMATIONS_CAUSE"):
        read_cause(text)


@pytest.mark.parametrize(("hops", "passes"), [(0, True), (MOST_HOPS, True), (MOST_HOPS + 1, False), (10**15, False)])
def test_an_event_that_came_through_too_many_runs_goes_no_further(hops: int, passes: bool) -> None:
    assert (too_many_hops(envelope(automations={"hops": hops})) is None) is passes


@pytest.mark.parametrize("hops", ["17", -1, True, 1.5, [1]])
def test_a_hop_count_that_is_none_goes_no_further_either(hops: Any) -> None:
    assert "whole number" in str(too_many_hops(envelope(automations={"hops": hops})))


def test_an_event_that_says_nothing_of_hops_passes() -> None:
    assert too_many_hops(envelope()) is None
    assert too_many_hops(envelope(automations="odd")) is None
