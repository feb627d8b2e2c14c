"""From a store URL to a database: the one place that knows both drivers."""

import re
import sys

from automations.errors import InvalidInput, StoreError
from automations.store.database import Database
from automations.store.sqlite import SqliteDatabase

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def open_database(url: str) -> Database:
    """Open the database that `url` names; its schema is `migrate`'s business.

    `sqlite:///absolute/path` and `sqlite:relative/path` (taken as they stand, nothing is percent-decoded),
    `postgresql://…` or `postgres://…` with libpq's parameters. Raises InvalidInput for anything else, without repeating
    what could be a password, and the drivers' StoreError, StoreUnavailable, StoreIncompatible.
    """
    if url.startswith("sqlite:"):
        return SqliteDatabase.open(_path(url))
    if url.startswith(("postgresql://", "postgres://")):
        return _open_postgres(url)
    scheme = _SCHEME.match(url)
    what = f"of the kind `{scheme[1]}`, which is not known" if scheme else "without a known kind"
    raise InvalidInput(
        f"the store URL is {what}", hint="write sqlite:///absolute/path or postgresql://user@host/database"
    )


def _path(url: str) -> str:
    rest = url.removeprefix("sqlite:")
    if rest.startswith("//"):
        if not rest.startswith("///"):
            raise InvalidInput("the store URL names a host, but SQLite opens local files", hint="write sqlite:///path")
        rest = "/" + rest.lstrip("/")
    if not rest.strip("/") or rest.endswith("/") or "\0" in rest:
        raise InvalidInput("the store URL names no file", hint="write sqlite:///path/automations.db")
    return rest


def _open_postgres(url: str) -> Database:
    try:
        # Most stores are embedded ones, and this import is as dear as the rest of a short command.
        from automations.store.postgres import PostgresDatabase  # noqa: PLC0415 -- an optional extra, and slow
    except ImportError as error:
        raise StoreError(
            "the store URL names a PostgreSQL server, but the client library for it is not installed",
            # Not the extra by this program's name: another environment's pip would look for that name in the public index.
            hint=f"install it beside this program: {sys.executable} -m pip install 'psycopg[binary]' psycopg-pool",
        ) from error
    return PostgresDatabase.open(url)
