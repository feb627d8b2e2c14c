"""Both stores behave alike: one suite of what services may rely on, run on each."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum

import pytest

from automations.errors import InvalidInput, StoreError, StoreUnavailable
from automations.store.database import ConstraintViolated, Database

TABLE = "CREATE TABLE things (id TEXT PRIMARY KEY, n BIGINT, body TEXT)"
PUT = "INSERT INTO things (id, n, body) VALUES (:id, :n, :body)"
RETURNING = "INSERT INTO things (id, n, body) VALUES (:id, :n, :body) RETURNING id, n"
GET = "SELECT id, n, body FROM things WHERE id = :id"


class Colour(StrEnum):
    RED = "red"


@pytest.fixture
def things(database: Database) -> Database:
    database.script(TABLE)
    return database


@pytest.fixture
def shared_things(shared_database: Database) -> Database:
    shared_database.script(TABLE)
    return shared_database


def put(database: Database, key: str, *, n: int | None = 0, body: str | None = None) -> None:
    with database.write() as tx:
        assert tx.run(PUT, id=key, n=n, body=body) == 1


def number(database: Database, key: str) -> int | None:
    with database.read() as tx:
        row = tx.one(GET, id=key)
    return row["n"] if row else None


def test_a_commit_is_visible_to_another_thread(things: Database) -> None:
    put(things, "a", n=7)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(number, things, "a").result() == 7


def test_a_commit_outlives_the_connections(open_store: Callable[[], Database]) -> None:
    first = open_store()
    first.script(TABLE)
    put(first, "a", n=7)
    first.close()
    assert number(open_store(), "a") == 7


def test_an_exception_in_the_block_rolls_everything_back(things: Database) -> None:
    def change_and_fail() -> None:
        with things.write() as tx:
            tx.run(PUT, id="a", n=1, body=None)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change_and_fail()
    assert number(things, "a") is None


def test_a_passed_over_failure_cannot_be_committed(things: Database) -> None:
    put(things, "a")

    def pass_over() -> None:
        with things.write() as tx:
            tx.run(PUT, id="b", n=1, body=None)
            with pytest.raises(ConstraintViolated):
                tx.run(PUT, id="a", n=1, body=None)
            with pytest.raises(StoreError, match="failed"):
                tx.one(GET, id="a")

    with pytest.raises(StoreError, match="failed"):
        pass_over()
    assert number(things, "b") is None


def test_a_transaction_takes_no_statement_after_its_block(things: Database) -> None:
    with things.write() as tx:
        pass
    with pytest.raises(StoreError, match="ended"):
        tx.run(PUT, id="a", n=1, body=None)


def test_a_thread_cannot_begin_a_second_transaction(things: Database) -> None:
    with things.write() as tx:
        tx.run(PUT, id="a", n=1, body=None)
        with pytest.raises(StoreError, match="already"):
            things.read().__enter__()
    assert number(things, "a") == 1


def test_a_transaction_for_reading_changes_nothing(things: Database) -> None:
    with pytest.raises(StoreError), things.read() as tx:
        tx.run(PUT, id="a", n=1, body=None)
    with pytest.raises(StoreError), things.read() as tx:
        tx.all(RETURNING, id="a", n=1, body=None)
    assert number(things, "a") is None
    put(things, "a")


def test_rows_held_for_update_can_be_changed(things: Database) -> None:
    put(things, "a", n=1)
    with things.write() as tx:
        row = tx.one(f"{GET}{tx.for_update}", id="a")
        assert row == {"id": "a", "n": 1, "body": None}
        assert len(tx.all(f"{GET}{tx.skip_locked}", id="a")) == 1
        assert tx.run("UPDATE things SET n = :n WHERE id = :id AND n = :was", id="a", n=2, was=1) == 1
    assert number(things, "a") == 2


def test_run_counts_the_rows_that_it_changed(things: Database) -> None:
    put(things, "a")
    with things.write() as tx:
        assert tx.run("UPDATE things SET n = 5 WHERE id = :id", id="nobody") == 0
        assert tx.run(PUT + " ON CONFLICT (id) DO NOTHING", id="a", n=9, body=None) == 0
        assert tx.run(PUT + " ON CONFLICT (id) DO UPDATE SET n = excluded.n", id="a", n=9, body=None) == 1
        assert tx.run("DELETE FROM things") == 1


def test_a_second_row_with_the_same_key_violates_the_constraint(things: Database) -> None:
    put(things, "a", body="the text that nobody should see")
    with pytest.raises(ConstraintViolated) as caught:
        put(things, "a", body="the text that nobody should see")
    assert "nobody should see" not in caught.value.message


def test_returning_gives_the_changed_rows(things: Database) -> None:
    with things.write() as tx:
        assert tx.one(RETURNING, id="a", n=1, body=None) == {"id": "a", "n": 1}
        tx.run(PUT, id="b", n=2, body=None)
        rows = tx.all("UPDATE things SET n = n + 10 RETURNING id, n")
        assert sorted(row["n"] for row in rows) == [11, 12]
        assert tx.all("UPDATE things SET n = 0 WHERE id = :id RETURNING id", id="nobody") == []
        assert tx.one("DELETE FROM things RETURNING id") in ({"id": "a"}, {"id": "b"})
    with things.read() as tx:
        assert tx.all("SELECT id FROM things") == []


def test_a_statement_without_rows_gives_none(things: Database) -> None:
    with things.write() as tx:
        assert tx.all(PUT, id="a", n=1, body=None) == []
        assert tx.one("DELETE FROM things") is None


def test_many_runs_a_statement_for_each_row(things: Database) -> None:
    with things.write() as tx:
        tx.many(PUT, ({"id": f"{n:04d}", "n": n, "body": "x; y -- " * 40} for n in range(2000)))
        tx.many(PUT, [])
    with things.read() as tx:
        assert tx.one("SELECT count(*) AS n, sum(n) AS total FROM things") == {"n": 2000, "total": 1999000}


def test_a_bad_row_among_many_keeps_none_of_them(things: Database) -> None:
    rows = [{"id": "a", "n": 1, "body": None}, {"id": "b", "n": 1, "body": "\0"}]
    with pytest.raises(InvalidInput), things.write() as tx:
        tx.many(PUT, rows)
    with pytest.raises(ConstraintViolated), things.write() as tx:
        tx.many(PUT, [rows[0], rows[0]])
    assert number(things, "a") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "it's",
        "% %s %(x)s %%",
        ":name ::cast",
        "\\ \\' \\n",
        "snow ☃ and 🤖 and e\u0301",
        '{"a": ["\\u0000", 1e3]}',
        "\t\r\n",
    ],
)
def test_text_comes_back_as_it_went_in(things: Database, text: str) -> None:
    put(things, "a", body=text)
    with things.read() as tx:
        assert tx.one(GET, id="a") == {"id": "a", "n": 0, "body": text}


@pytest.mark.parametrize("value", [0, -1, 2**63 - 1, -(2**63), None])
def test_integers_of_64_bits_come_back_as_they_went_in(things: Database, value: int | None) -> None:
    put(things, "a", n=value)
    assert number(things, "a") == value


def test_a_value_of_an_enumeration_is_stored_as_its_text(things: Database) -> None:
    put(things, "a", body=Colour.RED)
    with things.read() as tx:
        assert tx.one("SELECT body FROM things WHERE body = :body", body=Colour.RED) == {"body": "red"}


@pytest.mark.parametrize("bad", [{"n": 2**63}, {"body": "a\0b"}, {"body": "\ud800"}])
def test_a_value_that_no_column_can_hold_is_invalid_input(things: Database, bad: dict[str, object]) -> None:
    with pytest.raises(InvalidInput), things.write() as tx:
        tx.run(PUT, **{"id": "a", "n": 0, "body": None, **bad})


def test_a_missing_parameter_is_an_error(things: Database) -> None:
    with pytest.raises(StoreError), things.write() as tx:
        tx.run(PUT, id="a")


def test_a_statement_in_error_names_the_trouble(things: Database) -> None:
    with pytest.raises(StoreError, match="nowhere"), things.read() as tx:
        tx.all("SELECT id FROM nowhere")


def test_parameters_are_found_only_where_they_are_parameters(database: Database) -> None:
    sql = """
      SELECT ':a' AS literal, 'it''s :a 100%' AS quoted, :a AS ":a", -- :a 'comment
        CAST(:n AS TEXT) AS n /* ' :a */, CASE WHEN :missing IS NULL THEN 1 ELSE 0 END AS untyped
    """
    with database.read() as tx:
        assert tx.one(sql, a="yes", n=5, missing=None) == {
            "literal": ":a",
            "quoted": "it's :a 100%",
            ":a": "yes",
            "n": "5",
            "untyped": 1,
        }


def test_eight_threads_count_without_losing_any(things: Database) -> None:
    put(things, "a")

    def count() -> None:
        for _ in range(25):
            with things.write() as tx:
                row = tx.one(f"{GET}{tx.for_update}", id="a")
                assert row is not None
                tx.run("UPDATE things SET n = :n WHERE id = :id", id="a", n=row["n"] + 1)

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(count) for _ in range(8)]:
            done.result()
    assert number(things, "a") == 200


def test_a_reader_keeps_its_snapshot_and_does_not_block_a_writer(shared_things: Database) -> None:
    put(shared_things, "a", n=1)
    with ThreadPoolExecutor(1) as pool, shared_things.read() as tx:
        assert tx.one(GET, id="a") == {"id": "a", "n": 1, "body": None}
        pool.submit(put, shared_things, "b").result(timeout=30)
        assert tx.one(GET, id="b") is None
    assert number(shared_things, "b") == 0


def test_a_writer_does_not_block_readers(shared_things: Database) -> None:
    with ThreadPoolExecutor(1) as pool, shared_things.write() as tx:
        tx.run(PUT, id="a", n=1, body=None)
        assert pool.submit(number, shared_things, "a").result(timeout=30) is None
    assert number(shared_things, "a") == 1


def test_waiting_writers_are_all_served(things: Database) -> None:
    started = threading.Barrier(9)

    def one_more(key: str) -> None:
        started.wait()
        put(things, key)

    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(one_more, f"{n}") for n in range(8)]
        started.wait()
        for job in jobs:
            job.result()
    with things.read() as tx:
        assert tx.one("SELECT count(*) AS n FROM things") == {"n": 8}


def test_a_closed_store_says_so(things: Database) -> None:
    things.close()
    things.close()
    for begin in (things.read, things.write):
        with pytest.raises(StoreError, match="closed") as caught, begin():
            pass
        assert not isinstance(caught.value, StoreUnavailable)


def test_closing_lets_an_open_transaction_end(shared_things: Database) -> None:
    with ThreadPoolExecutor(1) as pool, shared_things.write() as tx:
        tx.run(PUT, id="a", n=1, body=None)
        pool.submit(shared_things.close).result(timeout=30)
