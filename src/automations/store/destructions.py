"""What was deleted, switched off or left without a trigger, and when: the safety rule counts it over ten minutes."""

from automations.store.database import Row, Transaction


def since(tx: Transaction, at: int, /) -> list[Row]:
    """`{owner, count, deletes}`, summed, from an instant (microseconds) on."""
    return tx.all(
        """SELECT owner, SUM(count) AS count, SUM(deletes) AS deletes FROM destructions WHERE at >= :at GROUP BY owner""",
        at=at,
    )


def insert(tx: Transaction, row: Row, /) -> None:
    """Record what one commit destroyed, and forget what is too old to count."""
    tx.run(
        """INSERT INTO destructions (owner, serial, at, count, deletes) VALUES (:owner, :serial, :now, :count, :deletes)""",
        owner=row["owner"],
        serial=row["serial"],
        now=row["now"],
        count=row["count"],
        deletes=row["deletes"],
    )
    tx.run("DELETE FROM destructions WHERE at < :before", before=row["before"])
