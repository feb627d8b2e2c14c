"""A store is brought to this program's schema once, by whoever comes first, and a stranger's record is refused."""

import sys
from collections.abc import Callable
from subprocess import PIPE, Popen

import pytest

from automations.errors import StoreIncompatible
from automations.store.database import Database
from automations.store.migrate import migrate, packaged

NOW = 1_700_000_000_000_000
CREATE = """
import sys
from automations.store.migrate import migrate
from automations.store.open import open_database
print("ready", flush=True)
sys.stdin.readline()
database = open_database(sys.argv[1])
print(migrate(database, now=1, lineage=sys.argv[2]))
database.close()
"""


def test_a_fresh_store_gets_every_migration_and_its_state(open_store: Callable[[], Database]) -> None:
    database = open_store()
    assert migrate(database, now=NOW, lineage="first") == len(packaged())
    with database.read() as tx:
        assert tx.one("SELECT id, lineage, serial, created_at FROM state") == {
            "id": 1,
            "lineage": "first",
            "serial": 0,
            "created_at": NOW,
        }
        rows = tx.all("SELECT version, name, checksum, applied_at FROM migrations ORDER BY version")
    assert rows == [
        {"version": each.version, "name": each.name, "checksum": each.checksum, "applied_at": NOW}
        for each in packaged()
    ]


def test_a_migrated_store_is_left_as_it_is(open_store: Callable[[], Database]) -> None:
    migrate(open_store(), now=NOW, lineage="first")
    again = open_store()
    assert migrate(again, now=NOW + 1, lineage="second") == 0
    with again.read() as tx:
        assert tx.one("SELECT lineage FROM state") == {"lineage": "first"}


def test_versions_rise_without_gaps() -> None:
    assert [each.version for each in packaged()] == list(range(1, len(packaged()) + 1))


def test_a_store_of_a_newer_program_is_refused(database: Database) -> None:
    with database.write() as tx:
        tx.run("INSERT INTO migrations (version, name, checksum, applied_at) VALUES (9999, 'later', 'x', 0)")
    with pytest.raises(StoreIncompatible, match="9999") as caught:
        migrate(database, now=NOW, lineage="x")
    assert "upgrade" in caught.value.hint


def test_a_changed_checksum_is_refused(database: Database) -> None:
    with database.write() as tx:
        tx.run("UPDATE migrations SET checksum = :checksum WHERE version = 1", checksum="0" * 64)
    with pytest.raises(StoreIncompatible, match="0001"):
        migrate(database, now=NOW, lineage="x")


def test_eight_processes_create_the_same_store_at_once(store_url: str, open_store: Callable[[], Database]) -> None:
    processes = [
        Popen([sys.executable, "-c", CREATE, store_url, f"of {n}"], stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True)
        for n in range(8)
    ]
    pipes = [(process.stdin, process.stdout) for process in processes if process.stdin and process.stdout]
    assert [answers.readline() for _, answers in pipes] == ["ready\n"] * 8
    for orders, _ in pipes:
        orders.write("go\n")
        orders.flush()
    answers = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * 8, answers
    assert sum(int(out) for out, _ in answers) == len(packaged())  # each once, whoever came first
    with open_store().read() as tx:
        assert tx.one("SELECT count(*) AS n FROM state") == {"n": 1}


def test_routes_that_stayed_behind_a_deleted_automation_are_unbound(open_store: Callable[[], Database]) -> None:
    database = open_store()
    _migrated_to(database, 10)
    with database.write() as tx:
        for identity, deleted_at in (("gone", 7), ("there", None)):
            tx.run(
                """INSERT INTO automations (uid, id, owner, status, generation, digest, conditions_json, created_at, updated_at,
                     deleted_at)
                   VALUES (:id, :id, 'api', 'active', 1, 'd', '{}', 1, 1, :deleted_at)""",
                id=identity,
                deleted_at=deleted_at,
            )
            tx.run(
                """INSERT INTO routes (id, automation_id, path, status, owner, mapping_json, created_at, updated_at)
                   VALUES (:id, :id, :id, 'active', 'api', '{}', 1, 1)""",
                id=identity,
            )
    migrate(database, now=NOW, lineage="x")
    with database.read() as tx:
        found = {row["id"]: row["deleted_at"] for row in tx.all("SELECT id, deleted_at FROM routes")}
    assert found == {"gone": 7, "there": None}


def _migrated_to(database: Database, version: int) -> None:
    """As an older program left it."""
    record = "CREATE TABLE migrations (version BIGINT PRIMARY KEY, name TEXT, checksum TEXT, applied_at BIGINT)"
    with database.write() as tx:
        tx.run(record)
        for each in packaged()[:version]:
            tx.script(each.sql)
            told = {"version": each.version, "name": each.name, "checksum": each.checksum}
            tx.run("INSERT INTO migrations VALUES (:version, :name, :checksum, 1)", **told)
