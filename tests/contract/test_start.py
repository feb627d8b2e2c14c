"""Manual and api starts on every store: validated with paths, defaults filled in, one run for one idempotency key."""

from typing import Any

import pytest

from automations.core.canonical import decode
from automations.errors import Conflict, InvalidInput, NotFound
from automations.services.trigger.parts import Parts
from automations.services.trigger.trigger import Start
from automations.store.database import Database
from control_plane import ControlPlane
from samples import spec, step

INPUTS = {
    "type": "object",
    "required": ["ref"],
    "additionalProperties": False,
    "properties": {"ref": {"type": "string"}, "region": {"enum": ["eu", "us"], "default": "eu"}},
}


@pytest.fixture
def plane(database: Database) -> ControlPlane:
    made = ControlPlane(database)
    triggers = [{"kind": "manual"}, {"kind": "api"}]
    document = spec("a", triggers=triggers, inputs=INPUTS, actions=[step(input={"given": "${{ inputs }}"})])
    made.apply({"a.yaml": document, "m.yaml": spec("m", triggers=[{"kind": "manual"}])})
    return made


@pytest.fixture
def start(plane: ControlPlane) -> Start:
    return Start(Parts(plane.database, plane.bindings, plane.clock, plane.ids, plane.telemetry))


def runs(plane: ControlPlane) -> int:
    return int(plane.inspect.status()["counts"]["runs"])


def test_a_start_fills_in_defaults_that_steps_then_see(plane: ControlPlane, start: Start) -> None:
    start.manual("a", {"ref": "main"}, actor="me")
    assert decode(plane.claim()[0]["input_json"]) == {"given": {"ref": "main", "region": "eu"}}


@pytest.mark.parametrize(
    ("inputs", "named"),
    [({}, "ref"), ({"ref": 5}, "ref"), ({"ref": "x", "region": "mars"}, "region"), ({"ref": "x", "y": 1}, "y")],
)
def test_inputs_that_do_not_conform_are_refused_by_path_and_start_nothing(
    plane: ControlPlane, start: Start, inputs: dict[str, Any], named: str
) -> None:
    for verb in (start.manual, start.api):
        with pytest.raises(InvalidInput, match=named):
            verb("a", inputs, actor="me")
    assert runs(plane) == 0


def test_one_idempotency_key_starts_one_run(plane: ControlPlane, start: Start) -> None:
    first = start.api("a", {"ref": "main"}, actor="me", idempotency_key="k")
    again = start.api("a", {"ref": "main"}, actor="you", idempotency_key="k")
    assert (first.duplicate, again.duplicate) == (False, True)
    assert first.reference == again.reference
    assert plane.run(first.reference["runId"])["idempotency_key"] == "a:api:k"
    start.api("a", {"ref": "main"}, actor="me", idempotency_key="other")
    start.api("a", {"ref": "main"}, actor="me")
    assert runs(plane) == 3


def test_an_idempotency_key_with_other_inputs_is_refused(plane: ControlPlane, start: Start) -> None:
    start.api("a", {"ref": "main"}, actor="me", idempotency_key="k")
    with pytest.raises(InvalidInput) as refused:
        start.api("a", {"ref": "next"}, actor="me", idempotency_key="k")
    assert refused.value.stable_code == "idempotency_key_reused"
    assert runs(plane) == 1


def test_a_refused_start_does_not_burn_its_key(plane: ControlPlane, start: Start) -> None:
    with pytest.raises(InvalidInput):
        start.api("a", {}, actor="me", idempotency_key="k")
    assert not start.api("a", {"ref": "main"}, actor="me", idempotency_key="k").duplicate


def test_a_start_needs_a_trigger_of_its_kind_and_an_automation(start: Start) -> None:
    with pytest.raises(Conflict, match="no api trigger"):
        start.api("m", {}, actor="me")
    with pytest.raises(NotFound):
        start.api("nobody", {}, actor="me")
    with pytest.raises(InvalidInput, match="idempotency key"):
        start.api("a", {"ref": "x"}, actor="me", idempotency_key="k" * 2000)
