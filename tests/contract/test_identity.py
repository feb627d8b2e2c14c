"""Work and history belong to an automation's uid: a rename keeps them, a new automation of the old id has none."""

from typing import Any

import pytest

from automations.core.trigger.type_template import render_type
from automations.core.trigger.webhook import normalise
from automations.errors import NotFound
from automations.services.audit_view import history
from automations.services.inspect import Filter
from automations.services.plan.what_if import stored, what_if
from automations.services.reconcile.suspend import Suspend
from automations.services.run.dead_letters import Letters, replayable
from automations.services.run.expire import TOMBSTONE, Expiry
from automations.services.trigger.event_view import why
from automations.services.trigger.ingest import Delivery
from automations.services.trigger.webhook_routes import Wanted, WebhookRoutes
from automations.store import automations
from automations.store.database import Database
from control_plane import ControlPlane
from samples import spec

OTHER = {"z.yaml": spec("z", triggers=[{"kind": "manual"}])}
OLD = OTHER | {"a.yaml": spec("old")}
RENAMED = OTHER | {"a.yaml": spec("new", lifecycle={"renamedFrom": "old"})}


@pytest.fixture
def plane(database: Database) -> ControlPlane:
    return ControlPlane(database)


def listed(plane: ControlPlane, name: str) -> list[str]:
    return [run["id"] for run in plane.inspect.runs(Filter(name))]


def sent(plane: ControlPlane, identity: str) -> str:
    return str(plane.send(identity).materialized[0]["runId"])


def renamed(plane: ControlPlane) -> str:
    """An automation that ran once before it was renamed; that run."""
    plane.apply(OLD)
    run = sent(plane, "e1")
    plane.apply(RENAMED)
    return run


def test_runs_from_before_a_rename_are_listed_by_the_new_id_and_by_the_old_one(plane: ControlPlane) -> None:
    run = renamed(plane)
    assert (listed(plane, "new"), listed(plane, "old")) == ([run], [run])
    assert (plane.inspect.became("new"), plane.inspect.became("old")) == ("", "old is called new now")


def test_a_new_automation_of_the_old_id_has_only_its_own_runs(plane: ControlPlane) -> None:
    run = renamed(plane)
    plane.apply(RENAMED | {"b.yaml": spec("old")})
    both = {each["automationId"]: str(each["runId"]) for each in plane.send("e2").materialized}
    assert listed(plane, "old") == [both["old"]]
    assert listed(plane, "new") == [both["new"], run]


def test_dead_letters_from_before_a_rename_are_found_by_the_new_id(plane: ControlPlane) -> None:
    renamed(plane)
    (row,) = plane.claim()
    plane.undone(row, code="BOOM", retryable=False)
    assert [each["id"] for each in plane.inspect.dead_letters(Letters("new"))] == [row["id"]]
    assert [each["id"] for each in replayable(plane.database, Letters("old"))] == [row["id"]]
    assert plane.inspect.dead_letters(Letters("z")) == []


@pytest.mark.parametrize("name", ["old", "older"])
def test_what_was_renamed_is_named_where_its_old_id_is_asked_for(plane: ControlPlane, name: str) -> None:
    plane.apply(OTHER | {"a.yaml": spec(name)})
    plane.apply(OTHER | {"a.yaml": spec("new", lifecycle={"renamedFrom": name})})
    with pytest.raises(NotFound) as caught:
        history(plane.database, name)
    assert caught.value.hint == f"{name} is called new now; see: automations history new"
    with pytest.raises(NotFound) as caught:
        plane.inspect.automation(name)
    assert caught.value.hint == f"{name} is called new now; see: automations show new"


def test_what_was_renamed_twice_is_named_as_it_is_called_now(plane: ControlPlane) -> None:
    run = renamed(plane)
    plane.apply(OTHER | {"a.yaml": spec("newest", lifecycle={"renamedFrom": "new"})})
    assert plane.inspect.became("old") == "old is called newest now"
    assert (listed(plane, "old"), listed(plane, "newest")) == ([run], [run])


