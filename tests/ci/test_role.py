"""The database role that the guide has people make for plans: its own SQL, run on a store, and what the role can do then."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from command_line import CommandLine
from postgres_server import fresh_schema, postgres_server
from wheel import ROOT

__all__ = ["postgres_server"]

pytestmark = pytest.mark.postgres

GUIDE = (ROOT / "docs" / "how-to" / "ci.md").read_text()
PLANS, PASSWORD = f"plans_{os.getpid()}", "a-long-one"


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty store; the role is dropped at the end."""
    with fresh_schema(request.getfixturevalue("postgres_server"), PLANS) as url:
        try:
            yield url
        finally:
            run(url, f"DROP OWNED BY {PLANS}; DROP ROLE {PLANS}")


def run(url: str, sql: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.encode())


def as_planner(url: str) -> str:
    """The same store for the role that plans."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{PLANS}:{PASSWORD}@{parts.netloc.rpartition('@')[2]}").geturl()


def test_the_role_for_plans_plans_what_changed_and_applies_nothing(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    automations = CommandLine(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HASNA_AUTOMATIONS_DIR", str(automations.root))
    monkeypatch.setenv("AUTOMATIONS_STORE", store)
    automations.applied(["one"])
    (sql,) = re.findall(r"^```sql\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    run(store, sql.replace("automations_plan", PLANS).replace("SCHEMA public", f"SCHEMA {PLANS}"))

    automations.write("two")
    monkeypatch.setenv("AUTOMATIONS_STORE", as_planner(store))
    for _ in range(2):  # the second remembers what the first has read
        assert automations.json("plan")["summary"]["create"] == 1
    refused = automations.refused("apply", "--auto-approve", status=1)
    assert "permission denied" in refused["error"]
    assert [each["id"] for each in automations.json("list")] == ["one"]
