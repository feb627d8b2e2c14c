"""Routes go and come back with their automations, and paths that were left answer 410, on every store."""

from typing import Any

import pytest

from automations.core.plan.effects import Effects
from automations.core.spec.catalogue import interpret
from automations.services.plan.author import Author
from automations.services.reconcile.suspend import Suspend
from automations.services.run.expire import TOMBSTONE, Expiry
from automations.services.trigger.webhook_routes import Wanted, WebhookRoutes
from automations.store import routes
from automations.store.database import Database
from control_plane import ControlPlane
from samples import raw, spec, webhook_trigger

A, OTHER = {"a.yaml": spec("a")}, {"z.yaml": spec("z")}


@pytest.fixture
def plane(database: Database) -> ControlPlane:
    return ControlPlane(database)


def by_hand(plane: ControlPlane, automation: str, path: str, *, identity: str = "imp") -> None:
    wanted = Wanted(automation, {"source": "s", "type": "t"}, id=identity, path=path)
    WebhookRoutes(plane.database, plane.clock, plane.ids).create(wanted, actor="ada")


def effects(plane: ControlPlane, files: dict[str, Any]) -> Effects:
    (change,) = plane.plan(files).changes
    return change.effects


def answers(plane: ControlPlane, path: str) -> int:
    """What a POST to a path comes to, as far as routes have a say."""
    found = plane.bindings.current().routes.get(path)
    return 404 if found is None else 410 if found.gone else 202


def test_a_route_made_by_hand_goes_with_its_automation_and_the_plan_says_so(plane: ControlPlane) -> None:
    plane.apply(A | OTHER)
    by_hand(plane, "a", "/imp")
    assert effects(plane, OTHER).unbound == ("/imp",)
    plane.apply(OTHER)
    assert (plane.routes(), answers(plane, "/imp")) == ({}, 410)


def test_a_route_made_by_hand_comes_back_with_its_automation(plane: ControlPlane) -> None:
    plane.apply(A | OTHER)
    by_hand(plane, "a", "/imp")
    plane.apply(OTHER)
    assert effects(plane, A | OTHER).bound == ("/imp",)
    plane.apply(A | OTHER)
    assert (plane.routes(), answers(plane, "/imp")) == ({"/imp": "a"}, 202)


def test_a_route_made_by_hand_stays_away_when_another_has_its_path_by_then(plane: ControlPlane) -> None:
    plane.apply(A | OTHER)
    by_hand(plane, "a", "/imp")
    plane.apply({"z.yaml": spec("z", triggers=[webhook_trigger("/imp", id="declared")])})
    assert plane.routes() == {"/imp": "z"}
    files = A | {"z.yaml": spec("z", triggers=[webhook_trigger("/imp", id="declared")])}
    assert effects(plane, files).bound == ()
    plane.apply(files)
    assert plane.routes() == {"/imp": "z"}


def test_a_spec_that_comes_back_and_declares_the_route_itself_has_it(plane: ControlPlane) -> None:
    plane.apply(A | OTHER)
    by_hand(plane, "a", "/imp")
    plane.apply(OTHER)
    files = OTHER | {"a.yaml": spec("a", triggers=[webhook_trigger("/other", id="imp")])}
    assert effects(plane, files).bound == ("/other",)
    plane.apply(files)
    assert plane.routes() == {"/other": "a"}


def test_an_automation_of_the_api_that_drops_its_webhook_lets_go_of_the_route(plane: ControlPlane) -> None:
    author = Author(plane.database, plane.clock, plane.ids)
    author.create(interpret(raw(spec("a", triggers=[webhook_trigger("/a")])), "a.json"), actor="ada")
    author.create(interpret(raw(spec("a")), "a.json"), actor="ada")
    assert answers(plane, "/a") == 410


def test_a_path_that_its_route_left_answers_gone_for_the_time_of_a_tombstone_then_nobody_knows_it(
    plane: ControlPlane,
) -> None:
    plane.apply({"a.yaml": spec("a", triggers=[webhook_trigger("/old", id="in")])})
    plane.apply({"a.yaml": spec("a", triggers=[webhook_trigger("/new", id="in")])})
    assert (answers(plane, "/old"), answers(plane, "/new")) == (410, 202)
    assert plane.bindings.current().routes["/old"].route.id == "in"
    suspend = Suspend(plane.database, plane.clock, plane.telemetry)
    expiry = Expiry(plane.database, plane.clock, plane.telemetry, suspend)
    plane.clock.at += TOMBSTONE
    expiry.tick(plane.clock.at)
    assert answers(plane, "/old") == 410
    expiry.tick(plane.clock.at + 1)
    assert (answers(plane, "/old"), answers(plane, "/new")) == (404, 202)
    with plane.database.read() as tx:
        assert routes.left(tx) == []


def test_a_path_that_was_left_serves_whoever_binds_it_next(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": spec("a", triggers=[webhook_trigger("/old", id="in")])})
    plane.apply({"a.yaml": spec("a", triggers=[webhook_trigger("/new", id="in")])})
    by_hand(plane, "a", "/old")
    assert answers(plane, "/old") == 202
    by_hand(plane, "a", "/elsewhere")
    assert (answers(plane, "/old"), answers(plane, "/elsewhere")) == (410, 202)


def test_a_route_that_goes_back_to_its_old_path_serves_it(plane: ControlPlane) -> None:
    for path in ("/old", "/new", "/old"):
        plane.apply({"a.yaml": spec("a", triggers=[webhook_trigger(path, id="in")])})
    assert (answers(plane, "/old"), answers(plane, "/new")) == (202, 410)
