"""Action manifests: the current one of every (action, version), and every text that a run may be pinned to."""

from automations.store.database import Row, Transaction


def live(tx: Transaction, /) -> list[Row]:
    """Current manifests with their texts, by action and version."""
    return tx.all(
        """SELECT m.action_id, m.version, m.owner, m.digest, m.file, b.manifest_json FROM manifests m
           JOIN manifest_bodies b ON b.digest = m.digest WHERE m.deleted_at IS NULL ORDER BY m.action_id, m.version"""
    )


def gone(tx: Transaction, /) -> frozenset[tuple[str, str]]:
    """Action and version of manifests that were current once."""
    rows = tx.all("SELECT action_id, version FROM manifests WHERE deleted_at IS NOT NULL")
    return frozenset((row["action_id"], row["version"]) for row in rows)


def body(tx: Transaction, digest: str, /) -> str | None:
    """A manifest's text by its digest."""
    row = tx.one("SELECT manifest_json FROM manifest_bodies WHERE digest = :digest", digest=digest)
    return row["manifest_json"] if row else None


def bodies(tx: Transaction, /) -> list[str]:
    """The texts of all manifests that ever were current."""
    return [row["manifest_json"] for row in tx.all("SELECT manifest_json FROM manifest_bodies ORDER BY digest")]


def put(tx: Transaction, row: Row, /) -> None:
    """Make a manifest current."""
    tx.run(
        "INSERT INTO manifest_bodies (digest, manifest_json) VALUES (:digest, :manifest_json) ON CONFLICT (digest) DO NOTHING",
        digest=row["digest"],
        manifest_json=row["manifest_json"],
    )
    tx.run(
        """INSERT INTO manifests (action_id, version, owner, digest, file, updated_at)
           VALUES (:action_id, :version, :owner, :digest, :file, :now)
           ON CONFLICT (action_id, version) DO UPDATE SET owner = excluded.owner, digest = excluded.digest,
             file = excluded.file, updated_at = excluded.updated_at, deleted_at = NULL""",
        action_id=row["action_id"],
        version=row["version"],
        owner=row["owner"],
        digest=row["digest"],
        file=row["file"],
        now=row["now"],
    )


def write_body(tx: Transaction, digest: str, manifest_json: str, /) -> None:
    """Put right what a digest's text says."""
    tx.run(
        "UPDATE manifest_bodies SET manifest_json = :manifest_json WHERE digest = :digest",
        manifest_json=manifest_json,
        digest=digest,
    )


def delete(tx: Transaction, action_id: str, version: str, /, *, now: int) -> None:
    """No new run finds this manifest; runs that are pinned to it keep it."""
    tx.run(
        "UPDATE manifests SET deleted_at = :now WHERE action_id = :action_id AND version = :version",
        action_id=action_id,
        version=version,
        now=now,
    )
