"""The embedded store's file: ours or refused untouched, private, and durable or not opened at all."""

import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from subprocess import PIPE, Popen, run

import apsw
import pytest

from automations.errors import StoreError, StoreIncompatible, StoreUnavailable
from automations.store.sqlite import SqliteDatabase
from automations.store.sqlite_file import APPLICATION_ID

PUT = "INSERT INTO things (id) VALUES (:id)"
COUNT = "SELECT count(*) AS n FROM things"
HOLD = """
import sys, apsw
connection = apsw.Connection(sys.argv[1])
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
"""
# The bytes that every open connection holds a shared lock on: sqlite.org/fileformat2.html, "the lock-byte page".
TAKE_LOCK = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000002)
        print("free")
    except OSError:
        print("held by another process")
"""
LOOK = """
import os, pathlib, sys
from automations.store.sqlite import SqliteDatabase
os.umask(0)
database = SqliteDatabase.open(sys.argv[1])
database.script("CREATE TABLE things (id TEXT PRIMARY KEY)")
print(*(oct(file.stat().st_mode) for file in pathlib.Path(sys.argv[1]).parent.iterdir()))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "root" / "automations.db"


@pytest.fixture
def things(path: Path) -> Iterator[SqliteDatabase]:
    with closing(SqliteDatabase.open(str(path), busy_timeout_ms=50)) as database:
        database.script("CREATE TABLE things (id TEXT PRIMARY KEY)")
        yield database


@contextmanager
def hooked(hook: Callable[[apsw.Connection], None]) -> Iterator[None]:
    """Do `hook` to every connection that is opened in the block, before its opener gets it."""
    apsw.connection_hooks.append(hook)
    try:
        yield
    finally:
        apsw.connection_hooks.remove(hook)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def contents(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in directory.iterdir()}


def count(database: SqliteDatabase) -> int:
    with database.read() as tx:
        row = tx.one(COUNT)
    assert row is not None
    return int(row["n"])


def test_a_new_store_carries_our_mark_from_its_first_page_on(things: SqliteDatabase, path: Path) -> None:
    assert int.from_bytes(path.read_bytes()[68:72], "big") == APPLICATION_ID


def test_only_the_owner_may_read_the_store_whatever_the_umask(path: Path) -> None:
    told = run([sys.executable, "-c", LOOK, path], check=True, capture_output=True, text=True).stdout
    assert told.split() == ["0o100600"] * 3
    assert mode(path.parent) == 0o700


def test_a_store_that_others_could_read_is_hidden_from_them(things: SqliteDatabase, path: Path) -> None:
    files = [path, path.with_name("automations.db-wal"), path.with_name("automations.db-shm")]
    for file in files:
        file.chmod(0o644)
    SqliteDatabase.open(str(path)).close()
    assert [mode(file) for file in files] == [0o640] * 3


