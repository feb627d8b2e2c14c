"""Start-up: runners call `queue claim` and its like in loops, so a whole process is what counts, from fork to exit.

The floor is an interpreter that does nothing, started the same way.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from automations.services.run.queue import Claim
from benchmarks.processes import AUTOMATIONS, Cost, cost
from benchmarks.programs import applied, opened
from benchmarks.queueing import fill, write_one_step
from benchmarks.report import Line, Scale, in_turn, times_floor
from benchmarks.specs import spec

SHORT = 4.0
LONG = 12.0


def run(scale: Scale, work: Path) -> Iterator[Line]:
    """Every short command and two long ones beside `python -c pass`."""
    rounds = scale.of(11, 3)
    root, tree = work / "root", work / "tree"
    claimed = _prepare(root, actions=2 * (rounds + 1))
    tree.mkdir()
    (tree / "one.yaml").write_text(spec(1))
    empty = work / "empty"
    cost(AUTOMATIONS, "init", root=empty)
    paths: list[tuple[str, float, Path, Callable[[], list[str]]]] = [
        ("start: status", SHORT, root, lambda: ["--json", "status"]),
        ("start: queue claim, nothing queued", SHORT, empty, lambda: ["queue", "claim"]),
        ("start: queue complete", SHORT, root, lambda: ["queue", "complete", claimed.pop(), "--runner", "bench"]),
        ("start: queue fail", SHORT, root, lambda: ["queue", "fail", claimed.pop(), "--runner", "bench"]),
        ("start: --help", LONG, root, lambda: ["--help"]),
        ("start: plan of one spec", LONG, root, lambda: ["plan", str(tree)]),
    ]
    for _, _, place, words in paths:
        cost(AUTOMATIONS, *words(), root=place)  # leaves its bytecode behind
    kept: dict[str, list[Cost]] = {path: [] for path, *_ in paths}

    def ours(path: str, place: Path, words: Callable[[], list[str]]) -> Callable[[], float]:
        def once() -> float:
            kept[path].append(cost(AUTOMATIONS, *words(), root=place))
            return kept[path][-1].wall

        return once

    python, with_apsw, *measured = in_turn(
        rounds,
        lambda: cost(sys.executable, "-c", "pass", root=empty).wall,
        lambda: cost(sys.executable, "-c", "import apsw", root=empty).wall,
        *(ours(path, place, words) for path, _, place, words in paths),
    )
    yield times_floor("start: python, import apsw", with_apsw, python, most=SHORT)
    for (path, most, _, _), walls in zip(paths, measured, strict=True):
        peak = median(each.peak for each in kept[path])
        yield times_floor(path, walls, python, most=most, remark=f", {peak:.0f} MB")
    assert not claimed, "every claimed action was reported on"


def _prepare(root: Path, *, actions: int) -> list[str]:
    """Make a store with actions that the runner `bench` holds; their ids."""
    tree = write_one_step(root.with_name("one-step"))
    with opened(root) as runtime:
        applied(runtime, tree)
        fill(runtime, actions)
        hour = 3_600_000_000
        return [row["id"] for row in runtime.queue.claim(Claim("bench", limit=actions, lease=hour))]
