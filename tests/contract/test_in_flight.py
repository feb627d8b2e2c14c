"""What becomes of runs under way when their automation changes or goes, on every store."""

from typing import Any

import pytest

from automations.core.canonical import decode
from automations.core.instant import SECOND
from automations.core.run.queue import Holder
from automations.core.spec.catalogue import interpret
from automations.services.plan.author import Author
from automations.services.run.in_flight import tell_stalled
from automations.store import automations
from automations.store.database import Database
from control_plane import ControlPlane
from samples import raw, spec, step


class Changing(ControlPlane):
    """A control plane with runs in every state: one worked on, one that only waits for a runner, one in line."""

    def under_way(self, **lifecycle: Any) -> list[str]:
        self.apply({"a.yaml": self.spec(**lifecycle)})
        made = [str(self.send(name).materialized[0]["runId"]) for name in ("e1", "e2", "e3")]
        self.claim()
        return made

    def spec(self, revision: int = 1, **lifecycle: Any) -> dict[str, Any]:
        final = {"finally": [step("report")]}
        shared = {"key": "k", "limit": 2}
        return spec("a", vars={"revision": revision}, lifecycle=lifecycle, concurrency=shared, **final)

    def statuses(self, run_ids: list[str]) -> list[str]:
        return [self.run(run_id)["status"] for run_id in run_ids]

    def condition(self) -> str | None:
        with self.database.read() as tx:
            row = automations.get(tx, "a")
        assert row is not None
        stalled = decode(row["conditions_json"]).get("Stalled")
        return None if stalled is None else str(stalled["status"])


@pytest.fixture
def plane(database: Database) -> Changing:
    return Changing(database)


def test_a_change_leaves_runs_alone_by_default(plane: Changing) -> None:
    made = plane.under_way()
    plane.apply({"a.yaml": plane.spec(2)})
    assert plane.statuses(made) == ["running", "materialized", "pending"]


def test_a_change_cancels_what_nobody_has_begun_where_the_old_spec_says_so(plane: Changing) -> None:
    made = plane.under_way(onUpdate="cancel-queued")
    plane.apply({"a.yaml": plane.spec(2)})
    assert plane.steps(made[1]) == {"work": "cancelled", "report": "queued"}
    assert plane.statuses(made) == ["running", "materialized", "cancelled"]
    assert plane.run(made[1])["stop_by"] == "tester"
    assert plane.run(made[1])["stop_reason"] == "automation a was changed (onUpdate: cancel-queued)"


def test_a_change_to_a_file_alone_ends_nothing(plane: Changing) -> None:
    made = plane.under_way(onUpdate="cancel-queued")
    plane.apply({"b.yaml": plane.spec(onUpdate="cancel-queued")})
    assert plane.statuses(made) == ["running", "materialized", "pending"]


def test_creating_over_an_automation_of_the_api_follows_the_same_policy(plane: Changing) -> None:
    author = Author(plane.database, plane.clock, plane.ids)
    author.create(interpret(raw(plane.spec(onUpdate="cancel-queued")), "a.json"), actor="ada")
    made = [str(plane.send(name).materialized[0]["runId"]) for name in ("e1", "e2", "e3")]
    author.create(interpret(raw(plane.spec(2)), "a.json"), actor="bob")
    assert plane.statuses(made)[2] == "cancelled"
    assert plane.run(made[2])["stop_by"] == "bob"


@pytest.mark.parametrize(
    ("policy", "main"),
    [
        ("drain", ["claimed", "queued", "blocked"]),
        ("cancel-queued", ["claimed", "cancelled", "cancelled"]),
        ("cancel-all", ["claimed", "cancelled", "cancelled"]),
    ],
)
def test_a_delete_drains_or_cancels_as_the_spec_says(plane: Changing, policy: str, main: list[str]) -> None:
    made = plane.under_way(onDelete=policy)
    plane.apply({})
    assert [plane.steps(run)["work"] for run in made] == main
    assert bool(plane.queue.asked_to_stop("r1")) == (policy == "cancel-all")
    assert plane.send("e9").materialized == ()


def test_what_a_delete_cancels_runs_its_finally_steps_on_the_spec_that_is_gone(plane: Changing) -> None:
    made = plane.under_way(onDelete="cancel-all")
    plane.apply({})
    (held,) = plane.inspect.actions(status="claimed", after=None, limit=9)
    plane.queue.release(held["id"], Holder("r1", held["fence"]))
    for row in plane.claim(limit=9):
        plane.done(row)
    assert plane.statuses(made) == ["cancelled", "cancelled", "cancelled"]


def test_a_drain_that_takes_too_long_is_told_of_and_nothing_is_killed(plane: Changing) -> None:
    made = plane.under_way(drainTimeout="1h")
    plane.apply({})
    look = plane.clock.at
    assert tell_stalled(plane.database, now=look + 3599 * SECOND) == []
    assert plane.condition() is None
    assert tell_stalled(plane.database, now=look + 3600 * SECOND) == ["a"]
    assert tell_stalled(plane.database, now=look + 3700 * SECOND) == []
    assert (plane.condition(), plane.statuses(made)[0]) == ("True", "running")
    (held,) = plane.inspect.actions(status="claimed", after=None, limit=9)
    plane.done(held, fence=held["fence"])
    while rows := plane.claim(limit=9):
        for row in rows:
            plane.done(row)
    assert tell_stalled(plane.database, now=look + 3800 * SECOND) == []
    assert (plane.condition(), set(plane.statuses(made))) == ("False", {"succeeded"})
