"""Reading the original's file: only what it wrote is taken, and nothing is ever written to it."""

from hashlib import sha256
from pathlib import Path

import apsw
import pytest

from automations.adapters.original_store import OriginalStore
from automations.core.original.definitions import AUTOMATIONS, ROUTES, Found, Unreadable
from automations.errors import AutomationsError, InvalidInput, StoreError, StoreIncompatible
from automations.store.migrate import migrate
from automations.store.sqlite import SqliteDatabase
from automations.store.sqlite_file import APPLICATION_ID
from original_database import OriginalDatabase, built


def open_(path: Path) -> OriginalStore:
    return OriginalStore.open(path, ours=APPLICATION_ID)


def database(path: Path, *statements: str) -> Path:
    connection = apsw.Connection(str(path))
    for statement in ("CREATE TABLE t (a)", *statements):
        connection.execute(statement)
    connection.close()
    return path


def ours(path: Path) -> Path:
    store = SqliteDatabase.open(str(path))
    migrate(store, now=1, lineage="lineage")
    store.close()
    return path


def text(path: Path) -> Path:
    path.write_text("schemaVersion: '1.0'\n" * 20)
    return path


def folder(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda path: path, InvalidInput, "is not there"),
        (folder, InvalidInput, "is a directory"),
        (text, StoreIncompatible, "is not a database"),
        (ours, StoreIncompatible, "is a store of this program already"),
        (database, StoreIncompatible, "is the database of another program"),
        (
            lambda path: database(path, "CREATE TABLE automations (id)", "PRAGMA user_version = 2"),
            StoreIncompatible,
            "has schema version 2, and version 3 is what can be read",
        ),
        (
            lambda path: database(path, "CREATE TABLE automations (id)", "PRAGMA application_id = 7"),
            StoreIncompatible,
            "is the database of another program",
        ),
    ],
)
def test_a_file_that_the_original_did_not_write_is_refused(
    tmp_path: Path, make: object, error: type[AutomationsError], says: str
) -> None:
    assert callable(make)
    path = make(tmp_path / "given.db")
    with pytest.raises(error, match=says) as raised:
        open_(path)
    assert raised.value.hint


def test_reading_changes_nothing_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = built(tmp_path / "o.db", lambda there: there.automation("q"))
    before = sha256(path.read_bytes()).digest()
    with open_(path) as store:
        assert [item.id for item in store.rows(AUTOMATIONS)] == ["q"]
    assert (sha256(path.read_bytes()).digest(), [each.name for each in tmp_path.iterdir()]) == (before, ["o.db"])


def test_what_still_stands_in_the_originals_journal_is_read_and_left_there(tmp_path: Path) -> None:
    there = OriginalDatabase(tmp_path / "o.db")
    there.connection.pragma("journal_mode", "wal")
    there.automation("late")
    files = [tmp_path / "o.db", tmp_path / "o.db-wal"]
    before = [each.read_bytes() for each in files]
    with open_(there.path) as store:
        assert [item.id for item in store.rows(AUTOMATIONS)] == ["late"]
    assert [each.read_bytes() for each in files] == before
    there.close()


def test_a_file_with_odd_characters_in_its_name_is_opened(tmp_path: Path) -> None:
    with open_(built(tmp_path / "a b?c#d%41.db", lambda there: there.automation("q"))) as store:
        assert len(list(store.rows(AUTOMATIONS))) == 1


def test_columns_and_tables_that_are_missing_are_simply_absent(tmp_path: Path) -> None:
    path = database(
        tmp_path / "o.db",
        "CREATE TABLE automations (spec_json, id)",
        "INSERT INTO automations VALUES ('{\"a\": 1}', 'q')",
        "PRAGMA user_version = 3",
    )
    with open_(path) as store:
        assert list(store.rows(AUTOMATIONS)) == [Found(AUTOMATIONS, "q", {"spec": {"a": 1}, "id": "q"})]
        assert (list(store.rows(ROUTES)), list(store.groups())) == ([], [])


def test_a_row_without_an_id_or_with_bytes_that_are_no_text_is_named(tmp_path: Path) -> None:
    def fill(there: OriginalDatabase) -> None:
        there.put("automations", spec_json="{}")
        there.connection.execute("INSERT INTO automations (id, spec_json) VALUES ('q', CAST(x'ff' AS TEXT))")

    with open_(built(tmp_path / "o.db", fill)) as store:
        assert list(store.rows(AUTOMATIONS)) == [
            Unreadable(AUTOMATIONS, "row 1", "it has no id"),
            Unreadable(AUTOMATIONS, "q", "its spec_json is not UTF-8"),
        ]


def test_runs_come_with_their_actions_whatever_order_they_were_written_in(tmp_path: Path) -> None:
    def fill(there: OriginalDatabase) -> None:
        for run in ("r9", "r10", "é", "alone"):
            there.run(run, "q", event=run)
        for run in ("é", "before", "r10", "zz", "r9", "r10"):
            there.action(run, f"s{there.connection.last_insert_rowid()}")

    with open_(built(tmp_path / "o.db", fill)) as store:
        groups = {group.run_id: (group.run is not None, len(group.actions)) for group in store.groups()}
    assert groups == {
        "r9": (True, 1), "r10": (True, 2), "é": (True, 1), "alone": (True, 0), "before": (False, 1), "zz": (False, 1),
    }  # fmt: skip


def test_a_damaged_file_is_told_without_a_traceback(tmp_path: Path) -> None:
    def fill(there: OriginalDatabase) -> None:
        for number in range(200):
            there.automation(f"q{number}")

    path = built(tmp_path / "o.db", fill)
    raw = bytearray(path.read_bytes())
    raw[4096 * 8 :] = b"\x55" * (len(raw) - 4096 * 8)
    path.write_bytes(bytes(raw))
    with pytest.raises(StoreError, match="cannot be read"), open_(path) as store:
        list(store.rows(AUTOMATIONS))
