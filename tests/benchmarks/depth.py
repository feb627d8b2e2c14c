"""The queue's depth: what a claim costs with a thousand actions waiting, and with a million, of many automations and priorities.

One automation has half of them; the others share the rest, over three priorities. The rows are copies of one that the program
made, written as SQL, because taking in a million events is another benchmark.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from time import perf_counter

import apsw

from automations.runtime import Runtime
from automations.services.run.queue import Claim
from benchmarks.programs import applied, opened
from benchmarks.queueing import LEASE, RUNNER, fill, write_one_step
from benchmarks.report import Line, Scale, in_turn, milliseconds, ratio

SHALLOW = 1_000
LANES = 50
BATCH = 32
_COPY = """INSERT INTO {table} ({columns}) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
  SELECT {values} FROM n, (SELECT * FROM {table} LIMIT 1) AS t"""


def run(scale: Scale, work: Path) -> Iterator[Line]:
    """Claims one by one and by 32, at both depths in turn."""
    deep, rounds = scale.of(1_000_000, 100_000), scale.of(9, 3)
    tree = write_one_step(work / "tree")
    for name, depth in (("shallow", SHALLOW), ("deep", deep)):
        with opened(work / name) as runtime:
            applied(runtime, tree)
            fill(runtime, 1)
        _deepen(work / name / "automations.db", depth)
    with opened(work / "shallow") as shallow, opened(work / "deep") as below:
        few, many, few_batched, many_batched = in_turn(
            rounds, _claims(shallow, 1), _claims(below, 1), _claims(shallow, BATCH), _claims(below, BATCH)
        )
    yield _line(f"claim one of {deep:,} beside one of {SHALLOW:,}", many, few)
    yield _line(f"claim {BATCH} of {deep:,} beside {BATCH} of {SHALLOW:,}", many_batched, few_batched)


def _claims(runtime: Runtime, batch: int) -> Callable[[], float]:
    """The median of some claims, in seconds; what was claimed is given back, so that the depth stays."""

    def once() -> float:
        taken = []
        for _ in range(10):
            started = perf_counter()
            rows = runtime.queue.claim(Claim(RUNNER, limit=batch, lease=LEASE))
            taken.append(perf_counter() - started)
            assert len(rows) == batch
            with runtime.database.write() as tx:
                tx.many(
                    "UPDATE actions SET status = 'queued', turn = :turn WHERE id = :id",
                    [{"id": row["id"], "turn": row["turn"]} for row in rows],
                )
        return median(taken)

    return once


def _line(path: str, deep: list[float], shallow: list[float]) -> Line:
    found = ratio(deep, shallow)
    return Line(
        path, milliseconds(median(deep)), milliseconds(median(shallow)), f"{found:.2f}x", "≤ 1.5x", found <= 1.5
    )


def _deepen(path: Path, depth: int) -> None:
    """So many runs with one queued action each, in the turns that the program would have given them."""
    connection = apsw.Connection(str(path))
    connection.pragma("synchronous", "OFF")  # nothing is measured here
    connection.execute("BEGIN IMMEDIATE")
    fresh = {"runs": {"id": "'r' || i"}, "actions": {"id": "'a' || i", "run_id": "'r' || i", **_lanes()}}
    for table, values in fresh.items():
        columns = [column[1] for column in connection.execute(f"PRAGMA table_info({table})")]
        chosen = ", ".join(values.get(column, f"t.{column}") for column in columns)
        sql = _COPY.format(table=table, columns=", ".join(columns), values=chosen)
        connection.execute(sql, {"count": depth})
    connection.execute("COMMIT")
    connection.execute("ANALYZE")
    connection.close()


def _lanes() -> dict[str, str]:
    """Every second action is of one automation; the others are spread."""
    other = f"(i / 2 % {LANES})"
    return {
        "automation_id": f"CASE WHEN i % 2 THEN 'much' ELSE 'lane' || {other} END",
        "priority": "i % 3",
        "turn": f"CASE WHEN i % 2 THEN i / 6 ELSE i / 6 / {LANES} END",
        "idempotency_key": "'k' || i",
    }
