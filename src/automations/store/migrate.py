"""Brings a store to this program's schema: packaged SQL files, each applied once, in order, on record.

A store whose record differs from our files was written by a newer program or altered by hand; it is refused rather than
guessed at.
"""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from automations.errors import StoreError, StoreIncompatible, StoreUnavailable
from automations.store.database import Database, Transaction

_FOLDER = Path(__file__).parent / "migrations"
_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_ADVISORY_LOCK = 0x61746D6E  # any number that no other program on the same database is likely to lock

_RECORD = """
CREATE TABLE IF NOT EXISTS migrations (
  version BIGINT PRIMARY KEY,
  name TEXT NOT NULL,
  checksum TEXT NOT NULL,
  applied_at BIGINT NOT NULL
)
"""


class Migration(NamedTuple):
    """One packaged file, `NNNN_name.sql`; `checksum` is the CRC-32 of its bytes in hex.

    It tells versions of our own files apart, and every short command works it out: hashlib, which loads OpenSSL, would
    lengthen its start by a tenth.
    """

    version: int
    name: str
    checksum: str
    sql: str


def migrate(database: Database, *, now: int, lineage: str) -> int:
    """Apply every migration that the store lacks; how many that were. An up-to-date store costs one SELECT.

    Each is one transaction with its record. A fresh store gets its `state` row: the `lineage` given, serial 0, created
    `now` (microseconds UTC). Processes that do this at once wait for each other. Raises StoreIncompatible for a store
    that a newer program migrated or whose record differs from ours, StoreUnavailable.
    """
    ours = packaged()
    missing = _missing(_applied_if_any(database), ours)
    return sum(_apply(database, each, now=now, lineage=lineage) for each in missing)


@cache
def packaged() -> tuple[Migration, ...]:
    """List the migrations that this program brings, in order. Raises StoreError when none are installed."""
    found = []
    for file in sorted(_FOLDER.iterdir()):
        name = _FILE_NAME.fullmatch(file.name)
        if name:
            content = file.read_bytes()
            found.append(Migration(int(name[1]), name[2], f"{crc32(content):08x}", content.decode()))
    if not found:
        raise StoreError(f"no migrations lie in {_FOLDER}", hint="install the program again")
    return tuple(found)


def _applied_if_any(database: Database) -> dict[int, str]:
    try:
        with database.read() as transaction:
            return _applied(transaction)
    except (StoreUnavailable, StoreIncompatible):
        raise
    except StoreError:  # a fresh store has no such table yet; any other trouble comes again under the lock
        return {}


def _applied(transaction: Transaction) -> dict[int, str]:
    return {row["version"]: row["checksum"] for row in transaction.all("SELECT version, checksum FROM migrations")}


def _missing(applied: dict[int, str], ours: tuple[Migration, ...]) -> list[Migration]:
    known = {each.version: each for each in ours}
    newer = sorted(version for version in applied if version not in known)
    if newer:
        raise StoreIncompatible(
            f"the store has schema version {newer[-1]}, and this program knows versions up to {ours[-1].version}",
            hint="upgrade the program to the version that last used this store",
        )
    for version, checksum in applied.items():
        if known[version].checksum != checksum:
            raise StoreIncompatible(
                f"migration {version:04d}_{known[version].name} is not the one that this store was made with",
                hint="use the program version that made the store, or restore the packaged file",
            )
    return [each for each in ours if each.version not in applied]


def _apply(database: Database, migration: Migration, *, now: int, lineage: str) -> int:
    with database.write() as transaction:
        if database.dialect == "postgresql":  # SQLite's one writer is alone already
            transaction.all("SELECT pg_advisory_xact_lock(:key)", key=_ADVISORY_LOCK)
        transaction.run(_RECORD)
        # Read again: another process may have been here while we waited.
        if migration not in _missing(_applied(transaction), packaged()):
            return 0
        transaction.script(migration.sql)
        transaction.run(
            "INSERT INTO migrations (version, name, checksum, applied_at) VALUES (:version, :name, :checksum, :now)",
            version=migration.version,
            name=migration.name,
            checksum=migration.checksum,
            now=now,
        )
        transaction.run(
            """INSERT INTO state (id, lineage, serial, created_at) VALUES (1, :lineage, 0, :now)
               ON CONFLICT (id) DO NOTHING""",
            lineage=lineage,
            now=now,
        )
    return 1
