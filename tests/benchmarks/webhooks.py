"""Webhooks: signed requests of 500 bytes over 16 connections, answered after a durable commit.

Ours commits an event, a run and an action for each; the floor commits one row. Daemon, floor and sender are processes of
their own, and what the store holds is counted afterwards.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from time import monotonic, sleep
from typing import Any

import apsw

from benchmarks.processes import DAEMON, HERE, START_SECONDS, environment, run_json, serving
from benchmarks.report import Line, Scale, in_turn, milliseconds, share_of_floor
from benchmarks.specs import SECRET_VARIABLE, write_hooks

SECRET = "not-a-secret"
CONNECTIONS = 16
MANY = 1_000
SLOWEST = 0.015

_ROWS = "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM runs), (SELECT count(*) FROM actions)"


class Stretch:
    """Sends to one server; keeps what every stretch told."""

    def __init__(self, port: int, *, routes: int, count: int, work: Path) -> None:
        self._port = port
        self._routes = routes
        self._count = count
        self._work = work
        self._first = 0
        self.told: list[dict[str, Any]] = []
        self.repeated: list[float] = []

    def __call__(self) -> float:
        """New deliveries a second."""
        fresh, _ = self._send(again=False)
        return fresh

    def twice(self) -> float:
        """New deliveries a second; then all of them come once more."""
        fresh, again = self._send(again=True)
        self.repeated.append(again)
        return fresh

    def _send(self, *, again: bool) -> tuple[float, float]:
        stretch = [str(self._first), str(self._count)]
        self._first += self._count
        words = [str(self._port), SECRET, str(CONNECTIONS), str(self._routes), *stretch, *(stretch if again else ())]
        told = run_json(sys.executable, str(HERE / "load.py"), *words, env=_paths(self._work))
        for each in told:
            assert each["statuses"] == {"202": self._count}, each["statuses"]
        self.told.append(told[0])
        rates = [each["sent"] / each["seconds"] for each in told]
        return rates[0], rates[-1]

    @property
    def sent(self) -> int:
        """How many deliveries there were, each counted once."""
        return self._first

    def latency(self, name: str) -> float:
        """The median over stretches of a latency."""
        return float(median(each[name] for each in self.told))


def run(scale: Scale, work: Path) -> Iterator[Line]:
    """One automation, a thousand, and repeated deliveries."""
    rounds, count, many = scale.of(3, 2), scale.of(6_000, 1_000), scale.of(MANY, 100)
    with ExitStack() as stack:
        floor = stack.enter_context(_floor(work, count))
        one = stack.enter_context(_daemon(work / "one", automations=1, count=count))
        lots = stack.enter_context(_daemon(work / "many", automations=many, count=count))
        for each in (floor, one, lots):
            each()  # compiles, warms caches, grows the files
            each.told.clear()
        least, single, several = in_turn(rounds, floor, one.twice, lots)
    _check(work, floor=floor, one=one, lots=lots)
    slow = one.latency("p99")
    shown = f", p50 {milliseconds(one.latency('p50'))}, p99 {milliseconds(slow)}"
    yield share_of_floor("signed webhook to durable 202, 1 automation", single, least, least=0.4, remark=shown)
    yield Line(
        "signed webhook, p99", milliseconds(slow), milliseconds(floor.latency("p99")), "", "≤ 15 ms", slow <= SLOWEST
    )
    yield _beside(f"signed webhook, {many:,} automations beside 1", several, single, least=0.9)
    yield _beside("repeated delivery beside a first one", one.repeated, single, least=1.0)


def _beside(path: str, ours: list[float], other: list[float], *, least: float) -> Line:
    return share_of_floor(path, ours, other, least=least)


@contextmanager
def _daemon(work: Path, *, automations: int, count: int) -> Iterator[Stretch]:
    write_hooks(work / "specs", automations)
    env = environment(work / "root", **{SECRET_VARIABLE: SECRET, "AUTOMATIONS_LOG_FORMAT": "json"})
    command = [DAEMON, "--json", "serve", str(work / "specs"), "--no-worker", "--port", "0"]
    with serving(*command, env=env, log=work / "server.log") as announced:
        _await_route(announced["port"], automations - 1)
        yield Stretch(announced["port"], routes=automations, count=count, work=work)


@contextmanager
def _floor(work: Path, count: int) -> Iterator[Stretch]:
    command = [sys.executable, str(HERE / "floor_server.py"), str(work / "floor.db"), SECRET]
    with serving(*command, env=_paths(work), log=work / "floor.log") as announced:
        yield Stretch(announced["port"], routes=1, count=count, work=work)


def _await_route(port: int, route: int) -> None:
    """Wait until the daemon has bound the last route: an unsigned request is then refused for what it lacks."""
    deadline = monotonic() + START_SECONDS
    while monotonic() < deadline:
        connection = HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
        connection.request("POST", f"/webhooks/hook-{route}", b"{}")
        status = connection.getresponse().status
        connection.close()
        if status == 401:
            return
        sleep(0.05)
    raise RuntimeError(f"route hook-{route} was not bound in {START_SECONDS} seconds")


def _check(work: Path, *, floor: Stretch, one: Stretch, lots: Stretch) -> None:
    """Everything that was acknowledged is there, once."""
    assert _one_row(work / "floor.db", "SELECT count(*) FROM events") == (floor.sent,)
    for name, stretch in (("one", one), ("many", lots)):
        found = _one_row(work / name / "root" / "automations.db", _ROWS)
        assert found == (stretch.sent,) * 3, (name, found, stretch.sent)


def _one_row(path: Path, query: str) -> tuple[Any, ...]:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    (found,) = connection.execute(query).fetchall()
    connection.close()
    return found


def _paths(work: Path) -> dict[str, str]:
    """An environment in which the programs of this package find it."""
    return environment(work, PYTHONPATH=str(HERE.parent))
