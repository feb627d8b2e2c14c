"""What a plan says of runs under way is what its apply does to them, whatever they and the policies are."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automations.core.plan.change import Change
from automations.core.plan.policy import ended
from automations.core.spec.catalogue import interpret
from automations.errors import Conflict
from automations.services.inspect import Filter
from automations.services.plan.apply import Authority
from automations.services.plan.author import Author
from automations.services.run.cancel import Cancel
from automations.services.run.cancel import Parts as CancelParts
from automations.services.run.replay import Parts, Replay
from automations.store import runs
from automations.store.database import Database
from control_plane import ControlPlane, in_memory
from samples import raw, spec, step

Files = dict[str, Any]
Lifecycle = dict[str, str]
OTHER = {"z.yaml": spec("z", triggers=[{"kind": "manual"}])}
GATE = {"mode": "manual", "requiresApproval": True}


@pytest.fixture
def plane(database: Database) -> ControlPlane:
    return ControlPlane(database)


def files(identity: str = "a", revision: int = 1, *, gate: bool = False, **lifecycle: Any) -> Files:
    """One automation of two steps of which two runs go on side by side, beside one that nothing starts."""
    first = step("work", retry={"maxAttempts": 2}, **({"approval": GATE} if gate else {}))
    steps = [first, step("after", dependsOn=["work"])]
    keys = {"vars": {"revision": revision}, "concurrency": {"key": "k", "limit": 2}, "lifecycle": lifecycle}
    return OTHER | {f"{identity}.yaml": spec(identity, actions=steps, **keys)}


def change_of(plane: ControlPlane, wanted: Files, **request: Any) -> Change:
    (change,) = plane.plan(wanted, **request).changes
    return change


def codes(plane: ControlPlane, wanted: Files, **request: Any) -> list[str]:
    return [each.code for each in plane.plan(wanted, **request).hazards]


def cancelled(plane: ControlPlane) -> int:
    """How many runs were told to end by an apply."""
    with plane.database.read() as tx:
        every = runs.page(tx, uid=None, status=None, before=None, limit=1000)
    return sum((row["stop_reason"] or "").startswith("automation ") for row in every)


def commit(plane: ControlPlane, wanted: Files, **request: Any) -> None:
    made = plane.plan(wanted, **request)
    plane.applying.strict(made, Authority("tester", allow_deletes=made.destroys or None))


def sends(plane: ControlPlane, count: int) -> list[str]:
    return [str(plane.send(f"e{number}").materialized[0]["runId"]) for number in range(count)]


# Identity


def test_after_a_rename_a_delete_is_planned_with_the_runs_from_before(plane: ControlPlane) -> None:
    commit(plane, files("old", onDelete="cancel-all"))
    sends(plane, 2)
    commit(plane, files("new", onDelete="cancel-all", renamedFrom="old"))
    change = change_of(plane, OTHER)
    assert (change.in_flight.live, ended(change.in_flight, change.effects.policy)) == (2, 2)
    assert "AU401" in codes(plane, OTHER)
    commit(plane, OTHER)
    assert cancelled(plane) == 2


def test_a_new_automation_of_an_old_id_is_not_shown_the_runs_of_the_renamed_one(plane: ControlPlane) -> None:
    commit(plane, files("old"))
    sends(plane, 2)
    commit(plane, files("new", renamedFrom="old"))
    both = files("new", renamedFrom="old") | files("old", onUpdate="cancel-queued")
    commit(plane, both)
    change = change_of(plane, both | files("old", 2, onUpdate="cancel-queued"))
    assert (change.id, change.in_flight.live) == ("old", 0)


# Only what replaces or deletes a spec touches runs


def test_a_takeover_of_the_same_spec_cancels_nothing_and_does_not_say_so(plane: ControlPlane) -> None:
    wanted = files(onUpdate="cancel-queued")
    commit(plane, wanted, source="first")
    sends(plane, 2)
    mine = {"a.yaml": wanted["a.yaml"]}
    taking = {"source": "second", "adopt": frozenset({"a"})}
    assert (change_of(plane, mine, **taking).effects.policy, codes(plane, mine, **taking)) == ("finish", ["AU500"])
    commit(plane, mine, **taking)
    assert cancelled(plane) == 0


def test_a_takeover_with_another_spec_cancels_as_the_plan_says(plane: ControlPlane) -> None:
    commit(plane, files(onUpdate="cancel-queued"), source="first")
    sends(plane, 2)
    mine = {"a.yaml": files("a", 2)["a.yaml"]}
    taking = {"source": "second", "adopt": frozenset({"a"})}
    assert codes(plane, mine, **taking) == ["AU500", "AU401"]
    commit(plane, mine, **taking)
    assert cancelled(plane) == 2


def test_an_automation_that_comes_back_lets_its_runs_finish_as_the_plan_says(plane: ControlPlane) -> None:
    commit(plane, files(onUpdate="cancel-queued"))
    sends(plane, 2)
    commit(plane, OTHER)
    back = files("a", 2, onUpdate="cancel-queued")
    assert (change_of(plane, back).effects.policy, codes(plane, back)) == ("finish", [])
    assert change_of(plane, back).in_flight.live == 2
    commit(plane, back)
    assert cancelled(plane) == 0


def test_creating_an_automation_of_the_api_anew_after_its_file_went_cancels_nothing(plane: ControlPlane) -> None:
    commit(plane, files(onUpdate="cancel-queued"))
    sends(plane, 2)
    commit(plane, OTHER)
    author = Author(plane.database, plane.clock, plane.ids)
    author.create(interpret(raw(files("a", 2)["a.yaml"]), "a.json"), actor="ada")
    assert cancelled(plane) == 0


# Numbers


def test_a_plan_says_how_many_runs_have_begun_and_how_many_end(plane: ControlPlane) -> None:
    commit(plane, files(onUpdate="cancel-queued"))
    sends(plane, 3)
    plane.claim()
    change = change_of(plane, files("a", 2))
    found = change.in_flight.document()
    assert {name: found[name] for name in ("running", "pending", "begun", "notBegun", "queued")} == {
        "running": 1,
        "pending": 1,
        "begun": 1,
        "notBegun": 2,
        "queued": 1,
    }
    assert [each["status"] for each in plane.inspect.runs(Filter())].count("running") == found["running"]
    assert ended(change.in_flight, change.effects.policy) == 2


def test_where_every_run_has_begun_nothing_is_said_to_be_cancelled(plane: ControlPlane) -> None:
    commit(plane, files(onUpdate="cancel-queued"))
    sends(plane, 1)
    plane.claim()
    assert codes(plane, files("a", 2)) == []


def test_what_was_told_to_end_before_is_not_cancelled_once_more(plane: ControlPlane) -> None:
    commit(plane, files(onDelete="cancel-all"))
    (run,) = sends(plane, 1)
    plane.claim()
    cancelling(plane).run(run, actor="ada")
    change = change_of(plane, OTHER)
    assert (change.in_flight.ending, ended(change.in_flight, change.effects.policy)) == (1, 0)
    assert "AU401" not in codes(plane, OTHER)


def test_dead_letters_of_a_deleted_automation_stay_and_can_be_replayed(plane: ControlPlane) -> None:
    commit(plane, files(onDelete="cancel-all"))
    sends(plane, 1)
    (row,) = plane.claim()
    plane.undone(row, code="BOOM", retryable=False)
    assert change_of(plane, OTHER).in_flight.document()["dead"] == 1
    commit(plane, OTHER)
    parts: dict[str, Any] = {"clock": plane.clock, "ids": plane.ids, "telemetry": plane.telemetry}
    Replay(Parts(plane.database, plane.bindings, plane.programs, **parts)).action(row["id"], actor="ada")
    assert plane.steps(row["run_id"])["work"] == "queued"


# Property


def cancelling(plane: ControlPlane) -> Cancel:
    return Cancel(CancelParts(plane.database, plane.programs, plane.clock, plane.telemetry))


def _claim(plane: ControlPlane, number: int) -> None:
    plane.claim(f"r{number}")


def _end(plane: ControlPlane, number: int) -> None:
    held = plane.inspect.actions(status="claimed", after=None, limit=9)
    if held:
        row = held[number % len(held)]
        with plane.database.read() as tx:
            claimed = tx.one("SELECT * FROM actions WHERE id = :id", id=row["id"])
        assert claimed is not None
        runner = claimed["claimed_by"]
        with suppress(Conflict):  # what was asked to stop has ended when its holder says so
            if number % 2:
                plane.done(claimed, runner=runner)
            else:
                plane.undone(claimed, runner=runner, code="BOOM", retryable=number % 4 == 0)


def _cancel(plane: ControlPlane, number: int) -> None:
    live = [each for each in plane.inspect.runs(Filter()) if each["status"] in ("pending", "materialized", "running")]
    if live:
        cancelling(plane).run(live[number % len(live)]["id"], actor="ada")


def _send(plane: ControlPlane, number: int) -> None:
    plane.send(f"e{number}")


HAPPENS: list[Callable[[ControlPlane, int], None]] = [_send, _send, _claim, _claim, _end, _cancel]
happenings = st.lists(st.tuples(st.sampled_from(HAPPENS), st.integers(0, 30)), max_size=12)
lifecycles = st.fixed_dictionaries(
    {},
    optional={
        "onUpdate": st.sampled_from(["finish", "cancel-queued"]),
        "onDelete": st.sampled_from(["drain", "cancel-queued", "cancel-all"]),
    },
)
moves = st.sampled_from(["update", "rename", "delete", "move", "adopt", "take over"])


def next_files(move: str, name: str, number: int, *, now: Lifecycle, gate: bool) -> tuple[str, Files, dict[str, Any]]:
    """The name that it has then, its files, and what is asked for with them."""
    wanted: Lifecycle = now
    if move == "rename":
        name, wanted = f"a{number}", {**now, "renamedFrom": name}
    found = {} if move == "delete" else files(name, number, gate=gate, **wanted)
    if move == "move":
        found = {f"moved{number}.yaml" if key != "z.yaml" else key: value for key, value in found.items()}
    return name, OTHER | found, {"source": f"s{number}"} if move in ("adopt", "take over") else {}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.booleans(), st.lists(st.tuples(happenings, moves, lifecycles), min_size=1, max_size=5))
def test_what_a_plan_says_is_cancelled_is_what_its_apply_cancels(
    gate: bool,
    series: list[tuple[list[tuple[Callable[[ControlPlane, int], None], int]], str, Lifecycle]],
) -> None:
    name, source = "a", "default"
    with in_memory() as plane:
        revision, lifecycle = 0, series[0][2]
        commit(plane, files(name, revision, gate=gate, **lifecycle))
        for number, (happening, move, now) in enumerate(series, 1):
            for happen, which in happening:
                happen(plane, which)
            if move != "adopt":  # a takeover of just what is bound
                revision, lifecycle = number, now
            name, wanted, asked = next_files(move, name, number, now=lifecycle, gate=gate)
            if move == "adopt":
                wanted = OTHER | files(name, revision, gate=gate, **lifecycle)
            source = asked.get("source", source)
            taken = {each for each in (name, "z") if asked and plane.inspect.became(each) == ""}
            made = plane.plan(wanted, source=source, adopt=frozenset(taken))
            predicted = sum(ended(each.in_flight, each.effects.policy) for each in made.changes)
            before = cancelled(plane)
            plane.applying.strict(made, Authority("tester", allow_deletes=made.destroys or None))
            assert cancelled(plane) - before == predicted
            assert ("AU401" in [each.code for each in made.hazards]) == (predicted > 0)
