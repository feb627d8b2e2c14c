"""A private PostgreSQL server for the tests: started when the first test asks for it, stopped when the session ends.

Each worker of pytest-xdist starts its own. `AUTOMATIONS_TEST_POSTGRES_URL` names a server to use instead. Without
either, the tests that need one are skipped; where `CI` is true that is a failure, so that nobody believes they ran.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

START_SECONDS = 60


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a server with a database for tests, without a schema chosen."""
    given = os.environ.get("AUTOMATIONS_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    binaries = _binaries()
    if binaries is None:
        told = "PostgreSQL's initdb is neither in PATH nor under /usr/lib/postgresql; install the package postgresql"
        if os.environ.get("CI") == "true":
            pytest.fail(told)
        pytest.skip(told)
    with _private_server(binaries) as url:
        yield url


@contextmanager
def fresh_schema(server: str, name: str) -> Iterator[str]:
    """A URL of the server's database whose statements see only the new, empty schema `name`; dropped at the end."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE SCHEMA "{name}"'.encode())
        try:
            yield f"{server}{'&' if '?' in server else '?'}options={quote(f'-csearch_path={name}')}"
        finally:
            connection.execute(f'DROP SCHEMA "{name}" CASCADE'.encode())


def _binaries() -> Path | None:
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(installed, key=lambda file: int(file.parent.parent.name), default=None)
    return newest.parent if newest else None


@contextmanager
def _private_server(binaries: Path) -> Iterator[str]:
    # Not under pytest's own directory: the path of a socket may have at most 107 characters.
    home = Path(tempfile.mkdtemp(prefix="automations-postgres-"))
    account = _unprivileged(home)
    try:
        data = home / "data"
        initdb = ["initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(
            [binaries / initdb[0], *initdb[1:]],
            check=True,
            capture_output=True,
            timeout=START_SECONDS,
            cwd=home,
            **account,
        )
        options = ["-c", "listen_addresses=", "-c", "max_connections=200", "-c", f"unix_socket_directories={home}"]
        with (home / "log").open("wb") as log:
            server = subprocess.Popen(
                [binaries / "postgres", "-D", data, *options], stdout=log, stderr=log, cwd=home, **account
            )
        try:
            url = f"postgresql://postgres@/postgres?host={quote(str(home), safe='')}"
            _wait_until_ready(server, url, log=home / "log")
            yield url
        finally:
            server.send_signal(
                signal.SIGQUIT
            )  # at once: what it holds is thrown away, and a busy disk would make it wait
            server.wait(timeout=START_SECONDS)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _unprivileged(home: Path) -> dict[str, Any]:
    """PostgreSQL refuses to run as root: how to start it as somebody else, who is given `home`."""
    if os.geteuid() != 0:
        return {}
    accounts = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = accounts.get("postgres") or accounts["nobody"]
    os.chown(home, entry.pw_uid, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _wait_until_ready(server: "subprocess.Popen[bytes]", url: str, *, log: Path) -> None:
    deadline = monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            if server.poll() is not None or monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()}") from None
            sleep(0.02)
        else:
            return
