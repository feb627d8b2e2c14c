"""The event that a run is for, as its expressions see it: the envelope, with the debounce window that it stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from automations.core.canonical import decode
from automations.store import events, outcomes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from automations.store.database import Row, Transaction


def event_of(tx: Transaction, run: Row) -> dict[str, Any] | None:
    """The event document of a run; None for a run that no event started, or whose event is kept no longer."""
    row = events.get(tx, run["event_row_id"]) if run["event_row_id"] else None
    if row is None:
        return None
    document: dict[str, Any] = decode(row["envelope_json"])
    window = decode(run["metadata_json"]).get("window") if run["metadata_json"] else None
    if window is None:
        return document
    members = outcomes.of_run(tx, run["id"]) if window["emit"] == "all" else ()
    return windowed(document, window, members=[each["envelope_json"] for each in members])


def windowed(document: Mapping[str, Any], window: Mapping[str, Any], *, members: Sequence[str]) -> dict[str, Any]:
    """An envelope's document with `window`; with `emit: all` also the window's `events` (their envelopes' texts)."""
    events_of_it = {"events": [decode(each) for each in members]} if window["emit"] == "all" else {}
    return {**document, "window": {**window, **events_of_it}}
