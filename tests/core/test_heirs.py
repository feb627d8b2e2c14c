"""Which trigger carries on what another did, whatever it is called by now."""

from typing import Any

import pytest

from automations.core.plan.heirs import inheritance
from automations.core.spec import build
from automations.core.spec.model import Trigger
from samples import event_trigger, webhook_trigger


def made(*documents: dict[str, Any]) -> tuple[Trigger, ...]:
    return tuple(build.trigger("a", index, each) for index, each in enumerate(documents))


def schedule(cron: str, **keys: Any) -> dict[str, Any]:
    return {"kind": "schedule", "cron": cron, **keys}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([schedule("0 1 * * *")], [{"kind": "manual"}], ([None], [0])),
        ([schedule("0 1 * * *")], [schedule("0 2 * * *", id="0")], ([0], [])),
        ([schedule("0 1 * * *"), schedule("0 2 * * *")], [schedule("0 2 * * *")], ([1], [0])),
        ([event_trigger(type="a")], [{"kind": "manual"}, event_trigger(type="a")], ([None, 0], [])),
        ([event_trigger(type="a")], [event_trigger(type="b")], ([None], [0])),
        ([event_trigger(type="a.*", id="x")], [event_trigger(type="a.b", id="y")], ([0], [])),
        ([webhook_trigger(id="w")], [webhook_trigger(id="w", route={"path": "/webhooks/other"})], ([0], [])),
    ],
)
def test_a_trigger_is_known_again_by_the_surest_sign(
    before: list[dict[str, Any]], after: list[dict[str, Any]], expected: tuple[list[int | None], list[int]]
) -> None:
    old = made(*before)
    predecessors, ended = inheritance(old, made(*after))
    assert [None if each is None else old.index(each) for each in predecessors] == expected[0]
    assert [old.index(each) for each in ended] == expected[1]


def test_thousands_of_triggers_are_matched_as_few_are() -> None:
    old = made(*(event_trigger(type=f"a.{number}") for number in range(20_000)))
    predecessors, ended = inheritance(old, tuple(reversed(old)))
    assert (predecessors, ended) == (tuple(reversed(old)), ())
