"""What the databases say about themselves, and rows that stand longer than anything should. For the doctor; nothing writes."""

from automations.store.database import Row, Transaction
from automations.store.sqlite_file import OLDEST_LIBRARY

OLDEST_SERVER = (13,)
"""Older PostgreSQL servers are past their makers' care."""
_DURABLE = ("on", "local", "remote_write", "remote_apply")


def engine(tx: Transaction, dialect: str, /) -> Row:
    """`{name, version, oldest, durable, durability, integrity, clock}`; `clock` (microseconds) where a server has its own."""
    return _sqlite(tx) if dialect == "sqlite" else _postgres(tx)


def late_leases(tx: Transaction, /, *, before: int, limit: int) -> list[Row]:
    """Claims whose lease ran out before that instant and that nobody took back."""
    return tx.all(
        """SELECT id, claimed_by, lease_expires_at FROM actions WHERE status = 'claimed' AND lease_expires_at < :before
           ORDER BY lease_expires_at LIMIT :limit""",
        before=before,
        limit=limit,
    )


def unclaimed(tx: Transaction, /, *, before: int) -> list[Row]:
    """`{action_id, executor, n, since}` of claimable work that was available before that instant."""
    return tx.all(
        """SELECT action_id, executor, count(*) AS n, min(available_at) AS since FROM actions
           WHERE status IN ('queued', 'retrying') AND available_at < :before
           GROUP BY action_id, executor ORDER BY since""",
        before=before,
    )


def served(tx: Transaction, /) -> frozenset[str]:
    """Ids of actions that nothing of ours carries out and that some runner claimed, as far back as records are kept."""
    rows = tx.all("SELECT DISTINCT action_id FROM actions WHERE executor = 'external' AND fence > 0")
    return frozenset(row["action_id"] for row in rows)


def stuck_runs(tx: Transaction, /, *, limit: int) -> list[Row]:
    """Runs that are under way, and none of whose actions can ever move them: nothing claimable, claimed or asked for."""
    return tx.all(
        """SELECT r.id, r.automation_id, r.status, r.updated_at FROM runs r
           WHERE r.completed_at IS NULL AND r.status IN ('materialized', 'running', 'waiting_approval')
             AND NOT EXISTS (SELECT 1 FROM actions a WHERE a.run_id = r.id
               AND a.status IN ('queued', 'retrying', 'claimed', 'waiting_approval'))
           ORDER BY r.updated_at LIMIT :limit""",
        limit=limit,
    )


def forgotten_approvals(tx: Transaction, /, *, before: int, limit: int) -> list[Row]:
    """Actions that wait for a person since before that instant."""
    return tx.all(
        """SELECT id, step_id, updated_at FROM actions WHERE status = 'waiting_approval' AND updated_at < :before
           ORDER BY updated_at LIMIT :limit""",
        before=before,
        limit=limit,
    )


def _sqlite(tx: Transaction) -> Row:
    version = tx.all("SELECT sqlite_version() AS version")[0]["version"]
    synchronous = tx.all("PRAGMA synchronous")[0]["synchronous"]
    found = [str(next(iter(row.values()))) for row in tx.all("PRAGMA quick_check(10)")]
    return {
        "name": "SQLite",
        "version": tuple(int(part) for part in version.split(".")),
        "oldest": OLDEST_LIBRARY,
        "durable": synchronous >= 2,
        "durability": f"synchronous={('OFF', 'NORMAL', 'FULL', 'EXTRA')[synchronous]}",
        "integrity": tuple(line for line in found if line != "ok"),
        "clock": None,
    }


def _postgres(tx: Transaction) -> Row:
    row = tx.all(
        """SELECT current_setting('server_version_num') AS version, current_setting('fsync') AS fsync,
             current_setting('synchronous_commit') AS commits,
             (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS clock"""
    )[0]
    number = int(row["version"])
    return {
        "name": "PostgreSQL",
        "version": (number // 10_000, number % 10_000),
        "oldest": OLDEST_SERVER,
        "durable": row["fsync"] == "on" and row["commits"] in _DURABLE,
        "durability": f"fsync={row['fsync']}, synchronous_commit={row['commits']}",
        "integrity": (),
        "clock": row["clock"],
    }
