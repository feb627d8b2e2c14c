"""A store URL opens the database that it names, or says why not without repeating a password."""

import shlex
import sys
import tomllib
from pathlib import Path

import pytest

from automations.errors import AutomationsError, InvalidInput, StoreError, StoreUnavailable
from automations.store.open import open_database

ROOT = Path(__file__).parents[2]
SECRET = "s3cr3t"


@pytest.mark.parametrize("prefix", ["sqlite://", "sqlite:///", "sqlite:"])
def test_an_absolute_path_opens_that_file(tmp_path: Path, prefix: str) -> None:
    open_database(f"{prefix}{tmp_path}/100%25 mine?.db").close()
    assert [file.name for file in tmp_path.iterdir()] == ["100%25 mine?.db"]


def test_a_relative_path_starts_at_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_database("sqlite:sub/mine.db").close()
    assert (tmp_path / "sub" / "mine.db").exists()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "automations.db",
        "/var/lib/automations.db",
        "sqlite:",
        "sqlite:///",
        "sqlite:///folder/",
        "sqlite://host/path",
        "sqlite:///a\0b",
        f"mysql://me:{SECRET}@host/db",
        f"me:{SECRET}@host",
        f"postgresql://me:{SECRET}@x@host/db",
        f"postgresql://me:{SECRET}/x@host/db",
        f"postgresql://me:{SECRET}?x@host/db",
        f"postgresql://me:{SECRET}%zz@host/db",
        f"postgresql://me:{SECRET}@host/db?nonsense={SECRET}",
        f"postgresql://me:{SECRET}@[host/db",
    ],
)
def test_anything_else_is_invalid_input(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        open_database(url)
    assert SECRET not in f"{caught.value.document()}"


@pytest.mark.parametrize(
    "url", [f"postgresql://me:{SECRET}@127.0.0.1:1/db", f"postgres://me@/db?host=/nowhere&password={SECRET}"]
)
def test_a_server_that_is_not_there_is_unavailable(url: str) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        open_database(url)
    assert SECRET not in f"{caught.value.document()}"


def test_a_missing_client_library_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "automations.store.postgres", None)
    with pytest.raises(StoreError, match="not installed") as caught:
        open_database(f"postgresql://me:{SECRET}@host/db")
    assert isinstance(caught.value, AutomationsError)
    named = caught.value.hint.removeprefix(f"install it beside this program: {sys.executable} -m pip install ")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert shlex.split(named) == [each.partition(">=")[0] for each in extras["postgres"]]
