"""Automations and their generations: what is bound, who owns it, and every spec that ever was."""

from collections.abc import Iterable

from automations.store.database import Row, Transaction

_COLUMNS = """a.uid, a.id, a.owner, a.status, a.generation, a.observed_generation, a.digest, a.file, a.conditions_json,
  a.created_at, a.updated_at, a.deleted_at"""


def every(tx: Transaction, /) -> list[Row]:
    """All automations, deleted ones too, without their specs; oldest first."""
    return tx.all(f"SELECT {_COLUMNS} FROM automations a ORDER BY a.created_at, a.uid")


def heads(tx: Transaction, /) -> list[Row]:
    """All automations, deleted ones too, by what plans compare: without specs, conditions and times; oldest first."""
    return tx.all(
        """SELECT uid, id, owner, status, generation, digest, file, deleted_at FROM automations
           ORDER BY created_at, uid"""
    )


def some(tx: Transaction, ids: Iterable[str], /) -> list[Row]:
    """Of these automations what `every` tells of all, by id; those that there are."""
    found = (tx.one(f"SELECT {_COLUMNS} FROM automations a WHERE a.id = :id", id=each) for each in sorted(ids))
    return [row for row in found if row is not None]


def bound(tx: Transaction, /) -> list[Row]:
    """`{uid, owner, generation, digest}` of automations that are not deleted; oldest first."""
    return tx.all(
        "SELECT uid, owner, generation, digest FROM automations WHERE deleted_at IS NULL ORDER BY created_at, uid"
    )


def live(tx: Transaction, /) -> list[Row]:
    """Automations that are not deleted, with the spec of their generation; oldest first."""
    return tx.all(
        f"""SELECT {_COLUMNS}, g.spec_json FROM automations a
            JOIN generations g ON g.uid = a.uid AND g.generation = a.generation
            WHERE a.deleted_at IS NULL ORDER BY a.created_at, a.uid"""
    )


def specs(tx: Transaction, /) -> list[Row]:
    """`{id, spec_json}` of automations that are not deleted, of the generation that is bound."""
    return tx.all(
        """SELECT a.id, g.spec_json FROM automations a JOIN generations g ON g.uid = a.uid AND g.generation = a.generation
           WHERE a.deleted_at IS NULL"""
    )


def get(tx: Transaction, automation_id: str, /) -> Row | None:
    """One automation, deleted or not, with the spec of its generation."""
    return tx.one(
        f"""SELECT {_COLUMNS}, g.spec_json FROM automations a
            JOIN generations g ON g.uid = a.uid AND g.generation = a.generation WHERE a.id = :id""",
        id=automation_id,
    )


def of_uid(tx: Transaction, uid: str, /) -> Row | None:
    """The same of the automation that has this uid, whatever it is called."""
    return tx.one(
        f"""SELECT {_COLUMNS}, g.spec_json FROM automations a
            JOIN generations g ON g.uid = a.uid AND g.generation = a.generation WHERE a.uid = :uid""",
        uid=uid,
    )


def saying_id(tx: Transaction, name: str, /) -> list[Row]:
    """`{uid, spec_json, id, deleted_at}` of specs that say this for an id somewhere, newest first; `id` is what theirs is now."""
    return tx.all(
        """SELECT g.uid, g.spec_json, a.id, a.deleted_at FROM generations g LEFT JOIN automations a ON a.uid = g.uid
           WHERE g.spec_json LIKE :said ORDER BY g.applied_at DESC, g.uid, g.generation DESC""",
        said=f'%"id":"{name}"%',
    )


def generation(tx: Transaction, uid: str, number: int, /) -> Row | None:
    """One generation: spec, digest, where it came from and who applied it."""
    return tx.one("SELECT * FROM generations WHERE uid = :uid AND generation = :number", uid=uid, number=number)


def generations(tx: Transaction, uid: str, /) -> list[Row]:
    """Every generation that was bound, newest first, without its spec."""
    return tx.all(
        """SELECT generation, digest, file, revision, applied_by, applied_at FROM generations
           WHERE uid = :uid AND generation > 0 ORDER BY generation DESC""",
        uid=uid,
    )


def bound_ids(tx: Transaction, /) -> list[str]:
    """The ids of all that are not deleted."""
    return [row["id"] for row in tx.all("SELECT id FROM automations WHERE deleted_at IS NULL ORDER BY id")]


def owners(tx: Transaction, /) -> list[str]:
    """Whoever owns something that is not deleted."""
    return [
        row["owner"] for row in tx.all("SELECT DISTINCT owner FROM automations WHERE deleted_at IS NULL ORDER BY owner")
    ]


