"""The queue: claim and complete, one by one and in batches of 32, through our service and as bare guarded SQL.

Both work on copies of one store with the same queued actions, with the same pragmas; the bare program does the same
guarded updates in the same number of durable commits and nothing else.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import apsw

from automations.core.run.queue import Holder
from automations.core.trigger.envelope import from_document
from automations.runtime import Runtime
from automations.services.run.queue import Claim, Done
from automations.services.trigger.ingest import Delivery
from benchmarks.programs import applied, opened
from benchmarks.report import Line, Scale, in_turn, ratio, share_of_floor

RUNNER = "bench"
BATCH = 32
AT_ONCE = 128
LEASE = 3_600_000_000

ONE_STEP = """\
schemaVersion: "1.0"
id: orders.store
name: Store every order
version: 1.0.0
triggers:
  - {kind: event, source: bench, type: order.created}
actions:
  - id: store
    actionId: orders.store
    input: {number: "${{ event.data.number }}"}
"""

_CLAIM = """UPDATE actions SET status = 'claimed', claimed_by = :runner, claimed_at = :now, lease_expires_at = :until,
    fence = fence + 1, updated_at = :now
  WHERE id IN (SELECT id FROM actions WHERE status IN ('queued', 'retrying') AND available_at <= :now
    AND turn IS NOT NULL ORDER BY priority DESC, turn, available_at, id LIMIT :limit) RETURNING id, run_id, fence"""
_START = "UPDATE runs SET status = 'running', started_at = :now, updated_at = :now WHERE id = :run AND status = 'materialized'"
_SETTLE = """UPDATE actions SET status = 'succeeded', result_json = :result, lease_expires_at = NULL, updated_at = :now,
    completed_at = :now WHERE id = :id AND status = 'claimed' AND fence = :fence"""
_END = "UPDATE runs SET status = 'succeeded', updated_at = :now, completed_at = :now WHERE id = :run AND status = 'running'"


def run(scale: Scale, work: Path) -> Iterator[Line]:
    """Pairs of claim and complete a second."""
    rounds, singles, batched = scale.of(9, 3), scale.of(100, 40), scale.of(20, 5) * BATCH
    queued = scale.of(10_000, 2_000)
    root, bare = work / "root", work / "bare"
    with opened(root) as runtime:
        applied(runtime, write_one_step(work / "tree"))
        fill(runtime, queued)
    shutil.copytree(root, bare)
    connection = _connected(bare)
    with opened(root) as runtime:
        ours, floor = _ours(runtime), _floor(connection)
        mine, least, mine_batched, least_batched = in_turn(
            rounds,
            lambda: ours(singles, 1),
            lambda: floor(singles, 1),
            lambda: ours(batched, BATCH),
            lambda: floor(batched, BATCH),
        )
    done = rounds * (singles + batched)
    for store in (connection, _connected(root)):
        assert _succeeded(store) == (done, done)
        store.close()
    yield share_of_floor(f"claim and complete, {queued:,} queued, singly", mine, least, least=0.5)
    yield share_of_floor(f"claim and complete, {queued:,} queued, by {BATCH}", mine_batched, least_batched, least=0.5)
    yield _gain(mine_batched, mine)


def write_one_step(tree: Path) -> Path:
    """A tree with one automation of one step."""
    tree.mkdir(parents=True)
    (tree / "orders.yaml").write_text(ONE_STEP)
    return tree


def fill(runtime: Runtime, count: int) -> None:
    """Queue `count` actions, one a run."""
    for begin in range(0, count, AT_ONCE):
        numbers = range(begin, min(begin + AT_ONCE, count))
        taken = runtime.ingest.many([_delivery(runtime, number) for number in numbers])
        assert all(getattr(each, "materialized", ()) for each in taken), "every event starts a run"


def _delivery(runtime: Runtime, number: int) -> Delivery:
    document = {"id": f"order-{number}", "source": "bench", "type": "order.created", "data": {"number": number}}
    return Delivery(from_document(document, received_at=runtime.clock.now()), f"sha256:{number}")


def _gain(batched: list[float], singly: list[float]) -> Line:
    found = ratio(batched, singly)
    return Line(f"batches of {BATCH} beside singles, ours", f"{found:.1f}x", "", "", "≥ 5x", found >= 5)


def _ours(runtime: Runtime) -> Callable[[int, int], float]:
    def pairs(count: int, batch: int) -> float:
        started = perf_counter()
        for _ in range(count // batch):
            rows = runtime.queue.claim(Claim(RUNNER, limit=batch, lease=LEASE))
            runtime.queue.settle(
                [Done(row["id"], Holder(RUNNER, row["fence"]), {"output": {"ok": True}}) for row in rows]
            )
        return count / (perf_counter() - started)

    return pairs


def _floor(connection: apsw.Connection) -> Callable[[int, int], float]:
    def pairs(count: int, batch: int) -> float:
        started = perf_counter()
        for _ in range(count // batch):
            _finish_bare(connection, _claim_bare(connection, batch))
        return count / (perf_counter() - started)

    return pairs


def _claim_bare(connection: apsw.Connection, limit: int) -> list[Any]:
    now = 1 << 61
    connection.execute("BEGIN IMMEDIATE")
    rows = connection.execute(_CLAIM, {"runner": RUNNER, "now": now, "until": now + LEASE, "limit": limit}).fetchall()
    connection.executemany(_START, [{"run": run, "now": now} for _, run, _ in rows])
    connection.execute("COMMIT")
    return rows


def _finish_bare(connection: apsw.Connection, rows: list[Any]) -> None:
    now = 1 << 61
    connection.execute("BEGIN IMMEDIATE")
    for identity, run, fence in rows:
        given = {"id": identity, "fence": fence, "result": '{"output":{"ok":true}}', "now": now}
        for sql, values in ((_SETTLE, given), (_END, {"run": run, "now": now})):
            connection.execute(sql, values)
            assert connection.changes() == 1
    connection.execute("COMMIT")


def _connected(root: Path) -> apsw.Connection:
    connection = apsw.Connection(str(root / "automations.db"))
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", "FULL")
    return connection


def _succeeded(connection: apsw.Connection) -> tuple[Any, ...]:
    """How many actions, and how many runs."""
    return connection.execute(
        "SELECT (SELECT count(*) FROM actions WHERE status = 'succeeded'), (SELECT count(*) FROM runs WHERE status = 'succeeded')"
    ).fetchall()[0]
