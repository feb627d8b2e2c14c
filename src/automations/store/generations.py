"""Generations as they are compared with what is bound, and mended: which there are, what they say, what they are said to be."""

from automations.core.plan.drift import Kept
from automations.store.database import Row, Transaction


def kept(tx: Transaction, owner: str, /) -> dict[str, Kept]:
    """By uid of an owner's live automations, the newest generation, and the digest of the bound one."""
    rows = tx.all(
        """SELECT a.uid, max(every.generation) AS newest, max(bound.digest) AS digest FROM automations a
           JOIN generations every ON every.uid = a.uid
           LEFT JOIN generations bound ON bound.uid = a.uid AND bound.generation = a.generation
           WHERE a.owner = :owner AND a.deleted_at IS NULL GROUP BY a.uid""",
        owner=owner,
    )
    return {row["uid"]: Kept(row["newest"], row["digest"]) for row in rows}


def kept_of(tx: Transaction, uid: str, number: int, /) -> Kept:
    """The same of one automation, of which this generation is bound."""
    newest = tx.one("SELECT max(generation) AS newest FROM generations WHERE uid = :uid", uid=uid)
    bound = tx.one("SELECT digest FROM generations WHERE uid = :uid AND generation = :number", uid=uid, number=number)
    return Kept(newest["newest"] if newest else None, bound["digest"] if bound else None)


def bound_specs(tx: Transaction, owner: str, /) -> dict[str, str]:
    """By uid, the stored specs of what is bound of an owner."""
    rows = tx.all(
        """SELECT a.uid, g.spec_json FROM automations a
           JOIN generations g ON g.uid = a.uid AND g.generation = a.generation
           WHERE a.owner = :owner AND a.deleted_at IS NULL""",
        owner=owner,
    )
    return {row["uid"]: row["spec_json"] for row in rows}


def spec(tx: Transaction, uid: str, number: int, /) -> str | None:
    """The stored spec of one generation, None where it is gone."""
    row = tx.one("SELECT spec_json FROM generations WHERE uid = :uid AND generation = :number", uid=uid, number=number)
    return row["spec_json"] if row else None


def mend(tx: Transaction, row: Row, /) -> None:
    """Write a generation's spec and digest anew; where it came from and when stays, unless the row itself was gone."""
    tx.run(
        """INSERT INTO generations (uid, generation, digest, spec_json, file, revision, applied_by, applied_at)
           VALUES (:uid, :generation, :digest, :spec_json, :file, NULL, :applied_by, :now)
           ON CONFLICT (uid, generation) DO UPDATE SET digest = excluded.digest, spec_json = excluded.spec_json""",
        **row,
    )
