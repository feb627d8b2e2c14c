"""Stored JSON that cannot be read, on every store: it is found, and whoever runs into it is told which row it is."""

import pytest

from automations.core.canonical import decode, decode_words
from automations.errors import StoreDamaged
from automations.services.damage import located, unreadable
from automations.store import documents
from automations.store.database import Database
from control_plane import ControlPlane
from samples import event_trigger, spec, step


@pytest.fixture
def plane(database: Database) -> ControlPlane:
    made = ControlPlane(database)
    waits = event_trigger(id="slow", debounce={"quiet": "1h"})
    made.apply({"a.yaml": spec("a", actions=[step(retry={"maxAttempts": 1})]), "b.yaml": spec("b", triggers=[waits])})
    made.send()
    made.undone(made.claim()[0])
    return made


def spoil(database: Database, table: str, column: str, text: str = "{") -> str:
    """Make one row unreadable; its key."""
    with database.write() as tx:
        (where,) = (each for each in documents.every(tx, database.dialect) if each.table == table)
        row = next(iter(documents.rows(tx, where)))
        key = where.key[0]
        sql = f"UPDATE {table} SET {column} = :text WHERE {key} = :key"  # noqa: S608  # fixed texts only
        tx.run(sql, text=text, key=row[key])
    return where.name(row)


def test_a_sound_store_has_nothing_that_cannot_be_read(plane: ControlPlane) -> None:
    with plane.database.read() as tx:
        assert unreadable(tx, plane.database.dialect, most=9) == []
        names = {each.table for each in documents.every(tx, plane.database.dialect)}
    assert {"audit", "runs", "actions", "events", "automations"} <= names


@pytest.mark.parametrize(
    ("table", "column"), [("audit", "detail_json"), ("runs", "error_json"), ("actions", "input_json")]
)
def test_what_cannot_be_read_is_found_by_table_row_and_column(plane: ControlPlane, table: str, column: str) -> None:
    row = spoil(plane.database, table, column)
    with plane.database.read() as tx:
        assert unreadable(tx, plane.database.dialect, most=9) == [(f"{table}, row {row}", column)]
    told = located(plane.database, StoreDamaged("{"))
    assert told.message == f"the store is damaged: {table}, row {row}, {column} holds what is no JSON: '{{'"
    assert "automations doctor" in told.hint


def test_no_more_are_named_than_asked_for(plane: ControlPlane) -> None:
    for table, column in (("audit", "detail_json"), ("runs", "error_json"), ("actions", "input_json")):
        spoil(plane.database, table, column)
    with plane.database.read() as tx:
        assert len(unreadable(tx, plane.database.dialect, most=2)) == 2


def test_a_row_of_a_table_of_many_is_found_too(plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "AT_ONCE", 2)
    for number in range(5):
        plane.send(f"more-{number}")
    with plane.database.write() as tx:
        tx.run("UPDATE events SET envelope_json = 'x' WHERE id = (SELECT max(id) FROM events)")
        newest = tx.one("SELECT max(id) AS id FROM events")
        assert newest is not None
        assert unreadable(tx, plane.database.dialect, most=9) == [(f"events, row {newest['id']}", "envelope_json")]


def test_where_several_rows_hold_the_same_damage_each_is_named(plane: ControlPlane) -> None:
    action, run = spoil(plane.database, "actions", "input_json"), spoil(plane.database, "runs", "error_json")
    told = located(plane.database, StoreDamaged("{")).message
    assert f"actions, row {action}, input_json or runs, row {run}, error_json" in told


@pytest.mark.parametrize("read", [decode, decode_words])
def test_text_that_is_mended_meanwhile_is_told_without_its_place(plane: ControlPlane, read: object) -> None:
    assert callable(read)
    with pytest.raises(StoreDamaged) as found:
        read("[1")
    assert located(plane.database, found.value).message == "the store is damaged: a row holds what is no JSON: '[1'"