def draining(tx: Transaction, /) -> list[Row]:
    """Deleted automations whose spec bounds how long their runs may go on, and any of which it was said that they took longer.

    `{uid, id, deleted_at, conditions_json, observed_generation, spec_json}` each.
    """
    return tx.all(
        """SELECT a.uid, a.id, a.deleted_at, a.conditions_json, a.observed_generation, g.spec_json FROM automations a
           JOIN generations g ON g.uid = a.uid AND g.generation = a.generation
           WHERE (a.deleted_at IS NOT NULL AND g.spec_json LIKE '%"drainTimeout":%')
             OR a.conditions_json LIKE '%"DrainTimeout"%'"""
    )


def insert(tx: Transaction, row: Row, /) -> None:
    """A new automation."""
    tx.run(
        """INSERT INTO automations (uid, id, owner, status, generation, digest, file, conditions_json, created_at, updated_at)
           VALUES (:uid, :id, :owner, :status, :generation, :digest, :file, :conditions_json, :now, :now)""",
        **row,
    )


def update(tx: Transaction, row: Row, /) -> bool:
    """Bind another generation, owner, id or file; undeletes. Guarded by the generation it is based on."""
    changed = tx.run(
        """UPDATE automations SET id = :id, owner = :owner, status = :status, generation = :generation, digest = :digest,
             file = :file, updated_at = :now, deleted_at = NULL
           WHERE uid = :uid AND generation = :based_on""",
        **row,
    )
    return changed == 1


def delete(tx: Transaction, uid: str, /, *, generation: int, now: int) -> bool:
    """Bindings off; the row stays as a tombstone."""
    changed = tx.run(
        """UPDATE automations SET deleted_at = :now, updated_at = :now
           WHERE uid = :uid AND generation = :generation AND deleted_at IS NULL""",
        uid=uid,
        generation=generation,
        now=now,
    )
    return changed == 1


def any_deleted(tx: Transaction, /) -> bool:
    """Whether there is a tombstone."""
    return tx.one("SELECT 1 AS found FROM automations WHERE deleted_at IS NOT NULL LIMIT 1") is not None


def deleted(tx: Transaction, /) -> list[Row]:
    """Tombstones, with the spec of the generation that was bound last; oldest automation first."""
    return tx.all(
        f"""SELECT {_COLUMNS}, g.spec_json FROM automations a
            JOIN generations g ON g.uid = a.uid AND g.generation = a.generation
            WHERE a.deleted_at IS NOT NULL ORDER BY a.created_at, a.uid"""
    )


def rebind(tx: Transaction, uid: str, /, *, generation: int, now: int) -> None:
    """Put right which generation is bound."""
    tx.run(
        "UPDATE automations SET generation = :generation, updated_at = :now WHERE uid = :uid",
        uid=uid,
        generation=generation,
        now=now,
    )


def set_status(tx: Transaction, uid: str, status: str, /, *, now: int) -> None:
    """Put a status right that is not what the bound generation says."""
    tx.run(
        "UPDATE automations SET status = :status, updated_at = :now WHERE uid = :uid", uid=uid, status=status, now=now
    )


def ids(tx: Transaction, uids: Iterable[str], /) -> dict[str, str]:
    """Uids to ids of those that are not deleted."""
    found = {}
    for uid in uids:
        row = tx.one("SELECT id FROM automations WHERE uid = :uid AND deleted_at IS NULL", uid=uid)
        if row is not None:
            found[uid] = row["id"]
    return found


def expired(tx: Transaction, /, *, before: int, limit: int) -> list[Row]:
    """`{uid, id}` of tombstones that were deleted before an instant and have no run under way; oldest first."""
    return tx.all(
        """SELECT a.uid, a.id FROM automations a WHERE a.deleted_at < :before
             AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.automation_uid = a.uid AND r.completed_at IS NULL)
           ORDER BY a.deleted_at, a.uid LIMIT :limit""",
        before=before,
        limit=limit,
    )


def bury(tx: Transaction, uid: str, /, *, before: int) -> bool:
    """Take a tombstone away, unless it came back meanwhile. Its generations stay for the runs that are pinned to them."""
    return tx.run("DELETE FROM automations WHERE uid = :uid AND deleted_at < :before", uid=uid, before=before) == 1


def set_conditions(tx: Transaction, rows: Iterable[Row], /) -> None:
    """Replace conditions and the generation observed: `{uid, conditions, observed}`."""
    tx.many(
        """UPDATE automations SET conditions_json = :conditions, observed_generation = :observed WHERE uid = :uid""",
        rows,
    )


def insert_generation(tx: Transaction, row: Row, /) -> None:
    """Keep a spec for ever (or until retention finds that nothing needs it)."""
    tx.run(
        """INSERT INTO generations (uid, generation, digest, spec_json, file, revision, applied_by, applied_at)
           VALUES (:uid, :generation, :digest, :spec_json, :file, :revision, :applied_by, :now)""",
        **row,
    )
