"""Webhook routes: one exact path each. Deleted ones are kept, and paths that a route had before, so that these answer 410."""

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


def left(tx: Transaction, /) -> list[Row]:
    """Routes as they were at paths that they had before: the rows of `every` with the old path."""
    return tx.all(
        """SELECT r.id, r.automation_id, r.trigger_id, l.path, r.status, r.owner, r.signature_json, r.mapping_json,
             r.created_at, r.updated_at, l.left_at AS deleted_at
           FROM left_paths l JOIN routes r ON r.id = l.route_id ORDER BY l.left_at, l.path"""
    )


def put(tx: Transaction, row: Row, /) -> None:
    """Create a route or replace the one of the same id (its creation time stays); a path that it had before is left."""
    tx.run(
        """INSERT INTO left_paths (path, route_id, left_at)
           SELECT path, id, coalesce(deleted_at, :now) FROM routes WHERE id = :id AND path <> :path
           ON CONFLICT (path) DO UPDATE SET route_id = excluded.route_id, left_at = excluded.left_at""",
        **{key: row[key] for key in ("id", "path", "now")},
    )
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


def delete_all_of(tx: Transaction, automation_id: str, /, *, now: int) -> int:
    """Unbind every route of an automation that is deleted, those registered by hand as well."""
    return tx.run(
        """UPDATE routes SET deleted_at = :now, updated_at = :now
           WHERE automation_id = :automation_id AND deleted_at IS NULL""",
        automation_id=automation_id,
        now=now,
    )


def restore(tx: Transaction, automation_id: str, /, *, now: int) -> None:
    """Bind what was registered by hand for an automation that comes back, by id, where nobody has the path now."""
    parked = tx.all(
        """SELECT id FROM routes WHERE automation_id = :automation_id AND trigger_id IS NULL AND deleted_at IS NOT NULL
           ORDER BY id""",
        automation_id=automation_id,
    )
    tx.many(
        """UPDATE routes SET deleted_at = NULL, updated_at = :now WHERE id = :id
             AND NOT EXISTS (SELECT 1 FROM routes l WHERE l.path = routes.path AND l.deleted_at IS NULL)""",
        [{"id": row["id"], "now": now} for row in parked],
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


def left_before(tx: Transaction, /, *, before: int) -> bool:
    """Whether a route left a path before an instant."""
    return tx.one("SELECT path FROM left_paths WHERE left_at < :before LIMIT 1", before=before) is not None


def forget_left(tx: Transaction, /, *, before: int) -> int:
    """Paths that were left before an instant answer 404 from now on."""
    return tx.run("DELETE FROM left_paths WHERE left_at < :before", before=before)
