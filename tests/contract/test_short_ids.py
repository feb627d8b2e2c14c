"""Parts of ids on every store: the end or the beginning finds what it can only mean, and nothing else is guessed."""

import pytest

from automations.errors import InvalidInput, NotFound
from automations.services.short_ids import ShortIds
from automations.store.database import Database
from control_plane import ControlPlane
from samples import spec, step


@pytest.fixture
def plane(database: Database) -> ControlPlane:
    made = ControlPlane(database)
    made.apply({"a.yaml": spec("a", actions=[step("one"), step("two")])})
    made.send("e_1", body="1")
    made.send("e%1", body="2")
    return made


@pytest.fixture
def ids(plane: ControlPlane) -> ShortIds:
    return ShortIds(plane.database)


def of(plane: ControlPlane, table: str) -> list[str]:
    with plane.database.read() as tx:
        return [row["id"] for row in tx.all(f"SELECT id FROM {table} ORDER BY id")]  # noqa: S608  # a table of ours


def test_the_end_of_an_id_finds_it_and_so_does_all_of_it(plane: ControlPlane, ids: ShortIds) -> None:
    for run in of(plane, "runs"):
        assert [ids.run(each) for each in (run, run[-4:], run[-12:], f"…{run[-6:]}")] == [run] * 4
    for action in of(plane, "actions"):
        assert [ids.action(each) for each in (action, action[-4:], action[1:])] == [action] * 3


def test_an_event_goes_by_its_own_id_and_by_parts_of_both_ids(plane: ControlPlane, ids: ShortIds) -> None:
    plane.send("delivery-1234", body="3")
    row = of(plane, "events")[-1]
    assert ids.event("delivery-1234") == "delivery-1234"
    assert [ids.event(each) for each in ("1234", "deliv", row[-5:], row)] == [row] * 4


def test_an_event_id_that_two_senders_use_is_refused_with_both_events(plane: ControlPlane, ids: ShortIds) -> None:
    for source in ("tickets", "billing"):
        plane.send("same", body="4", source=source)
    rows = of(plane, "events")[-2:]
    with pytest.raises(InvalidInput) as raised:
        ids.event("same")
    assert raised.value.stable_code == "ambiguous_id"
    assert all(f"{row} (" in raised.value.message for row in rows)
    assert [ids.event(row) for row in rows] == rows


def test_a_part_of_several_is_refused_with_all_of_them(plane: ControlPlane, ids: ShortIds) -> None:
    runs = of(plane, "runs")
    with pytest.raises(InvalidInput) as raised:
        ids.run("00000000-0000")
    assert raised.value.stable_code == "ambiguous_id"
    assert all(f"{run} (a " in raised.value.message for run in runs)
    for number in range(10):
        plane.send(f"more-{number}", body=str(number))
    with pytest.raises(InvalidInput, match=", …") as raised:
        ids.action("00000000-0000")
    assert raised.value.message.count("a / ") == 5


@pytest.mark.parametrize("part", ["", "0", "000", "0000-7000-8000", "____", "%%%%", "E_1x", "nope", "…"])
def test_what_is_too_short_or_of_the_middle_or_a_wildcard_finds_nothing(ids: ShortIds, part: str) -> None:
    for find, listed in ((ids.run, "runs list"), (ids.action, "queue list"), (ids.event, "events list")):
        with pytest.raises(NotFound) as raised:
            find(part)
        assert raised.value.hint == f"see: automations {listed}"
