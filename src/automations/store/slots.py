"""Slots: who of an automation's runs with the same key holds one, and who stands in line, counted under the key's lock.

Whoever takes, frees or hands on a slot holds the key first (`hold`, or `hold_of` for actions), then runs, then actions. The
lock serialises on a server; the embedded store has one writer anyway.
"""

from collections.abc import Iterable
from typing import NamedTuple

from automations.store.database import Row, Transaction
from automations.store.lists import AT_ONCE, listed


class Key(NamedTuple):
    """What slots are counted by."""

    uid: str
    key: str

    @property
    def name(self) -> str:
        """What is locked."""
        return f"slot {self.uid} {self.key}"


def hold(tx: Transaction, keys: Iterable[Key], /) -> None:
    """Hold these keys until commit."""
    tx.exclude(key.name for key in keys)


def hold_of(tx: Transaction, *, actions: Iterable[str] = (), runs: Iterable[str] = ()) -> None:
    """Hold the keys of these runs, and of those that these actions belong to; all at once, so that nobody deadlocks."""
    if not tx.for_update:
        return
    sql = "SELECT automation_uid, slot_key FROM runs WHERE slot_limit IS NOT NULL AND id IN"
    rows = _in_lists(tx, f"{sql} (SELECT run_id FROM actions WHERE id IN ({{names}}))", list(actions))
    rows += _in_lists(tx, f"{sql} ({{names}})", list(runs))
    hold(tx, [Key(row["automation_uid"], row["slot_key"]) for row in rows])


def _in_lists(tx: Transaction, sql: str, ids: list[str]) -> list[Row]:
    found: list[Row] = []
    for begin in range(0, len(ids), AT_ONCE[-1]):
        names, values = listed(ids[begin : begin + AT_ONCE[-1]])
        found += tx.all(sql.format(names=names), **values)
    return found


def line(tx: Transaction, key: Key, /, *, most: int) -> Row:
    """`{held, waiting, last_turn}`: holders, those in line (counted up to `most`), and the turn given last."""
    row = tx.one(
        """SELECT
             (SELECT count(*) FROM runs WHERE automation_uid = :uid AND slot_key = :key AND slot = 'held') AS held,
             (SELECT count(*) FROM (SELECT 1 AS one FROM runs WHERE automation_uid = :uid AND slot_key = :key
                AND slot IN ('waiting', 'returning') LIMIT :most) AS counted) AS waiting,
             (SELECT max(slot_turn) FROM runs WHERE automation_uid = :uid AND slot_key = :key
                AND slot IS NOT NULL) AS last_turn""",
        uid=key.uid,
        key=key.key,
        most=most,
    )
    assert row is not None  # noqa: S101  # a SELECT of counts has one row
    return row


def rivals(tx: Transaction, key: Key, /) -> list[Row]:
    """`{id, slot, stop}` of the key's runs that are not over, in the order of their turns."""
    return tx.all(
        """SELECT id, slot, stop FROM runs WHERE automation_uid = :uid AND slot_key = :key AND slot IS NOT NULL
           ORDER BY slot_turn, id""",
        uid=key.uid,
        key=key.key,
    )


def head(tx: Transaction, key: Key, /) -> Row | None:
    """The run whose turn it is, if a slot is free for it; held until commit."""
    return tx.one(
        f"""SELECT * FROM runs WHERE id = (
              SELECT id FROM runs WHERE automation_uid = :uid AND slot_key = :key AND slot IN ('waiting', 'returning')
              ORDER BY slot_turn, id LIMIT 1)
            AND slot_limit > (
              SELECT count(*) FROM runs WHERE automation_uid = :uid AND slot_key = :key AND slot = 'held'){tx.for_update}""",
        uid=key.uid,
        key=key.key,
    )


def idle(tx: Transaction, /, *, limit: int) -> list[Key]:
    """Keys that may have a free slot although somebody stands in line; `head` tells for sure."""
    rows = tx.all(
        """SELECT automation_uid, slot_key FROM runs w WHERE slot IN ('waiting', 'returning')
           GROUP BY automation_uid, slot_key
           HAVING max(slot_limit) > (SELECT count(*) FROM runs h WHERE h.automation_uid = w.automation_uid
             AND h.slot_key = w.slot_key AND h.slot = 'held') LIMIT :limit""",
        limit=limit,
    )
    return [Key(row["automation_uid"], row["slot_key"]) for row in rows]


def ahead(tx: Transaction, key: Key, turn: int, /) -> bool:
    """Whether somebody stands in line before this turn."""
    row = tx.one(
        """SELECT id FROM runs WHERE automation_uid = :uid AND slot_key = :key AND slot IN ('waiting', 'returning')
             AND slot_turn < :turn LIMIT 1""",
        uid=key.uid,
        key=key.key,
        turn=turn,
    )
    return row is not None


def hold_back(tx: Transaction, run_id: str, /, *, now: int) -> None:
    """What a run without its slot would hand out waits; the input stays frozen."""
    tx.run(
        """UPDATE actions SET status = 'blocked', turn = NULL, updated_at = :now
           WHERE run_id = :run_id AND status IN ('queued', 'retrying')""",
        run_id=run_id,
        now=now,
    )


def resume(tx: Transaction, run_id: str, /, *, now: int) -> None:
    """What was held back is in the queue again."""
    tx.run(
        """UPDATE actions SET status = CASE WHEN attempt > 0 THEN 'retrying' ELSE 'queued' END, updated_at = :now
           WHERE run_id = :run_id AND status = 'blocked' AND input_digest IS NOT NULL""",
        run_id=run_id,
        now=now,
    )
