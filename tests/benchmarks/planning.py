"""Plans of a thousand and of ten thousand specs: cold, applied, and warm, beside what any program must do with the same files.

Cold, the floor parses every file with PyYAML's C loader and does nothing else. Warm, it stats every file and parses one.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from statistics import median
from typing import NamedTuple

import yaml

from benchmarks.processes import AUTOMATIONS, HERE, Cost, cost, environment, run_json
from benchmarks.programs import opened, planned
from benchmarks.report import Line, Scale, bound, in_turn, timed, times_floor
from benchmarks.specs import MANIFESTS, write_tree

_fresh = count()


class Targets(NamedTuple):
    """The most that each may take: seconds, and MB."""

    cold: float
    apply: float
    warm: float
    memory: int


_MOST = {
    1_000: Targets(cold=0.6, apply=1.0, warm=0.3, memory=120),
    10_000: Targets(cold=4.0, apply=8.0, warm=0.5, memory=300),
}


def run(scale: Scale, work: Path) -> Iterator[Line]:
    """Cold, apply, warm; as processes and inside one; for each size."""
    yield from _size(work / "thousand", scale.of(1_000, 200), rounds=scale.of(3, 2), most=_MOST[1_000])
    yield from _size(work / "more", scale.of(10_000, 2_000), rounds=scale.of(2, 1), most=_MOST[10_000])


def _size(work: Path, specs: int, *, rounds: int, most: Targets) -> Iterator[Line]:
    work.mkdir()
    files = write_tree(work / "tree", specs)
    yield from _cold(work, files, rounds=rounds, most=most)
    root = work / "applied"
    cost(AUTOMATIONS, "apply", "--auto-approve", str(work / "tree"), root=root)
    assert run_json(AUTOMATIONS, "--json", "status", env=environment(root))["counts"]["automations"] == specs
    yield from _warm(work, files, root=root, rounds=rounds + 2, most=most)


def _cold(work: Path, files: list[Path], *, rounds: int, most: Targets) -> Iterator[Line]:
    tree, number = str(work / "tree"), f"{len(files) - MANIFESTS:,}"
    plans: list[Cost] = []
    applies: list[Cost] = []
    floor, ours, applying, bare, inside = in_turn(
        rounds,
        lambda: cost(sys.executable, str(HERE / "floor_parse.py"), tree, root=work).wall,
        _process(plans, work, "plan", tree),
        _process(applies, work, "apply", "--auto-approve", tree),
        lambda: timed(lambda: [yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader) for file in files]),
        lambda: _cold_inside(work, files),
    )
    yield times_floor(f"cold plan of {number} specs, process", ours, floor, most=1.0)
    yield times_floor(f"cold plan of {number} specs, start-up apart", inside, bare, most=1.0)
    yield bound(f"cold plan of {number} specs", median(ours), most=most.cold, unit="ms")
    yield bound(
        f"cold plan of {number} specs, memory", median(each.peak for each in plans), most=most.memory, unit="MB"
    )
    yield bound(f"first apply of {number} specs", median(applying), most=most.apply, unit="ms")
    yield bound(
        f"first apply of {number} specs, memory", median(each.peak for each in applies), most=most.memory, unit="MB"
    )


def _process(kept: list[Cost], work: Path, *words: str) -> Callable[[], float]:
    """A command of ours on a store that nobody used yet."""

    def once() -> float:
        root = work / f"root-{next(_fresh)}"
        kept.append(cost(AUTOMATIONS, *words, root=root))
        shutil.rmtree(root)
        return kept[-1].wall

    return once


def _cold_inside(work: Path, files: list[Path]) -> float:
    root = work / f"root-{next(_fresh)}"
    with opened(root) as runtime:
        seconds = timed(lambda: _expect(planned(runtime, work / "tree").changes, len(files)))
    shutil.rmtree(root)
    return seconds


def _warm(work: Path, files: list[Path], *, root: Path, rounds: int, most: Targets) -> Iterator[Line]:
    tree, number = work / "tree", f"{len(files) - MANIFESTS:,}"
    file, text, edits = files[-1], files[-1].read_text(), count()

    def edited(work: Callable[[], None]) -> float:
        file.write_text(f"{text}  edit: {next(edits)}\n")
        return timed(work)

    with opened(root) as runtime:

        def again(changes: int) -> None:
            _expect(planned(runtime, tree).changes, changes)

        again(0)  # as in the daemon, which looked at the tree before
        same, looked = in_turn(rounds, lambda: timed(lambda: again(0)), lambda: timed(lambda: _look(tree)))
        one, least = in_turn(
            rounds,
            lambda: edited(lambda: again(1)),
            lambda: edited(lambda: _look(tree, parse=file)),
        )
    file.write_text(text)
    cost(AUTOMATIONS, "plan", str(tree), root=root)
    plans = [cost(AUTOMATIONS, "plan", str(tree), root=root) for _ in range(rounds)]
    yield times_floor(f"warm plan of {number}, nothing changed, start-up apart", same, looked, most=3)
    yield times_floor(f"warm plan of {number}, one changed, start-up apart", one, least, most=3)
    yield bound(
        f"warm plan of {number}, nothing changed", median(each.wall for each in plans), most=most.warm, unit="ms"
    )
    yield bound(f"warm plan of {number}, memory", median(each.peak for each in plans), most=most.memory, unit="MB")


def _look(tree: Path, *, parse: Path | None = None) -> None:
    """Stat every file below a directory, and parse one."""
    pending = [str(tree)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                else:
                    entry.stat()
    if parse:
        yaml.load(parse.read_bytes(), Loader=yaml.CSafeLoader)


def _expect(changes: tuple[object, ...], number: int) -> None:
    assert len(changes) == number, f"{len(changes)} changes instead of {number}"
