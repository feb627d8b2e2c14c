"""Rows brought over whole from the original program, times and ids included: written once, never over what is there."""

from automations.store.database import Row, Transaction


def insert(tx: Transaction, table: str, row: Row, /) -> bool:
    """Insert a row of any of our tables; False when one of its keys is taken already (then nothing changed)."""
    columns, values = ", ".join(row), ", ".join(f":{name}" for name in row)
    return tx.run(f"INSERT INTO {table} ({columns}) VALUES ({values}) ON CONFLICT DO NOTHING", **row) == 1


def pin(tx: Transaction, uid: str, digest: str, /) -> int | None:
    """The generation before an automation's first that has this digest."""
    row = tx.one(
        "SELECT generation FROM generations WHERE uid = :uid AND digest = :digest AND generation < 1",
        uid=uid,
        digest=digest,
    )
    return int(row["generation"]) if row else None


def next_pin(tx: Transaction, uid: str, /) -> int:
    """The next free generation below an automation's first: 0, then -1 and so on."""
    row = tx.one("SELECT min(generation) AS n FROM generations WHERE uid = :uid AND generation < 1", uid=uid)
    return 0 if row is None or row["n"] is None else int(row["n"]) - 1


def add_to_event(tx: Transaction, row_id: str, /, *, materialized_json: str) -> None:
    """Name one more run that an event began."""
    tx.run("UPDATE events SET materialized_json = :runs WHERE id = :id", id=row_id, runs=materialized_json)
