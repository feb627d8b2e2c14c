"""Webhook routes: one exact path each, deleted ones kept so that their path can answer 410."""

from collections.abc import Iterable

from automations.store.database import Row, Transaction


def every(tx: Transaction, /) -> list[Row]:
    """All routes, deleted ones too; oldest first."""
    return tx.all("SELECT * FROM routes ORDER BY created_at, id")


def of(tx: Transaction, automation_id: str, /) -> list[Row]:
    """All routes of one automation, deleted ones too."""
    return tx.all("SELECT * FROM routes WHERE automation_id = :automation_id", automation_id=automation_id)


def some(tx: Transaction, ids: Iterable[str], /) -> list[Row]:
    """The routes of these ids, deleted ones too; those that there are."""
    found = (tx.one("SELECT * FROM routes WHERE id = :id", id=each) for each in sorted(ids))
    return [row for row in found if row is not None]


def count(tx: Transaction, /) -> int:
    """How many routes are not deleted."""
    row = tx.one("SELECT count(*) AS n FROM routes WHERE deleted_at IS NULL")
    return int(row["n"]) if row else 0


def put(tx: Transaction, row: Row, /) -> None:
    """Create a route or replace the one of the same id (its creation time stays)."""
    tx.run(
        """INSERT INTO routes (id, automation_id, trigger_id, path, status, owner, signature_json, mapping_json,
             created_at, updated_at)
           VALUES (:id, :automation_id, :trigger_id, :path, :status, :owner, :signature_json, :mapping_json, :now, :now)
           ON CONFLICT (id) DO UPDATE SET automation_id = excluded.automation_id, trigger_id = excluded.trigger_id,
             path = excluded.path, status = excluded.status, owner = excluded.owner, signature_json = excluded.signature_json,
             mapping_json = excluded.mapping_json, updated_at = excluded.updated_at, deleted_at = NULL""",
        **row,
    )


def follow(tx: Transaction, previous: str, renamed: str, /, *, now: int) -> int:
    """Live routes of a renamed automation, those made by hand, go on feeding it."""
    return tx.run(
        """UPDATE routes SET automation_id = :renamed, updated_at = :now
           WHERE automation_id = :previous AND deleted_at IS NULL""",
        previous=previous,
        renamed=renamed,
        now=now,
    )


def delete_of(tx: Transaction, automation_id: str, /, *, owner: str, now: int) -> int:
    """Unbind the routes that this owner's spec declared for an automation; those registered by hand stay."""
    return tx.run(
        """UPDATE routes SET deleted_at = :now, updated_at = :now
           WHERE automation_id = :automation_id AND owner = :owner AND trigger_id IS NOT NULL AND deleted_at IS NULL""",
        automation_id=automation_id,
        owner=owner,
        now=now,
    )


def expired(tx: Transaction, /, *, before: int, limit: int) -> list[Row]:
    """`{id}` of routes that were deleted before an instant; oldest first."""
    return tx.all(
        "SELECT id FROM routes WHERE deleted_at < :before ORDER BY deleted_at, id LIMIT :limit",
        before=before,
        limit=limit,
    )


def bury(tx: Transaction, ids: Iterable[str], /, *, before: int) -> None:
    """Take deleted routes away, unless they came back meanwhile: their paths answer 404 from now on."""
    tx.many(
        "DELETE FROM routes WHERE id = :id AND deleted_at < :before", [{"id": each, "before": before} for each in ids]
    )
