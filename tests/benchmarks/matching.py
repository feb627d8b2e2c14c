"""Matching: one event against the binding table, which must not care how many automations it does not concern.

The floor is the same event against a table of one.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from automations.adapters.clock import SystemClock
from automations.adapters.ids import UuidIds
from automations.adapters.telemetry import Telemetry
from automations.core.plan.plan import Request
from automations.core.spec import build
from automations.core.spec.catalogue import assemble, interpret
from automations.core.trigger.bindings import Bound, Table, build_table, match
from automations.core.trigger.envelope import Envelope, from_document
from automations.services.plan.apply import Apply, Authority
from automations.services.plan.definitions import Bindings
from automations.services.plan.plan import plan
from automations.services.trigger.ingest import Delivery
from automations.store.migrate import migrate
from automations.store.sqlite import SqliteDatabase
from benchmarks.programs import applied, opened
from benchmarks.queueing import ONE_STEP
from benchmarks.report import Line, Scale, bound, in_turn, milliseconds, timed, times_floor
from benchmarks.specs import spec

FAN_OUT = 100


def run(scale: Scale, work: Path) -> Iterator[Line]:
    """One event against tables of several sizes, and one event to a hundred automations."""
    rounds, repeats = scale.of(7, 3), scale.of(2_000, 300)
    sizes = (1, 1_000, scale.of(10_000, 2_000))
    measured = in_turn(rounds, *(_matching(_table(size), repeats) for size in sizes))
    for size, seconds in zip(sizes[1:], measured[1:], strict=True):
        yield times_floor(f"match one event, {size:,} automations", seconds, measured[0], most=1.5)
    others = _bound(sizes[-1] - 1, lambda index: {"source": f"apps-{index}/*", "type": f"other.{index}.*"})
    for_all = _bound(scale.of(1_000, 100), lambda _: {"source": "*", "type": "*.changed.*"})
    wild = [
        _matching(build_table(1, [*found, *_bound(1, lambda _: {})]), few)
        for found, few in ((others, repeats), (for_all, 20))
    ]
    patterns, everything = in_turn(rounds, *wild)
    yield times_floor(f"match one event, {len(others):,} patterns for others", patterns, measured[0], most=1.5)
    told = milliseconds(median(everything))
    yield Line(f"match one event that {len(for_all):,} triggers are judged for", told, "", "", "", True)
    yield bound(f"bind again, one of {sizes[-1]:,} changed", _bind_again(sizes[-1], rounds), most=0.1, unit="ms")
    yield bound(f"one event starts {FAN_OUT} runs", _fan_out(work, rounds), most=0.010, unit="ms")


def _table(size: int) -> Table:
    one = _document()
    documents = [{**one, "id": f"other-{index}", "triggers": [_other(one, index)]} for index in range(size - 1)]
    return build_table(1, [Bound(each["id"], 1, build.automation(each), {}) for each in (*documents, one)])


def _bound(count: int, patterns: Callable[[int], dict[str, str]]) -> list[Bound]:
    """Automations whose trigger has these patterns."""
    one = _document()
    made = [
        {**one, "id": f"wild-{index}", "triggers": [{**one["triggers"][0], **patterns(index)}]}
        for index in range(count)
    ]
    return [Bound(each["id"], 1, build.automation(each), {}) for each in made]


def _bind_again(size: int, rounds: int) -> float:
    """Seconds to bind what is applied, when all but one automation is as it was."""
    with closing(SqliteDatabase.memory()) as database:
        clock, ids = SystemClock(), UuidIds()
        migrate(database, now=clock.now(), lineage=ids.new())
        bindings, apply = Bindings(database), Apply(database, clock=clock, ids=ids, telemetry=Telemetry())
        texts = {f"{index}.yaml": spec(index) for index in range(size)}
        seconds = []
        for number in range(rounds + 1):
            texts["0.yaml"] = spec(0).replace("name: ", f"name: {number} ", 1)
            parts = [interpret(text.encode(), name) for name, text in texts.items()]
            apply.strict(plan(database, assemble(parts), Request("default")), Authority("benchmark"))
            seconds.append(timed(bindings.current))
        return median(seconds[1:])  # the first one binds all


def _document() -> dict[str, Any]:
    document = interpret(spec(7).encode(), "spec.yaml").document
    assert document is not None
    return dict(document.value)


def _other(one: dict[str, Any], index: int) -> dict[str, Any]:
    return {**one["triggers"][0], "type": f"other.changed.{index}"}


def _matching(table: Table, repeats: int) -> Callable[[], float]:
    envelope = _event()
    assert {verdict.outcome for verdict in match(table, envelope)} == {"match"}

    def once() -> float:
        return timed(lambda: [match(table, envelope) for _ in range(repeats)]) / repeats

    return once


def _event() -> Envelope:
    document = {
        "id": "e-1",
        "source": "apps/us-east",
        "type": "alert.changed.7",
        "subject": "real",
        "data": {"priority": "high", "alert": {"name": "team-0-disk"}, "count": 50},
    }
    return from_document(document, received_at=0)


def _fan_out(work: Path, rounds: int) -> float:
    """Seconds for one event that a hundred automations wait for, commit and all."""
    tree = work / "fan"
    tree.mkdir()
    for index in range(FAN_OUT):
        (tree / f"{index}.yaml").write_text(ONE_STEP.replace("id: orders.store\n", f"id: orders.store-{index}\n", 1))
    seconds = []
    with opened(work / "root") as runtime:
        applied(runtime, tree)
        for number in range(rounds + 1):
            event = {"id": f"{number}", "source": "bench", "type": "order.created", "data": {"number": number}}
            delivery = Delivery(from_document(event, received_at=runtime.clock.now()), f"sha256:{number}")
            seconds.append(timed(partial(runtime.ingest.one, delivery)))
        assert runtime.inspect.status()["counts"]["runs"] == FAN_OUT * (rounds + 1)
    return median(seconds[1:])  # the first one compiles
