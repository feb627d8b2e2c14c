"""Replays: a signed body that comes again under another delivery id is the same event, within its route's `rejectReplays`.

Most senders sign the body and not the id beside it, so whoever saw one delivery could send it again under new ids. The provider's
own redeliveries keep their id, and are answered by that.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from automations.core.trigger.envelope import scope_of
from automations.store import events

if TYPE_CHECKING:
    from collections.abc import Iterable

    from automations.services.trigger.ingest import Delivery
    from automations.store.database import Row, Transaction


def hold_bodies(tx: Transaction, deliveries: Iterable[Delivery], /) -> None:
    """Hold the guarded bodies of a group until commit, so that of two that come to two daemons at once one finds the other.

    First of all that a group holds: whoever holds a body waits for nobody who wants one.
    """
    if tx.for_update:
        guarded = [each for each in deliveries if each.once_within is not None]
        tx.exclude(f"body {scope_of(each.envelope)} {each.body_digest}" for each in guarded)


def replayed(tx: Transaction, delivery: Delivery, /, *, now: int) -> Row | None:
    """The event that a delivery of another identity repeats, if it repeats one."""
    if delivery.once_within is None:
        return None
    return events.of_body(tx, scope_of(delivery.envelope), delivery.body_digest, since=now - delivery.once_within)


def count_repeats(tx: Transaction, *, replays: Iterable[str], conflicts: Iterable[str], now: int) -> None:
    """Keep on record how often these events (row ids) came again as replays, or with another body under their identity.

    In one order, so that nobody deadlocks.
    """
    again, otherwise = Counter(replays), Counter(conflicts)
    events.add_repeats(
        tx,
        [
            {"id": row_id, "replays": again[row_id], "conflicts": otherwise[row_id], "now": now}
            for row_id in sorted(again.keys() | otherwise.keys())
        ],
    )
