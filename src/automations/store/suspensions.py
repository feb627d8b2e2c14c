"""Suspensions: pauses by hand, laid over what the files say."""

from automations.store.database import Row, Transaction


def every(tx: Transaction, /) -> list[Row]:
    """All of them, also those whose end has passed and that nobody took away yet."""
    return tx.all("SELECT * FROM suspensions ORDER BY subject")


def get(tx: Transaction, subject: str, /) -> Row | None:
    """The suspension of an automation (by uid) or of `source:<name>`."""
    return tx.one("SELECT * FROM suspensions WHERE subject = :subject", subject=subject)


def put(tx: Transaction, row: Row, /) -> None:
    """Suspend, or say anew why and until when."""
    tx.run(
        """INSERT INTO suspensions (subject, owner, reason, since, until_at)
           VALUES (:subject, :owner, :reason, :since, :until_at)
           ON CONFLICT (subject) DO UPDATE SET owner = excluded.owner, reason = excluded.reason, until_at = excluded.until_at""",
        **row,
    )


def remove(tx: Transaction, subject: str, /) -> bool:
    """Whether there was one to end."""
    return tx.run("DELETE FROM suspensions WHERE subject = :subject", subject=subject) == 1