def test_a_deleted_automation_and_one_that_never_was_are_told_apart(plane: ControlPlane) -> None:
    run = renamed(plane)
    plane.apply(OTHER)
    assert plane.inspect.became("new").startswith("new was deleted at 2023-")
    assert plane.inspect.became("old").startswith("old is called new now, and was deleted at 2023-")
    assert (plane.inspect.became("never"), listed(plane, "never")) == ("automation not found: never", [])
    assert listed(plane, "new") == [run]


def test_runs_that_go_on_after_a_rename_keep_the_tombstone_that_they_belong_to(plane: ControlPlane) -> None:
    renamed(plane)
    plane.apply(OTHER)
    plane.clock.at += TOMBSTONE + 1
    expire(plane)
    assert known(plane) == {"new", "z"}
    (row,) = plane.claim()
    plane.done(row)
    expire(plane)
    assert known(plane) == {"z"}


def test_what_a_forgotten_automation_ran_is_found_as_long_as_it_is_kept(plane: ControlPlane) -> None:
    plane.apply(OLD)
    run = sent(plane, "e1")
    (row,) = plane.claim()
    plane.done(row)
    plane.apply(OTHER)
    plane.clock.at += TOMBSTONE + 1
    expire(plane)
    assert (known(plane), listed(plane, "old")) == ({"z"}, [run])
    assert plane.inspect.became("old") == "old was deleted, and only what it ran is kept"
    plane.apply(OLD)
    assert listed(plane, "old") == []


def test_an_event_that_comes_again_after_a_rename_is_answered_with_the_automation_as_it_is_called_now(
    plane: ControlPlane,
) -> None:
    run = renamed(plane)
    (answer,) = plane.inspect.materialized(plane.send("e1").materialized)
    assert (answer["run"]["id"], answer["automation"]["id"]) == (run, "new")


def test_why_names_the_run_that_an_event_started_before_a_rename(plane: ControlPlane) -> None:
    run = renamed(plane)
    plane.apply(RENAMED | {"b.yaml": spec("old")})
    told = why(plane.database, plane.bindings, "e1")["triggers"]
    assert {each["automationId"]: each.get("runId") for each in told} == {"new": run, "old": None}


UNROUTED = {"kind": "webhook", "source": "s", "type": "t"}


def delivered(plane: ControlPlane, **trigger: Any) -> None:
    """An event by a route that was made by hand, to an automation that is renamed afterwards."""
    plane.apply(OTHER | {"a.yaml": spec("old", triggers=[UNROUTED | trigger])})
    routes = WebhookRoutes(plane.database, plane.clock, plane.ids)
    routes.create(Wanted("old", {"source": "s", "type": "t"}, id="imp", path="/imp"), actor="ada")
    route = plane.bindings.current().routes["/imp"].route
    body: dict[str, Any] = {"body": {"n": 1}, "body_digest": "b1", "headers": {}, "received_at": plane.clock.at}
    plane.ingest.one(Delivery(normalise(route, render=render_type, **body), "b1", None, route))
    plane.apply(OTHER | {"a.yaml": spec("new", triggers=[UNROUTED | trigger], lifecycle={"renamedFrom": "old"})})


def test_an_event_of_a_route_made_by_hand_that_waits_through_a_rename_starts_its_run(plane: ControlPlane) -> None:
    delivered(plane, debounce={"key": "k", "quiet": "10s"})
    plane.wait(11)
    assert [run["automationId"] for run in plane.inspect.runs(Filter())] == ["new"]


def test_what_came_by_a_route_made_by_hand_before_a_rename_counts_for_plans_and_for_why(plane: ControlPlane) -> None:
    delivered(plane)
    (event,) = stored(plane.database, since=0)
    made = plane.plan(OTHER)
    (told,) = what_if(plane.database, made, [event])["automations"]
    assert (told["id"], told["onlyBefore"]["count"]) == ("new", 1)
    triggers = why(plane.database, plane.bindings, event.id)["triggers"]
    assert [(each["automationId"], each["outcome"]) for each in triggers] == [("new", "match")]


def expire(plane: ControlPlane) -> None:
    suspend = Suspend(plane.database, plane.clock, plane.telemetry)
    Expiry(plane.database, plane.clock, plane.telemetry, suspend).tick(plane.clock.at)


def known(plane: ControlPlane) -> set[str]:
    with plane.database.read() as tx:
        return {row["id"] for row in automations.every(tx)}
