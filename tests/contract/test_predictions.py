"""What a plan predicts is what the state becomes: ids, generations, routes, fires; and what it leaves out stays as it was."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automations.core.canonical import decode
from automations.core.instant import iso
from automations.core.plan.change import Change
from automations.core.plan.effects import FIRES_SHOWN
from automations.core.plan.plan import Plan
from automations.core.spec import build
from automations.core.trigger.schedule import local_time, schedule_of, slots
from automations.errors import Conflict, NotFound
from automations.services.plan.apply import Authority
from automations.services.trigger.webhook_routes import Wanted, WebhookRoutes
from automations.store import automations, manifests, routes, texts
from control_plane import ControlPlane, in_memory
from samples import action, event_trigger, raw, spec, step, webhook_trigger

Files = Mapping[str, Any]

identities = st.sampled_from("abcd")
paths = st.sampled_from(["/x", "/y", "/z"])
triggers = st.one_of(
    st.just(event_trigger()),
    st.builds(webhook_trigger, paths),
    st.builds(
        lambda cron, zone: {"kind": "schedule", "cron": cron, "timezone": zone},
        st.sampled_from(["0 3 * * *", "*/5 * * * *", "30 2 * * 1"]),
        st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"]),
    ),
    st.just({"kind": "manual"}),
)
documents = st.builds(
    lambda identity, given, status, previous, text: spec(
        identity,
        triggers=given,
        actions=[step(input={"text": text})],
        status=status,
        **({"lifecycle": {"renamedFrom": previous}} if previous and previous != identity else {}),
    ),
    identities,
    st.lists(triggers, min_size=1, max_size=3),
    st.sampled_from(["active", "active", "paused"]),
    st.none() | identities,
    st.sampled_from(["one", "two"]),
)
actions = st.builds(action, st.sampled_from(["do.a", "do.b"]), description=st.sampled_from(["", "d"]))
trees = st.dictionaries(st.sampled_from([f"{n}.yaml" for n in range(5)]), documents | actions, max_size=5)


def rows_of(plane: ControlPlane) -> dict[str, Any]:
    with plane.database.read() as tx:
        return {row["id"]: row for row in automations.every(tx)}


def bound(plane: ControlPlane) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    with plane.database.read() as tx:
        for row in routes.every(tx):
            if row["deleted_at"] is None:
                found.setdefault(row["automation_id"], set()).add(row["path"])
    return {identity: frozenset(paths_) for identity, paths_ in found.items()}


def holds(
    plane: ControlPlane, made: Plan, files: Files, *, before: dict[str, Any], routes_before: dict[str, Any]
) -> None:
    after, routes_after = rows_of(plane), bound(plane)
    touched = {name for change in made.changes for name in (change.id, change.previous_id or change.id)}
    for identity, row in before.items():
        if identity not in touched:
            assert after[identity] == row
    for change in made.changes:
        if change.resource == "action":
            _manifest(plane, change)
            continue
        row = after.get(change.id)
        assert row is not None
        assert (row["deleted_at"] is not None) == (change.action == "delete")
        if change.uid is not None:
            assert row["uid"] == change.uid
        changed = change.action != "delete" and (change.fields or change.action in ("create", "rename", "update"))
        assert row["generation"] == change.based_on + bool(changed)
        if change.action != "delete":
            assert change.automation is not None
            assert (row["digest"], row["file"]) == (change.automation.digest, change.file)
        was = routes_before.get(change.previous_id or change.id, frozenset())
        now = routes_after.get(change.id, frozenset())
        if change.action != "move":
            assert (set(change.effects.bound), set(change.effects.unbound)) == (now - was, was - now)
        if changed:
            with plane.database.read() as tx:
                assert texts.get(tx, row["uid"], row["generation"]) == raw(files[change.file or ""]).decode()
        for fires in change.effects.fires:
            if fires.after:
                assert fires.after == tuple(_next(plane, row, fires.trigger))


def _next(plane: ControlPlane, row: Any, trigger_id: str) -> Iterator[tuple[str, str]]:
    """When a bound schedule fires, worked out from the store's own text."""
    with plane.database.read() as tx:
        kept = automations.generation(tx, row["uid"], row["generation"])
    assert kept is not None
    found = build.automation(decode(kept["spec_json"]))
    (schedule,) = [schedule_of(trigger.raw) for trigger in found.triggers if trigger.id == trigger_id]
    for nominal in islice(slots(schedule, plane.clock.at), FIRES_SHOWN):
        yield iso(nominal), local_time(schedule, nominal)


def _register(plane: ControlPlane, identity: str, path: str) -> None:
    """A route made by hand, where that is possible."""
    wanted = Wanted(identity, {"source": "s", "type": "t"}, id=f"hand-{path[1:]}", path=path)
    with suppress(NotFound, Conflict):
        WebhookRoutes(plane.database, plane.clock, plane.ids).create(wanted, actor="tester")


def _manifest(plane: ControlPlane, change: Change) -> None:
    with plane.database.read() as tx:
        live = {f"{row['action_id']}@{row['version']}": row for row in manifests.live(tx)}
    assert (change.id in live) == (change.action != "delete")
    if change.manifest is not None:
        assert (live[change.id]["digest"], live[change.id]["file"]) == (change.manifest.digest, change.file)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(trees, st.none() | st.tuples(identities, paths)), min_size=1, max_size=5))
def test_what_a_plan_predicts_is_what_the_state_becomes(series: list[tuple[Files, tuple[str, str] | None]]) -> None:
    with in_memory() as plane:
        for files, by_hand in series:
            plane.clock.at += 3_600_000_000
            if by_hand is not None:
                _register(plane, *by_hand)
            made = plane.plan(files, now=plane.clock.at)
            before, routes_before = rows_of(plane), bound(plane)
            plane.applying.commit(made, Authority("tester"))
            holds(plane, made, files, before=before, routes_before=routes_before)
            again = plane.plan(files, now=plane.clock.at)
            assert again.changes == ()
            assert (again.summary()["unchanged"] >= made.unchanged) or not made.sound
