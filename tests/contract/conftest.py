"""Every store, fresh and migrated, for tests that hold them all to the same contract."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from os import getpid
from pathlib import Path

import pytest

from automations.store.database import Database
from automations.store.migrate import migrate
from automations.store.open import open_database
from automations.store.sqlite import SqliteDatabase
from postgres_server import fresh_schema, postgres_server
from web_server import serve

__all__ = ["postgres_server", "serve"]

NOW = 1_700_000_000_000_000
LINEAGE = "0190a0a0-0000-7000-8000-000000000000"
POSTGRES = pytest.param("postgres", marks=pytest.mark.postgres)

_schemas = count(1)


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty schema on the tests' PostgreSQL server."""
    with fresh_schema(request.getfixturevalue("postgres_server"), f"test_{getpid()}_{next(_schemas)}") as url:
        yield url


@pytest.fixture(params=["sqlite", POSTGRES])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty store may be made that several connections and processes can share."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite://{tmp_path / 'automations.db'}"


@pytest.fixture
def open_store(store_url: str) -> Iterator[Callable[[], Database]]:
    """Opens `store_url` as often as it is called; all of these are closed at the end."""
    with ExitStack() as stack:

        def opened() -> Database:
            database = open_database(store_url)
            stack.callback(database.close)
            return database

        yield opened


@pytest.fixture
def shared_database(open_store: Callable[[], Database]) -> Database:
    """A migrated store on which a reader and a writer can be at work at once."""
    database = open_store()
    migrate(database, now=NOW, lineage=LINEAGE)
    return database


@pytest.fixture(params=["sqlite", "memory", POSTGRES])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A migrated store of each kind."""
    opened: Database
    if request.param == "memory":
        opened = SqliteDatabase.memory()
    elif request.param == "sqlite":
        opened = SqliteDatabase.open(str(tmp_path / "automations.db"))
    else:
        opened = open_database(request.getfixturevalue("postgres_url"))
    try:
        migrate(opened, now=NOW, lineage=LINEAGE)
        yield opened
    finally:
        opened.close()
