"""What files meant when they were last read, so that a warm plan parses only what changed."""

from collections.abc import Iterable

from automations.store.database import Row, Transaction


def of_root(tx: Transaction, root: str, /) -> list[Row]:
    """Every remembered reading below a root."""
    return tx.all(
        "SELECT file, stamp, digest, document_json FROM readings WHERE root = :root AND file <> ''", root=root
    )


def marks(tx: Transaction, root: str, /) -> dict[str, tuple[str, str]]:
    """Names to stamps, and digests of the bytes, of all that is remembered below a root."""
    rows = tx.all("SELECT file, stamp, digest FROM readings WHERE root = :root AND file <> ''", root=root)
    return {row["file"]: (row["stamp"], row["digest"]) for row in rows}


def get(tx: Transaction, root: str, file: str, /) -> Row | None:
    """One remembered reading; the name of no file stands for what is remembered of all files at once."""
    return tx.one(
        "SELECT file, stamp, digest, document_json FROM readings WHERE root = :root AND file = :file",
        root=root,
        file=file,
    )


def put(tx: Transaction, root: str, rows: Iterable[Row], /) -> None:
    """Remember good readings."""
    tx.many(
        """INSERT INTO readings (root, file, stamp, digest, document_json) VALUES (:root, :file, :stamp, :digest, :document_json)
           ON CONFLICT (root, file) DO UPDATE SET stamp = excluded.stamp, digest = excluded.digest,
             document_json = excluded.document_json""",
        [{**row, "root": root} for row in rows],
    )


def restamp(tx: Transaction, root: str, rows: Iterable[Row], /) -> None:
    """The same bytes under another stamp: `{file, stamp, digest}`."""
    tx.many(
        "UPDATE readings SET stamp = :stamp WHERE root = :root AND file = :file AND digest = :digest",
        [{**row, "root": root} for row in rows],
    )


def forget(tx: Transaction, root: str, files: Iterable[str], /) -> None:
    """Forget files that are gone or no longer good."""
    tx.many(
        "DELETE FROM readings WHERE root = :root AND file = :file", [{"root": root, "file": file} for file in files]
    )
