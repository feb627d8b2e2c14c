"""Rows by the beginning or the end of their id, for people who type a part of it. Every row is looked at."""

from typing import Literal

from automations.store.database import Row, Transaction

Kind = Literal["run", "action", "event"]

_SELECT: dict[Kind, str] = {
    "run": "SELECT id, automation_id || ' ' || status AS about FROM runs WHERE ",
    "action": "SELECT a.id AS id, r.automation_id || ' / ' || a.step_id AS about "
    "FROM actions a JOIN runs r ON r.id = a.run_id WHERE ",
    "event": "SELECT id, source || ' ' || type || ' ' || event_id AS about FROM events WHERE ",
}
_COLUMNS: dict[Kind, tuple[str, ...]] = {"run": ("id",), "action": ("a.id",), "event": ("id", "event_id")}


def fitting(tx: Transaction, kind: Kind, part: str, /, *, most: int) -> list[Row]:
    """`{id, about}` of the rows whose id (of an event also its own id) begins or ends so; the newest first."""
    # `substr` compares by case in both databases, and takes no character for a wildcard.
    sides = [
        f"substr({column}, {start}, {len(part)}) = :part"
        for column in _COLUMNS[kind]
        for start in ("1", f"length({column}) - {len(part) - 1}")
    ]
    return tx.all(f"{_SELECT[kind]}({' OR '.join(sides)}) ORDER BY 1 DESC LIMIT {most}", part=part)
