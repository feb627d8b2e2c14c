"""Ingest, on every store: each event exactly once, whoever delivers it how often."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

import pytest

from automations.core.canonical import decode
from automations.core.instant import SECOND, iso
from automations.core.trigger.envelope import Envelope, scope_of
from automations.errors import AutomationsError, RouteMoved, StoreError
from automations.services.trigger.event_view import event_show, why
from automations.services.trigger.ingest import Delivery, Ingested
from automations.store import events, outcomes
from automations.store.database import Database
from control_plane import ControlPlane
from samples import action, event_trigger, spec, step, webhook_trigger


@pytest.fixture
def plane(database: Database) -> ControlPlane:
    return ControlPlane(database)


def counts(plane: ControlPlane) -> tuple[int, int, int]:
    """How many events, runs and actions there are."""
    with plane.database.read() as tx:
        rows = tx.one(
            """SELECT (SELECT count(*) FROM events) AS e, (SELECT count(*) FROM runs) AS r,
                 (SELECT count(*) FROM actions) AS a"""
        )
    assert rows is not None
    return rows["e"], rows["r"], rows["a"]


def test_an_event_starts_a_run_of_every_automation_that_wants_it_in_one_commit(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": spec("a"), "b.yaml": spec("b"), "c.yaml": spec("c", triggers=[event_trigger(type="other")])})
    found = plane.send()
    assert [each["automationId"] for each in found.materialized] == ["a", "b"]
    assert counts(plane) == (1, 2, 2)
    run = plane.run(found.materialized[0]["runId"])
    assert (run["idempotency_key"], run["status"]) == ("a:e1", "materialized")


def test_an_automation_with_two_triggers_that_match_runs_once_by_the_first(plane: ControlPlane) -> None:
    wide, exact = event_trigger(id="wide", type="ticket.*"), event_trigger(id="exact")
    plane.apply({"a.yaml": spec("a", triggers=[wide, exact])})
    (made,) = plane.send().materialized
    assert decode(plane.run(made["runId"])["trigger_json"])["id"] == "wide"


def test_the_same_event_again_is_answered_with_the_first_result(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": spec("a")})
    first, second = plane.send(), plane.send()
    assert (second.duplicate, second.conflict) == (True, False)
    assert second.materialized == first.materialized
    assert second.event_row_id == first.event_row_id
    assert counts(plane) == (1, 1, 1)


def test_the_same_identity_with_another_body_is_a_conflict_and_starts_nothing(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": spec("a")})
    first, second = plane.send(body="one"), plane.send(body="two")
    assert (second.duplicate, second.conflict, second.materialized) == (True, True, first.materialized)
    assert "event.conflict" in [name for name, _ in plane.told]


def test_a_conflict_is_on_record_with_its_event_and_answered_with_what_is_stored(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": spec("a")})
    plane.send(body="one", data={"n": 1})
    assert "conflicts" not in event_show(plane.database, "e1")
    plane.clock.at += SECOND
    answers = plane.ingest.many([plane.delivery(body=each, data={"n": 2}) for each in ("two", "one", "three")])
    stored = [each.stored for each in answers if isinstance(each, Ingested)]
    assert [each and each["data"] for each in stored] == [{"n": 1}, None, {"n": 1}]
    for record in (event_show(plane.database, "e1"), why(plane.database, plane.bindings, "e1")["event"]):
        assert (record["conflicts"], record["conflictAt"], record["data"]) == (2, iso(plane.clock.at), {"n": 1})


def test_a_dedupe_key_is_the_identity_rather_than_the_id(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": spec("a")})
    first = plane.send("e1", dedupe_key="k")
    assert plane.send("e2", dedupe_key="k").materialized == first.materialized
    assert plane.run(first.materialized[0]["runId"])["idempotency_key"] == "a:k"


def test_two_sources_may_use_one_id(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": spec("a", triggers=[event_trigger(source="*")])})
    assert not plane.send(source="one").duplicate
    assert not plane.send(source="two").duplicate
    assert counts(plane) == (2, 2, 2)


def test_an_unsigned_route_cannot_occupy_the_identities_of_another(plane: ControlPlane) -> None:
    one = replace(plane.delivery().envelope, origin="webhook", route_id="one", route_automation_id="a")
    assert scope_of(one) != scope_of(replace(one, route_id="two"))
    assert scope_of(one) != scope_of(plane.delivery().envelope)


def test_an_event_that_nobody_wanted_is_kept_and_looked_at_again_when_it_comes_again(plane: ControlPlane) -> None:
    unmatched = plane.send()
    assert (unmatched.materialized, unmatched.duplicate) == ((), False)
    plane.apply({"a.yaml": spec("a")})
    again = plane.send()
    assert (len(again.materialized), again.duplicate, again.event_row_id) == (1, False, unmatched.event_row_id)
    assert plane.send().duplicate
    assert counts(plane) == (1, 1, 1)


def test_an_event_that_nobody_wanted_and_that_comes_again_changed_is_a_conflict(plane: ControlPlane) -> None:
    plane.send(body="one", data={"n": 1})
    plane.apply({"a.yaml": spec("a")})
    again = plane.send(body="two", data={"n": 2})
    assert (again.duplicate, again.conflict, again.materialized) == (True, True, ())
    assert counts(plane) == (1, 0, 0)


@pytest.mark.parametrize("status", ["paused", "archived"])
def test_an_automation_that_is_not_active_starts_nothing(plane: ControlPlane, status: str) -> None:
    plane.apply({"a.yaml": spec("a", status=status)})
    assert plane.send().materialized == ()


def test_a_webhook_trigger_is_not_fired_by_an_event_that_only_says_it_came_by_webhook(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": spec("a", triggers=[webhook_trigger("/x")])})
    forged = plane.delivery(source="github", type="push", metadata={"routeId": "a.0", "origin": "webhook"})
    assert plane.ingest.one(forged).materialized == ()
    real = replace(forged.envelope, id="e2", origin="webhook", route_id="a.0", route_automation_id="a")
    assert len(plane.ingest.one(Delivery(real, "b")).materialized) == 1


def test_a_trigger_whose_expression_fails_does_not_fire_and_harms_no_other(plane: ControlPlane) -> None:
    broken = spec("broken", triggers=[event_trigger(expr="event.data.missing > 1")])
    plane.apply({"a.yaml": broken, "b.yaml": spec("b")})
    assert [each["automationId"] for each in plane.send().materialized] == ["b"]


def test_a_new_binding_is_seen_by_the_very_next_event(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": spec("a")})
    plane.send("e1")
    plane.apply({"a.yaml": spec("a", triggers=[event_trigger(type="other")])})
    assert plane.send("e2").materialized == ()
    plane.apply({})
    assert plane.send("e3", type="other").materialized == ()


def test_a_run_keeps_the_event_inputs_and_frozen_input_of_its_steps(plane: ControlPlane) -> None:
    steps = [step("one", input={"n": "${{ event.data.n }}"}), step("two", dependsOn=["one"], input="${{ event.data }}")]
    plane.apply({"a.yaml": spec("a", actions=steps)})
    plane.send(data={"n": 5})
    (row,) = plane.claim()
    assert decode(row["input_json"]) == {"n": 5}
    plane.done(row)
    (row,) = plane.claim()
    assert decode(row["input_json"]) == {"n": 5}


def test_a_run_whose_first_step_cannot_be_rendered_is_born_failed_and_says_why(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": spec("a", actions=[step(input="${{ event.data.missing }}")])})
    run = plane.run(plane.send().materialized[0]["runId"])
    assert run["status"] == "failed"
    assert decode(run["error_json"])["stepId"] == "work"
    assert plane.claim() == []


# Groups


def test_a_group_is_one_commit_and_answers_in_order(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": spec("a")})
    group = [plane.delivery(f"e{n}") for n in range(5)]
    found = plane.ingest.many(group)
    assert all(not isinstance(each, AutomationsError) and len(each.materialized) == 1 for each in found)
    with plane.database.read() as tx:
        rows = [events.known(tx, "source:tickets", f"e{n}") for n in range(5)]
    assert [row and row["id"] for row in rows] == [each.event_row_id for each in found]  # type: ignore[union-attr]  # seen above


def test_an_event_that_is_twice_in_one_group_runs_once(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": spec("a")})
    first, second, third = plane.ingest.many([plane.delivery(), plane.delivery(), plane.delivery(body="other")])
    assert not isinstance(first, AutomationsError)
    assert not isinstance(second, AutomationsError)
    assert not isinstance(third, AutomationsError)
    assert (first.duplicate, second.duplicate, third.duplicate) == (False, True, True)
    assert (second.conflict, third.conflict) == (False, True)
    assert second.materialized == third.materialized == first.materialized
    assert counts(plane) == (1, 1, 1)


def test_one_bad_member_fails_alone_and_the_others_go_in(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": spec("a")})
    bad = plane.delivery("bad", data={"n": 2**70})  # no store keeps such a number
    first, second, third = plane.ingest.many([plane.delivery("e1"), bad, plane.delivery("e2")])
    assert not isinstance(first, AutomationsError)
    assert isinstance(second, AutomationsError)
    assert not isinstance(third, AutomationsError)
    assert second.stable_code == "materialization_failed"
    assert counts(plane) == (2, 2, 2)


def test_a_store_that_was_closed_is_told_to_every_member(plane: ControlPlane) -> None:
    plane.database.close()
    found = plane.ingest.many([plane.delivery("e1"), plane.delivery("e2")])
    assert all(isinstance(each, StoreError) for each in found)


def test_whoever_waits_for_work_is_woken_only_when_there_is_some(plane: ControlPlane) -> None:
    woken: list[int] = []
    plane.ingest.wake = lambda: woken.append(1)
    plane.send("e1")
    assert woken == []
    plane.apply({"a.yaml": spec("a")})
    plane.send("e2")
    plane.send("e2")
    assert woken == [1]


def test_many_deliveries_of_one_event_at_once_make_one_run(shared_database: Database) -> None:
    planes = [ControlPlane(shared_database) for _ in range(6)]
    planes[0].apply({"a.yaml": spec("a")})
    for number, each in enumerate(planes):
        each.ids.begin(1_000_000 * (number + 1))

    def deliver(plane: ControlPlane) -> Any:
        return plane.send("same").materialized

    with ThreadPoolExecutor(len(planes)) as pool:
        answers = list(pool.map(deliver, planes))
    assert all(each == answers[0] for each in answers)
    assert counts(planes[0]) == (1, 1, 1)


def test_two_daemons_that_get_the_same_group_in_opposite_orders_take_both_in(shared_database: Database) -> None:
    planes = [ControlPlane(shared_database) for _ in range(2)]
    planes[0].apply({"a.yaml": spec("a")})
    groups = []
    for number, each in enumerate(planes):
        each.ids.begin(1_000_000 * (number + 1))
        group = [each.delivery(f"e{n}") for n in range(40)]
        groups.append(group if number else group[::-1])
    together = Barrier(len(planes))

    def deliver(plane: ControlPlane, group: list[Delivery]) -> list[Any]:
        together.wait()
        return plane.ingest.many(group)

    with ThreadPoolExecutor(len(planes)) as pool:
        backward, forward = pool.map(deliver, planes, groups)
    found = [{each.event_row_id for each in answers} for answers in (backward, forward)]
    assert found[0] == found[1]
    assert [each.event_row_id for each in backward] == [each.event_row_id for each in forward][::-1]
    assert counts(planes[0]) == (40, 40, 40)


# Bindings


def test_a_table_is_built_once_for_a_serial_and_only_for_what_changed(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": spec("a"), "b.yaml": spec("b")})
    first = plane.bindings.current()
    assert plane.bindings.current() is first
    plane.apply({"a.yaml": spec("a"), "b.yaml": spec("b", version="2")})
    second = plane.bindings.current()
    assert second.bound["a"] is first.bound["a"]
    assert second.bound["b"] is not first.bound["b"]
    assert first.bound["b"].generation == 1


def test_a_changed_manifest_rebinds_only_those_who_use_it(plane: ControlPlane) -> None:
    files = {"a.yaml": spec("a"), "b.yaml": spec("b", actions=[step(actionId="other")])}
    plane.apply({**files, "m.yaml": action()})
    first = plane.bindings.current()
    plane.apply({**files, "m.yaml": action(description="new")})
    second = plane.bindings.current()
    assert second.bound["a"] is not first.bound["a"]
    assert second.bound["b"] is first.bound["b"]


def test_each_asker_gets_the_table_of_the_serial_that_it_sees(shared_database: Database) -> None:
    plane = ControlPlane(shared_database)
    plane.apply({"a.yaml": spec("a")})
    with shared_database.read() as old:
        assert plane.bindings.within(old).serial == 1
        with ThreadPoolExecutor(1) as pool:
            pool.submit(plane.apply, {"b.yaml": spec("b"), "a.yaml": spec("a")}).result()
            assert pool.submit(lambda: plane.bindings.current().serial).result() == 2
        if shared_database.dialect == "sqlite":  # elsewhere a transaction sees what others commit meanwhile
            assert plane.bindings.within(old).serial == 1
    assert plane.bindings.current().serial == 2


def delivered(identity: str, route: str) -> Delivery:
    """What a webhook route of automation `a` delivers."""
    envelope = Envelope(
        f"webhook:{route}:{identity}", "github", "push", dedupe_key=identity, origin="webhook", route_id=route,
        route_automation_id="a",
    )  # fmt: skip
    return Delivery(envelope, "b1")


def test_a_request_whose_route_moved_before_its_commit_is_refused_instead_of_lost(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": spec("a", triggers=[webhook_trigger("/webhooks/a", id="door")])})
    plane.apply({"a.yaml": spec("a", triggers=[webhook_trigger("/webhooks/a", id="gate")])})
    with pytest.raises(RouteMoved):
        plane.ingest.one(delivered("e1", "door"))
    found = plane.ingest.many([delivered("e1", "door"), delivered("e2", "gate")])
    assert isinstance(found[0], RouteMoved)
    assert counts(plane) == (1, 1, 1)


@pytest.mark.parametrize(
    "changed",
    [
        {"path": "/webhooks/b"},
        {"signature": {"secretRef": "secret://hooks/a"}},
        {"mapping": {"dataPath": "data"}},
    ],
)
def test_a_request_that_was_judged_by_what_its_route_was_before_is_refused(
    plane: ControlPlane, changed: dict[str, Any]
) -> None:
    """An open route that asks for a signature by now, a path that belongs to somebody else: one version for one request."""
    door: dict[str, Any] = {"path": "/webhooks/a", "id": "door"}
    plane.apply({"a.yaml": spec("a", triggers=[webhook_trigger(**door)])})
    judged = replace(delivered("e1", "door"), route=plane.bindings.current().routes["/webhooks/a"].route)
    plane.apply({"a.yaml": spec("a", triggers=[webhook_trigger(**{**door, **changed})])})
    with pytest.raises(RouteMoved):
        plane.ingest.one(judged)
    assert counts(plane) == (0, 0, 0)


def test_what_changes_elsewhere_moves_no_route(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": spec("a", triggers=[webhook_trigger("/webhooks/a", id="door")])})
    judged = replace(delivered("e1", "door"), route=plane.bindings.current().routes["/webhooks/a"].route)
    plane.apply(
        {"a.yaml": spec("a", version="2", triggers=[webhook_trigger("/webhooks/a", id="door")]), "b.yaml": spec("b")}
    )
    assert len(plane.ingest.one(judged).materialized) == 1


def test_a_renamed_automation_knows_what_was_delivered_to_its_old_name(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": spec("a", triggers=[webhook_trigger()])})
    first = plane.ingest.one(delivered("e1", "a.0"))
    plane.apply({"a.yaml": spec("b", triggers=[webhook_trigger()], lifecycle={"renamedFrom": "a"})})
    again = plane.ingest.one(delivered("e1", "b.0"))
    assert again.duplicate
    assert again.materialized == first.materialized
    assert counts(plane) == (1, 1, 1)


def test_a_route_with_an_id_of_its_own_keeps_its_keys_whoever_has_it(plane: ControlPlane) -> None:
    """Found by a seed: the keys went with an automation that was renamed, though its door stayed and led elsewhere."""
    plane.apply({"a.yaml": spec("a", triggers=[webhook_trigger("/1", id="door")]), "b.yaml": spec("b")})
    first = plane.ingest.one(delivered("e1", "door"))
    renamed = spec("c", triggers=[webhook_trigger("/2", id="gate")], lifecycle={"renamedFrom": "a"})
    plane.apply({"a.yaml": renamed, "b.yaml": spec("b", triggers=[webhook_trigger("/1", id="door")])})
    again = plane.ingest.one(delivered("e1", "door"))
    assert (again.duplicate, again.materialized) == (True, first.materialized)
    assert not plane.ingest.one(delivered("e1", "gate")).duplicate


def test_an_event_that_is_looked_at_again_fails_no_more_where_it_fires(plane: ControlPlane) -> None:
    """Found by a seed: for one automation it had failed and had started a run."""
    plane.apply({"a.yaml": spec("a", triggers=[event_trigger(expr="event.data.n > 1")])})
    first = plane.send(data={})
    assert [row["outcome"] for row in first.outcomes] == ["error"]
    plane.apply({"a.yaml": spec("a")})
    again = plane.send(data={})
    assert len(again.materialized) == 1
    with plane.database.read() as tx:
        assert outcomes.of_event(tx, first.event_row_id) == []
