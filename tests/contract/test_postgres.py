"""What only a server does: it goes away, makes others wait, and is set up by somebody else."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from os import getpid
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier
from urllib.parse import quote, unquote, urlsplit

import psycopg
import pytest

from automations.errors import StoreError, StoreIncompatible, StoreUnavailable
from automations.store.database import Database
from automations.store.postgres import PostgresDatabase

pytestmark = pytest.mark.postgres

TABLE = "CREATE TABLE things (id TEXT PRIMARY KEY, n BIGINT)"
PUT = "INSERT INTO things (id, n) VALUES (:id, :n)"
ALL = "SELECT id FROM things ORDER BY id"
ONE = "SELECT id FROM things WHERE id = 'a'"


@pytest.fixture
def impatient(postgres_url: str) -> Iterator[Database]:
    """A store whose statements wait 50 ms for a lock."""
    with closing(PostgresDatabase.open(f"{postgres_url}%20-clock_timeout%3D50")) as database:
        database.script(TABLE)
        yield database


def end_sessions(url: str, application: str) -> None:
    with psycopg.connect(url, autocommit=True) as operator:
        operator.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = %s", [application]
        )


def test_a_lost_session_is_unavailable_and_the_next_transaction_gets_a_live_one(postgres_url: str) -> None:
    doomed = f"doomed {getpid()}"
    together = Barrier(3)

    def look() -> None:
        with database.read() as tx:
            tx.all("SELECT 1 AS one")
            together.wait()

    def change() -> None:
        with database.write() as tx:
            tx.run(PUT, id="a", n=1)
            end_sessions(postgres_url, doomed)

    with closing(PostgresDatabase.open(f"{postgres_url}&application_name={quote(doomed)}")) as database:
        database.script(TABLE)
        with ThreadPoolExecutor(3) as pool:
            for each in [pool.submit(look) for _ in range(3)]:
                each.result()
        with pytest.raises(StoreUnavailable):
            change()
        with database.write() as tx:
            tx.run(PUT, id="a", n=2)
        with database.read() as tx:
            assert tx.all("SELECT n FROM things") == [{"n": 2}]


def test_a_server_that_comes_back_after_a_long_time_is_noticed_at_once(postgres_url: str) -> None:
    doomed = f"doomed {getpid()}"
    found = re.search("host=([^&]+)", postgres_url)
    if found is None:
        pytest.skip("only a server's socket can be put out of reach")
    with TemporaryDirectory(prefix="automations-socket-") as folder:
        door = Path(folder) / ".s.PGSQL.5432"
        door.symlink_to(Path(unquote(found[1])) / door.name)
        url = f"{postgres_url.replace(found[1], quote(folder, safe=''))}&application_name={quote(doomed)}"
        with closing(PostgresDatabase.open(url, patience_ms=200)) as database:
            database.script(TABLE)
            target = door.readlink()
            door.unlink()
            end_sessions(postgres_url, doomed)
            for _ in range(10):
                with pytest.raises(StoreUnavailable), database.write() as tx:
                    tx.run(PUT, id="a", n=1)
            door.symlink_to(target)
            with database.write() as tx:
                tx.run(PUT, id="a", n=2)


def test_a_row_that_another_holds_is_unavailable_or_passed_over(impatient: Database) -> None:
    with impatient.write() as tx:
        tx.many(PUT, [{"id": "a", "n": 1}, {"id": "b", "n": 1}])

    def take(clause: str) -> list[str]:
        with impatient.write() as tx:
            return [row["id"] for row in tx.all(f"{ALL}{getattr(tx, clause)}")]

    with ThreadPoolExecutor(1) as pool, impatient.write() as tx:
        tx.all(f"{ONE}{tx.for_update}")
        assert pool.submit(take, "skip_locked").result(timeout=30) == ["b"]
        assert pool.submit(take, "for_update").exception(timeout=30).__class__ is StoreUnavailable


def test_a_value_too_long_for_an_index_is_not_a_matter_of_trying_again(impatient: Database) -> None:
    text = "".join(chr(0x4E00 + (n * 7919) % 20000) for n in range(20000))
    with pytest.raises(StoreError) as caught, impatient.write() as tx:
        tx.run(PUT, id=text, n=1)
    assert not isinstance(caught.value, StoreUnavailable)


def test_every_commit_is_synced_whatever_the_url_says(postgres_url: str) -> None:
    with (
        closing(PostgresDatabase.open(f"{postgres_url}%20-csynchronous_commit%3Doff")) as database,
        database.read() as tx,
    ):
        assert tx.one("SHOW synchronous_commit") == {"synchronous_commit": "on"}
        assert tx.one("SHOW statement_timeout") == {"statement_timeout": "30s"}
        assert tx.one("SHOW transaction_isolation") == {"transaction_isolation": "repeatable read"}


def test_a_database_that_cannot_keep_every_text_is_refused(postgres_server: str) -> None:
    narrow = f"narrow_{getpid()}"
    with psycopg.connect(postgres_server, autocommit=True) as operator:
        operator.execute(f"CREATE DATABASE {narrow} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0".encode())
        try:
            with pytest.raises(StoreIncompatible, match="LATIN1"):
                PostgresDatabase.open(urlsplit(postgres_server)._replace(path=f"/{narrow}").geturl())
        finally:
            operator.execute(f"DROP DATABASE {narrow}".encode())
