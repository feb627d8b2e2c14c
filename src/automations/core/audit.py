"""The audit chain: every entry is sealed with the hash of the one before it.

An edit, a removal in the middle or a reordering breaks the chain at that entry; a cut at the end is seen by whoever kept the
last hash.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from automations.core.actor import SYSTEM
from automations.core.canonical import encode

GENESIS = "0" * 64
"""What the first entry calls its predecessor."""
CUT = "audit.cut"
"""The action of an entry that says that older ones went because their time was over."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Who did what to which thing, when (microseconds)."""

    at: int
    actor: str
    action: str
    subject: str
    detail: Mapping[str, Any]


def seal(entry: Entry, *, last: Mapping[str, Any] | None) -> dict[str, Any]:
    """The row to append after `last` (`{seq, hash}`, None for the first)."""
    row: dict[str, Any] = {
        "seq": last["seq"] + 1 if last else 1,
        "at": entry.at,
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "detail_json": encode(dict(entry.detail)),
        "previous": last["hash"] if last else GENESIS,
    }
    return row | {"hash": _hash(row)}


def cut_off(last: Mapping[str, Any], *, now: int) -> Entry:
    """What is recorded when the chain is cut short by retention: `last` is the newest entry that goes (`{seq, hash}`)."""
    return Entry(now, SYSTEM, CUT, "audit", {"through": last["seq"], "hash": last["hash"]})


def broken_at(rows: Iterable[Mapping[str, Any]], *, cut: Mapping[str, Any] | None = None) -> int | None:
    """The `seq` of the first entry that does not fit the chain, or None when all do.

    `cut` is the detail of the newest entry that says that older ones went; the chain then begins where it says, and that
    entry is itself part of what is checked.
    """
    previous, expected = (cut["hash"], cut["through"] + 1) if cut else (GENESIS, 1)
    for row in rows:
        if row["seq"] != expected or row["previous"] != previous or row["hash"] != _hash(row):
            return int(row["seq"])
        previous, expected = row["hash"], expected + 1
    return None


def _hash(row: Mapping[str, Any]) -> str:
    sealed = {key: row[key] for key in ("seq", "at", "actor", "action", "subject", "detail_json", "previous")}
    return sha256(encode(sealed).encode()).hexdigest()
