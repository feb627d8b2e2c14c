"""Envelopes: what a document may hold, what it cannot claim, and that nothing is lost on the way back."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automations.core.instant import parse_iso
from automations.core.trigger.envelope import TEXT_LIMIT, Envelope, from_document, identity, to_document
from automations.errors import InvalidInput

NOW = parse_iso("2026-11-23T00:32:35.945Z")
LEAST = {"id": "evt_1", "source": "open-events", "type": "ticket.created"}


def read(**changes: Any) -> Envelope:
    return from_document({**LEAST, **changes}, received_at=NOW)


def test_the_least_event_has_an_id_a_source_and_a_type() -> None:
    envelope = from_document(LEAST, received_at=NOW)
    assert envelope == Envelope("evt_1", "open-events", "ticket.created", time=NOW)
    assert to_document(envelope) == {**LEAST, "time": "2026-11-23T00:32:35.945Z", "data": {}}


def test_a_full_event_is_written_as_it_was_read() -> None:
    document = {
        **LEAST,
        "subject": "ticket:1",
        "time": "2026-11-23T00:32:35.945Z",
        "severity": "critical",
        "message": "It burns",
        "schemaVersion": "1.0",
        "data": {"priority": "critical", "n": [1, None]},
        "dedupeKey": "k",
        "metadata": {"tenant": "acme"},
    }
    assert to_document(from_document(document, received_at=0)) == document


def test_null_stands_for_an_absent_key() -> None:
    assert read(subject=None, time=None, data=None, dedupeKey=None, metadata=None) == read()


def test_a_time_in_another_zone_is_shown_in_utc() -> None:
    assert to_document(read(time="2026-11-23T02:00:00+02:00"))["time"] == "2026-11-23T00:00:00.000Z"


def test_an_event_without_an_id_takes_the_new_one_if_it_is_given() -> None:
    nameless = {"source": "s", "type": "t"}
    assert from_document(nameless, received_at=NOW, new_id="n1").id == "n1"
    assert from_document(LEAST, received_at=NOW, new_id="n1").id == "evt_1"


REFUSED: dict[str, tuple[Any, str]] = {
    "not an object": ([LEAST], "an event must be a JSON object"),
    "no id": ({"source": "s", "type": "t"}, "event id is missing"),
    "no source": ({"id": "i", "type": "t"}, "event source is missing"),
    "no type": ({"id": "i", "source": "s"}, "event type is missing"),
    "a null id": ({**LEAST, "id": None}, "event id is missing"),
    "an empty id": ({**LEAST, "id": ""}, "event id must not be empty"),
    "a number as id": ({**LEAST, "id": 7}, "event id must be a text"),
    "an empty type": ({**LEAST, "type": ""}, "event type must not be empty"),
    "an empty subject": ({**LEAST, "subject": ""}, "event subject must not be empty"),
    "an empty dedupe key": ({**LEAST, "dedupeKey": ""}, "event dedupeKey must not be empty"),
    "a NUL in the source": ({**LEAST, "source": "a\x00b"}, "event source must not hold a NUL character"),
    "half a surrogate pair": ({**LEAST, "id": "\ud800"}, "event id must not hold half of a surrogate pair"),
    "a long dedupe key": ({**LEAST, "dedupeKey": "x" * 1025}, "event dedupeKey is longer than 1024 bytes"),
    "a key long in bytes": ({**LEAST, "dedupeKey": "é" * 513}, "event dedupeKey is longer than 1024 bytes"),
    "a garbage time": ({**LEAST, "time": "garbage"}, "event time is not an RFC 3339 time"),
    "a local time": ({**LEAST, "time": "2026-11-23T00:00:00"}, "event time is not an RFC 3339 time"),
    "a time in seconds": ({**LEAST, "time": 1700000000}, "event time is not an RFC 3339 time"),
    "a time that no calendar has": ({**LEAST, "time": "2026-02-30T00:00:00Z"}, "event time is not an RFC 3339 time"),
    "a time before year 1": ({**LEAST, "time": "0001-01-01T00:00:00+01:00"}, "event time is not an RFC 3339 time"),
    "a time after year 9999": ({**LEAST, "time": "9999-12-31T23:59:59-01:00"}, "event time is not an RFC 3339 time"),
    "data that is a list": ({**LEAST, "data": []}, "event data must be a JSON object"),
    "data that is a text": ({**LEAST, "data": "x"}, "event data must be a JSON object"),
    "metadata that is a text": ({**LEAST, "metadata": "x"}, "event metadata must be a JSON object"),
}


@pytest.mark.parametrize(("document", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_an_event_that_cannot_be_kept_is_refused_by_name(document: Any, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        from_document(document, received_at=NOW)
    assert caught.value.message == message


def test_identity_texts_may_fill_their_limit() -> None:
    assert read(dedupeKey="é" * (TEXT_LIMIT // 2)).dedupe_key == "é" * (TEXT_LIMIT // 2)


def test_the_dedupe_key_is_the_identity_and_else_the_id() -> None:
    assert identity(read(dedupeKey="k")) == "k"
    assert identity(read()) == "evt_1"


def test_an_event_that_claims_to_come_from_a_webhook_stays_an_event() -> None:
    forged = read(
        metadata={"webhook": {"routeId": "tickets", "automationId": "a", "signatureConfigured": True}},
        origin="webhook",
        routeId="tickets",
        route_id="tickets",
        routeAutomationId="a",
    )
    assert (forged.origin, forged.route_id, forged.route_automation_id) == ("event", None, None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)
)


@given(
    st.fixed_dictionaries(
        {
            key: st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=40)
            for key in LEAST
        },
        optional={
            "subject": st.text("abc:", min_size=1),
            "dedupeKey": st.text("abc:", min_size=1),
            "data": st.dictionaries(st.text(), JSON),
            "metadata": st.dictionaries(st.text(), JSON),
            "severity": JSON,
        },
    )
)
def test_reading_what_was_written_gives_the_same_envelope(document: dict[str, Any]) -> None:
    envelope = from_document(document, received_at=NOW)
    assert from_document(to_document(envelope), received_at=0) == envelope


@given(JSON, st.sampled_from(["id", "source", "type", "subject", "time", "data", "dedupeKey", "metadata"]))
def test_whatever_stands_at_a_key_is_read_or_refused_and_never_a_bug(value: Any, key: str) -> None:
    try:
        told = to_document(read(**{key: value}))["id"] and key
    except InvalidInput as refused:
        told = refused.message
    assert key in told
