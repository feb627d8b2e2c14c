"""From a save to the new generation being bound, in a real daemon, by rename and in place; and what thousands of specs cost it.

There is no floor to it but the watch's own settling; the bounds are the design's: 0.3 s for a rename, 0.5 s for a save in place.
"""

import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from statistics import median
from time import monotonic, perf_counter, sleep

import apsw

from benchmarks.processes import DAEMON, environment, serving
from benchmarks.report import Line, Scale, bound, milliseconds, percentile
from benchmarks.specs import write_tree

PATIENCE = 120.0
IDLE = 20.0
"""Seconds over which an idle daemon's processor time is taken; longer than its beats are apart."""
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICK = os.sysconf("SC_CLK_TCK")
_fresh = count(1)


def run(scale: Scale, work: Path) -> Iterator[Line]:
    """A small tree and a large one."""
    yield from _tree(work / "small", 50, edits=scale.of(30, 10), idle=scale.of(int(IDLE), 5))
    yield from _tree(work / "large", scale.of(10_000, 1_000), edits=scale.of(30, 5), idle=scale.of(int(IDLE), 5))


def _tree(work: Path, specs: int, *, edits: int, idle: int) -> Iterator[Line]:
    files = write_tree(work / "tree", specs)
    root = work / "root"
    began = perf_counter()
    command = (DAEMON, "--json", "run", str(work / "tree"), "--no-worker")
    with serving(*command, env=environment(root), log=work / "log") as started:
        start = perf_counter() - began
        store = apsw.Connection(str(root / "automations.db"), flags=apsw.SQLITE_OPEN_READONLY)
        pid, number = started["pid"], f"{specs:,} specs"
        _edit(store, files[-1], by_rename)  # the watch stands some moments after the start
        renamed = [_edit(store, files[-1 - at], by_rename) for at in range(edits)]
        placed = [_edit(store, files[-1 - at], in_place) for at in range(edits)]
        before, at = _processor(pid), monotonic()
        sleep_until(at + idle)
        used = (_processor(pid) - before) / (monotonic() - at)
        yield _times(f"save by rename → bound, {number}", renamed, most=0.3)
        yield _times(f"save in place → bound, {number}", placed, most=0.5)
        yield bound(f"daemon start with {number}", start, most=max(2.0, specs / 1_000), unit="ms")
        yield bound(f"daemon with {number}, memory", _memory(pid), most=max(80.0, specs * 0.03), unit="MB")
        shown = f"{used * 100:.1f} % of a processor"
        yield Line(f"idle daemon with {number}", shown, "", "", "≤ 2 %", used <= 0.02)
    _only_that_one(work / "log", specs)


def _edit(store: apsw.Connection, file: Path, save: Callable[[Path, str], None]) -> float:
    """Seconds from a save to its generation being in the store."""
    revision = f"edit-{next(_fresh)}"
    text = file.read_text().partition("  edit: ")[0].rstrip("\n")
    began = perf_counter()
    save(file, f"{text}\n  edit: {revision}\n")
    query = "SELECT 1 FROM generations WHERE applied_at > ? AND spec_json LIKE ?"
    since = int(store.execute("SELECT coalesce(max(applied_at), 0) FROM generations").get) - 1
    while store.execute(query, (since, f'%"{revision}"%')).fetchone() is None:
        if perf_counter() - began > PATIENCE:
            raise RuntimeError(f"{file} was not bound within {PATIENCE:g} s")
        sleep(0.002)
    return perf_counter() - began


def by_rename(path: Path, text: str) -> None:
    """As most editors and tools save."""
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(text)
    draft.replace(path)


def in_place(path: Path, text: str) -> None:
    """As some editors, and shells, save."""
    path.write_text(text)


def _only_that_one(log: Path, specs: int) -> None:
    """Every edit was one commit that changed one automation and left the others bound as they were."""
    applied = [line for line in log.read_text().splitlines() if '"apply.committed"' in line]
    assert applied[1:]
    assert all('"update":1' in line.replace(" ", "") for line in applied[1:]), applied[1:3]
    assert f'"create":{specs}' in applied[0].replace(" ", "") or "create" in applied[0]


def _times(path: str, seconds: list[float], *, most: float) -> Line:
    shown = f"{milliseconds(median(seconds))} (p95 {milliseconds(percentile(seconds, 0.95))})"
    return Line(path, shown, "", "", f"≤ {milliseconds(most)}", median(seconds) <= most)


def _processor(pid: int) -> float:
    """Processor seconds that a process used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _memory(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 1e6


def sleep_until(at: float) -> None:
    """Let time pass while nothing happens: that is what is measured."""
    while monotonic() < at:
        sleep(max(0.0, min(0.5, at - monotonic())))
