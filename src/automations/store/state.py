"""Which store this is, and how often its definitions changed."""

from automations.store.database import Row, Transaction


def read(tx: Transaction, /) -> Row:
    """`{lineage, serial, created_at}`."""
    row = tx.one("SELECT lineage, serial, created_at FROM state WHERE id = 1")
    assert row is not None, "a migrated store has its state row"  # noqa: S101  # migrate() put it there
    return row


def bump(tx: Transaction, /, *, serial: int) -> bool:
    """Raise the serial by one if it still is `serial`; whether it was. Holds the row, so definition changes queue up."""
    return tx.run("UPDATE state SET serial = serial + 1 WHERE id = 1 AND serial = :serial", serial=serial) == 1


def hold(tx: Transaction, /) -> None:
    """Hold the state's row until commit, without raising the serial; appending to the audit chain needs it."""
    tx.one(f"SELECT id FROM state WHERE id = 1{tx.for_update}")