def test_an_empty_file_becomes_a_store(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    SqliteDatabase.open(str(path)).close()
    assert path.read_bytes()[68:72] == APPLICATION_ID.to_bytes(4, "big")


def of_another_program(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.pragma("application_id", 7)
    connection.execute("CREATE TABLE t (a); INSERT INTO t VALUES (1)")


def of_the_original_program(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "wal")
    connection.pragma("user_version", 3)
    connection.execute("CREATE TABLE automations (id TEXT)")


def not_a_database(path: Path) -> None:
    path.write_text("a letter to a friend\n" * 100)


def too_short(path: Path) -> None:
    path.write_text("SQLite format 3\0")


@pytest.mark.parametrize("make", [of_another_program, of_the_original_program, not_a_database, too_short])
def test_a_foreign_file_is_refused_and_stays_as_it_is(path: Path, make: Callable[[Path], None]) -> None:
    path.parent.mkdir()
    make(path)
    path.chmod(0o644)
    before = contents(path.parent)
    with pytest.raises(StoreIncompatible, match="untouched") as caught:
        SqliteDatabase.open(str(path))
    assert "automations import-store" in caught.value.hint
    assert contents(path.parent) == before
    assert mode(path) == 0o644


def test_a_directory_is_no_store_and_keeps_its_mode(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(0o755)
    with pytest.raises(StoreUnavailable):
        SqliteDatabase.open(str(folder))
    assert mode(folder) == 0o755


def test_a_live_foreign_store_is_refused_and_stays_as_it_is(path: Path) -> None:
    path.parent.mkdir()
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "wal")
    connection.pragma("user_version", 3)
    connection.execute("CREATE TABLE automations (id TEXT)")
    before = contents(path.parent)
    with pytest.raises(StoreIncompatible, match="another program"):
        SqliteDatabase.open(str(path))
    assert contents(path.parent) == before
    connection.close()


def test_a_database_that_another_program_made_in_the_meantime_is_refused(path: Path) -> None:
    def be_faster(connection: apsw.Connection) -> None:
        connection.execute("CREATE TABLE t (a)")

    with hooked(be_faster), pytest.raises(StoreIncompatible, match="another program"):
        SqliteDatabase.open(str(path))
    assert path.read_bytes()[68:72] == bytes(4)


@pytest.mark.parametrize(
    ("pragma", "weak"),
    [("synchronous", "OFF"), ("synchronous", "NORMAL"), ("foreign_keys", "OFF"), ("journal_mode", "DELETE")],
)
def test_a_connection_that_would_break_a_promise_is_not_used(path: Path, pragma: str, weak: str) -> None:
    def weaken(connection: apsw.Connection) -> None:
        connection.pragma(pragma, weak)
        connection.authorizer = lambda what, first, second, *_: (
            apsw.SQLITE_IGNORE if (what, first) == (apsw.SQLITE_PRAGMA, pragma) and second else apsw.SQLITE_OK
        )

    with hooked(weaken), pytest.raises(StoreError, match=pragma):
        SqliteDatabase.open(str(path))


def test_every_connection_syncs_each_commit(things: SqliteDatabase) -> None:
    for begin in (things.read, things.write):
        with begin() as tx:
            assert tx.one("PRAGMA synchronous") == {"synchronous": 2}
            assert tx.one("PRAGMA journal_mode") == {"journal_mode": "wal"}


def test_an_older_library_is_refused_before_the_file_is_touched(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.51.2")
    with pytest.raises(StoreIncompatible, match=r"3\.51\.2"):
        SqliteDatabase.open(str(path))
    assert not path.parent.exists()


def test_a_place_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "automations.db", tmp_path):
        with pytest.raises(StoreUnavailable, match=str(tmp_path)):
            SqliteDatabase.open(str(place))


def test_a_full_disk_is_unavailable_and_nothing_was_written(path: Path, things: SqliteDatabase) -> None:
    with hooked(lambda connection: connection.pragma("max_page_count", 10) and None):
        full = SqliteDatabase.open(str(path))

        def fill() -> None:
            with full.write() as tx:
                tx.many(PUT, ({"id": f"{n}" * 1000} for n in range(1000)))

        with pytest.raises(StoreUnavailable, match="full"):
            fill()
        with full.write() as tx:
            tx.run(PUT, id="small")
        full.close()
    assert count(things) == 1


def test_a_writer_waits_for_another_process_and_then_gives_up(things: SqliteDatabase, path: Path) -> None:
    with Popen([sys.executable, "-c", HOLD, path], stdin=PIPE, stdout=PIPE, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreUnavailable, match="locked"), things.write():
            pass
        assert count(things) == 0
        holder.stdin.close()
    with things.write() as tx:
        tx.run(PUT, id="after")


def test_opening_a_store_twice_keeps_the_locks_of_the_first(things: SqliteDatabase, path: Path) -> None:
    SqliteDatabase.open(str(path)).close()
    told = run([sys.executable, "-c", TAKE_LOCK, path], check=True, capture_output=True, text=True, timeout=60).stdout
    assert told == "held by another process\n"


def test_the_last_to_close_leaves_one_whole_file(things: SqliteDatabase, path: Path) -> None:
    with things.write() as tx:
        tx.run(PUT, id="a")
    things.close()
    assert [file.name for file in path.parent.iterdir()] == ["automations.db"]


def test_a_statement_whose_columns_changed_meanwhile_is_refused_once(things: SqliteDatabase, path: Path) -> None:
    with things.write() as tx:
        tx.run(PUT, id="a")
        assert tx.one("SELECT * FROM things") == {"id": "a"}
    with closing(apsw.Connection(str(path))) as other:
        other.execute("ALTER TABLE things ADD COLUMN extra TEXT")
    with pytest.raises(StoreIncompatible, match="changed"), things.read() as tx:
        tx.one("SELECT * FROM things")


@pytest.mark.parametrize("replaced", [False, True])
def test_a_store_whose_file_was_taken_away_takes_nothing_in_until_it_is_back(
    things: SqliteDatabase, path: Path, *, replaced: bool
) -> None:
    aside = path.with_name("aside")
    path.rename(aside)
    if replaced:
        path.write_bytes(aside.read_bytes())
    with pytest.raises(StoreUnavailable, match="removed or replaced"), things.write() as tx:
        tx.run(PUT, id="a")
    with pytest.raises(StoreUnavailable, match="removed or replaced"):
        count(things)
    aside.replace(path)
    with things.write() as tx:
        tx.run(PUT, id="b")
    assert count(things) == 1


def test_a_store_whose_file_is_taken_away_during_a_transaction_does_not_commit_it(
    things: SqliteDatabase, path: Path
) -> None:
    aside = path.with_name("aside")
    with pytest.raises(StoreUnavailable, match="removed or replaced"), things.write() as tx:  # noqa: PT012  # the end of the block is what raises
        tx.run(PUT, id="a")
        path.rename(aside)
    aside.rename(path)
    assert count(things) == 0
