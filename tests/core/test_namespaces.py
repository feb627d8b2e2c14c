"""The names that expressions are given by us: what is listed as theirs is what runs, triggers and keys see, and nothing else."""

from typing import Any

import pytest

from automations.core.expression.shape import Shape
from automations.core.run.machine import ActionView, RunView, scope
from automations.core.run.queue import Failure
from automations.core.run.states import ActionStatus, RunStatus
from automations.core.spec.namespaces import only_plain
from automations.core.spec.scopes import key_roots, step_roots, trigger_roots
from automations.core.trigger.bindings import Bound, build_table, match
from automations.core.trigger.debounce import Window, about
from automations.core.trigger.envelope import Envelope, from_document, to_document
from automations.services.run.run_event import windowed
from samples import automation, event_trigger, step

DEBOUNCED = automation(
    triggers=[event_trigger(debounce={"key": "${{ event.id }}", "quiet": "1s", "emit": "all"})],
    actions=[step("a"), step("b", dependsOn=[{"step": "a", "on": "completed"}])],
)
EVENT = {"id": "1", "source": "s", "type": "t", "subject": "x", "time": "2026-01-01T00:00:00Z", "dedupeKey": "k"}


def members(shape: Shape, *path: str) -> set[str]:
    for part in path:
        shape = shape.read(part).shape or pytest.fail(f"{part} is not there")
    return set(shape.names)


def seen() -> dict[str, Any]:
    """What the second step of a debounced run sees."""
    document = to_document(from_document({**EVENT, "data": {"n": 1}, "metadata": {"m": 1}}, received_at=0))
    debounce = DEBOUNCED.triggers[0].debounce
    window = about(debounce, Window(0, 1, 2), key="k", closed_at=3)
    program = Bound("uid", 3, DEBOUNCED, {}).program
    error = Failure("X", "m", metadata={"exitCode": 1}).document()
    actions = (
        ActionView("1", "a", ActionStatus.DEAD, error=error),
        ActionView("2", "b", ActionStatus.SUCCEEDED, output={}),
    )
    event = windowed(document, window, members=['{"id":"1"}'])
    return scope(program, RunView("r", RunStatus.RUNNING, 0, event=event, inputs={}, actions=actions))


@pytest.mark.parametrize(
    "path", [("run",), ("automation",), ("event",), ("event", "window"), ("steps", "a", "error")], ids=".".join
)
def test_what_a_step_can_read_is_what_is_listed(path: tuple[str, ...]) -> None:
    found = seen()
    for part in path:
        found = found[part]
    root, *rest = path
    assert set(found) == members(step_roots(DEBOUNCED, {})["b"][root], *rest)


def test_a_step_record_has_what_is_listed() -> None:
    listed = members(step_roots(DEBOUNCED, {})["b"]["steps"], "a")
    assert {name for each in seen()["steps"].values() for name in each} == listed


@pytest.mark.parametrize("name", sorted(trigger_roots(DEBOUNCED, DEBOUNCED.triggers[0])["automation"].names))
def test_a_trigger_reads_of_its_automation_what_is_listed(name: str) -> None:
    reading = automation(triggers=[event_trigger(expr=f"automation.{name} != ''")])
    (verdict,) = match(build_table(1, [Bound("uid", 1, reading, {})]), Envelope("1", "tickets", "ticket.created"))
    assert (verdict.outcome, verdict.reason) == ("match", None)


def test_a_window_is_listed_only_where_a_trigger_has_one() -> None:
    assert "window" not in members(key_roots(automation())["event"])
    assert members(key_roots(DEBOUNCED)["event"], "window") == {
        "key",
        "count",
        "emit",
        "openedAt",
        "closedAt",
        "events",
    }


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("event.data.anything.at.all == run.status", True),
        ("event . id == 'x' && steps.a.output.run.staus", True),
        ("event.data.event.dta", True),
        ("run.staus", False),
        ("event['id']", False),
        ("size(event)", False),
        ("event.window.count", False),
        ("event.severities", False),
        ("item == 1", False),
        ("myrun.staus", True),
    ],
)
def test_what_is_not_plain_at_a_glance_is_looked_into(text: str, plain: bool) -> None:
    assert only_plain(text) is plain
