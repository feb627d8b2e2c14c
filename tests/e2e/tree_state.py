"""What a store holds of a tree, read beside the daemon, and a few ways to write specs that real life knows."""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from e2e.conftest import Site, until

SPEC = """\
schemaVersion: "1.0"
id: {id}
name: {id}
version: {version}
triggers:
  - {{kind: event, source: test, type: {id}}}
actions:
  - {{id: only, actionId: somewhere.else}}
"""


class Bound(NamedTuple):
    """One automation as it stands."""

    uid: str
    generation: int
    version: str
    deleted: bool
    conditions: dict[str, dict[str, str]]


def spec(identity: str, version: str = "1.0.0") -> str:
    """A small good spec."""
    return SPEC.format(id=identity, version=version)


def rows(site: Site, statement: str, *values: Any) -> list[Any]:
    """A query beside the daemon."""
    connection = apsw.Connection(str(site.folder / "root" / "automations.db"), flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(10_000)
    try:
        return list(connection.execute(statement, values))
    finally:
        connection.close()


def bound(site: Site) -> dict[str, Bound]:
    """Every automation, deleted ones too."""
    found = rows(
        site,
        """SELECT a.id, a.uid, a.generation, g.spec_json, a.deleted_at, a.conditions_json FROM automations a
           JOIN generations g ON g.uid = a.uid AND g.generation = a.generation""",
    )
    return {
        row[0]: Bound(row[1], row[2], json.loads(row[3])["version"], row[4] is not None, json.loads(row[5]))
        for row in found
    }


def live(site: Site) -> dict[str, str]:
    """Ids to versions of what is not deleted."""
    return {identity: each.version for identity, each in bound(site).items() if not each.deleted}


def history(site: Site) -> list[tuple[str, int, str]]:
    """Every generation that ever was: id, number, version."""
    found = rows(
        site,
        """SELECT a.id, g.generation, g.spec_json FROM generations g JOIN automations a ON a.uid = g.uid
           ORDER BY a.id, g.generation""",
    )
    return [(row[0], row[1], json.loads(row[2])["version"]) for row in found]


def condition(site: Site, name: str, source: str = "default") -> tuple[str, str]:
    """A source's condition: status and reason."""
    found = rows(site, "SELECT conditions_json FROM sources WHERE name = ?", source)
    said = json.loads(found[0][0]).get(name, {}) if found else {}
    return said.get("status", ""), said.get("reason", "")


def serial(site: Site) -> int:
    """How often definitions changed."""
    return int(rows(site, "SELECT serial FROM state")[0][0])


def audited(site: Site) -> int:
    """How many rounds and commands changed something."""
    return int(rows(site, "SELECT count(*) FROM audit")[0][0])


class Witness:
    """A spec that is edited to learn that the daemon has looked at the whole tree since."""

    def __init__(self, site: Site, folder: Path | None = None) -> None:
        self._site = site
        self._folder = folder or site.specs
        self._number = 0

    def looked(self) -> None:
        """Edit it, and wait until that is bound: a whole look at the tree began after this call."""
        self._number += 1
        version = f"0.0.{self._number}"
        put(self._folder / "witness.yaml", spec("witness", version))
        until(lambda: live(self._site).get("witness") == version, what="the witness is bound", seconds=90)


def put(path: Path, text: str | bytes) -> None:
    """Write by rename, as careful editors do."""
    draft = path.with_name(f".{path.name}.draft")
    draft.write_bytes(text.encode() if isinstance(text, str) else text)
    draft.replace(path)


def in_place(path: Path, text: str) -> None:
    """Write in place, in one go."""
    with path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
