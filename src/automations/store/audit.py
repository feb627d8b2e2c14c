"""The audit log's rows: append-only; `core.audit` makes and checks the chain. Entries may wait unsealed for their place in it."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from automations.core.actor import SYSTEM
from automations.store.database import Row, Transaction
from automations.store.lists import AT_ONCE, listed


def last(tx: Transaction, /) -> Row | None:
    """The newest entry; the state row is held by every writer, so no two append at once."""
    return tx.one("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")


RUN_END = "run.end"
_END_ID = "CAST(completed_at AS TEXT) || ':' || id"
_END_DETAIL = """'{"at":' || CAST(completed_at AS TEXT) || ',"automation":"' || automation_id || '","generation":'
  || CAST(generation AS TEXT) || ',"status":"' || status || '"}'"""
_APPEND = """INSERT INTO audit (seq, at, actor, action, subject, detail_json, previous, hash)
  VALUES (:seq, :at, :actor, :action, :subject, :detail_json, :previous, :hash)"""


def append(tx: Transaction, row: Row, /) -> None:
    """Add the next entry."""
    tx.run(_APPEND, **row)


def append_many(tx: Transaction, rows: Iterable[Row], /) -> None:
    """Add the next entries, in order."""
    tx.many(_APPEND, rows)


def write_unsealed(tx: Transaction, rows: Iterable[Row], /) -> None:
    """Entries (`{id, at, actor, action, subject, detail_json}`) that take their place in the chain later, by id."""
    tx.many(
        """INSERT INTO audit_unsealed (id, at, actor, action, subject, detail_json)
           VALUES (:id, :at, :actor, :action, :subject, :detail_json)""",
        rows,
    )


def any_unsealed(tx: Transaction, /) -> bool:
    """Whether entries wait for their place."""
    return tx.one("SELECT id FROM audit_unsealed LIMIT 1") is not None


def unsealed(tx: Transaction, /, *, limit: int) -> list[Row]:
    """Entries that wait for their place, in order; held, so that no two seal the same."""
    return tx.all(f"SELECT * FROM audit_unsealed ORDER BY id LIMIT :limit{tx.for_update}", limit=limit)


def forget_unsealed(tx: Transaction, ids: Iterable[str], /) -> None:
    """These have their place now."""
    tx.many("DELETE FROM audit_unsealed WHERE id = :id", [{"id": each} for each in ids])


class Wanted(NamedTuple):
    """Which entries: of one actor, of one kind of action, about one subject; below a sequence number."""

    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    before: int | None = None


def after(tx: Transaction, seq: int, /, *, limit: int) -> list[Row]:
    """Entries in order, above a sequence number."""
    return tx.all("SELECT * FROM audit WHERE seq > :seq ORDER BY seq LIMIT :limit", seq=seq, limit=limit)


def page(tx: Transaction, wanted: Wanted, /, *, limit: int) -> list[Row]:
    """Entries, newest first."""
    conditions = ["1 = 1"]
    conditions += [f"{name} = :{name}" for name in ("actor", "action", "subject") if getattr(wanted, name) is not None]
    if wanted.before is not None:
        conditions.append("seq < :before")
    return tx.all(
        f"SELECT * FROM audit WHERE {' AND '.join(conditions)} ORDER BY seq DESC LIMIT :limit",  # fixed texts only
        **wanted._asdict(),
        limit=limit,
    )


def write_ends(tx: Transaction, run_ids: Sequence[str], /) -> None:
    """Unsealed entries for those of these runs that are over, saying how they ended.

    Their order is that of their ends. One that ends twice at one instant, unsealed so far, is told of once: as it stands.
    """
    for begin in range(0, len(run_ids), AT_ONCE[-1]):
        names, values = listed(run_ids[begin : begin + AT_ONCE[-1]])
        tx.run(
            f"""INSERT INTO audit_unsealed (id, at, actor, action, subject, detail_json)
                SELECT {_END_ID}, completed_at, :actor, :action, id, {_END_DETAIL}
                FROM runs WHERE id IN ({names}) AND completed_at IS NOT NULL
                ON CONFLICT (id) DO UPDATE SET detail_json = excluded.detail_json""",  # fixed texts only
            actor=SYSTEM,
            action=RUN_END,
            **values,
        )


def runs_to_compare(tx: Transaction, /, *, since: int, after: str, limit: int) -> list[Row]:
    """`{id, ended, sealed, unsealed}` of runs that are over since an instant, above the id `after`.

    `ended` is what an entry must say of it, the others what the newest entries do; NULL where there is none.
    """
    newest = (
        "SELECT detail_json FROM {table} WHERE subject = runs.id AND action = :action ORDER BY {order} DESC LIMIT 1"
    )
    return tx.all(
        f"""SELECT id, {_END_DETAIL} AS ended,
              ({newest.format(table="audit", order="seq")}) AS sealed,
              ({newest.format(table="audit_unsealed", order="id")}) AS unsealed
            FROM runs WHERE completed_at >= :since AND id > :after ORDER BY id LIMIT :limit""",
        action=RUN_END,
        since=since,
        after=after,
        limit=limit,
    )


def recorded_since(tx: Transaction, /) -> int:
    """Since when the ends of runs are written (microseconds): when the migration that brought their table was applied."""
    row = tx.one("SELECT applied_at FROM migrations WHERE version = 3")
    return int(row["applied_at"]) if row else 0


def old(tx: Transaction, /, *, before: int, limit: int) -> Row | None:
    """`{seq, hash}` of the newest of the oldest entries that all lie before an instant; None when there are none.

    The newest entry of all is never among them: it is what the next one is sealed onto.
    """
    return tx.one(
        """SELECT seq, hash FROM (SELECT seq, hash FROM audit
             WHERE seq < coalesce((SELECT min(seq) FROM audit WHERE at >= :before), (SELECT max(seq) FROM audit))
             ORDER BY seq LIMIT :limit) AS oldest
           ORDER BY seq DESC LIMIT 1""",
        before=before,
        limit=limit,
    )


def cut(tx: Transaction, /, *, through: int) -> None:
    """Delete entries up to this one."""
    tx.run("DELETE FROM audit WHERE seq <= :through", through=through)


def newest(tx: Transaction, action: str, /) -> Row | None:
    """The newest entry of an action."""
    return tx.one("SELECT * FROM audit WHERE action = :action ORDER BY seq DESC LIMIT 1", action=action)


def count(tx: Transaction, /) -> int:
    """How many entries are sealed."""
    row = tx.one("SELECT count(*) AS n FROM audit")
    return int(row["n"]) if row else 0


def count_unsealed(tx: Transaction, /) -> int:
    """How many entries wait for their place."""
    row = tx.one("SELECT count(*) AS n FROM audit_unsealed")
    return int(row["n"]) if row else 0
